"""Small reference results for the program that runs the model, made from the shipped float16 weights widened to float32.

golden.safetensors, float32: input [1,3,128,160], a smooth random picture in 0..1 with a disc before
it (the network takes all sides that are multiples of 32); output [1,1,128,160], its logits.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from export import load

SEED = 20


def picture(h, w):
    """Draws a smooth random picture [1,3,h,w] in 0..1 with a disc of another colour in it."""
    g = torch.Generator().manual_seed(SEED)
    x = F.interpolate(torch.rand(1, 3, 4, 5, generator=g), size=(h, w), mode="bicubic", align_corners=True)
    y, z = torch.meshgrid(torch.arange(float(h)), torch.arange(float(w)), indexing="ij")
    disc = ((y - 0.55 * h) ** 2 + (z - 0.4 * w) ** 2).sqrt() < 0.3 * h
    return torch.where(disc, 1 - x, x).clamp(0, 1)


def main():
    """Writes golden.safetensors and golden.json."""
    here = Path(__file__).resolve()
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", type=Path, default=here.parents[1])
    p.add_argument("--out", type=Path, default=here.parents[4] / "tests/golden/house-segmenter")
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    x = picture(128, 160)
    y = load(args.model)(x)
    path = args.out / "golden.safetensors"
    save_file({"input": x.contiguous(), "output": y.contiguous()}, path)
    os.chmod(path, 0o644)
    note = {
        "made_by": "assets/models/house-segmenter/recipe/golden.py", "seed": SEED,
        "python": sys.version.split()[0], "torch": torch.__version__,
        "weights": "model.safetensors of assets/models/house-segmenter, widened to float32",
        "weights_sha256": hashlib.sha256((args.model / "model.safetensors").read_bytes()).hexdigest(),
    }
    (args.out / "golden.json").write_text(json.dumps(note, indent=1) + "\n")


if __name__ == "__main__":
    main()
