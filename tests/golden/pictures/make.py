"""Writes small pictures of kinds that are easily read wrong, and what Pillow reads from those that are opened.

    pip install pillow==13.0.0 numpy==2.4.6
    python make.py

No seed: the pictures are slopes. `expected.json` has the RGBA bytes of each, the animations' of their first picture.

"""

import json
import struct
import zlib
from pathlib import Path

import numpy
from PIL import Image

HERE = Path(__file__).parent
ys, xs = numpy.mgrid[0:16, 0:24]
slopes = numpy.stack([xs * 10, ys * 15, 255 - xs * 5 - ys * 5], 2).astype(numpy.uint8)
picture = Image.fromarray(slopes)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(array):
    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


picture.convert("CMYK").save(HERE / "cmyk.jpg", quality=95)
(HERE / "sixteen.png").write_bytes(png16(slopes.astype(numpy.uint16) * 257))
picture.save(HERE / "plain.jpg", quality=95)
exif = Image.Exif()
exif[0x0112] = 6
picture.save(HERE / "turned.jpg", quality=95, exif=exif)
frames = [picture, picture.rotate(180)]
for ending in ["gif", "png", "webp"]:
    frames[0].save(HERE / f"animated.{ending}", save_all=True, append_images=frames[1:], duration=100, loop=0)
picture.save(HERE / "plain.webp", lossless=True)
expected = {}
for name in ["cmyk.jpg", "plain.jpg", "plain.webp", "animated.png"]:
    expected[name] = numpy.asarray(Image.open(HERE / name).convert("RGBA")).ravel().tolist()
expected["sixteen.png"] = numpy.asarray(picture.convert("RGBA")).ravel().tolist()
expected["turned.jpg"] = numpy.asarray(Image.open(HERE / "turned.jpg").transpose(Image.Transpose.ROTATE_270).convert("RGBA")).ravel().tolist()
(HERE / "expected.json").write_text(json.dumps(expected) + "\n")
