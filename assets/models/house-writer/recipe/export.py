"""Writes the trained house writer as one GGUF file: 8-bit weights, vocabulary, chat template.

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
from prepare import CONTROL, END, PAD, STORY  # noqa: E402

NAME = "Atelier house writer"
DESCRIPTION = "A small model of children's stories and of prompts for the house picture model; no assistant. See card.md."
LICENCE = "CC-BY-4.0"
# What the system is told has no place in this model, so it is left out.
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}<|user|>{{ message['content'] }}"
    "{% elif message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}<|end|>"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def vocabulary(work):
    """Adds the tokenizer's tokens, merges and special tokens to a GGUF writer."""
    with open(work / "tokenizer.json", encoding="utf-8") as f:
        model = json.load(f)["model"]
    tokens = [t for t, _ in sorted(model["vocab"].items(), key=lambda x: x[1])]
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]

    def add(w):
        import gguf

        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre("gpt-2")
        w.add_token_list(tokens)
        kinds = gguf.TokenType
        w.add_token_types([kinds.CONTROL if t in CONTROL else kinds.NORMAL for t in tokens])
        w.add_token_merges(merges)
        # Text to go on with is the inside of a story.
        w.add_bos_token_id(STORY)
        w.add_add_bos_token(True)
        w.add_eos_token_id(END)
        w.add_pad_token_id(PAD)
        w.add_add_space_prefix(False)
        w.add_chat_template(TEMPLATE)

    return add


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--out", type=Path, default=HERE.parent / "model.gguf")
    a = p.parse_args()
    c = Config.load(a.work / "config.json")
    s = torch.load(a.work / "state.pt", map_location="cpu")
    write_gguf(a.out, c, s["weights"], NAME, DESCRIPTION, LICENCE, vocabulary(a.work))
    a.out.chmod(0o644)
    params = sum(v.numel() for v in s["weights"].values())
    print(f"{a.out}: {a.out.stat().st_size} bytes, {params} parameters, step {s['step']}, {s['seen']} tokens seen")


if __name__ == "__main__":
    main()
