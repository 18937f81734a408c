"""Trains the segmenter on composed pictures, by single-threaded processes that share weights.

The loss is binary cross-entropy against the soft alpha plus one minus the soft intersection over union, of each
picture.  Convolutions learn by Muon, all else by AdamW (the house picture recipe's `elastic.py`).
The learning rate warms up, stays, and falls to zero at the deadline; the checkpoint holds
everything, so a stopped run resumes, and a finished one can be taken further with new `--minutes`.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import house
import elastic
import sprites
from net import Segmenter
from pictures import STYLES, Masked, batch


def loss_fn(logit, y):
    """Computes the loss and the mean hard IoU of a batch [b,1,h,w]."""
    p = logit.sigmoid()
    both, either = (p * y).sum((1, 2, 3)), (p + y - p * y).sum((1, 2, 3))
    loss = F.binary_cross_entropy_with_logits(logit, y) + 0.5 * (1 - (both + 1) / (either + 1)).mean()
    a, b = p.detach() > 0.5, y > 0.5
    iou = ((a & b).sum((1, 2, 3)) + 1) / ((a | b).sum((1, 2, 3)) + 1)
    return loss, iou.mean()


def muon(name, p):
    """Gives the convolutions but the first to Muon, as matrices [out, in*9].

    The last one too: by AdamW its logits stayed so near to zero that every subject was a grey one.
    """
    return int(p.ndim == 4 and p.shape[1] > 3)


def worker(rank, shared, args):
    """Computes gradients of small batches until told to stop."""
    torch.set_num_threads(1)
    seed = 1000 * shared.step.value + rank
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    _, dec, _ = house.painter()
    comp = Masked(args.data, args.work, seed=rank + shared.step.value)
    w = elastic.Worker(shared, Segmenter())

    def rate(step):
        """Gives the learning rate's factor: a warm-up, a plateau, a fall to zero."""
        left = (args.t1 - time.time()) / (args.t1 - args.t0)
        return min(1, (step + 1) / 100) * max(0.0, min(1, left / args.decay)) * min(1, (time.time() - args.t0) / 20)

    while not shared.stop.value:
        w.pull()
        # Half of the side costs a quarter: most of the time shapes are learnt there, the rest at full size.
        half = (args.t1 - time.time()) / (args.t1 - args.t0) > args.full
        x, y = batch(rng, comp, dec, args.micro * (2 if half else 1))
        if half:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        with elastic.autocast("cpu"):
            logit = w.model(x.contiguous(memory_format=torch.channels_last))
        loss, iou = loss_fn(logit.float(), y)
        loss.backward()
        w.push(len(x), args.batch, lambda s: args.lr * rate(s), lambda s: args.muon_lr * rate(s), args.ema,
               [1, loss.item(), iou.item()])


def main():
    """Trains until the deadline, telling of it and saving every two minutes."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--until", default="", help="HH:MM to finish at; overrides --minutes")
    p.add_argument("--minutes", type=float, default=40)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--micro", type=int, default=4)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--muon-lr", type=float, default=0.02)
    p.add_argument("--ema", type=float, default=0.99)
    p.add_argument("--full", type=float, default=0.5, help="share of the time, at the end, with pictures of full size")
    p.add_argument("--decay", type=float, default=0.6, help="share of the time with falling rate")
    args = p.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    for s in STYLES:
        sprites.bank(args.data, args.work, s)
    shared = elastic.Shared(Segmenter(), muon)
    ck = args.work / "segmenter.pt"
    if ck.exists():
        shared.load(torch.load(ck))
    args.t0 = time.time()
    args.t1 = elastic.deadline(args.until, args.minutes)
    ps = elastic.run(worker, args, shared, args.workers)
    saved, seen, told = time.time(), shared.seen.value, time.time()
    while time.time() < args.t1 and all(q.is_alive() for q in ps):
        time.sleep(min(30, max(0.1, args.t1 - time.time())))
        with shared.lock:
            n, loss, iou, *_ = shared.stats.tolist()
            shared.stats.zero_()
            new = shared.seen.value
        now = time.time()
        if n:
            print(f"{time.strftime('%H:%M:%S')} step {shared.step.value} seen {new} loss {loss / n:.4f} iou {iou / n:.4f} {(new - seen) / (now - told):.1f}/s", flush=True)
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
