"""Small reference results for the program that runs the model, made from the shipped file.

Reads model.gguf back with the `gguf` package, widens the weights to float32 and computes in PyTorch.
The tokens are the first bars of two chorales of the canonical validation split, so that nothing
but the shipped file and the data is needed.  golden.json holds the token ids of each case, at which
of them logits are kept, and the 32 tokens that greedy choice adds; logits.safetensors holds the
logits [positions, vocabulary], `0` for the first case and so on.

    python golden.py --data DATA --out tests/golden/house-composer
"""

import argparse
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "common")]

from decoder import Config, generate, read_gguf  # noqa: E402
from score import events  # noqa: E402
from tokens import ID  # noqa: E402

# How many tokens of the piece follow the conditions: a short prompt, and one that fills half the context.
CASES = [(0, 96), (3, 380)]


def open_config(path):
    import gguf

    fields = gguf.GGUFReader(path).fields

    def value(key):
        return fields[key].contents()

    return Config(
        vocab=value("llama.vocab_size"), context=value("llama.context_length"), width=value("llama.embedding_length"),
        blocks=value("llama.block_count"), heads=value("llama.attention.head_count"), mlp=value("llama.feed_forward_length"),
        rope_base=value("llama.rope.freq_base"), eps=value("llama.attention.layer_norm_rms_epsilon"),
    )


@torch.no_grad()
def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--model", type=Path, default=HERE.parent / "model.gguf")
    p.add_argument("--out", type=Path, default=HERE.parents[3] / "tests/golden/house-composer")
    a = p.parse_args()
    torch.manual_seed(0)
    model = read_gguf(str(a.model), open_config(str(a.model)))
    pieces = json.loads((a.data / "music" / "Jsb16thSeparated.json").read_text())["valid"]
    head = [ID[name] for name in ("KIND_chorale", "KEY_7_major", "METRE_4_4", "TEMPO_3", "DENSITY_2")]
    cases, whole = [], {}
    for number, (piece, length) in enumerate(CASES):
        ids = head + events(pieces[piece])[:-1][:length]
        positions = [0, len(ids) // 2, len(ids) - 1]
        logits = model.logits(torch.tensor([ids]))[0, positions].float()
        greedy = generate(model, ids, 32, temperature=0)[len(ids):]
        whole[str(number)] = logits.contiguous()
        cases.append({"piece": f"valid {piece}", "ids": ids, "positions": positions, "greedy": greedy})
    a.out.mkdir(parents=True, exist_ok=True)
    save_file(whole, a.out / "logits.safetensors")
    (a.out / "logits.safetensors").chmod(0o644)
    note = {
        "made_by": "assets/models/house-composer/recipe/golden.py", "seed": 0, "python": sys.version.split()[0],
        "torch": torch.__version__, "gguf": version("gguf"), "weights_sha256": hashlib.sha256(a.model.read_bytes()).hexdigest(),
        "cases": cases,
    }
    (a.out / "golden.json").write_text(json.dumps(note) + "\n", encoding="utf-8")
    for case in cases:
        print(case["piece"], len(case["ids"]), "tokens, then", case["greedy"])


if __name__ == "__main__":
    main()
