"""Trains the text encoder and the flow transformer on composed scenes.

The training set is a ring of small pictures (ring.u8, uint8 [n,64,64,3]: the composed scenes
after the fixed encoder's averaging) with caption tokens and the boxes of what stands there; a
background process keeps replacing entries by new scenes, so that nothing is learnt by heart.  The network guesses the clean latent;
the loss is |guess - x0|^2 / max(s, 0.2)^2, which is the velocity's loss, clipped.

The learning rate warms up, stays, and falls linearly to zero over the last part of the time
before `--until`.  The checkpoint holds everything, so a stopped run resumes, and a finished one
can be taken further with a later deadline.
"""

import argparse
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as mp

import elastic
from lexicon import CONCEPT0, Lexicon, read_concepts
from make_scenes import CAPTIONS, boxes
from model import Config, Painter
from scenes import SHAPES, Composer

RARE = 0.5  # share of the scenes with an uncommon thing that are taken
NATURAL = 0.6  # share of the scenes without a recoloured thing that are taken
PLACES = 8  # tokens a training caption may have; the few longer ones are skipped


def shrink(a):
    """uint8 [...,H,W,3] -> uint8 [...,H/4,W/4,3], 4x4 block means."""
    *n, h, w, c = a.shape
    return np.rint(a.reshape(*n, h // 4, 4, w // 4, 4, c).mean((-4, -2), dtype=np.float32)).astype(np.uint8)


def make_ring(work):
    """Builds ring.u8 and ring-tokens.npy from the scenes, once; and the small other shapes."""
    for h, w in SHAPES:
        tag = "" if (h, w) == SHAPES[0] else f"-{h}x{w}"
        if (work / f"ring-tokens{tag}.npy").exists():
            continue
        n = json.loads((work / f"scenes{tag}.json").read_text())["shape"][0]
        src = np.memmap(work / f"scenes{tag}.u8", np.uint8, "r")[: n * h * w * 3].reshape(n, h, w, 3)
        out = np.memmap(work / f"ring{tag}.u8", np.uint8, "w+", shape=(n, h // 4, w // 4, 3))
        for i in range(0, n, 200):
            out[i : i + 200] = shrink(src[i : i + 200])
        out.flush()
        np.save(work / f"ring-boxes{tag}.npy", np.load(work / f"boxes{tag}.npy")[:n])
        np.save(work / f"ring-tokens{tag}.npy", np.load(work / f"tokens{tag}.npy")[:n])


class Ring:
    """Pictures and tokens of one shape, memory-mapped and shared by all processes."""

    def __init__(self, work, shape, cfg):
        self.cfg = cfg
        h, w = shape
        tag = "" if shape == SHAPES[0] else f"-{h}x{w}"
        self.tokens = np.load(work / f"ring-tokens{tag}.npy", mmap_mode="r+")
        self.boxes = np.load(work / f"ring-boxes{tag}.npy", mmap_mode="r+")
        n = len(self.tokens)
        self.hues = [i for (kind, _), i in Lexicon().ids.items() if kind == "colour"]
        self.common = np.array([False] * CONCEPT0 + [c["core"] for c in read_concepts()])
        self.pix = np.memmap(work / f"ring{tag}.u8", np.uint8, "r+", shape=(n, h // 4, w // 4, 3))

    def batch(self, rng, n, empty, most):
        """(pictures uint8 [n,h,w,3], then what Painter takes: ids [n,PLACES] int64, their counts,
        places, boxes and styles of at most `most` sketches).

        A scene with an uncommon thing is taken with probability RARE, one whose things all have
        their natural colours with probability NATURAL.
        """
        rows, ids, places, where, styles = [], [], [], [], []
        while len(rows) < n:
            i = int(rng.integers(len(self.tokens)))
            t = self.tokens[i, int(rng.integers(CAPTIONS))]
            things = t[t >= CONCEPT0]
            if not self.common[things].all() and rng.random() > RARE:
                continue
            if not np.isin(t, self.hues).any() and rng.random() > NATURAL:
                continue
            box = self.boxes[i, : np.count_nonzero(self.boxes[i, :, 0])]
            # A caption need not name the style; the sketch has that of the picture all the same.
            named = [k for k, style in enumerate(self.cfg.style_ids) if (self.tokens[i] == style).any()]
            if not named or len(box) > most or np.count_nonzero(t) > PLACES or not np.isin(box[:, 0], t).all():
                continue
            blank = rng.random() < empty
            at = [-1 if blank else list(t).index(int(c)) for c in box[:, 0]]
            rows.append(i)
            ids.append(t[:PLACES] * (not blank))
            places.append(at + [-1] * (most - len(at)))
            where.append(np.concatenate([box[:, 1:], np.tile(np.float32([0, 0, 1]), (most - len(at), 1))]))
            styles.append(named[0])
        ids = np.stack(ids).astype(np.int64)
        return (self.pix[rows], *map(torch.from_numpy, (ids, (ids > 0).sum(1), np.array(places), np.stack(where), np.array(styles))))


def refresh(args, shared):
    """Replaces random entries of the square ring by new scenes, a few a second."""
    os.nice(19)
    torch.set_num_threads(1)
    comp = Composer(args.data, args.work, seed=int(time.time()))
    rng = np.random.default_rng(int(time.time()))
    ring = Ring(args.work, SHAPES[0], Config.load(args.config))
    while not shared.stop.value:
        t = time.time()
        sc = comp.choose(rng)
        small = shrink(comp.render(sc, rng))
        tok = np.zeros(ring.tokens.shape[1:], np.int16)
        for k in range(CAPTIONS):
            ids, _ = comp.lex.tokens(comp.caption(sc, rng, zh=bool(k % 2)))
            tok[k, : len(ids)] = ids
        i = int(rng.integers(len(ring.tokens)))
        ring.pix[i], ring.tokens[i], ring.boxes[i] = small, tok, boxes(comp, sc)
        time.sleep(max(0.0, 1 / args.refresh - (time.time() - t)))


def muon(name, p):
    """The blocks' matrices go to Muon; stacked ones are split as they are used."""
    if "blocks." not in name or p.ndim != 2 or name.endswith("table"):
        return 0
    return 3 if "qkv" in name else 2 if "w12" in name else 1


def worker(rank, shared, args):
    torch.set_num_threads(1)
    torch.manual_seed(1000 * shared.step.value + rank)
    rng = np.random.default_rng([shared.step.value, rank])
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    cfg = Config.load(args.config)
    painter = Painter(cfg)
    w = elastic.Worker(shared, painter)
    rings = [Ring(args.work, s, cfg) for s in SHAPES]
    slow = painter.dit.guess
    fast = torch.compile(slow, dynamic=False) if args.compile else slow

    def share():
        return max(0.0, min(1.0, (args.t1 - time.time()) / (args.t1 - args.t0)))

    def rate(step):
        return min(1, (step + 1) / 100) * min(1, share() / args.decay)

    while not shared.stop.value:
        w.pull()
        late = share() < 1 / 3
        other = late and rng.random() < 0.1
        ring = rings[int(rng.integers(1, len(SHAPES)))] if other else rings[0]
        # Most batches hold single things only.
        most = 1 if rng.random() < args.single else cfg.sketch_max
        pix, ids, n, places, box, style = ring.batch(rng, args.micro, 0.1, most)
        x0 = encode_small(torch.from_numpy(pix).permute(0, 3, 1, 2) / 127.5 - 1, cfg)
        # Half of the times are those that sampling goes through, so that its end is learnt too.
        s = torch.sigmoid(1.2 * torch.randn(len(x0)) + args.noisy)
        u = torch.rand(len(x0))
        s = torch.where(torch.rand(len(x0)) < 0.5, s, args.shift * u / (1 + (args.shift - 1) * u)).clamp(0.002, 0.998)
        k = s[:, None, None, None]
        z = (1 - k) * x0 + k * torch.randn_like(x0)
        # One process compiles while the others already train; they follow when it is done.
        use = slow if other or (rank and not args.ready.value) else fast
        painter.dit.guess = use
        with elastic.autocast(dev):
            guess = painter(z, s, ids, n, places, box, style)
        compiling = args.compile and use is fast and not args.ready.value
        mse = (guess.float() - x0).square().mean((1, 2, 3))
        loss = (mse / s.clamp(min=0.2) ** 2).mean()
        loss.backward()
        if compiling:
            args.ready.value = 1
            print("compiled", flush=True)
        m, hi, low = mse.detach(), s > 0.6, s < 0.3
        batch = args.batch if share() < 0.5 else args.batch // 2
        w.push(len(x0), batch, lambda t: args.lr * rate(t), lambda t: args.muon_lr * rate(t), args.ema,
               [1, loss.item(), m.mean().item(), m[hi].sum().item(), hi.sum().item(), m[low].sum().item(), low.sum().item()])


def encode_small(u, cfg):
    """Small pictures [b,3,h,w] (already averaged) -> normalised latents, as model.encode does."""
    z = torch.nn.functional.pixel_unshuffle(u, 4)
    return (z - torch.tensor(cfg.latent_mean)[:, None, None]) / torch.tensor(cfg.latent_std)[:, None, None]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--config", type=Path, default=Path(__file__).with_name("config.json"))
    p.add_argument("--until", default="", help="HH:MM to finish at; overrides --minutes")
    p.add_argument("--minutes", type=float, default=80)
    p.add_argument("--batch", type=int, default=128, help="of the second half; the first has half of it")
    p.add_argument("--micro", type=int, default=32)
    p.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--muon-lr", type=float, default=0.02)
    p.add_argument("--noisy", type=float, default=2.0, help="mean of the logit of s")
    p.add_argument("--shift", type=float, default=6.0, help="of the sampler's times")
    p.add_argument("--single", type=float, default=0.75, help="share of the batches of single things")
    p.add_argument("--ema", type=float, default=0.99)
    p.add_argument("--decay", type=float, default=0.3, help="share of the time with falling rate")
    p.add_argument("--refresh", type=float, default=6, help="new scenes a second")
    p.add_argument("--compile", type=int, default=1)
    args = p.parse_args()
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(args.work / "inductor"))
    torch.manual_seed(2)
    make_ring(args.work)
    shared = elastic.Shared(Painter(Config.load(args.config)), muon)
    ck = args.work / "dit.pt"
    if ck.exists():
        shared.load(torch.load(ck))
    args.t0 = time.time()
    args.t1 = elastic.deadline(args.until, args.minutes)
    args.ready = mp.Value("b", 0, lock=False)
    ps = elastic.run(worker, args, shared, args.workers)
    if args.refresh:
        mp.Process(target=refresh, args=(args, shared), daemon=True).start()
    saved, seen, told = time.time(), shared.seen.value, time.time()
    signal.signal(signal.SIGTERM, lambda *_: setattr(args, "t1", 0))  # a polite stop saves first
    while time.time() < args.t1 and all(q.is_alive() for q in ps):
        time.sleep(min(30, max(0.1, args.t1 - time.time())))
        with shared.lock:
            n, loss, mse, hs, hn, ls, ln, _ = shared.stats.tolist()
            shared.stats.zero_()
            new = shared.seen.value
        now = time.time()
        if n:
            print(f"{time.strftime('%H:%M:%S')} step {shared.step.value} seen {new} loss {loss / n:.4f} mse {mse / n:.4f} mse(s>0.6) {hs / max(hn, 1):.4f} mse(s<0.3) {ls / max(ln, 1):.4f} {(new - seen) / (now - told):.1f}/s", flush=True)
        seen, told = new, now
        if now - saved > 180:
            shared.save(ck)
            saved = now
    shared.stop.value = 1
    for q in ps:
        q.join(90)
    shared.save(ck)


if __name__ == "__main__":
    main()
