"""Starts the sketches of the text encoder from the concepts' drawings.

A drawing is cut to its box, centred in a square as wide as its longer side (so that a sketch lies
where the composer of the training pictures puts the thing), averaged to 48 pixels with
premultiplied alpha and cut into side x side cells.  The cells of all concepts and styles give
principal components, and a code is a cell's first components, evened out (each divided by the root
of its spread); the matrix that shows codes starts as the way back.  Training takes both on from there.
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
    """float32 [concepts, styles, cells, row, column, 4]."""
    banks = [sprites.bank(data, work, s) for s in styles]
    with open(data / "emoji" / "index.jsonl", encoding="utf-8") as f:
        code = {r["emoji"].replace("\ufe0f", ""): r["code"] for r in map(json.loads, f)}
    a = np.stack([[square(arr[at[code[c["emoji"]]]]) for arr, at in banks] for c in read_concepts()])
    n, s, k = len(a), len(styles), PIXELS // side
    a = a.reshape(n, s, side, k, side, k, 4).transpose(0, 1, 2, 4, 3, 5, 6)
    return a.reshape(n, s, side * side, k, k, 4)


def start(data, work, painter):
    """Fills a Painter's codes, of about unit size, and the matrix that makes drawings of them."""
    cfg, sketch = painter.text.cfg, painter.text.sketch
    x = drawings(data, work, STYLES, cfg.sketch_side)
    # Colour becomes what normalised latents hold, times the cover, as the network wants it.
    rgb, a = x[..., :3], x[..., 3:]
    x = np.concatenate([(2 * rgb - a) / cfg.latent_std[0], a], -1)
    x = np.moveaxis(x, -1, -3)  # [concepts, styles, cells, channel, row, column]
    flat = x.reshape(-1, x[0, 0, 0].size)
    mean = flat.mean(0)
    values, parts = np.linalg.eigh((flat - mean).T @ (flat - mean))
    values, parts = values[::-1], parts[:, ::-1]
    n = cfg.sketch_width
    print(f"kept variance {values[:n].sum() / values.sum():.4f}")
    root = np.sqrt(np.sqrt(values[:n]))  # the root of a component's spread
    c = (flat - mean) @ parts[:, :n] / root
    size = c.std()
    c = (c / size).reshape(*x.shape[:3], n)
    sketch.code.data.zero_()
    sketch.code.data[: len(c)] = torch.from_numpy(c)
    sketch.show.weight.data.copy_(torch.from_numpy(np.ascontiguousarray(parts[:, :n] * root * size)))
    sketch.show.bias.data.copy_(torch.from_numpy(mean))


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
    start(args.data, args.work, painter)
    elastic.Shared(painter, muon).save(args.work / "dit.pt")


if __name__ == "__main__":
    main()
