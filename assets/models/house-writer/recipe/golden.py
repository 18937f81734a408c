"""Small reference results for the program that runs the model, made from the shipped file.

Reads model.gguf back with the `gguf` package, widens the weights to float32 and computes in
PyTorch with rotary positions that turn neighbouring numbers, as GGUF files of this family mean
them.  golden.json holds, for every prompt, its token ids, the logits of the token after them
(eight numbers and the length of the whole vector) and the 32 tokens that greedy choice gives;
logits.safetensors holds the whole vectors, `0` for the first prompt and so on.

    python golden.py --model model.gguf --out tests/golden/house-writer
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "common")]

from decoder import Config, generate, read_gguf  # noqa: E402
from prepare import CONTROL  # noqa: E402

PROMPTS = [
    "<|story|>The clever goat\n\nOnce upon a time there was a goat who",
    "<|expand|>a fox<|to|>",
    "<|user|>Tell a story about a lost kite.<|assistant|>",
]


def field(reader, key):
    return reader.fields[key].contents()


def open_model(path):
    """The shipped file alone -> (Decoder, tokenizer)."""
    import gguf
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    reader = gguf.GGUFReader(path)
    tokens = field(reader, "tokenizer.ggml.tokens")
    merges = [tuple(m.split(" ", 1)) for m in field(reader, "tokenizer.ggml.merges")]
    tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in CONTROL])
    c = Config(
        vocab=len(tokens), context=field(reader, "llama.context_length"), width=field(reader, "llama.embedding_length"),
        blocks=field(reader, "llama.block_count"), heads=field(reader, "llama.attention.head_count"),
        mlp=field(reader, "llama.feed_forward_length"), rope_base=field(reader, "llama.rope.freq_base"),
        eps=field(reader, "llama.attention.layer_norm_rms_epsilon"),
    )
    return read_gguf(path, c), tok


@torch.no_grad()
def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", type=Path, default=HERE.parent / "model.gguf")
    p.add_argument("--out", type=Path, default=HERE.parents[3] / "tests/golden/house-writer")
    a = p.parse_args()
    torch.manual_seed(0)
    import gguf
    import hashlib
    from importlib.metadata import version

    model, tok = open_model(a.model)
    cases, whole = [], {}
    for i, text in enumerate(PROMPTS):
        ids = tok.encode(text).ids
        logits = model.logits(torch.tensor([ids]))[0, -1].float()
        greedy = generate(model, ids, 32, temperature=0)[len(ids):]
        whole[str(i)] = logits
        cases.append({"prompt": text, "ids": ids, "greedy": greedy, "text": tok.decode(greedy, skip_special_tokens=False),
                      "first_logits": [round(float(x), 5) for x in logits[:8]], "norm": round(float(logits.norm()), 4)})
    a.out.mkdir(parents=True, exist_ok=True)
    save_file(whole, a.out / "logits.safetensors")
    (a.out / "logits.safetensors").chmod(0o644)
    note = {
        "made_by": "assets/models/house-writer/recipe/golden.py", "seed": 0, "python": sys.version.split()[0],
        "torch": torch.__version__, "gguf": version("gguf"), "tokenizers": version("tokenizers"),
        "weights_sha256": hashlib.sha256(a.model.read_bytes()).hexdigest(), "cases": cases,
    }
    (a.out / "golden.json").write_text(json.dumps(note, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for c in cases:
        print(repr(c["prompt"]), "->", repr(c["text"]))


if __name__ == "__main__":
    main()
