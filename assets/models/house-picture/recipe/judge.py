"""The judge: recognises what a composed scene shows, and scores what the model draws.

It sees pictures averaged to 64 pixels.  Nothing in it is learnt by descent: a thing is told by
histograms of gradients (so that its colour hardly matters) and linear discriminants, its colour
and its background by histograms of colours, widened by random units, and ridge regression; all of
it has a closed form and takes a minute or two.  It is made from real composed scenes of one object
only, never from anything the model drew, and from no held-out combination; a convolutional judge
trained for eight minutes knew 49 % of the held-out things, this one nearly all.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from backgrounds import NAMES
from lexicon import COLOURS, STYLES, read_concepts
from scenes import Composer

SIDE, CELL, TURNS = 64, 4, 9
BINS = 6  # of a colour channel
DIRECTIONS = 64  # linear discriminants
UNITS = 2000  # random units for colours


def gradients(px):
    """uint8 [n,64,64,3] -> [n,2304]: directions of edges in cells of 4 pixels, evened out locally."""
    x = F.pad(torch.from_numpy(px).permute(0, 3, 1, 2).float() / 255, (1, 1, 1, 1), mode="replicate")
    gx, gy = x[:, :, 1:-1, 2:] - x[:, :, 1:-1, :-2], x[:, :, 2:, 1:-1] - x[:, :, :-2, 1:-1]
    size = gx**2 + gy**2
    k = size.argmax(1, keepdim=True)  # the channel with the strongest edge
    gx, gy = gx.gather(1, k)[:, 0], gy.gather(1, k)[:, 0]
    size = size.gather(1, k)[:, 0].sqrt().clamp(max=0.5)
    turn = (torch.atan2(gy, gx) % np.pi) / np.pi * TURNS
    low = turn.floor()
    part, low = turn - low, low.long() % TURNS
    h = torch.zeros(len(x), TURNS, SIDE, SIDE)
    h.scatter_(1, low[:, None], (size * (1 - part))[:, None])
    h.scatter_add_(1, ((low + 1) % TURNS)[:, None], (size * part)[:, None])
    h = F.avg_pool2d(h, CELL)
    near = F.avg_pool2d((h**2).sum(1, keepdim=True), 3, 1, 1, count_include_pad=False)
    return (h / (near * 9 + 1e-4).sqrt()).flatten(1).clamp(max=0.4)


def colours(px):
    """uint8 [n,64,64,3] -> [n,2*216]: histograms of colours outside and inside of the middle."""
    n = BINS**3
    b = (torch.from_numpy(px).float() / 256 * BINS).long()
    b = (b * torch.tensor([BINS * BINS, BINS, 1])).sum(-1)
    inside = torch.zeros(SIDE, SIDE, dtype=torch.long)
    inside[14:54, 14:50] = n
    out = torch.zeros(len(px), 2 * n)
    out.scatter_add_(1, (b + inside).flatten(1), torch.ones(1).expand(len(px), SIDE * SIDE))
    out = out.unflatten(1, (2, n))
    return (out / out.sum(2, keepdim=True)).sqrt().flatten(1)


def parts(f, px, size=500):
    return torch.cat([f(px[i : i + size]) for i in range(0, len(px), size)])


class Judge:
    """Tensors by name in `t`; made by `fit`."""

    def __init__(self, t):
        self.t = t

    @classmethod
    def fit(cls, px, y):
        things, t = len(read_concepts()), {}
        g = parts(gradients, px)
        # A thing has another shape in every style, so each is a class of its own.
        kind = y[:, 0] * len(STYLES) + y[:, 3]
        count = torch.bincount(kind, minlength=things * len(STYLES)).clamp(min=1)[:, None]
        mean = torch.zeros(len(count), g.shape[1]).index_add_(0, kind, g) / count
        t["middle"] = g.mean(0)
        rest = g - mean[kind]
        cov = rest.T @ rest / len(rest)
        root = torch.linalg.cholesky(cov + 0.3 * cov.diag().mean() * torch.eye(len(cov)))
        white = torch.linalg.solve_triangular(root, (mean - t["middle"]).T, upper=False)
        lead = torch.linalg.svd(white, full_matrices=False)[0][:, :DIRECTIONS]
        t["directions"] = torch.linalg.solve_triangular(root.T, lead, upper=True)
        t["things"] = (mean - t["middle"]) @ t["directions"]
        c, natural = parts(colours, px), y[:, 1] == 0
        n = BINS**3
        own = torch.zeros(len(count), n).index_add_(0, kind[natural], c[natural, n:])
        t["own"] = own / torch.bincount(kind[natural], minlength=len(count)).clamp(min=1)[:, None]
        x = torch.cat([c, c[:, n:] - t["own"][kind]], 1)
        t["mean"], t["std"] = x.mean(0), x.std(0) + 0.02
        gen = torch.Generator().manual_seed(1)
        t["mix"] = torch.randn(x.shape[1], UNITS, generator=gen) / x.shape[1] ** 0.5
        t["shift"] = torch.randn(UNITS, generator=gen) * 0.5
        self = cls(t)
        x = self.widen(x)
        root = torch.linalg.cholesky(x.T @ x + torch.eye(x.shape[1]))
        for name, i, k in (("colour", 1, 1 + len(COLOURS)), ("background", 2, 1 + len(NAMES))):
            t[name] = torch.cholesky_solve(x.T @ F.one_hot(y[:, i], k).float(), root)
        return self

    def widen(self, x):
        t = self.t
        x = (x - t["mean"]) / t["std"]
        return torch.cat([x, F.relu(x @ t["mix"] + t["shift"]), torch.ones(len(x), 1)], 1)

    def see(self, px):
        """uint8 [n,64,64,3] -> scores of concept, colour (natural first), background (none first), style,
        and features [n,64+12+27] for distances between sets of pictures."""
        t = self.t
        z = (parts(gradients, px) - t["middle"]) @ t["directions"]
        kind = z @ t["things"].T - 0.5 * t["things"].square().sum(1)
        each = kind.unflatten(1, (-1, len(STYLES)))
        c = parts(colours, px)
        # The colour is asked of the thing that the judge saw, not of the one that was wanted.
        x = self.widen(torch.cat([c, c[:, BINS**3 :] - t["own"][kind.argmax(1)]], 1))
        colour, background = x @ t["colour"], x @ t["background"]
        return (each.amax(2), colour, background, each.amax(1)), torch.cat([z / t["things"].std(), 3 * colour, 3 * background], 1)


def hits(scores, want):
    """bool [n,4]: concept, colour, background and style recognised as wanted."""
    return torch.stack([a.argmax(1) == want[:, k] for k, a in enumerate(scores)], 1)


def labels(records):
    """Scene dicts of one object -> int64 [n,4]."""
    return torch.tensor([
        [r["objects"][0]["concept"], r["objects"][0]["colour"] + 1, NAMES.index(r["background"]) + 1 if r["background"] else 0, STYLES.index(r["style"])]
        for r in records
    ])


def single(r):
    """Scenes the judge learns from; changed light would make colours ambiguous."""
    return len(r["objects"]) == 1 and r["count"] == 1 and not r["light"]


def small(a):
    """uint8 [...,256,256,3] -> uint8 [...,64,64,3]."""
    *n, h, w, c = a.shape
    return np.rint(a.reshape(*n, h // 4, 4, w // 4, 4, c).mean((-4, -2), dtype=np.float32)).astype(np.uint8)


def scenes(comp, n, seed, held=False):
    """n new scenes of one object, 60 % of them recoloured: pictures [n,64,64,3] and labels."""
    rng, px, recs = np.random.default_rng(seed), np.empty((n, SIDE, SIDE, 3), np.uint8), []
    while len(recs) < n:
        sc = comp.choose(rng, want_held=held, hues=0.6)
        if single(sc):
            px[len(recs)] = small(comp.render(sc, rng))
            recs.append(sc)
    return px, labels(recs)


def load(work):
    return Judge(torch.load(Path(work) / "judge.pt"))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--n", type=int, default=16000, help="scenes made beside those of make_scenes.py")
    p.add_argument("--test", type=int, default=1000, help="held-out scenes, to measure the judge")
    args = p.parse_args()
    with open(args.work / "records.jsonl") as f:
        recs = [json.loads(line) for line in f]
    n, h, w, c = json.loads((args.work / "scenes.json").read_text())["shape"]
    keep = [i for i, r in enumerate(recs[:n]) if single(r)]
    src = np.memmap(args.work / "scenes.u8", np.uint8, "r", shape=(n, h, w, c))
    px, y = scenes(Composer(args.data, args.work, seed=41), args.n, 41)
    px = np.concatenate([np.stack([small(src[i]) for i in keep]), px])
    judge = Judge.fit(px, torch.cat([labels([recs[i] for i in keep]), y]))
    torch.save(judge.t, args.work / "judge.pt")
    px, y = scenes(Composer(args.data, args.work, seed=4321), args.test, 4321, held=True)
    h = hits(judge.see(px)[0], y).float()
    print("real held-out scenes: concept, colour, background, style", h.mean(0).tolist(), "first three", h[:, :3].all(1).float().mean().item())


if __name__ == "__main__":
    main()
