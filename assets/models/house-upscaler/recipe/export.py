"""Writes model.safetensors (float16, the names of net.py) and config.json from a checkpoint's running average."""

import argparse
import json
import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from net import CONVS, FEATURES, SCALE, SRVGGNetCompact

LICENCE = "MIT AND Apache-2.0"


def weights(checkpoint):
    """Names the tensors of a checkpoint of elastic.Shared, in the order of the model's parameters."""
    flat, out, at = torch.load(checkpoint)["ema"], {}, 0
    for name, p in SRVGGNetCompact().named_parameters():
        out[name] = flat[at : at + p.numel()].reshape(p.shape)
        at += p.numel()
    return out


def load(folder):
    """Opens the shipped weights, widened to float32."""
    net = SRVGGNetCompact()
    net.load_state_dict({k: v.float() for k, v in load_file(Path(folder) / "model.safetensors").items()})
    return net.eval().requires_grad_(False)


def main():
    """Writes the two files."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    named = {k: v.half().contiguous() for k, v in weights(args.work / "upscaler.pt").items()}
    note = {
        "architecture": "SRVGGNetCompact", "scale": str(SCALE), "num_feat": str(FEATURES), "num_conv": str(CONVS),
        "act_type": "prelu", "num_in_ch": "3", "num_out_ch": "3", "range": "0..1", "licence": LICENCE, "format": "pt",
    }
    path = args.out / "model.safetensors"
    save_file(named, path, metadata=note)
    os.chmod(path, 0o644)
    config = {
        "name": "house-upscaler", "architecture": "SRVGGNetCompact", "num_in_ch": 3, "num_out_ch": 3,
        "num_feat": FEATURES, "num_conv": CONVS, "upscale": SCALE, "act_type": "prelu", "licence": LICENCE,
    }
    (args.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    print("parameters", sum(v.numel() for v in named.values()), "bytes", path.stat().st_size)


if __name__ == "__main__":
    main()
