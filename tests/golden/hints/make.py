"""Writes a picture and the edges that OpenCV finds in it, as ControlNet's annotator asks for them.

    pip install opencv-python-headless==5.0.0 numpy==2.4.6
    python make.py
"""

from pathlib import Path

import cv2
import numpy

HERE = Path(__file__).parent
HEIGHT, WIDTH = 120, 160

random = numpy.random.default_rng(20261126)
small = random.uniform(0, 255, (9, 11, 3)).astype(numpy.float32)
picture = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
for _ in range(14):
    x, y, r = random.integers(0, WIDTH), random.integers(0, HEIGHT), random.integers(4, 30)
    colour = tuple(float(c) for c in random.uniform(0, 255, 3))
    if random.uniform() < 0.5:
        cv2.circle(picture, (int(x), int(y)), int(r), colour, -1, cv2.LINE_AA)
    else:
        cv2.rectangle(picture, (int(x), int(y)), (int(x + r), int(y + r // 2)), colour, int(random.integers(1, 4)), cv2.LINE_AA)
picture = numpy.clip(picture + random.normal(0, 6, picture.shape), 0, 255).astype(numpy.uint8)
# Files have red first, as the annotator has; OpenCV writes blue first. Of equal gradients the first counts.
edges = cv2.Canny(numpy.ascontiguousarray(picture[:, :, ::-1]), 100, 200)
cv2.imwrite(str(HERE / "picture.png"), picture)
cv2.imwrite(str(HERE / "canny.png"), edges)
print(cv2.__version__, (edges > 0).mean(), "of the pixels are edges")
