"""The judge: a small classifier of composed scenes, which scores what the model draws.

It sees pictures averaged to 64 pixels and has three heads: concept, colour (natural first) and
background (none first).  It is trained on real composed scenes of one object only, never on
anything the model drew, and on no held-out combination.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import elastic
from backgrounds import NAMES
from lexicon import COLOURS, read_concepts

SIDE = 64


class Res(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = nn.GroupNorm(8, c)
        self.conv1 = nn.Conv2d(c, c, 3, padding=1)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1)
        self.conv2.weight.data *= 0.3

    def forward(self, x):
        return x + self.conv2(F.silu(self.conv1(F.silu(self.norm(x)))))


class Judge(nn.Module):
    """Small pictures [b,3,64,64] in [-1,1] -> logits of concept, colour, background."""

    def __init__(self):
        super().__init__()
        w = (48, 96, 192)
        self.conv_in = nn.Conv2d(12, w[0], 3, padding=1)
        self.r1 = Res(w[0])
        self.d1 = nn.Conv2d(w[0], w[1], 3, 2, padding=1)
        self.r2 = Res(w[1])
        self.d2 = nn.Conv2d(w[1], w[2], 3, 2, padding=1)
        self.r3 = Res(w[2])
        self.norm = nn.LayerNorm(2 * w[2])
        self.concept = nn.Linear(2 * w[2], len(read_concepts()))
        self.colour = nn.Linear(2 * w[2], 1 + len(COLOURS))
        self.background = nn.Linear(2 * w[2], 1 + len(NAMES))

    def features(self, x):
        """[b,384]: mean and maximum over the last map."""
        x = self.r1(self.conv_in(F.pixel_unshuffle(x, 2)))
        x = self.r3(self.d2(F.silu(self.r2(self.d1(F.silu(x))))))
        x = F.silu(x).flatten(2).float()
        return self.norm(torch.cat([x.mean(2), x.amax(2)], 1))

    def forward(self, x):
        f = self.features(x)
        return self.concept(f), self.colour(f), self.background(f)


def labels(records):
    """Scene dicts of one object -> int64 [n,3]."""
    return torch.tensor([
        [r["objects"][0]["concept"], r["objects"][0]["colour"] + 1, NAMES.index(r["background"]) + 1 if r["background"] else 0]
        for r in records
    ])


def single(r):
    """Scenes the judge learns from; changed light would make colours ambiguous."""
    return len(r["objects"]) == 1 and r["count"] == 1 and not r["light"]


def muon(name, p):
    return int(p.ndim == 4 and "conv_in" not in name)


def worker(rank, shared, args):
    torch.set_num_threads(1)
    torch.manual_seed(rank)
    rng = np.random.default_rng([shared.step.value, rank])
    judge = Judge()
    w = elastic.Worker(shared, judge)
    rows = torch.load(args.work / "judge-rows.pt")
    pix = np.load(args.work / "judge-pix.npy", mmap_mode="r")

    def rate(step):
        return min(1, (step + 1) / 50) * max(0.0, min(1, (args.t1 - time.time()) / (args.t1 - args.t0) / 0.6))

    while not shared.stop.value:
        w.pull()
        i = rng.integers(args.keep_out, len(pix), args.micro)
        x = torch.from_numpy(pix[i]).permute(0, 3, 1, 2) / 127.5 - 1
        y = rows[torch.from_numpy(i)]
        if rng.random() < 0.5:
            x = x.flip(3)
        dy, dx = rng.integers(-4, 5, 2)
        x = torch.roll(x, (int(dy), int(dx)), (2, 3))
        x = x * (1 + 0.05 * torch.randn(len(x), 1, 1, 1)) + 0.03 * torch.randn(len(x), 3, 1, 1)
        x = x + torch.randn_like(x) * torch.rand(len(x), 1, 1, 1) * 0.1
        with torch.autocast("cpu", torch.bfloat16):
            out = judge(x)
        loss = sum(F.cross_entropy(o.float(), y[:, k]) for k, o in enumerate(out))
        loss.backward()
        hit = (out[0].argmax(1) == y[:, 0]).float().mean()
        w.push(len(x), args.micro, lambda s: 2e-3 * rate(s), lambda s: 0.02 * rate(s), 0.99, [1, loss.item(), hit.item()])


def load(work):
    j = Judge()
    j.load_state_dict(torch.load(Path(work) / "judge.pt"))
    return j.eval()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--minutes", type=float, default=8)
    p.add_argument("--micro", type=int, default=64)
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--keep-out", type=int, default=500, help="scenes kept out of training, to measure the judge")
    args = p.parse_args()
    torch.manual_seed(3)
    recs = [json.loads(line) for line in open(args.work / "records.jsonl")]
    keep = [i for i, r in enumerate(recs) if single(r)]
    n, h, w, c = json.loads((args.work / "scenes.json").read_text())["shape"]
    src = np.memmap(args.work / "scenes.u8", np.uint8, "r", shape=(n, h, w, c))
    out = np.empty((len(keep), SIDE, SIDE, 3), np.uint8)
    for k, i in enumerate(keep):
        out[k] = np.rint(src[i].reshape(SIDE, 4, SIDE, 4, 3).mean((1, 3), dtype=np.float32))
    np.save(args.work / "judge-pix.npy", out)
    rows = labels([recs[i] for i in keep])
    torch.save(rows, args.work / "judge-rows.pt")
    start = Judge()
    if (args.work / "judge.pt").exists():
        start.load_state_dict(torch.load(args.work / "judge.pt"))  # a judge there is trained further
    shared = elastic.Shared(start, muon)
    args.t0 = time.time()
    args.t1 = args.t0 + 60 * args.minutes
    ps = elastic.run(worker, args, shared, args.workers)
    while time.time() < args.t1 and all(q.is_alive() for q in ps):
        time.sleep(min(20, max(0.1, args.t1 - time.time())))
        with shared.lock:
            m, loss, hit, *_ = shared.stats.tolist()
            shared.stats.zero_()
        if m:
            print(f"{time.strftime('%H:%M:%S')} seen {shared.seen.value} loss {loss / m:.3f} concept {hit / m:.3f}", flush=True)
    shared.stop.value = 1
    for q in ps:
        q.join(60)
    torch.save(shared.state_dict(), args.work / "judge.pt")
    judge = load(args.work)
    with torch.no_grad():
        k = args.keep_out
        o = judge(torch.from_numpy(out[:k]).permute(0, 3, 1, 2) / 127.5 - 1)
        hit = torch.stack([a.argmax(1) == rows[:k, i] for i, a in enumerate(o)], 1)
    print("kept-out scenes: concept, colour, background", hit.float().mean(0).tolist(), "all", hit.all(1).float().mean().item())


if __name__ == "__main__":
    main()
