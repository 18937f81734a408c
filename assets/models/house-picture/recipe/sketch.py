"""Starts the sketches of the text encoder from the concepts' drawings, and widens a checkpoint.

A concept's drawings in all styles, 32 pixels wide with premultiplied alpha, are averaged and cut
into side x side cells; the cells of all concepts give principal components, and a concept's code
is its cells' first components, evened out (each divided by the root of its spread), so that what
concepts have in common is learnt once for all of them.  Training takes the codes on from there.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import elastic
import sprites
from lexicon import CONCEPT0, read_concepts
from model import Config, Painter
from train_dit import muon


def drawings(data, work, styles, side):
    """float32 [concepts, cells, numbers]: the averaged drawings, cut into cells."""
    out = []
    banks = [sprites.bank(data, work, s) for s in styles]
    with open(data / "emoji" / "index.jsonl", encoding="utf-8") as f:
        code = {r["emoji"].replace("\ufe0f", ""): r["code"] for r in map(json.loads, f)}
    for c in read_concepts():
        rows, name = [], code[c["emoji"]]
        for arr, at in banks:
            if name in at:
                a = arr[at[name]].astype(np.float32) / 255
                a = np.concatenate([a[..., :3] * a[..., 3:], a[..., 3:]], -1)
                rows.append(a.reshape(32, 8, 32, 8, 4).mean((1, 3)))
        a = np.mean(rows, 0)
        k = 32 // side
        out.append(a.reshape(side, k, side, k, 4).transpose(0, 2, 1, 3, 4).reshape(side * side, -1))
    return np.stack(out)


def codes(data, work, cfg, styles=("3d", "flat")):
    """float32 [vocab - sketch_first, cells, sketch_width] of about unit size."""
    x = drawings(data, work, styles, cfg.sketch_side)
    flat = x.reshape(-1, x.shape[-1])
    flat = flat - flat.mean(0)
    _, spread, parts = np.linalg.svd(flat, full_matrices=False)
    print(f"kept variance {np.sum(spread[: cfg.sketch_width] ** 2) / np.sum(spread**2):.3f}")
    c = flat @ parts[: cfg.sketch_width].T / np.sqrt(spread[: cfg.sketch_width])
    c = c.reshape(x.shape[0], x.shape[1], -1) / c.std()
    out = np.zeros((cfg.vocab - cfg.sketch_first, *c.shape[1:]), np.float32)
    out[: len(c)] = c
    return torch.from_numpy(out)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--config", type=Path, default=Path(__file__).with_name("config.json"))
    p.add_argument("--source", type=Path, help="a checkpoint without sketches to go on from")
    args = p.parse_args()
    cfg = Config.load(args.config)
    assert cfg.sketch_first == CONCEPT0
    torch.manual_seed(2)
    painter = Painter(cfg)
    painter.text.sketch.code.data.copy_(codes(args.data, args.work, cfg))
    torch.nn.init.normal_(painter.text.sketch.inp.weight, std=cfg.sketch_width**-0.5)
    shared = elastic.Shared(painter, muon)
    if args.source:
        old, o = torch.load(args.source), 0
        for name, at, size, _, _ in shared.plan:
            if name.startswith("text.sketch."):
                continue
            for k in shared.KEYS:
                if k != "grad":
                    shared.buf[k][at : at + size] = old[k][o : o + size]
            o += size
        assert o == old["weights"].numel()
        shared.step.value, shared.seen.value = old["step"], old["seen"]
    shared.save(args.work / "dit.pt")


if __name__ == "__main__":
    main()
