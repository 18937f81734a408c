"""Composes pictures with their truth: how far each pixel belongs to a subject.

The composer is the house picture recipe's; here it also keeps the union of the sprites' alpha.
Everything is made on the fly, so no picture comes twice.
"""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter

import house
import backgrounds
from net import SIDE
from scenes import SHAPES, Composer

STYLES = ("3d", "flat", "noto", "line")


class Masked(Composer):
    """Composes scenes of all concepts of the data and keeps `cover`, float32 [H,W] in 0..1."""

    def __init__(self, data, work, want_held=False, every=True, seed=0, bank=6):
        """Opens the banks; with `every` false the concepts stay the recipe's own 341."""
        super().__init__(data, work, styles=STYLES, seed=seed, bank=bank)
        if every:
            self.codes = house.codes(data, self.banks, want_held)
        self.cover = None

    def place(self, img, style, obj, cx, cy, side, rng, shadow):
        """Places a thing as the recipe does and joins its alpha to the cover; shadows do not count."""
        super().place(img, style, obj, cx, cy, side, rng, shadow and cy + side / 2 < len(img))
        a = self.sprite(style, obj["concept"])
        k = side / max(a.shape[:2])
        w, h = max(8, round(a.shape[1] * k)), max(8, round(a.shape[0] * k))
        p = np.asarray(Image.fromarray(np.ascontiguousarray(a[..., 3])).resize((w, h), Image.BICUBIC), np.float32) / 255
        H, W = img.shape[:2]
        if self.cover is None or self.cover.shape != (H, W):
            self.cover = np.zeros((H, W), np.float32)
        x0, y0 = round(cx - w / 2), round(cy - h / 2)
        u0, v0, u1, v1 = max(x0, 0), max(y0, 0), min(x0 + w, W), min(y0 + h, H)
        if u1 > u0 and v1 > v0:
            c = self.cover[v0:v1, u0:u1]
            c += (1 - c) * p[v0 - y0 : v1 - y0, u0 - x0 : u1 - x0]

    def scene(self, rng, sc=None, shape=None):
        """Composes a scene: uint8 [H,W,3] and its cover."""
        if sc is None:
            shape = shape or (SHAPES[0] if rng.random() < 0.7 else SHAPES[int(rng.integers(1, len(SHAPES)))])
            sc = self.choose(rng, shape=shape)
        self.cover = np.zeros(sc["shape"], np.float32)
        return self.render(sc, rng), self.cover

    def free(self, rng):
        """Composes one to three things anywhere, of any size, partly outside at times, before anything."""
        img = ground(rng, self).astype(np.float32)
        self.cover, self.boxes = np.zeros((SIDE, SIDE), np.float32), []
        style = STYLES[int(rng.integers(4))]
        for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))):
            obj = {"concept": int(rng.integers(len(self.codes))), "colour": int(rng.integers(11)) if rng.random() < 0.3 else -1}
            cx, cy = rng.uniform(0.15, 0.85, 2) * SIDE
            self.place(img, style, obj, cx, cy, rng.uniform(0.2, 1.0) * SIDE, rng, rng.random() < 0.3)
        return np.clip(img + 0.5, 0, 255).astype(np.uint8), self.cover


def ground(rng, comp):
    """Makes a background of 256 pixels: a painted one enlarged, a gradient, stripes, squares or blotches."""
    u = rng.random()
    if u < 0.45:
        a = comp.background(backgrounds.NAMES[int(rng.integers(len(backgrounds.NAMES)))], rng)
        s = int(rng.integers(150, min(a.shape[:2]) + 1))
        y, x = int(rng.integers(a.shape[0] - s + 1)), int(rng.integers(a.shape[1] - s + 1))
        return np.asarray(Image.fromarray(np.ascontiguousarray(a[y : y + s, x : x + s])).resize((SIDE, SIDE), Image.BICUBIC))
    c = rng.random((2, 3)) * 255
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE - 0.5
    t = rng.random() * 2 * np.pi
    along, across = x * np.cos(t) + y * np.sin(t), y * np.cos(t) - x * np.sin(t)
    if u < 0.75:
        r = along + 0.5
    elif u < 0.83:
        r = (np.sin(along * rng.uniform(10, 90)) > 0) * rng.uniform(0.1, 0.6)
    elif u < 0.9:
        k = rng.uniform(4, 20)
        r = ((np.floor(along * k) + np.floor(across * k)) % 2) * rng.uniform(0.1, 0.6)
    else:
        n = int(rng.integers(3, 16))
        r = np.asarray(Image.fromarray((rng.random((n, n)) * 255).astype(np.uint8)).resize((SIDE, SIDE), Image.BICUBIC), np.float32) / 255
    return c[0] + (c[1] - c[0]) * np.clip(r, 0, 1)[..., None]


def fit(img, cover):
    """Brings a picture and its cover to the network's square, by stretching, as the program does."""
    im, m = Image.fromarray(np.ascontiguousarray(img)), Image.fromarray((cover * 255 + 0.5).clip(0, 255).astype(np.uint8))
    if im.size != (SIDE, SIDE):
        im, m = im.resize((SIDE, SIDE), Image.BILINEAR), m.resize((SIDE, SIDE), Image.BILINEAR)
    return im, m


def vary(rng, im, m):
    """Changes a picture's colours, sharpness and side at random: uint8 [256,256,3] and [256,256]."""
    if rng.random() < 0.25:
        im = im.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.6))))
    if rng.random() < 0.15:
        s = int(rng.integers(96, 256))
        im = im.resize((s, s), Image.BILINEAR).resize((SIDE, SIDE), Image.BICUBIC)
    a = np.asarray(im)
    if rng.random() < 0.2:
        a = a[..., rng.permutation(3)]
    if rng.random() < 0.35:
        f = (a / 255.0) ** rng.uniform(0.6, 1.6)
        grey = f.mean(-1, keepdims=True)
        f = grey + (f - grey) * rng.uniform(0.0, 1.5)
        a = (np.clip((f - 0.5) * rng.uniform(0.6, 1.3) + 0.5 + rng.uniform(-0.12, 0.12), 0, 1) * 255).astype(np.uint8)
    b = np.asarray(m)
    if rng.random() < 0.5:
        a, b = a[:, ::-1], b[:, ::-1]
    return a, b


def through_house(x, dec, noise=0.0):
    """Passes pictures [b,3,h,w] in 0..1 through the house model's encoder (an average) and decoder."""
    u = F.avg_pool2d(x * 2 - 1, 4)
    u = u + noise * torch.randn_like(u)
    return (dec(u).clamp(-1, 1) + 1) / 2


def to_tensor(a):
    """Turns uint8 pictures [n,h,w,3] or covers [n,h,w] into float32 [n,3 or 1,h,w] in 0..1."""
    t = torch.from_numpy(np.array(a)).float() / 255
    return t[:, None] if t.ndim == 3 else t.permute(0, 3, 1, 2)


@torch.no_grad()
def batch(rng, comp, dec, n):
    """Makes a batch: pictures [n,3,256,256] and covers [n,1,256,256]."""
    pics, covers = [], []
    for _ in range(n):
        a, b = vary(rng, *fit(*(comp.scene(rng) if rng.random() < 0.7 else comp.free(rng))))
        pics.append(a)
        covers.append(b)
    x, y = to_tensor(np.stack(pics)), to_tensor(np.stack(covers))
    for i in range(n):
        if rng.random() < 0.25:
            x[i : i + 1] = through_house(x[i : i + 1], dec, float(rng.random() < 0.6) * 0.08 * float(rng.random()))
    grain = (torch.rand(n, 1, 1, 1) < 0.25) * torch.rand(n, 1, 1, 1) * 0.05
    return (x + grain * torch.randn_like(x)).clamp(0, 1), y
