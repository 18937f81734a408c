"""Scores the shipped upscaler on compositions of held-out concepts: scores.json, samples/comparison.png, card.md.

Three sets, none of their concepts seen in training: scenes of 256 pixels in all four styles, windows
of larger scenes (512 pixels), and those of them that were composed three or four times as large, with inputs that went through the
house picture model's encoder and decoder.  Inputs are a quarter of the side, by area, bicubic and
Lanczos in turn, in 8 bits; all results are rounded to 8 bits.  Beside the model stand bicubic and Lanczos
enlargements (Pillow's) of the same inputs and, where its file is given, realesr-animevideov3, a published
network of the same kind, six times as large.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

import house
from export import load
from metrics import Lpips, psnr, ssim
from net import SRVGGNetCompact
from pictures import open_pool, through_house, to_tensor

KERNELS = (Image.BOX, Image.BICUBIC, Image.LANCZOS)
NAMES = {"scenes": "scenes, 64 to 256 pixels", "large": "larger scenes, 128 to 512", "through_house": "through the house picture model's decoder, 128 to 512"}
LABELS = {"bicubic": "bicubic", "lanczos": "Lanczos", "house": "**this model**", "realesr": "realesr-animevideov3"}
SHOWN = 4  # pictures of each set on the sheet, the first ones
PART = 104  # side of what is shown


def to_bytes(x):
    """Rounds pictures [n,3,h,w] in 0..1 to uint8 [n,h,w,3]."""
    return (x.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def inputs(pictures, dec=None):
    """Makes the small inputs of pictures uint8 [n,h,w,3]."""
    n, h, w, _ = pictures.shape
    out = np.stack([np.asarray(Image.fromarray(p).resize((w // 4, h // 4), KERNELS[i % 3])) for i, p in enumerate(pictures)])
    return to_bytes(through_house(to_tensor(out), dec)) if dec else out


def enlarge(small, how):
    """Enlarges uint8 pictures four times: `how` is a kernel of Pillow or a network."""
    if isinstance(how, torch.nn.Module):
        return np.concatenate([to_bytes(how(to_tensor(s[None]).contiguous(memory_format=torch.channels_last))) for s in small])
    return np.stack([np.asarray(Image.fromarray(s).resize((s.shape[1] * 4, s.shape[0] * 4), how)) for s in small])


def compare(a, b, lpips):
    """Gives the mean scores of uint8 pictures against the true ones."""
    out = {"psnr": [], "ssim": [], "lpips": []}
    for p, q in zip(a, b):
        x, y = to_tensor(p[None]), to_tensor(q[None])
        out["psnr"].append(psnr(x, y))
        out["ssim"].append(ssim(x, y))
        if lpips:
            out["lpips"].append(lpips(x, y))
    return {k: round(float(torch.cat(v).mean()), 4) for k, v in out.items() if v}


def row(small, made, true):
    """Sets one picture's parts side by side: input, Lanczos, this model, truth.

    Of a grid of windows the one that varies most in the true picture is shown, whatever the results are.
    """
    h, w = true.shape[:2]
    grid = [(y, x) for y in range(0, h - PART + 1, PART // 2) for x in range(0, w - PART + 1, PART // 2)]
    y, x = max(grid, key=lambda at: true[at[0] : at[0] + PART, at[1] : at[1] + PART].std())
    near = np.asarray(Image.fromarray(small).resize((w, h), Image.NEAREST))
    parts = [p[y : y + PART, x : x + PART] for p in (near, made["lanczos"], made["house"], true)]
    return np.concatenate(parts, 1)


def sheet(rows, path):
    """Writes the comparison sheet, two pictures in a row, with a line of titles."""
    rows = [np.concatenate(rows[i : i + 2], 1) for i in range(0, len(rows), 2)]
    a = np.concatenate([np.full((14, rows[0].shape[1], 3), 255, np.uint8), *rows])
    im = Image.fromarray(a)
    draw = ImageDraw.Draw(im)
    for i, title in enumerate(("input", "Lanczos", "house-upscaler", "original") * 2):
        draw.text((i * PART + 3, 1), title, fill=(0, 0, 0))
    im.save(path, optimize=True)
    os.chmod(path, 0o644)
    print("sheet", path.stat().st_size, "bytes")


def tables(scores):
    """Writes the scores as tables of Markdown."""
    out = []
    for name, title in NAMES.items():
        s = scores[name]
        out += [f"| {title} ({s['pictures']} pictures) | PSNR dB | SSIM | LPIPS |", "|---|---|---|---|"]
        for k, label in LABELS.items():
            if k in s:
                v = s[k]
                out.append(f"| {label} | {v['psnr']:.2f} | {v['ssim']:.4f} | {format(v['lpips'], '.4f') if 'lpips' in v else '–'} |")
        out.append("")
    return "\n".join(out).strip()


def main():
    """Computes the scores and writes them, the sheet and the card."""
    here = Path(__file__).resolve().parent
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--model", type=Path, default=here.parent)
    p.add_argument("--lpips", type=Path, help="published weights of LPIPS with SqueezeNet")
    p.add_argument("--reference", type=Path, help="realesr-animevideov3.pth")
    p.add_argument("--threads", type=int, default=2)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    hows = {"bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS, "house": load(args.model)}
    if args.reference:
        net = SRVGGNetCompact(64, 16)
        net.load_state_dict(torch.load(args.reference, map_location="cpu", weights_only=True)["params"])
        hows["realesr"] = net.eval()
    lpips = Lpips(args.lpips) if args.lpips else None
    _, dec = house.decoder()
    small, large = open_pool(args.work, "test")
    sets = {"scenes": (small[0], None), "large": (large[0], None), "through_house": (large[0][large[1] >= 3], dec)}
    scores, rows = {}, []
    for name, (true, through) in sets.items():
        lows = inputs(true, through)
        scores[name] = {"pictures": len(true)}
        made = {}
        for k, how in hows.items():
            made[k] = enlarge(lows, how)
            scores[name][k] = compare(made[k], true, lpips)
        rows += [row(lows[i], {k: v[i] for k, v in made.items()}, true[i]) for i in range(SHOWN)]
        print(name, json.dumps(scores[name]), flush=True)
    ck = args.work / "upscaler.pt"
    if ck.exists():
        state = torch.load(ck)
        scores["training"] = {"crops": state["seen"], "steps": state["step"]}
    scores["lpips_weights"] = "SqueezeNet 1.1, version 0.1" if lpips else None
    (args.model / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")
    (args.model / "samples").mkdir(exist_ok=True)
    sheet(rows, args.model / "samples" / "comparison.png")
    card = (here / "card.template.md").read_text(encoding="utf-8")
    size = (args.model / "model.safetensors").stat().st_size
    card = card.replace("{scores}", tables(scores)).replace("{kilobytes}", f"{size / 1000:.0f}")
    card = card.replace("{crops}", f"{scores.get('training', {}).get('crops', 0):,}")
    (args.model / "card.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
