"""Scores the shipped model on combinations it never saw: scores.json, samples.webp.

Everything is made from the exported 8-bit weights; "all" is concept, colour and background together.  Prompts are captions of held-out single-object
scenes (concept, colour, style, background), English and Chinese in turn.  The judge sees pictures
averaged to 64 pixels; the same judge's share on real composed pictures of the same scenes stands
beside every share.  `--sweep` only compares guidance and time shift on a few prompts.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import judge as judging
from elastic import autocast
from export import load
from lexicon import STYLES
from model import encode, sample, thumbnail
from scenes import Composer


def prompts(comp, n, seed):
    """n held-out scenes with a caption that names the style, and the caption's ids."""
    rng = np.random.default_rng(seed)
    out = []
    while len(out) < n:
        sc = comp.choose(rng, want_held=True)
        text = comp.caption(sc, rng, zh=bool(len(out) % 2))
        ids, _ = comp.lex.tokens(text)
        if comp.lex.ids["style", sc["style"]] in ids:
            out.append((sc, text, ids))
    return out


@torch.no_grad()
def draw(cfg, dec, painter, todo, steps, guidance, shift, seed=0, batch=25):
    """Pictures uint8 [n,256,256,3] for a list of id lists, and the seconds taken."""
    out, t = [], time.time()
    gen = torch.Generator().manual_seed(seed)
    for i in range(0, len(todo), batch):
        part = todo[i : i + batch]
        n = torch.tensor([len(x) for x in part])
        ids = torch.tensor([x + [0] * (int(n.max()) - len(x)) for x in part])
        noise = torch.randn(len(part), cfg.latent_channels, 16, 16, generator=gen)
        with autocast("cpu"):
            z = sample(painter, ids, n, noise, steps, guidance, shift).float()
            y = dec(thumbnail(z, cfg).clamp(-1, 1)).float()
        out.append(((y.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
    return np.concatenate(out), time.time() - t


def to_model(a):
    return torch.from_numpy(np.ascontiguousarray(a)).permute(0, 3, 1, 2) / 127.5 - 1


@torch.no_grad()
def verdict(judge, pictures, want):
    """Hits bool [n,4] (concept, colour, background, style) and features."""
    scores, f = judge.see(judging.small(pictures))
    return judging.hits(scores, want), f


def kid(a, b, subsets=50, size=100):
    """Mean over random subsets of the unbiased squared MMD with the kernel (x.y/d + 1)^3, times 1000.

    After M. Binkowski et al., Demystifying MMD GANs, ICLR 2018 (arXiv 1801.01401).
    """
    k = lambda p, q: (p @ q.T / p.shape[1] + 1) ** 3
    a, b, gen, out = a.double(), b.double(), torch.Generator().manual_seed(6), []
    n = min(size, len(a), len(b))
    for _ in range(subsets):
        p = a[torch.randperm(len(a), generator=gen)[:n]]
        q = b[torch.randperm(len(b), generator=gen)[:n]]
        kpp, kqq = k(p, p), k(q, q)
        out.append((kpp.sum() - kpp.trace() + kqq.sum() - kqq.trace()) / (n * (n - 1)) - 2 * k(p, q).mean())
    return float(1000 * torch.stack(out).mean())


def shares(hits, mask=None):
    h = hits if mask is None else hits[mask]
    v = h.float().mean(0).tolist() + [h[:, :3].all(1).float().mean().item()]
    return {k: round(x, 4) for k, x in zip(("concept", "colour", "background", "style", "all"), v)} | {"n": len(h)}


def spread(f):
    return float(torch.pdist(f).mean())


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--model", type=Path, required=True)
    p.add_argument("--n", type=int, default=1000)
    p.add_argument("--spread", type=int, default=10, help="prompts drawn with 16 seeds each, for diversity")
    p.add_argument("--sweep", action="store_true")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    cfg, dec, painter = load(args.model)
    conf = json.loads((args.model / "config.json").read_text())
    comp = Composer(args.data, args.work, seed=99)
    judge = judging.load(args.work)
    if args.sweep:
        todo = prompts(comp, args.n, 5)
        want = judging.labels([s for s, _, _ in todo])
        for shift in (3.0, 6.0):
            for g in (1.0, 1.5, 2.0, 3.0):
                pics, sec = draw(cfg, dec, painter, [t[2] for t in todo], 20, g, shift)
                print("shift", shift, "guidance", g, shares(verdict(judge, pics, want)[0]), f"{sec:.0f} s", flush=True)
        return
    todo = prompts(comp, args.n, 77)
    want = judging.labels([s for s, _, _ in todo])
    rng = np.random.default_rng(8)
    real = np.stack([comp.render(s, rng) for s, _, _ in todo])
    psnr = []
    with torch.no_grad():
        for x in to_model(real[:200]).split(20):
            y = dec(thumbnail(encode(x, cfg), cfg)).clamp(-1, 1)
            psnr += (10 * torch.log10(4 / (y - x).square().mean((1, 2, 3)))).tolist()
    how = conf["steps"], conf["guidance"], conf["shift"]
    pics, sec = draw(cfg, dec, painter, [t[2] for t in todo], *how)
    hits, fg = verdict(judge, pics, want)
    rhits, fr = verdict(judge, real, want)
    core = torch.tensor([comp.lex.concepts[s["objects"][0]["concept"]]["core"] for s, _, _ in todo])
    zh = torch.arange(len(todo)) % 2 == 1
    coloured = want[:, 1] > 0
    half = len(fr) // 2
    div = []
    for sc, _, ids in todo[: args.spread]:
        a, _ = draw(cfg, dec, painter, [ids] * 16, *how, seed=3)
        b = np.stack([comp.render(sc, rng) for _ in range(16)])
        w = judging.labels([sc] * 16)
        div.append((spread(verdict(judge, a, w)[1]), spread(verdict(judge, b, w)[1])))
    res = {
        "pictures": len(todo), "steps": how[0], "guidance": how[1], "shift": how[2],
        "encode_decode_psnr_db": round(float(np.mean(psnr)), 2),
        "drawn": shares(hits), "real": shares(rhits),
        "drawn_common": shares(hits, core), "drawn_uncommon": shares(hits, ~core),
        "drawn_english": shares(hits, ~zh), "drawn_chinese": shares(hits, zh),
        "drawn_by_style": {s: shares(hits, want[:, 3] == k) for k, s in enumerate(STYLES)},
        "drawn_recoloured": shares(hits, coloured), "drawn_natural": shares(hits, ~coloured),
        # Halves of different prompts, since pictures of one prompt are not independent.
        "kid_x1000": round(kid(fg[:half], fr[half:]), 3), "kid_x1000_real_halves": round(kid(fr[:half], fr[half:]), 3),
        "diversity_ratio": round(float(np.mean([a / b for a, b in div])), 3),
        "seconds_per_picture_batch_25": round(sec / len(todo), 3), "threads": args.threads,
    }
    (args.model / "scores.json").write_text(json.dumps(res, indent=1))
    print(json.dumps(res, indent=1))
    a = pics[:64]
    grid = np.concatenate([np.concatenate(list(a[r : r + 8]), 1) for r in range(0, 64, 8)], 0)
    Image.fromarray(grid).resize((1280, 1280), Image.LANCZOS).save(args.model / "samples.webp", quality=88)
    (args.model / "samples.txt").write_text("\n".join(t for _, t, _ in todo[:64]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
