"""Small reference results for the program that runs the model (made from the shipped weights).

golden/golden.safetensors, float32 unless said:
  noise [1,48,16,16], tokens [n] int64, latent [1,48,16,16] after `steps` Euler steps with
  `guidance` and `shift` (all in golden.json), crop [3,64,64]: rows and columns 96..160 of the
  decoded picture; picture [1,3,128,128], mean [1,48,8,8]: its encoding (normalised), and
  round_trip [3,64,64]: rows and columns 32..96 of mean's decoding;
  text [n,D]: states of the tokens; empty [1,D]: of the empty prompt;
  wide_in [1,48,12,20], wide_out: one transformer call (x0) at s = 0.4 with the tokens;
  guess_in [1,48,8,12], guess.0, guess.1 ...: the same with the prompts of golden.json's "guesses".
Things stand where `stir` puts them by the noise, of the single calls by wide_in and guess_in.
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


GUESSES = ["a cat to the left of a fox, flat", "three red foxes", "狐狸上的狗和一只小猫", "a big dog, glossy", "a fox, line art", "red"]


def read(cfg, painter, ids, noise):
    """A list of ids -> its Text and boxes, without room for sketches that it does not bring."""
    ids = torch.tensor([ids])
    places, boxes, style = sketched(ids.tolist(), cfg, cfg.sketch_max, noise)
    k = max(1, int((places >= 0).sum()))
    return painter.text(ids, torch.tensor([ids.shape[1]]), places[:, :k], style), boxes[:, :k]


@torch.no_grad()
def drawn(cfg, painter, conf, tokens):
    """The results of text encoder and transformer; tokens(text) -> ids."""
    g = torch.Generator().manual_seed(20)
    noise = torch.randn(1, 48, 16, 16, generator=g)
    wide = torch.randn(1, 48, 12, 20, generator=g)
    ids = torch.tensor([tokens(PROMPT)])
    n = torch.tensor([ids.shape[1]])
    z = sample(painter, ids, n, noise, conf["steps"], conf["guidance"], conf["shift"])
    text, boxes = read(cfg, painter, tokens(PROMPT), wide)
    zero = torch.zeros(1, dtype=torch.long)
    few, when = torch.randn(1, 48, 8, 12, generator=g), torch.tensor([0.4])
    return {
        "noise": noise, "tokens": ids[0], "latent": z, "text": text.states[0],
        "empty": painter.text(zero[None], zero, zero[None] - 1, zero).states[0],
        "wide_in": wide, "wide_out": painter.dit(wide, when, text, boxes), "guess_in": few,
    } | {f"guess.{i}": painter.dit(few, when, *read(cfg, painter, tokens(t), few)) for i, t in enumerate(GUESSES)}


@torch.no_grad()
def decoded(cfg, dec, z):
    """The results of encoder and decoder."""
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    r = ((y - 60) ** 2 + (x - 70) ** 2).sqrt()
    picture = torch.stack([torch.tanh((40 - r) / 3), y / 64 - 1, torch.sin(x / 128 * 2 * math.pi)])[None]
    m = encode(picture, cfg)
    return {
        "crop": dec(thumbnail(z, cfg))[0, :, 96:160, 96:160],
        "picture": picture, "mean": m, "round_trip": dec(thumbnail(m, cfg))[0, :, 32:96, 32:96],
    }


def write(out, tensors, conf, made_by):
    """golden.safetensors and golden.json."""
    out.mkdir(exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, out / "golden.safetensors")
    (out / "golden.safetensors").chmod(0o644)
    note = {
        "made_by": made_by, "python": sys.version.split()[0], "torch": torch.__version__,
        "seed": 20, "prompt": PROMPT, "guesses": GUESSES,
        "steps": conf["steps"], "guidance": conf["guidance"], "shift": conf["shift"], "wide_time": 0.4,
        "weights": "model.safetensors of the same folder, widened to float32",
    }
    (out / "golden.json").write_text(json.dumps(note, indent=1, ensure_ascii=False), encoding="utf-8")
    return note


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", type=Path, required=True)
    args = p.parse_args()
    out = args.model / "golden"
    cfg, dec, painter = load(args.model)
    conf = json.loads((args.model / "config.json").read_text())
    lex = Lexicon()
    tensors = drawn(cfg, painter, conf, lambda text: lex.tokens(text)[0])
    note = write(out, tensors | decoded(cfg, dec, tensors["latent"]), conf, "recipe/golden.py")
    (out / "card.md").write_text(
        "# Reference results of the house picture model\n\n"
        f"Made by `recipe/golden.py` (seed 20, Python {note['python']}, PyTorch {note['torch']}) from `model.safetensors` of the\n"
        "folder above, for the tests of the program that runs it. What each tensor is stands at the top of that script.\n"
        "Licence: MIT AND Apache-2.0, as the model's.\n"
    )
    vec = [dict(zip(("text", "ids", "unknown"), (t, *lex.tokens(t)))) for t in TEXTS]
    (out / "tokens.json").write_text(json.dumps(vec, ensure_ascii=False, indent=0), encoding="utf-8")


if __name__ == "__main__":
    main()
