"""Makes the pictures that training and scoring enlarge: a pool of sharp compositions, and small inputs of them.

The pool is two files of uint8 pictures beside a list of their scales: `pool-<name>-256.u8` holds
scenes exactly as the house picture recipe composes them, `pool-<name>-512.u8` windows out of
scenes composed two to four times as large, where drawings come from SVG files at that size and
backgrounds are painted at it.
"""

import argparse
import functools
import hashlib
import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
import torch.multiprocessing as mp
from PIL import Image, ImageFilter

import house
import backgrounds
import scenes
import sprites
from scenes import Composer

WINDOW = 512  # side of the pictures of the large pool
CROP = 256  # what inputs are made from; the middle of it is trained on, away from the decoder's edges
ALL = ("3d", "flat", "noto", "line")
VECTORS = ("flat", "line")  # the styles that can be rendered at any size
KERNELS = (Image.BOX, Image.BICUBIC, Image.LANCZOS, Image.HAMMING)


class Small(Composer):
    """Composes scenes of 256 pixels with all concepts of the data instead of the recipe's 341."""

    def __init__(self, data, work, want_held=False, styles=ALL, seed=0, bank=40):
        """Opens the banks of sprites and keeps the concepts that are held out, or the others."""
        super().__init__(data, work, styles=styles, seed=seed, bank=bank)
        self.codes = house.codes(data, self.banks, want_held)

    def place(self, img, style, obj, cx, cy, side, rng, shadow):
        """Places a thing as the recipe does; one whose foot may be below the picture gets no shadow there."""
        super().place(img, style, obj, cx, cy, side, rng, shadow and cy + side / 2 < len(img))

    def picture(self, rng):
        """Composes one random scene, uint8 [256,256,3]."""
        return self.render(self.choose(rng), rng)


class Large(Small):
    """Composes the same scenes `scale` times as large, from drawings rendered at that size."""

    def __init__(self, data, work, scale, **rest):
        """Opens the banks; only their lists of codes are used."""
        super().__init__(data, work, **rest)
        self.data, self.scale = data, scale
        self.sprite = functools.lru_cache(64)(self.render_sprite)

    def render_sprite(self, style, concept):
        """Renders a sprite at its full size, cut to its box; raster styles are enlarged to it."""
        usual, sprites.SIDE = sprites.SIDE, 256 * self.scale
        try:
            a = sprites.render(self.data, style, self.codes[concept])
        finally:
            sprites.SIDE = usual
        ys, xs = np.nonzero(a[..., 3] > 8)
        return np.ascontiguousarray(a[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1])

    def background(self, name, rng):
        """Paints a background at the scene's scale, kept in a small bank; mirrored at random."""
        k = int(rng.integers(self.bank_n))
        if (name, k) not in self.bg:
            h = int(hashlib.md5(f"{self.seed}|{name}|{k}".encode()).hexdigest()[:8], 16)
            own, size = np.random.default_rng(h), (backgrounds.W * self.scale, backgrounds.H * self.scale)
            if hasattr(backgrounds, "p_" + name):
                # The painters draw at K times the size, which is then halved for smooth edges.
                usual, backgrounds.K = backgrounds.K, 2 * self.scale
                try:
                    im = getattr(backgrounds, "p_" + name)(own).resize(size, Image.BOX)
                finally:
                    backgrounds.K = usual
            else:
                im = Image.fromarray(backgrounds.paint(name, own)).resize(size, Image.BICUBIC)
            self.bg[name, k] = np.asarray(im)
        a = self.bg[name, k]
        return a[:, ::-1] if rng.random() < 0.5 else a

    def picture(self, rng):
        """Composes one random scene and cuts a window out of it, uint8 [512,512,3]."""
        side = 256 * self.scale
        # The composer reads the size of backgrounds from their module; here they are larger.
        usual = scenes.backgrounds
        scenes.backgrounds = SimpleNamespace(W=usual.W * self.scale, H=usual.H * self.scale, NAMES=usual.NAMES)
        try:
            a = self.render(self.choose(rng, shape=(side, side)), rng)
        finally:
            scenes.backgrounds = usual
        y, x = rng.integers(side - WINDOW + 1, size=2)
        return a[y : y + WINDOW, x : x + WINDOW]


def fill(name, rank, of, args, want_held):
    """Fills this process's share of the pool `name`; a stopped run goes on where it was."""
    os.nice(19)
    torch.set_num_threads(1)
    small = Small(args.data, args.work, want_held, seed=1 + rank, bank=12)
    large = [
        (Large(args.data, args.work, 2, want_held=want_held, seed=2 + rank, bank=2), 2),
        (Large(args.data, args.work, 3, want_held=want_held, styles=VECTORS, seed=3 + rank, bank=2), 3),
        (Large(args.data, args.work, 4, want_held=want_held, styles=VECTORS, seed=4 + rank, bank=2), 4),
    ]
    for side, n in ((256, args.small), (WINDOW, args.large)):
        out = np.memmap(args.work / f"pool-{name}-{side}.u8", np.uint8, "r+", shape=(n, side, side, 3))
        at = np.load(args.work / f"pool-{name}-{side}.npy", mmap_mode="r+")
        for i in range(rank, n, of):
            if at[i]:
                continue
            rng = np.random.default_rng([int(want_held), side, i])
            comp, scale = (small, 1) if side == 256 else large[i % 3]
            out[i] = comp.picture(rng)
            at[i] = scale


def make_pool(args, name, want_held, workers):
    """Makes a pool in several processes."""
    args.work.mkdir(parents=True, exist_ok=True)
    for s in ALL:
        sprites.bank(args.data, args.work, s)
    for side, n in ((256, args.small), (WINDOW, args.large)):
        path = args.work / f"pool-{name}-{side}.u8"
        if not path.exists() or path.stat().st_size != n * side * side * 3:
            np.memmap(path, np.uint8, "w+", shape=(n, side, side, 3))
            np.save(path.with_suffix(".npy"), np.zeros(n, np.uint8))
    ps = [mp.Process(target=fill, args=(name, r, workers, args, want_held)) for r in range(workers)]
    for p in ps:
        p.start()
    for p in ps:
        p.join()
    assert not any(p.exitcode for p in ps)


def open_pool(work, name):
    """Opens a pool: a list of (pictures, their scales)."""
    out = []
    for side in (256, WINDOW):
        scale = np.load(work / f"pool-{name}-{side}.npy")
        pix = np.memmap(work / f"pool-{name}-{side}.u8", np.uint8, "r", shape=(len(scale), side, side, 3))
        out.append((pix, scale))
    return out


def crop(rng, pool):
    """Cuts one training picture out of the pool, uint8 [256,256,3], and its scale.

    Mirrored and with its colours exchanged at random; of two windows the more varied one is
    usually taken, since plain surfaces teach little.
    """
    pix, scale = pool[int(rng.random() < 0.6)]
    i, side = int(rng.integers(len(scale))), pix.shape[1]
    best, most = None, -1.0
    for _ in range(1 if side == CROP else 2):
        y, x = rng.integers(side - CROP + 1, size=2)
        a = pix[i, y : y + CROP, x : x + CROP]
        v = float(a[16:-16:8, 16:-16:8].std()) if rng.random() < 0.8 else most
        if v >= most:
            best, most = a, v
    if rng.random() < 0.5:
        best = best[:, ::-1]
    if rng.random() < 0.2:
        best = best.transpose(1, 0, 2)
    if rng.random() < 0.3:
        best = best[..., rng.permutation(3)]
    return np.ascontiguousarray(best), int(scale[i])


def shrink(rng, a):
    """Shrinks a picture to a quarter by a random kernel, a third of the time blurred before."""
    im = Image.fromarray(a)
    if rng.random() < 0.33:
        im = im.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 2.4))))
    return np.asarray(im.resize((a.shape[1] // 4, a.shape[0] // 4), KERNELS[int(rng.integers(4))]))


def through_house(x, dec, noise=0.0):
    """Passes pictures [b,3,h,w] in 0..1 through the house model's encoder and decoder.

    The encoder averages 4x4 pixels; noise on that small picture stands for what its transformer
    gets wrong.
    """
    u = F.avg_pool2d(x * 2 - 1, 4)
    u = u + noise * torch.randn_like(u)
    return (dec(u).clamp(-1, 1) + 1) / 2


def to_tensor(a):
    """Turns uint8 pictures [n,h,w,3] into float32 [n,3,h,w] in 0..1."""
    return torch.from_numpy(np.array(a)).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def batch(rng, pool, dec, n):
    """Makes a batch: inputs [n,3,48,48] and what they should become [n,3,192,192]."""
    big, small, soft = [], [], []
    for _ in range(n):
        a, scale = crop(rng, pool)
        big.append(a)
        small.append(shrink(rng, a))
        # In scenes of the usual size the encoder would leave nothing that could be restored.
        soft.append(rng.random() < {1: 0.0, 2: 0.15}.get(scale, 0.45))
    x, y = to_tensor(np.stack(small)), to_tensor(np.stack(big))
    soft = torch.tensor(soft)
    if soft.any():
        damage = 0.05 * torch.rand(int(soft.sum()), 1, 1, 1) * (torch.rand(int(soft.sum()), 1, 1, 1) < 0.5)
        x[soft] = through_house(x[soft], dec, damage)
    grain = (torch.rand(n, 1, 1, 1) < 0.25) * torch.rand(n, 1, 1, 1) * 0.012
    x = ((x + grain * torch.randn_like(x)).clamp(0, 1) * 255).round() / 255
    return x[..., 8:-8, 8:-8].contiguous(), y[..., 32:-32, 32:-32].contiguous()


def main():
    """Makes the pools of training and of scoring."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--small", type=int, default=3000)
    p.add_argument("--large", type=int, default=3000)
    p.add_argument("--workers", type=int, default=2)
    args = p.parse_args()
    make_pool(args, "train", False, args.workers)
    args.small = args.large = 96
    make_pool(args, "test", True, args.workers)
    print(json.dumps({name: [len(s) for _, s in open_pool(args.work, name)] for name in ("train", "test")}))


if __name__ == "__main__":
    main()
