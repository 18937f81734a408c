"""Trains the autoencoder on random crops of sprites over plain gradients, storybook pictures and
composed scenes (as soon as the work folder has some).

The loss is L1, L1 of the pixel differences (edges), and a light pull of the latent to a unit
normal.  It ends at a wall-clock deadline or a number of steps; the learning rate falls to zero
over the last part.  The checkpoint holds the optimiser, so it resumes.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import elastic
import sprites
from model import AutoEncoder, Config

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
        k = p[..., 3:] / 255
        img[v0:v1, u0:u1] = img[v0:v1, u0:u1] * (1 - k) + p[..., :3] * k
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


def batches(args, banks, files, batch, seed):
    """Endless float batches [batch,3,CROP,CROP] in [-1,1]."""
    rng = np.random.default_rng(seed)
    done = Path(args.work) / "scenes.json"
    scenes, looked = None, 0.0
    while True:
        if scenes is None and time.time() - looked > 30:
            looked = time.time()
            if done.exists():
                shape = json.loads(done.read_text())["shape"]
                scenes = np.memmap(Path(args.work) / "scenes.u8", np.uint8, "r", shape=tuple(shape))
        out = np.empty((batch, CROP, CROP, 3), np.float32)
        for i in range(batch):
            u = rng.random()
            if u < 0.12:
                out[i] = book_crop(rng, files)
            elif scenes is not None and u < 0.6:
                out[i] = scene_crop(rng, scenes)
            else:
                out[i] = sprite_crop(rng, banks)
        yield torch.from_numpy(out.transpose(0, 3, 1, 2) / 127.5 - 1).contiguous()


def loss_fn(x, y, mean, logvar):
    """Reconstruction and prior terms; x, y [b,3,H,W] in float32."""
    l1 = (y - x).abs().mean()
    e = y - x
    edge = (e[..., 1:] - e[..., :-1]).abs().mean() + (e[..., 1:, :] - e[..., :-1, :]).abs().mean()
    mse = e.square().mean()
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return l1 + 0.5 * edge + 0.5 * mse + 1e-3 * kl, mse, kl


def muon(name, p):
    """Convolutions inside the network go to Muon, as matrices [out, in*9]."""
    return int(p.ndim == 4 and "conv_in" not in name and "conv_out" not in name and "up4" not in name)


def worker(rank, shared, args):
    torch.set_num_threads(1)
    torch.manual_seed(1000 * shared.step.value + rank)
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    ae = AutoEncoder(Config.load(args.config))
    w = elastic.Worker(shared, ae)
    banks = [sprites.bank(args.data, args.work, s)[0] for s in ("3d", "flat")]
    files = sorted((args.data / "storybook" / "images").rglob("*.*"))
    make = batches(args, banks, files, args.micro, 1000 * shared.step.value + rank)
    warm = lambda s: min(1, (s + 1) / 60) * max(0.0, min(1, (args.t1 - time.time()) / (args.t1 - args.t0) / args.decay))
    while not shared.stop.value:
        w.pull()
        x = next(make)
        with torch.autocast(dev, torch.bfloat16):
            mean, logvar = ae.enc(x)
            mean, logvar = mean.float(), logvar.float()
            y = ae.dec(mean + torch.randn_like(mean) * (0.5 * logvar).exp()).float()
        loss, mse, kl = loss_fn(x, y, mean, logvar)
        loss.backward()
        w.push(len(x), args.batch, lambda s: args.lr * warm(s), lambda s: args.muon_lr * warm(s), 0.998,
               [1, loss.item(), mse.item(), kl.item()])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--config", type=Path, default=Path(__file__).with_name("config.json"))
    p.add_argument("--until", default="", help="HH:MM to finish at; overrides --minutes")
    p.add_argument("--minutes", type=float, default=25)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--micro", type=int, default=8)
    p.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--muon-lr", type=float, default=0.02)
    p.add_argument("--decay", type=float, default=0.4, help="share of the time with falling rate")
    args = p.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    for s in ("3d", "flat"):
        sprites.bank(args.data, args.work, s)
    shared = elastic.Shared(AutoEncoder(Config.load(args.config)), muon)
    ck = args.work / "ae.pt"
    if ck.exists():
        shared.load(torch.load(ck))
    args.t0 = time.time()
    args.t1 = elastic.deadline(args.until, args.minutes)
    ps = elastic.run(worker, args, shared, args.workers)
    saved, seen = time.time(), shared.seen.value
    while time.time() < args.t1 and all(q.is_alive() for q in ps):
        time.sleep(min(20, max(0.1, args.t1 - time.time())))
        with shared.lock:
            n, loss, mse, kl = (shared.stats[:4]).tolist()
            shared.stats.zero_()
            new = shared.seen.value
        if n:
            print(f"{time.strftime('%H:%M:%S')} step {shared.step.value} seen {new} loss {loss / n:.4f} psnr {10 * math.log10(4 * n / mse):.2f} kl {kl / n:.2f} {(new - seen) / 20:.1f}/s", flush=True)
        seen = new
        if time.time() - saved > 120:
            shared.save(ck)
            saved = time.time()
    shared.stop.value = 1
    for q in ps:
        q.join(60)
    shared.save(ck)


if __name__ == "__main__":
    main()
