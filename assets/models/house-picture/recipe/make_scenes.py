"""Writes composed scenes to the work folder: pictures (scenes.u8), captions as token ids, records.

scenes.u8 is a raw uint8 array [n,256,256,3]; scenes.json says how much of it is ready, so that
readers may start early.  tokens.npy is int16 [n, CAPTIONS, 16] padded with 0 (an empty prompt has
no token); records are one JSON object a line; boxes.npy is float32 [n, SKETCHES, 4]: the id of each
drawing's concept and its box as `model.unit` measures it (0 for none), in the order of mention
and, of one kind, from left to right.  Other shapes go to files of their own.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

from lexicon import CONCEPT0, MAX_TOKENS
from model import unit
from scenes import SHAPES, Composer

CAPTIONS = 4
SKETCHES = 3


def boxes(comp, sc):
    """Where the last picture's drawings are: float32 [SKETCHES,4]."""
    h, w = sc["shape"]
    m, order = unit(h, w), [o["concept"] for o in sc["objects"]]
    out = np.zeros((SKETCHES, 4), np.float32)
    for row, (c, x, y, side) in zip(out, sorted(comp.boxes, key=lambda b: (order.index(b[0]), b[1]))):
        row[:] = CONCEPT0 + c, (x - w / 2) / m, (y - h * 0.52) / m, side / m
    return out


def write(comp, work, shape, n, seed, chunk=1000):
    h, w = shape
    tag = "" if shape == (256, 256) else f"-{h}x{w}"
    done = work / f"scenes{tag}.json"
    start = json.loads(done.read_text())["shape"][0] if done.exists() else 0
    if start >= n:
        return
    path = work / f"scenes{tag}.u8"
    if not path.exists():
        with open(path, "wb") as f:
            f.truncate(n * h * w * 3)
    pix = np.memmap(path, np.uint8, "r+", shape=(n, h, w, 3))
    tokens = np.zeros((n, CAPTIONS, MAX_TOKENS), np.int16)
    places = np.zeros((n, SKETCHES, 4), np.float32)
    if start:
        places[:start] = np.load(work / f"boxes{tag}.npy")[:start]
        tokens[:start] = np.load(work / f"tokens{tag}.npy")[:start]
    with open(work / f"records{tag}.jsonl", "a") as rec:
        for i in range(start, n):
            # A seed per scene makes the result independent of where a run was stopped.
            rng = np.random.default_rng([seed, h, w, i])
            sc = comp.choose(rng, shape)
            pix[i] = comp.render(sc, rng)
            places[i] = boxes(comp, sc)
            for k in range(CAPTIONS):
                ids, _ = comp.lex.tokens(comp.caption(sc, rng, zh=bool(k % 2)))
                tokens[i, k, : len(ids)] = ids
            rec.write(json.dumps(sc) + "\n")
            if (i + 1) % chunk == 0 or i + 1 == n:
                rec.flush()
                np.save(work / "tokens.tmp.npy", tokens)
                os.replace(work / "tokens.tmp.npy", work / f"tokens{tag}.npy")
                np.save(work / "boxes.tmp.npy", places)
                os.replace(work / "boxes.tmp.npy", work / f"boxes{tag}.npy")
                done.write_text(json.dumps({"shape": [i + 1, h, w, 3]}))
                print(shape, i + 1, flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--n", type=int, default=24000)
    p.add_argument("--others", type=int, default=700, help="scenes of each other shape")
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    comp = Composer(args.data, args.work)
    write(comp, args.work, SHAPES[0], args.n, args.seed)
    for s in SHAPES[1:]:
        write(comp, args.work, s, args.others, args.seed)


if __name__ == "__main__":
    main()
