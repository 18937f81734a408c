"""Writes what Pillow's LANCZOS makes of a random picture with hard edges.

    pip install pillow==13.0.0 numpy==2.4.6 safetensors==0.8.0
    python make_lanczos.py

Seed 43. Bytes are kept as f16, which holds them exactly.

"""

from pathlib import Path

import numpy
import PIL
from PIL import Image
from safetensors.numpy import save_file

generator = numpy.random.default_rng(43)
picture = generator.integers(0, 256, (13, 17, 3), dtype=numpy.uint8)
picture[3:9, 5:12] = 255
picture[5:7, 7:14] = 0
out = {"in": picture}
for width, height in [(34, 26), (68, 52), (41, 20), (7, 5), (17, 40), (9, 13)]:
    out[f"{width}x{height}"] = numpy.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))
save_file({name: array.astype(numpy.float16) for name, array in out.items()}, Path(__file__).parent / "lanczos.safetensors",
          {"script": "make_lanczos.py", "seed": "43", "pillow": PIL.__version__})
