"""Writes model.gguf from WORK/state.pt: 8-bit matrices, and the vocabulary as JSON in the metadata.

    python export.py --work WORK --out model.gguf
"""

import argparse
import json
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "common")]

from decoder import Config, write_gguf  # noqa: E402
from tokens import DENSITIES, TEMPI, TICKS, vocabulary  # noqa: E402

LICENCE = "CC0-1.0"
DESCRIPTION = ("Writes music for voice and piano, and chorales in four voices, as notes. Trained by this project on "
               "OpenScore Lieder (CC0) and the chorales of J. S. Bach (public domain).")


def described():
    return json.dumps({"version": 1, "ticks_per_quarter": TICKS, "tempo_edges": TEMPI, "density_edges": DENSITIES,
                       "tokens": vocabulary()}, separators=(",", ":"))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--out", type=Path, default=HERE.parent / "model.gguf")
    a = p.parse_args()
    c = Config.load(a.work / "config.json")
    state = torch.load(a.work / "state.pt", map_location="cpu")

    def extra(w):
        w.add_string("tokenizer.ggml.model", "none")
        w.add_string("atelier.music.vocabulary", described())

    write_gguf(str(a.out), c, state["weights"], "house-composer", DESCRIPTION, LICENCE, extra)
    print(a.out, a.out.stat().st_size, "bytes; steps", state["step"], "tokens", state["seen"])


if __name__ == "__main__":
    main()
