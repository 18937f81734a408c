"""Opens the house picture model's recipe by path: its composer of scenes and its networks.

The folder of that recipe goes to the end of the search path, so that this recipe's own files of
the same name stay in front; the one module that would collide (`export`) is loaded by its path.
"""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2] / "house-picture"
sys.path.append(str(HOUSE / "recipe"))


def held(code):
    """Says whether a concept is one of the tenth that training never shows (a stable hash decides)."""
    return hashlib.md5(f"house|{code}".encode()).digest()[0] < 26


def codes(data, banks, want_held):
    """Lists the codes that every bank of sprites has, held out or not."""
    with open(data / "emoji" / "index.jsonl", encoding="utf-8") as f:
        every = [json.loads(line)["code"] for line in f]
    return [c for c in every if held(c) == want_held and all(c in rows for _, rows in banks.values())]


def painter():
    """Loads the house picture model from its shipped weights: configuration, decoder, painter."""
    spec = importlib.util.spec_from_file_location("house_export", HOUSE / "recipe" / "export.py")
    export = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(export)
    cfg, dec, paint = export.load(HOUSE)
    return cfg, dec.requires_grad_(False), paint.requires_grad_(False)
