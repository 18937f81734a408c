"""Writes the shipped files: model.safetensors (8-bit), config.json, lexicon.json.

A matrix or convolution is stored as U8 (value + 128, values in -127..127) under its own name and
shape, with `<name>.scale`, F16 [rows], beside it: weight = (u8 - 128) * scale[row], a row being
everything under one index of the first axis.  Vectors are F32; `table` and `pos` are F16.
`dequantise` reads the file back into named float32 tensors; all scores are made from those.
"""

import argparse
import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from lexicon import Lexicon
from model import Config, Decoder, Painter


def quantise(tensors):
    out = {}
    for name, t in tensors.items():
        t = t.float().contiguous()
        if t.ndim < 2:
            out[name] = t
        elif name.endswith((".table", ".pos")):
            out[name] = t.half()
        else:
            rows = t.flatten(1)
            scale = (rows.abs().amax(1) / 127).clamp(min=1e-7).half()
            # An F16 scale can round down; the clamp keeps the largest value in range.
            q = (rows / scale.float()[:, None]).round().clamp(-127, 127)
            out[name] = (q + 128).to(torch.uint8).reshape(t.shape)
            out[name + ".scale"] = scale
    return out


def dequantise(path):
    raw = load_file(path)
    out = {}
    for name, t in raw.items():
        if t.dtype == torch.uint8:
            s = raw[name + ".scale"].float()
            out[name] = (t.float() - 128) * s.reshape(-1, *[1] * (t.ndim - 1))
        elif not name.endswith(".scale"):
            out[name] = t.float()
    return out


def load(folder):
    """The shipped folder -> (config, decoder, painter), float32."""
    cfg = Config.load(Path(folder) / "config.json")
    t = dequantise(Path(folder) / "model.safetensors")
    dec, painter = Decoder(cfg), Painter(cfg)
    dec.load_state_dict({k[4:]: v for k, v in t.items() if k.startswith("dec.")})
    painter.load_state_dict({k: v for k, v in t.items() if not k.startswith("dec.")})
    return cfg, dec.eval(), painter.eval()


def weights(model, checkpoint, which="ema"):
    """Named tensors of a checkpoint of elastic.Shared, in the order of the model's parameters."""
    if not checkpoint.exists():
        # A file of random weights, to write a loader against; zeros would hide mistakes.
        return {k: v if v.count_nonzero() else torch.randn_like(v) * 0.03 for k, v in model.state_dict().items()}
    flat, out, o = torch.load(checkpoint)[which], {}, 0
    for k, p in model.named_parameters():
        out[k] = flat[o : o + p.numel()].reshape(p.shape)
        o += p.numel()
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--config", type=Path, default=Path(__file__).with_name("config.json"))
    p.add_argument("--guidance", type=float, default=1.5)
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--shift", type=float, default=6.0)
    args = p.parse_args()
    torch.manual_seed(7)
    cfg = Config.load(args.config)
    dec = weights(Decoder(cfg), args.work / "dec.pt")
    painter = weights(Painter(cfg), args.work / "dit.pt")
    named = {"dec." + k: v for k, v in dec.items()} | painter
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(quantise(named), args.out / "model.safetensors", metadata={"format": "pt"})
    os.chmod(args.out / "model.safetensors", 0o644)
    cfg.save(args.out / "config.json", licence="MIT AND Apache-2.0", guidance=args.guidance, steps=args.steps, shift=args.shift)
    Lexicon().save(args.out / "lexicon.json")
    print("parameters", sum(v.numel() for v in named.values()), "bytes", os.path.getsize(args.out / "model.safetensors"))


if __name__ == "__main__":
    main()
