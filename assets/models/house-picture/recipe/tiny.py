"""A tiny random model of the same format, with reference results, for the tests of the program that
runs the model: what is read wrongly shows whatever the weights are, before any are trained.

    python tiny.py --out ../../../../tests/golden/house-picture-tiny
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

import golden
from export import load, quantise, weights
from lexicon import Lexicon
from model import Config, Decoder, Painter

# As many ids as there are up to the first things of concepts.txt; the lexicon is cut to match.
VOCAB = 160
SIZES = dict(
    width=128, heads=2, mlp=32, blocks=2, text_blocks=1, time_freqs=16, pos_freqs=4, vocab=VOCAB,
    sketch_side=4, sketch_width=8, sketch_pixels=16, mend=16, dec_width=8, dec_blocks=1, dec_out_width=4,
)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", type=Path, required=True)
    args = p.parse_args()
    torch.manual_seed(31)
    shipped = Config.load(Path(__file__).with_name("config.json"))
    cfg = Config(**{**vars(shipped), **SIZES})
    none = args.out / "none"
    named = {"dec." + k: v for k, v in weights(Decoder(cfg), none).items()} | weights(Painter(cfg), none)
    # Scales that are one in a new model would hide one that is left out.
    named = {k: v + 0.2 * torch.randn_like(v) if v.ndim == 1 else v for k, v in named.items()}
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(quantise(named), args.out / "model.safetensors", metadata={"format": "pt"})
    (args.out / "model.safetensors").chmod(0o644)
    conf = dict(guidance=2.0, steps=20, shift=6.0)
    cfg.save(args.out / "config.json", licence="MIT OR Apache-2.0", **conf)
    lex = Lexicon()
    wanted = " ".join([golden.PROMPT, *golden.GUESSES]).lower()
    phrases = {k: v for k, v in lex.phrases.items() if k in wanted and all(i < VOCAB for i in v)}
    lexicon = {"version": 1, "max_tokens": cfg.max_tokens, "phrases": phrases}
    (args.out / "lexicon.json").write_text(json.dumps(lexicon, ensure_ascii=False, indent=0), encoding="utf-8")
    lex.phrases = phrases
    cfg, _, painter = load(args.out)
    tensors = golden.drawn(cfg, painter, conf, lambda text: lex.tokens(text)[0])
    note = golden.write(args.out / "golden", tensors, conf, "assets/models/house-picture/recipe/tiny.py")
    (args.out / "card.md").write_text(
        "# A tiny random house picture model\n\n"
        f"Made by `{note['made_by']}` (seed 31, Python {note['python']}, PyTorch {note['torch']}), with the results that\n"
        "PyTorch has for it in `golden/`; what each tensor is stands at the top of `golden.py` beside that script. It draws nothing.\n"
        "Licence: MIT OR Apache-2.0, as all of this project's own work.\n",
        encoding="utf-8",
    )
    for t in [golden.PROMPT, *golden.GUESSES]:
        print(t, *lex.tokens(t))


if __name__ == "__main__":
    main()
