"""Trains the decoder: an enlargement by four that sharpens.

Crops of composed scenes, of single sprites over gradients and of storybook pictures are averaged
4x4 as the fixed encoder does; the decoder learns the way back with an L1 loss and an L1 loss of
pixel differences (edges).  Half of the inputs are damaged a little (noise, a slight blur), because
what the transformer makes is not perfect either.  It ends at a deadline with the learning rate
falling to zero, and resumes from its checkpoint.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import elastic
import sprites
from model import Config, Decoder

CROP = 128


def gradient(rng, side):
    """A plain or two-colour linear gradient, float32 [side,side,3] in 0..255."""
    a = rng.random(3) * 255
    b = np.clip(a + rng.normal(0, 50, 3), 0, 255)
    t = rng.random() * 2 * math.pi
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    r = np.clip((x * math.cos(t) + y * math.sin(t)) + 0.5, 0, 1)[..., None]
    return (a + (b - a) * r).astype(np.float32)


def sprite_crop(rng, banks):
    """One or two sprites partly inside a crop; the channels are shuffled half of the time."""
    img = gradient(rng, CROP)
    for _ in range(1 + (rng.random() < 0.5)):
        bank = banks[int(rng.integers(len(banks)))]
        im = Image.fromarray(bank[int(rng.integers(len(bank)))])
        s = int(rng.integers(80, 230))
        a = np.asarray(im.resize((s, s), Image.BICUBIC, reducing_gap=2.0), np.float32)
        if rng.random() < 0.5:
            a = np.concatenate([a[..., rng.permutation(3)], a[..., 3:]], -1)
        if rng.random() < 0.5:
            a = a[:, ::-1]
        cx, cy = rng.integers(-CROP // 4, CROP + CROP // 4, 2)
        x0, y0 = int(cx) - s // 2, int(cy) - s // 2
        u0, v0, u1, v1 = max(x0, 0), max(y0, 0), min(x0 + s, CROP), min(y0 + s, CROP)
        if u1 <= u0 or v1 <= v0:
            continue
        p = a[v0 - y0 : v1 - y0, u0 - x0 : u1 - x0]
        img[v0:v1, u0:u1] += (p[..., :3] - img[v0:v1, u0:u1]) * (p[..., 3:] / 255)
    return img


def book_crop(rng, files):
    im = Image.open(files[int(rng.integers(len(files)))]).convert("RGB")
    if min(im.size) < CROP:
        k = CROP / min(im.size)
        im = im.resize((math.ceil(im.width * k), math.ceil(im.height * k)), Image.BICUBIC)
    x = int(rng.integers(im.width - CROP + 1))
    y = int(rng.integers(im.height - CROP + 1))
    return np.asarray(im.crop((x, y, x + CROP, y + CROP)), np.float32)


def scene_crop(rng, scenes):
    k = int(rng.integers(len(scenes)))
    h, w = scenes.shape[1:3]
    y, x = int(rng.integers(h - CROP + 1)), int(rng.integers(w - CROP + 1))
    return np.asarray(scenes[k, y : y + CROP, x : x + CROP], np.float32)


def batches(args, banks, files, seed):
    """Endless float batches [micro,3,CROP,CROP] in [-1,1]."""
    rng = np.random.default_rng(seed)
    shape = json.loads((args.work / "scenes.json").read_text())["shape"]
    scenes = np.memmap(args.work / "scenes.u8", np.uint8, "r", shape=tuple(shape))
    while True:
        out = np.empty((args.micro, CROP, CROP, 3), np.float32)
        for i in range(args.micro):
            u = rng.random()
            out[i] = book_crop(rng, files) if u < 0.05 else scene_crop(rng, scenes) if u < 0.8 else sprite_crop(rng, banks)
        yield torch.from_numpy(out.transpose(0, 3, 1, 2) / 127.5 - 1).contiguous()


def damage(u):
    """Noise on half of a batch of small pictures, a slight blur on a quarter."""
    b = len(u)
    pick = lambda p: (torch.rand(b, 1, 1, 1) < p).float()
    k = torch.tensor([1.0, 4.0, 1.0])
    k = (k[:, None] * k / 36).expand(3, 1, 3, 3)
    soft = F.conv2d(F.pad(u, (1, 1, 1, 1), mode="replicate"), k, groups=3)
    u = u + (soft - u) * pick(0.25) * torch.rand(b, 1, 1, 1)
    return u + torch.randn_like(u) * pick(0.5) * torch.rand(b, 1, 1, 1) * 0.06


def loss_fn(y, x):
    """L1 plus edges, and the mean squared error; pictures [b,3,H,W]."""
    e = y - x
    edge = (e[..., 1:] - e[..., :-1]).abs().mean() + (e[..., 1:, :] - e[..., :-1, :]).abs().mean()
    return e.abs().mean() + 0.5 * edge, e.square().mean()


def muon(name, p):
    """The convolutions of the blocks go to Muon, as matrices [out, in*9]."""
    return int(p.ndim == 4 and ("blocks" in name or "up3" in name))


def worker(rank, shared, args):
    torch.set_num_threads(1)
    torch.manual_seed(1000 * shared.step.value + rank)
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    dec = Decoder(Config.load(args.config))
    w = elastic.Worker(shared, dec)
    banks = [sprites.bank(args.data, args.work, s)[0] for s in ("3d", "flat")]
    files = sorted((args.data / "storybook" / "images").rglob("*.*"))
    make = batches(args, banks, files, 1000 * shared.step.value + rank)

    def rate(step):
        return min(1, (step + 1) / 50) * max(0.0, min(1, (args.t1 - time.time()) / (args.t1 - args.t0) / args.decay))

    while not shared.stop.value:
        w.pull()
        x = next(make)
        with elastic.autocast(dev):
            y = dec(damage(F.avg_pool2d(x, 4))).float()
        loss, mse = loss_fn(y, x)
        loss.backward()
        w.push(len(x), args.batch, lambda s: args.lr * rate(s), lambda s: args.muon_lr * rate(s), 0.995,
               [1, loss.item(), mse.item()])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--config", type=Path, default=Path(__file__).with_name("config.json"))
    p.add_argument("--until", default="", help="HH:MM to finish at; overrides --minutes")
    p.add_argument("--minutes", type=float, default=15)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--micro", type=int, default=8)
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--muon-lr", type=float, default=0.02)
    p.add_argument("--decay", type=float, default=0.5, help="share of the time with falling rate")
    args = p.parse_args()
    torch.manual_seed(1)
    for s in ("3d", "flat"):
        sprites.bank(args.data, args.work, s)
    shared = elastic.Shared(Decoder(Config.load(args.config)), muon)
    ck = args.work / "dec.pt"
    if ck.exists():
        shared.load(torch.load(ck))
    args.t0 = time.time()
    args.t1 = elastic.deadline(args.until, args.minutes)
    ps = elastic.run(worker, args, shared, args.workers)
    saved, seen, told = time.time(), shared.seen.value, time.time()
    while time.time() < args.t1 and all(q.is_alive() for q in ps):
        time.sleep(min(20, max(0.1, args.t1 - time.time())))
        with shared.lock:
            n, loss, mse, *_ = shared.stats.tolist()
            shared.stats.zero_()
            new = shared.seen.value
        now = time.time()
        if n:
            print(f"{time.strftime('%H:%M:%S')} step {shared.step.value} seen {new} loss {loss / n:.4f} psnr {10 * math.log10(4 * n / mse):.2f} {(new - seen) / (now - told):.1f}/s", flush=True)
        seen, told = new, now
        if now - saved > 60:
            shared.save(ck)
            saved = now
    shared.stop.value = 1
    for q in ps:
        q.join(60)
    shared.save(ck)


if __name__ == "__main__":
    main()
