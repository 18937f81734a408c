"""Turns the emoji set into a bank of 256-pixel sprites, one array per style.

The bank is a uint8 array [n, 256, 256, 4] (straight alpha) with a list of codes beside it, so
the composer and the autoencoder's trainer read sprites without decoding anything.
"""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 256


def fill(im):
    """A line drawing with white in what its lines enclose, so that it can stand before anything."""
    a = im.getchannel("A")
    outside = Image.new("L", (SIDE + 2, SIDE + 2))
    outside.paste(a.point(lambda v: 255 if v > 128 else 0), (1, 1))
    ImageDraw.floodfill(outside, (0, 0), 128)
    inside = outside.crop((1, 1, SIDE + 1, SIDE + 1)).point(lambda v: 0 if v == 128 else 255)
    white = Image.new("RGBA", im.size, (255, 255, 255, 0))
    white.putalpha(inside)
    return Image.alpha_composite(white, im)


def render(data, style, code):
    """One emoji as a uint8 array [256,256,4], or None where the set lacks it."""
    if style in ("flat", "line"):
        import resvg_py

        path = data / "emoji" / f"fluent-{style}-svg" / f"{code}.svg"
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
    return np.asarray(fill(im) if style == "line" else im)


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
