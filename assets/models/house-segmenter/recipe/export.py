"""Writes model.safetensors (float16, the names of net.py) and config.json from a checkpoint's running average."""

import argparse
import json
import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from net import CHANNELS, SIDE, Segmenter, describe

LICENCE = "MIT AND Apache-2.0"


def weights(checkpoint):
    """Names the tensors of a checkpoint of elastic.Shared, in the order of the model's parameters."""
    flat, out, at = torch.load(checkpoint)["ema"], {}, 0
    for name, p in Segmenter().named_parameters():
        out[name] = flat[at : at + p.numel()].reshape(p.shape)
        at += p.numel()
    return out


def load(folder):
    """Opens the shipped weights, widened to float32."""
    net = Segmenter()
    net.load_state_dict({k: v.float() for k, v in load_file(Path(folder) / "model.safetensors").items()})
    return net.eval().requires_grad_(False)


def main():
    """Writes the two files."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    named = {k: v.half().contiguous() for k, v in weights(args.work / "segmenter.pt").items()}
    path = args.out / "model.safetensors"
    save_file(named, path, metadata={"architecture": "house-segmenter", "version": "1", "side": str(SIDE), "licence": LICENCE, "format": "pt"})
    os.chmod(path, 0o644)
    config = {
        "name": "house-segmenter", "version": 1, "licence": LICENCE, "channels": list(CHANNELS), "side": SIDE, "multiple_of": 32,
        "input": "RGB in 0..1, [1,3,side,side], the picture stretched to the square",
        "output": "one logit a pixel, [1,1,side,side]; its sigmoid is the subject's alpha, above 0 is subject",
        "weights": "[out,in,3,3] and [out]; borders are padded with zeros",
    }
    # A layer a line, so that the list can be read.
    text = json.dumps(config, indent=1)[:-2] + ',\n "layers": [\n  ' + ",\n  ".join(map(json.dumps, describe())) + "\n ]\n}\n"
    (args.out / "config.json").write_text(text)
    print("parameters", sum(v.numel() for v in named.values()), "bytes", path.stat().st_size)


if __name__ == "__main__":
    main()
