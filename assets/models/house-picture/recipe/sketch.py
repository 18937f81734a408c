"""Starts the sketches of the text encoder from the concepts' drawings.

A drawing is cut to its box, centred in a square as wide as its longer side (so that a sketch lies
where the composer of the training pictures puts the thing), averaged to 48 pixels with
premultiplied alpha and cut into side x side cells.  The cells of all concepts and styles give
principal components, and a code is a cell's first components, evened out (each divided by the root
of its spread), so that what things have in common is learnt once for all of them.  Training takes
the codes on from there.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import elastic
import sprites
from lexicon import CONCEPT0, STYLES, read_concepts
from model import Config, Painter
from train_dit import muon

PIXELS = 48


def square(rgba):
    """uint8 [h,w,4] straight alpha -> float32 [PIXELS,PIXELS,4], premultiplied, 0 to 1."""
    ys, xs = np.nonzero(rgba[..., 3] > 8)
    a = rgba[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].astype(np.float32) / 255
    a = np.concatenate([a[..., :3] * a[..., 3:], a[..., 3:]], -1)
    h, w = a.shape[:2]
    side = max(h, w)
    out = np.zeros((side, side, 4), np.float32)
    y, x = (side - h) // 2, (side - w) // 2
    out[y : y + h, x : x + w] = a
    return np.stack([np.asarray(Image.fromarray(out[..., k]).resize((PIXELS, PIXELS), Image.BOX)) for k in range(4)], -1)


def drawings(data, work, styles, side):
    """float32 [concepts, styles, cells, numbers]."""
    banks = [sprites.bank(data, work, s) for s in styles]
    with open(data / "emoji" / "index.jsonl", encoding="utf-8") as f:
        code = {r["emoji"].replace("\ufe0f", ""): r["code"] for r in map(json.loads, f)}
    a = np.stack([[square(arr[at[code[c["emoji"]]]]) for arr, at in banks] for c in read_concepts()])
    n, s, k = len(a), len(styles), PIXELS // side
    a = a.reshape(n, s, side, k, side, k, 4).transpose(0, 1, 2, 4, 3, 5, 6)
    return a.reshape(n, s, side * side, -1)


def codes(data, work, cfg):
    """float32 [vocab - sketch_first, styles, cells, sketch_width] of about unit size."""
    x = drawings(data, work, STYLES, cfg.sketch_side)
    flat = x.reshape(-1, x.shape[-1])
    flat = flat - flat.mean(0)
    _, spread, parts = np.linalg.svd(flat, full_matrices=False)
    print(f"kept variance {np.sum(spread[: cfg.sketch_width] ** 2) / np.sum(spread**2):.3f}")
    c = flat @ parts[: cfg.sketch_width].T / np.sqrt(spread[: cfg.sketch_width])
    c = c.reshape(*x.shape[:3], -1) / c.std()
    out = np.zeros((cfg.vocab - cfg.sketch_first, *c.shape[1:]), np.float32)
    out[: len(c)] = c
    return torch.from_numpy(out)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--config", type=Path, default=Path(__file__).with_name("config.json"))
    args = p.parse_args()
    cfg = Config.load(args.config)
    assert cfg.sketch_first == CONCEPT0
    torch.manual_seed(2)
    painter = Painter(cfg)
    painter.text.sketch.code.data.copy_(codes(args.data, args.work, cfg))
    elastic.Shared(painter, muon).save(args.work / "dit.pt")


if __name__ == "__main__":
    main()
