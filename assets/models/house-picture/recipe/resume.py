"""Makes checkpoints to go on from out of the shipped weights.

    python resume.py --data DATA --work work            # writes dit.pt and dec.pt where they are missing

The shipped file has 8 bits and no state of the optimiser, so training warms up again.  What the
configuration has and the shipped file has not (the mending net) starts as it would in a new model.
"""

import argparse
from pathlib import Path

import torch

import elastic
from export import dequantise
from model import Config, Decoder, Painter
from sketch import start
from train_dit import muon


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--model", type=Path, default=Path(__file__).resolve().parents[1])
    p.add_argument("--config", type=Path, default=Path(__file__).with_name("config.json"))
    args = p.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(2)
    cfg = Config.load(args.config)
    old = dequantise(args.model / "model.safetensors")
    for file, model, lead, rule in (
        ("dit.pt", Painter(cfg), "", muon),
        ("dec.pt", Decoder(cfg), "dec.", lambda *_: 0),
    ):
        if (args.work / file).exists():
            continue
        named = dict(model.named_parameters())
        new = [k for k, v in named.items() if lead + k not in old or old[lead + k].shape != v.shape]
        for k, v in named.items():
            if k not in new:
                v.data.copy_(old[lead + k])
        if "text.sketch.code" in new:
            start(args.data, args.work, model)
        print(file, "starts anew:", new or "nothing", flush=True)
        elastic.Shared(model, rule).save(args.work / file)


if __name__ == "__main__":
    main()
