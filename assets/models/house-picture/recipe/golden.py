"""Small reference results for the program that runs the model (made from the shipped weights).

golden/golden.safetensors, float32 unless said:
  noise [1,48,16,16], tokens [n] int64, latent [1,48,16,16] after `steps` Euler steps with
  `guidance` and `shift` (all in golden.json), crop [3,64,64]: rows and columns 96..160 of the
  decoded picture; picture [1,3,128,128], mean [1,48,8,8]: its encoding (normalised), and
  round_trip [3,64,64]: rows and columns 32..96 of mean's decoding;
  text [n+16*concepts,D]: states of the tokens, then of the sketches; empty [1,D]: states of the empty prompt;
  wide_in [1,48,12,20], wide_out: one transformer call (x0) at s = 0.4 with the tokens.
golden/tokens.json: [{text, ids, unknown}].
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from export import load
from lexicon import Lexicon
from model import encode, sample, sketched, thumbnail

PROMPT = "a red fox in the snow, 3d style"
TEXTS = [
    PROMPT, "雪地里的红狐狸，3D风格", "", "a", "Two APPLES on a blue background, flat style",
    "a cat to the left of a dog on the beach", "狗左边的猫", "猫在狗的左边，草地上",
    "一只蓝色的小猫在太空里", "a T-shirt and a high-speed train", "an orange elephant wearing wellies",
    "城市上空的飞机", "夜空下的房子", "catapult", "3d狐狸flat猫", "a small green dragon behind a big house at night",
    "森林里有两只鹿", "ghost", "une maison très bleue", "箱子上的猫", "snow-white rabbit", "the   robot!!!  in space…",
    "red red red red red red red red red red red red red red red red red red", "紫色背景上的三个甜甜圈",
]


@torch.no_grad()
def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", type=Path, required=True)
    args = p.parse_args()
    out = args.model / "golden"
    out.mkdir(exist_ok=True)
    cfg, dec, painter = load(args.model)
    conf = json.loads((args.model / "config.json").read_text())
    lex = Lexicon()
    g = torch.Generator().manual_seed(20)
    noise = torch.randn(1, 48, 16, 16, generator=g)
    wide = torch.randn(1, 48, 12, 20, generator=g)
    ids = torch.tensor([lex.tokens(PROMPT)[0]])
    n = torch.tensor([ids.shape[1]])
    z = sample(painter, ids, n, noise, conf["steps"], conf["guidance"], conf["shift"])
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    r = ((y - 60) ** 2 + (x - 70) ** 2).sqrt()
    picture = torch.stack([torch.tanh((40 - r) / 3), y / 64 - 1, torch.sin(x / 128 * 2 * math.pi)])[None]
    m = encode(picture, cfg)
    text, ok, mean = painter.text(ids, n, sketched(ids.tolist(), cfg, cfg.sketch_max))
    keep = ok[0]
    zero = torch.zeros(1, dtype=torch.long)
    tensors = {
        "noise": noise, "tokens": ids[0], "latent": z,
        "crop": dec(thumbnail(z, cfg))[0, :, 96:160, 96:160],
        "picture": picture, "mean": m, "round_trip": dec(thumbnail(m, cfg))[0, :, 32:96, 32:96],
        "text": text[0][keep], "empty": painter.text(zero[None], zero, zero.new_zeros(1, 0))[0][0],
        "wide_in": wide, "wide_out": painter.dit(wide, torch.tensor([0.4]), text, ok, mean),
    }
    save_file({k: v.contiguous() for k, v in tensors.items()}, out / "golden.safetensors")
    (out / "golden.safetensors").chmod(0o644)
    note = {
        "made_by": "recipe/golden.py", "python": sys.version.split()[0], "torch": torch.__version__,
        "seed": 20, "prompt": PROMPT, "steps": conf["steps"], "guidance": conf["guidance"], "shift": conf["shift"], "wide_time": 0.4,
        "weights": "model.safetensors of the same folder, widened to float32",
    }
    (out / "golden.json").write_text(json.dumps(note, indent=1))
    (out / "card.md").write_text(
        "# Reference results of the house picture model\n\n"
        f"Made by `recipe/golden.py` (seed 20, Python {note['python']}, PyTorch {note['torch']}) from `model.safetensors` of the\n"
        "folder above, for the tests of the program that runs it. What each tensor is stands at the top of that script.\n"
        "Licence: MIT OR Apache-2.0, as the model's.\n"
    )
    vec = [dict(zip(("text", "ids", "unknown"), (t, *lex.tokens(t)))) for t in TEXTS]
    (out / "tokens.json").write_text(json.dumps(vec, ensure_ascii=False, indent=0), encoding="utf-8")


if __name__ == "__main__":
    main()
