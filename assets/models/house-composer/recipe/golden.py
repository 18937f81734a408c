"""Writes golden/ from the shipped file: token ids (golden.json) and logits that follow them.

    python golden.py --work WORK
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "common")]

from decoder import Config, read_gguf  # noqa: E402


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--model", type=Path, default=HERE.parent / "model.gguf")
    a = p.parse_args()
    c = Config.load(a.work / "config.json")
    model = read_gguf(str(a.model), c)
    ids = torch.from_numpy(np.load(a.work / "valid.npy")[:96].astype(np.int64))[None]
    with torch.no_grad():
        logits = model.logits(ids)[0].float()
        trained = torch.load(a.work / "state.pt", map_location="cpu")["weights"]
        whole = type(model)(c)
        whole.load_state_dict(trained)
        difference = (whole.eval().logits(ids)[0].float() - logits).abs().max().item()
    out = HERE.parent / "golden"
    out.mkdir(exist_ok=True)
    save_file({"logits": logits[[0, 31, 95]].contiguous()}, out / "golden.safetensors")
    note = {"script": "recipe/golden.py", "torch": torch.__version__, "positions": [0, 31, 95], "ids": ids[0].tolist(),
            "largest_difference_to_weights_before_8_bits": round(difference, 4)}
    (out / "golden.json").write_text(json.dumps(note) + "\n")
    print(note)


if __name__ == "__main__":
    main()
