"""Trains a Decoder on a stream of tokens; both house models of this family use it.

A work folder holds train.npy and valid.npy (int16 or int32 streams; windows are cut anywhere, or
at the starts listed in train-starts.npy where it exists) and config.json.  Matrices get Muon,
everything else AdamW; the rate warms up, stays, and falls linearly to zero over the last part of
the time.  state.pt holds everything, so a stopped run resumes.

    python train_decoder.py --work WORK --minutes 40
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from decoder import Config, Decoder


def has_bf16(dev):
    """Whether bfloat16 is fast on a device; a processor without it takes many times as long as for float32."""
    return dev == "cuda" or bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def newton_schulz(g):
    """Nearest orthogonal matrix, approximately, in bfloat16 where that is fast (Jordan et al., Muon, 2024)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16() if has_bf16(g.device.type) else g
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        s = x @ x.T
        x = a * x + (b * s + c * (s @ s)) @ x
    return (x.T if tall else x).float()


class Stream:
    """Windows of a token stream."""

    def __init__(self, work, name, context):
        self.tokens = np.load(work / f"{name}.npy", mmap_mode="r")
        starts = work / f"{name}-starts.npy"
        self.starts = np.load(starts) if starts.exists() else None
        self.context = context

    def batch(self, rng, n):
        last = len(self.tokens) - self.context - 1
        if self.starts is not None and rng.random() < 0.7:
            at = np.minimum(self.starts[rng.integers(len(self.starts), size=n)], last)
        else:
            at = rng.integers(last + 1, size=n)
        rows = np.stack([self.tokens[i : i + self.context + 1] for i in at]).astype(np.int64)
        return torch.from_numpy(rows)


def loss_of(model, rows, dev):
    with torch.autocast(dev, torch.bfloat16, enabled=has_bf16(dev)):
        x = model(rows[:, :-1])
        logits = x @ model.tok.T if hasattr(model, "tok") else x @ model._orig_mod.tok.T
    return F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--minutes", type=float, default=40)
    p.add_argument("--until", default="", help="HH:MM to finish at; overrides --minutes")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--muon-lr", type=float, default=0.02)
    p.add_argument("--decay", type=float, default=0.5)
    p.add_argument("--drop", type=float, default=0.1)
    p.add_argument("--weight-decay", type=float, default=0.05, help="of the matrices, per unit of rate")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--compile", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    torch.manual_seed(1)
    rng = np.random.default_rng(int(time.time()))
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    c = Config.load(a.work / "config.json")
    model = Decoder(c, a.drop).to(dev)
    matrices = [q for n, q in model.named_parameters() if n.startswith("blocks.") and q.ndim == 2]
    others = [q for n, q in model.named_parameters() if not (n.startswith("blocks.") and q.ndim == 2)]
    adam = torch.optim.AdamW(others, lr=a.lr, betas=(0.9, 0.98), weight_decay=0.0)
    momentum = [torch.zeros_like(q) for q in matrices]
    ema = [q.detach().clone() for q in model.parameters()]
    step = seen = 0
    state = a.work / "state.pt"
    if state.exists():
        s = torch.load(state, map_location=dev)
        model.load_state_dict(s["model"])
        adam.load_state_dict(s["adam"])
        momentum, ema, step, seen = s["momentum"], s["ema"], s["step"], s["seen"]

    def save():
        names = [n for n, _ in model.named_parameters()]
        parts = {"model": model.state_dict(), "adam": adam.state_dict(), "momentum": momentum, "ema": ema,
                 "step": step, "seen": seen, "weights": dict(zip(names, ema))}
        torch.save(parts, f"{state}.tmp")
        os.replace(f"{state}.tmp", state)

    train, valid = Stream(a.work, "train", c.context), Stream(a.work, "valid", c.context)
    check = valid.batch(np.random.default_rng(0), 16).to(dev)
    fast = torch.compile(model, dynamic=False) if a.compile else model
    now = time.localtime()
    t0 = told = saved = time.time()
    h, m = map(int, a.until.split(":")) if a.until else (0, 0)
    t1 = time.mktime((*now[:3], h, m, 0, *now[6:])) if a.until else t0 + 60 * a.minutes
    first, total, count = step, 0.0, 0
    while time.time() < t1:
        share = (t1 - time.time()) / (t1 - t0)
        rate = min(1, (step - first + 1) / 60) * min(1, max(0, share) / a.decay)
        model.train()
        loss = loss_of(fast, train.batch(rng, a.batch).to(dev), dev)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in adam.param_groups:
            group["lr"] = a.lr * rate
        adam.step()
        with torch.no_grad():
            for q, mo in zip(matrices, momentum):
                mo.mul_(0.95).add_(q.grad)
                u = newton_schulz(q.grad + 0.95 * mo) * max(1.0, q.shape[0] / q.shape[1]) ** 0.5
                q.mul_(1 - a.muon_lr * rate * a.weight_decay).add_(u, alpha=-a.muon_lr * rate)
            keep = min(0.99, (step + 1) / (step + 10))
            for e, q in zip(ema, model.parameters()):
                e.lerp_(q, 1 - keep)
        model.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + a.batch * c.context
        total, count = total + loss.item(), count + 1
        if count >= 25:
            model.eval()
            with torch.no_grad():
                held = loss_of(model, check, dev).item()
            spent = time.time() - told
            print(f"{time.strftime('%H:%M:%S')} step {step} tokens {seen} loss {total / count:.4f} held {held:.4f} {count * a.batch * c.context / spent:.0f} tokens/s", flush=True)
            total, count, told = 0.0, 0, time.time()
        if time.time() - saved > 120:
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    main()
