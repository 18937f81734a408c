"""Trains the upscaler on the pool of compositions, by single-threaded processes that share weights.

The loss is L1 plus the L1 of pixel differences (edges).  Inner convolutions learn by Muon, all
else by AdamW (the house picture recipe's `elastic.py`).  The learning rate warms up, stays, and
falls to zero at the deadline; the checkpoint holds everything, so a stopped run resumes, and a
finished one can be taken further with new `--minutes`.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch

import house
import elastic
from net import SRVGGNetCompact
from pictures import batch, open_pool


def loss_fn(y, x):
    """Computes L1 plus edges, and the mean squared error; pictures [b,3,H,W]."""
    e = y - x
    edge = (e[..., 1:] - e[..., :-1]).abs().mean() + (e[..., 1:, :] - e[..., :-1, :]).abs().mean()
    return e.abs().mean() + 0.5 * edge, e.square().mean()


def muon(name, p):
    """Gives the inner convolutions to Muon, as matrices [out, in*9]."""
    return int(p.ndim == 4 and p.shape[1] > 3)


def worker(rank, shared, args):
    """Computes gradients of small batches until told to stop."""
    torch.set_num_threads(1)
    seed = 1000 * shared.step.value + rank
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    _, dec = house.decoder()
    pool = open_pool(args.work, "train")
    w = elastic.Worker(shared, SRVGGNetCompact())

    def rate(step):
        """Gives the learning rate's factor: a warm-up, a plateau, a fall to zero."""
        left = (args.t1 - time.time()) / (args.t1 - args.t0)
        return min(1, (step + 1) / 100) * max(0.0, min(1, left / args.decay)) * min(1, (time.time() - args.t0) / 20)

    while not shared.stop.value:
        w.pull()
        x, y = batch(rng, pool, dec, args.micro)
        with elastic.autocast("cpu"):
            out = w.model(x.contiguous(memory_format=torch.channels_last))
        loss, mse = loss_fn(out.float(), y)
        # What the nearest enlargement loses, to read the figures against.
        base = torch.nn.functional.interpolate(x, scale_factor=4, mode="bicubic").clamp(0, 1)
        loss.backward()
        w.push(len(x), args.batch, lambda s: args.lr * rate(s), lambda s: args.muon_lr * rate(s), args.ema,
               [1, loss.item(), mse.item(), (base - y).square().mean().item()])


def main():
    """Trains until the deadline, telling of it and saving every two minutes."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--until", default="", help="HH:MM to finish at; overrides --minutes")
    p.add_argument("--minutes", type=float, default=30)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--micro", type=int, default=8)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--muon-lr", type=float, default=0.01)
    p.add_argument("--ema", type=float, default=0.998)
    p.add_argument("--decay", type=float, default=0.6, help="share of the time with falling rate")
    args = p.parse_args()
    torch.manual_seed(1)
    shared = elastic.Shared(SRVGGNetCompact(), muon)
    ck = args.work / "upscaler.pt"
    if ck.exists():
        shared.load(torch.load(ck))
    args.t0 = time.time()
    args.t1 = elastic.deadline(args.until, args.minutes)
    ps = elastic.run(worker, args, shared, args.workers)
    saved, seen, told = time.time(), shared.seen.value, time.time()
    while time.time() < args.t1 and all(q.is_alive() for q in ps):
        time.sleep(min(30, max(0.1, args.t1 - time.time())))
        with shared.lock:
            n, loss, mse, base, *_ = shared.stats.tolist()
            shared.stats.zero_()
            new = shared.seen.value
        now = time.time()
        if n:
            db = [-10 * math.log10(v / n) for v in (mse, base)]
            print(f"{time.strftime('%H:%M:%S')} step {shared.step.value} seen {new} loss {loss / n:.4f} psnr {db[0]:.2f} (bicubic {db[1]:.2f}) {(new - seen) / (now - told):.1f}/s", flush=True)
        seen, told = new, now
        if now - saved > 120:
            shared.save(ck)
            saved = now
    shared.stop.value = 1
    for q in ps:
        q.join(60)
    shared.save(ck)


if __name__ == "__main__":
    main()
