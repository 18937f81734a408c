"""Turns the emoji set into a bank of 256-pixel sprites, one array per style.

The bank is a uint8 array [n, 256, 256, 4] (straight alpha) with a list of codes beside it, so
the composer and the autoencoder's trainer read sprites without decoding anything.
"""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 256


def render(data, style, code):
    """One emoji as a uint8 array [256,256,4], or None where the set lacks it."""
    if style == "flat":
        import resvg_py

        path = data / "emoji" / "fluent-flat-svg" / f"{code}.svg"
        if not path.exists():
            return None
        png = resvg_py.svg_to_bytes(svg_string=path.read_text(encoding="utf-8"), width=SIDE, height=SIDE)
        im = Image.open(io.BytesIO(bytes(png)))
    else:
        path = data / "emoji" / {"3d": "fluent-3d", "noto": "noto"}[style] / f"{code}.webp"
        if not path.exists():
            return None
        im = Image.open(path)
    im = im.convert("RGBA")
    if im.size != (SIDE, SIDE):
        im = im.resize((SIDE, SIDE), Image.LANCZOS)
    return np.asarray(im)


def bank(data, work, style):
    """Builds the bank of a style once; returns (memory-mapped array, {code: row})."""
    work = Path(work)
    arr, idx = work / f"sprites-{style}.npy", work / f"sprites-{style}.json"
    if not idx.exists():
        codes, rows = [], []
        with open(data / "emoji" / "index.jsonl", encoding="utf-8") as f:
            for line in f:
                code = json.loads(line)["code"]
                im = render(data, style, code)
                if im is not None:
                    codes.append(code)
                    rows.append(im)
        np.save(arr, np.stack(rows))
        idx.write_text(json.dumps(codes))
    codes = json.loads(idx.read_text())
    return np.load(arr, mmap_mode="r"), {c: i for i, c in enumerate(codes)}
