"""Draws a contact sheet of prompts with the running average weights, to look at while training."""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from elastic import autocast
from export import weights
from lexicon import Lexicon
from model import Config, Decoder, Painter, sample, thumbnail

PROMPTS = [
    "a red fox in the snow, 3d style", "a fox, 3d", "a cat, 3d", "a dog, flat", "a house on a meadow, flat style", "a green apple, 3d", "a blue car in the city, 3d", "a rocket in space, 3d",
    "a robot in a room, line art", "a tree in the desert, glossy", "a penguin in the snow, flat", "a pizza on a blue background, glossy", "a purple elephant, 3d", "a yellow duck on the sea, 3d", "a rose, flat", "a guitar, 3d",
    "一只蓝色的猫在海滩上", "森林里的熊，3D风格", "星空下的城堡", "红色背景上的白色兔子", "a cat to the left of a dog", "an apple and a banana", "a bird on top of a house", "three strawberries",
    "a smiling face", "an umbrella in the rain", "a crown on a purple background", "a butterfly in the forest, flat", "a shark under the sea, 3d", "a small mushroom in the forest", "a big watermelon on the beach", "a train in the mountains, 3d",
]


@torch.no_grad()
def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--config", type=Path, default=Path(__file__).with_name("config.json"))
    p.add_argument("--guidance", type=float, default=3.0)
    p.add_argument("--steps", type=int, default=16)
    p.add_argument("--shift", type=float, default=1.0)
    p.add_argument("--which", default="ema")
    args = p.parse_args()
    torch.set_num_threads(1)
    cfg = Config.load(args.config)
    dec, painter = Decoder(cfg), Painter(cfg)
    painter.load_state_dict(weights(painter, args.work / "dit.pt", args.which))
    dec.load_state_dict(weights(dec, args.work / "dec.pt"))
    lex = Lexicon()
    toks = [lex.tokens(t)[0] for t in PROMPTS]
    n = torch.tensor([len(t) for t in toks])
    ids = torch.tensor([t + [0] * (10 - len(t)) for t in toks])
    noise = torch.randn(len(toks), 48, 16, 16, generator=torch.Generator().manual_seed(5))
    with autocast("cpu"):
        z = sample(painter, ids, n, noise, args.steps, args.guidance, args.shift).float()
    out = dec(thumbnail(z, cfg).clamp(-1, 1)).clamp(-1, 1) if (args.work / "dec.pt").exists() else torch.nn.functional.interpolate(thumbnail(z, cfg).clamp(-1, 1), scale_factor=4, mode="bilinear")
    a = ((out + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    grid = np.concatenate([np.concatenate(list(a[r : r + 8]), 1) for r in range(0, len(a), 8)], 0)
    Image.fromarray(grid).resize((grid.shape[1] // 2, grid.shape[0] // 2), Image.LANCZOS).save(args.out)


if __name__ == "__main__":
    main()
