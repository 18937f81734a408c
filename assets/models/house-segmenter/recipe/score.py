"""Scores the shipped segmenter: scores.json, samples/masks.png, card.md.

IoU is that of a picture's pixels above 0.5, truth and result; the mean of pictures.  Four sets: compositions
of concepts that training has shown (other scenes of them), compositions of held-out concepts, the same
through the house picture model's encoder and decoder, and pictures of held-out concepts drawn by the
house picture model from noise.  The last ones were given the boxes of a composition, whose alpha
stands for the truth; what the model draws differs from it a little, so their figure is a lower bound.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

import house
import model as painting
from export import load
from make_scenes import boxes
from net import SIDE
from pictures import Masked, fit, through_house, to_tensor

NAMES = {
    "shown": "compositions of concepts that training showed", "held_out": "compositions of held-out concepts",
    "through_house": "the same through the house picture model's decoder", "drawn": "held-out concepts drawn by the house picture model",
}
SHOWN = 8  # pictures of each of the sheet's three sets, the first ones
PART = 96
ENOUGH = 20000  # pictures of training below which the card says that the network is unfinished
EARLY = "**These weights are an early state of the training ({} pictures): masks are blurred, with holes and parts of the background in them.** `make.py --more` takes them further.\n\n"


def compose(comp, n, seed):
    """Composes n scenes: pictures [n,3,256,256] and covers [n,1,256,256]."""
    rng = np.random.default_rng(seed)
    both = [fit(*comp.scene(rng)) for _ in range(n)]
    return tuple(to_tensor(np.stack([np.asarray(b[k]) for b in both])) for k in (0, 1))


def draw(comp, n, seed, size=8):
    """Has the house picture model draw n held-out things where compositions have them."""
    cfg, dec, paint = house.painter()
    conf = json.loads((house.HOUSE / "config.json").read_text())
    rng, gen = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    own = [i for i, code in enumerate(comp.codes) if house.held(code)]
    todo = []
    while len(todo) < n:
        sc = comp.choose(rng, concept=int(rng.choice(own)))
        if len(sc["objects"]) > 1:
            continue
        _, cover = comp.scene(rng, sc)
        where = boxes(comp, sc)
        where = where[where[:, 0] > 0]
        ids, _ = comp.lex.tokens(comp.caption(sc, rng, zh=False))
        style = cfg.style_ids.index(comp.lex.ids["style", sc["style"]])
        todo.append((ids, where, style, cover))
    out = []
    usual = painting.sketched
    for i in range(0, n, size):
        part = todo[i : i + size]
        long, k = max(len(t[0]) for t in part), max(len(t[1]) for t in part)
        ids = torch.tensor([t[0] + [0] * (long - len(t[0])) for t in part])
        places = torch.tensor([[t[0].index(int(c)) for c in t[1][:, 0]] + [-1] * (k - len(t[1])) for t in part])
        where = torch.tensor(np.stack([np.concatenate([t[1][:, 1:], np.tile(np.float32([0, 0, 1]), (k - len(t[1]), 1))]) for t in part]))
        # The sampler asks for the boxes of a prompt; here they are the composition's.
        painting.sketched = lambda *_: (places, where, torch.tensor([t[2] for t in part]))
        try:
            noise = torch.randn(len(part), cfg.latent_channels, 16, 16, generator=gen)
            z = painting.sample(paint, ids, torch.tensor([len(t[0]) for t in part]), noise, conf["steps"], conf["guidance"], conf["shift"])
        finally:
            painting.sketched = usual
        out.append((dec(painting.thumbnail(z, cfg).clamp(-1, 1)).clamp(-1, 1) + 1) / 2)
    covers = np.stack([(t[3] * 255 + 0.5).clip(0, 255).astype(np.uint8) for t in todo])
    return torch.cat(out), to_tensor(covers)


def iou(a, b):
    """Computes the IoU of boolean masks [n,1,h,w], one for each."""
    return ((a & b).sum((1, 2, 3)) / (a | b).sum((1, 2, 3)).clamp(min=1)).float()


def judge(net, x, y):
    """Gives scores and alphas of a set."""
    p = torch.cat([net(v.contiguous(memory_format=torch.channels_last)).sigmoid() for v in x.split(8)])
    each = iou(p > 0.5, y > 0.5)
    # What a mask in the middle of every picture would get, to read the figures against.
    r = torch.arange(SIDE) - SIDE / 2
    disc = (r[:, None] ** 2 + r**2).sqrt() < 0.31 * SIDE
    return {
        "pictures": len(x), "iou": round(float(each.mean()), 4), "iou_median": round(float(each.median()), 4),
        "share_above_0.9": round(float((each > 0.9).float().mean()), 4), "share_below_0.5": round(float((each < 0.5).float().mean()), 4),
        "alpha_error": round(float((p - y).abs().mean()), 4), "iou_of_a_disc": round(float(iou(disc.expand_as(y), y > 0.5).mean()), 4),
    }, p


def sheet(sets, path):
    """Writes the sample sheet: picture, truth, result, four pictures in a row."""
    tiles = []
    for x, y, p in sets:
        for i in range(min(SHOWN, len(x))):
            three = torch.cat([x[i], y[i].expand(3, -1, -1), p[i].expand(3, -1, -1)], 2)
            a = (three * 255).round().byte().permute(1, 2, 0).numpy()
            tiles.append(np.asarray(Image.fromarray(a).resize((3 * PART, PART), Image.BOX)))
    rows = [np.concatenate(tiles[i : i + 4], 1) for i in range(0, len(tiles), 4)]
    im = Image.fromarray(np.concatenate([np.full((14, rows[0].shape[1], 3), 255, np.uint8), *rows]))
    pen = ImageDraw.Draw(im)
    for i, title in enumerate(("picture", "truth", "result") * 4):
        pen.text((i * PART + 3, 1), title, fill=(0, 0, 0))
    im.save(path, optimize=True)
    os.chmod(path, 0o644)
    print("sheet", path.stat().st_size, "bytes")


def table(scores):
    """Writes the scores as a table of Markdown."""
    out = ["| | pictures | mean IoU | median IoU | IoU above 0.9 | IoU below 0.5 | mean error of alpha | mean IoU of a disc |", "|---|---|---|---|---|---|---|---|"]
    for k, title in NAMES.items():
        if k in scores:
            s = scores[k]
            out.append(f"| {title} | {s['pictures']} | {s['iou']:.3f} | {s['iou_median']:.3f} | {s['share_above_0.9']:.0%} | {s['share_below_0.5']:.0%} | {s['alpha_error']:.3f} | {s['iou_of_a_disc']:.2f} |")
    return "\n".join(out)


def main():
    """Computes the scores and writes them, the sheet and the card."""
    here = Path(__file__).resolve().parent
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--model", type=Path, default=here.parent)
    p.add_argument("--n", type=int, default=300)
    p.add_argument("--drawn", type=int, default=32, help="pictures by the house picture model")
    p.add_argument("--threads", type=int, default=2)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    net = load(args.model)
    _, dec, _ = house.painter()
    scores, kept = {}, []
    shown = compose(Masked(args.data, args.work, False, seed=98), args.n, 77)
    held = compose(Masked(args.data, args.work, True, seed=99), args.n, 78)
    soft = torch.cat([through_house(v, dec) for v in held[0].split(16)])
    sets = {"shown": shown, "held_out": held, "through_house": (soft, held[1])}
    if args.drawn:
        # The pictures cost minutes and do not depend on the segmenter, so they are kept.
        made = args.work / f"drawn-{args.drawn}.pt"
        if not made.exists():
            torch.save(draw(Masked(args.data, args.work, every=False, seed=97), args.drawn, 79), made)
        sets["drawn"] = torch.load(made)
    for name, (x, y) in sets.items():
        scores[name], alpha = judge(net, x, y)
        kept.append((x, y, alpha))
        print(name, json.dumps(scores[name]), flush=True)
    ck = args.work / "segmenter.pt"
    if ck.exists():
        state = torch.load(ck)
        scores["training"] = {"pictures": state["seen"], "steps": state["step"]}
    (args.model / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")
    (args.model / "samples").mkdir(exist_ok=True)
    sheet(kept[1:], args.model / "samples" / "masks.png")
    card = (here / "card.template.md").read_text(encoding="utf-8").replace("{scores}", table(scores))
    size = (args.model / "model.safetensors").stat().st_size
    seen = scores.get("training", {}).get("pictures", 0)
    card = card.replace("{early}", EARLY.format(f"{seen:,}") if seen < ENOUGH else "")
    card = card.replace("{kilobytes}", f"{size / 1000:.0f}").replace("{pictures}", f"{seen:,}")
    (args.model / "card.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
