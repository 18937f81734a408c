"""Composes training scenes from sprites and backgrounds, with captions in two languages.

A scene is a dict:
  objects: list of {concept (row of concepts.txt), colour (row of COLOURS or -1 for natural)},
  count (1..3, of a single object), relation ("" or a name of RELATIONS, or "and"),
  size ("", "small", "big"), background ("" or a name of backgrounds.NAMES), light, style, shape.

Rendering leaves in `Composer.boxes` where it put every drawing.
"""

import hashlib
import json
import random

import numpy as np
from PIL import Image

import backgrounds
import sprites
from lexicon import COLOURS, SCENES, STYLES, Lexicon

SHAPES = [(256, 256), (192, 320), (320, 192), (224, 288), (288, 224)]  # height, width
FLOATING = {"sky", "space", "underwater", "night background"}
EN_SCENE = {s[0]: s[1] for s in SCENES}
ZH_SCENE = {s[0]: s[3].split() for s in SCENES}
EN_ALL = {s[0]: [s[1]] * 3 + [w for w in s[2].split("|") if " " in w and w.split()[0] in ("in", "on", "at", "under", "among")] for s in SCENES}
ZH_COLOUR = {n: zh.split() for n, _, _, zh in COLOURS}
ZH_IN = {"sky": ["天空中", "蓝天上", "天上", "空中"], "sunset": ["夕阳下", "日落", "黄昏", "日出"], "night": ["星空下", "夜晚", "夜空下", "夜里"],
         "meadow": ["草地上", "草原上", "草坪上"], "desert": ["沙漠里", "沙漠中", "沙丘上"], "snow": ["雪地里", "雪中", "雪地上"],
         "sea": ["大海上", "海面上", "海上"], "underwater": ["海底", "水下", "海里"], "beach": ["海滩上", "沙滩上", "海边"],
         "forest": ["森林里", "树林里", "森林中"], "city": ["城市里", "街道上", "城市中"], "space": ["太空中", "太空里", "宇宙中"],
         "room": ["房间里", "室内", "客厅里"], "mountains": ["群山中", "山间", "山里"], "rain": ["雨中", "雨天"]}
EN_REL = {"left": ["to the left of", "left of"], "right": ["to the right of", "right of"], "above": ["above", "over"],
          "on": ["on top of"], "below": ["below", "under"], "behind": ["behind"], "front": ["in front of"], "and": ["and", "next to", "and", "beside"]}
EN_STYLE = {"3d": ["3d style", "3d render", "3d"], "flat": ["flat style", "flat illustration", "flat"],
            "noto": ["glossy style", "glossy"], "line": ["line art", "line drawing"]}
ZH_STYLE = {"3d": ["3D风格", "立体风格", "3D"], "flat": ["扁平风格", "扁平插画", "扁平"], "noto": ["光泽风格"], "line": ["线稿", "线描", "简笔画"]}
ZH_REL = {"left": "左边", "right": "右边", "above": "上方", "on": "上", "below": "下方", "behind": "后面", "front": "前面"}


def held_out(concept, colour, style, background):
    """True for the 5 % of combinations that training never shows (a stable hash decides)."""
    h = hashlib.md5(f"{concept}|{colour}|{style}|{background}".encode()).digest()
    return h[0] < 13


def luminance(a):
    return a[..., 0] * 0.299 + a[..., 1] * 0.587 + a[..., 2] * 0.114


def recolour(rgba, colour):
    """Gives a sprite [h,w,4] (float) a colour, keeping its shading and its near-white and black parts.

    Each pixel is weighed by its saturation (all alike where the whole sprite is grey); the median
    brightness of those pixels becomes the target colour, darker ones scale it, lighter ones mix in
    white.
    """
    target = np.array(COLOURS[colour][1], np.float32)
    rgb, a = rgba[..., :3], rgba[..., 3]
    hi, lo = rgb.max(-1), rgb.min(-1)
    sat = (hi - lo) / (hi + 1)
    on = a > 128
    if not on.any():
        return rgba
    coloured = (sat > 0.3) & (hi > 60) & on
    if coloured.sum() > 0.25 * on.sum():
        w = np.clip((sat - 0.12) / 0.25, 0, 1) * np.clip(hi / 60, 0, 1)
        ref = coloured
    else:
        w = np.clip((hi - 20) / 50, 0, 1)
        ref = on
    lum = luminance(rgb)
    mid = max(float(np.median(lum[ref])), 30.0)
    r = (lum / mid)[..., None]
    light = np.clip((r - 1) / max(255 / mid - 1, 0.15), 0, 1)
    # Pale targets would lose all shading upwards, so darkness counts a little more there.
    out = np.where(r < 1, target * r ** (1.4 if target.min() > 180 else 1.0), target + (255 - target) * 0.75 * light)
    res = rgba.copy()
    res[..., :3] = rgb + (out - rgb) * w[..., None]
    return res


class Composer:
    def __init__(self, data, work, styles=STYLES, seed=0, bank=40):
        self.lex = Lexicon()
        self.styles = list(styles)
        self.banks = {s: sprites.bank(data, work, s) for s in styles}
        with open(data / "emoji" / "index.jsonl", encoding="utf-8") as f:
            code = {r["emoji"].replace("\ufe0f", ""): r["code"] for r in map(json.loads, f)}
        self.codes = [code[c["emoji"]] for c in self.lex.concepts]
        self.seed = seed
        self.bank_n = bank
        self.bg = {}
        self.cache = {}
        self.boxes = []  # of the last picture: (concept, cx, cy, longest side) in pixels

    # ------------------------------------------------------------ pictures

    def sprite(self, style, concept):
        """Sprite cut to its box, uint8 [h,w,4]."""
        key = style, concept
        if key not in self.cache:
            arr, rows = self.banks[style]
            a = arr[rows[self.codes[concept]]]
            ys, xs = np.nonzero(a[..., 3] > 8)
            self.cache[key] = np.ascontiguousarray(a[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1])
        return self.cache[key]

    def background(self, name, rng):
        """One of a bank of pictures per background, made when first asked for; mirrored at random."""
        k = int(rng.integers(self.bank_n))
        if (name, k) not in self.bg:
            h = int(hashlib.md5(f"{self.seed}|{name}|{k}".encode()).hexdigest()[:8], 16)
            self.bg[name, k] = backgrounds.paint(name, np.random.default_rng(h))
        a = self.bg[name, k]
        return a[:, ::-1] if rng.random() < 0.5 else a

    def place(self, img, style, obj, cx, cy, side, rng, shadow):
        """Draws one object with its box centred at (cx, cy), longest side `side`, in pixels."""
        self.boxes.append((obj["concept"], cx, cy, side))
        a = self.sprite(style, obj["concept"])
        k = side / max(a.shape[:2])
        w, h = max(8, round(a.shape[1] * k)), max(8, round(a.shape[0] * k))
        p = np.asarray(Image.fromarray(a).resize((w, h), Image.BICUBIC), np.float32)  # straight alpha
        if obj["colour"] >= 0:
            p = recolour(p, obj["colour"])
        H, W = img.shape[:2]
        if shadow:
            # A soft ellipse under the lowest part.
            sy, sx = cy + h / 2 - 2, cx
            y0, y1 = int(max(0, sy - 14)), int(min(H, sy + 14))
            y, x = np.mgrid[y0:y1, 0:W].astype(np.float32)
            e = np.exp(-(((x - sx) / (w * 0.40)) ** 4 + ((y - sy) / 6.5) ** 2))[..., None]
            img[y0:y1] *= 1 - 0.32 * e
        x0, y0 = round(cx - w / 2), round(cy - h / 2)
        u0, v0, u1, v1 = max(x0, 0), max(y0, 0), min(x0 + w, W), min(y0 + h, H)
        if u1 > u0 and v1 > v0:
            p = p[v0 - y0 : v1 - y0, u0 - x0 : u1 - x0]
            img[v0:v1, u0:u1] += (p[..., :3] - img[v0:v1, u0:u1]) * (p[..., 3:] / 255)

    def render(self, sc, rng):
        """Scene dict -> uint8 [H,W,3]."""
        H, W = sc["shape"]
        self.boxes = []
        big = self.background(sc["background"], rng)
        y0 = int((backgrounds.H - H) / 2 + rng.uniform(-1, 1) * min(10, (backgrounds.H - H) / 2))
        x0 = int(rng.uniform(0, backgrounds.W - W))
        img = big[y0 : y0 + H, x0 : x0 + W].astype(np.float32)
        m = (H * W) ** 0.5 * (0.86 if H != W else 1)  # what sizes are measured against
        bg = sc["background"]
        ground = bg not in FLOATING
        jx, jy = rng.uniform(-0.05, 0.05, 2) * m
        cx, cy = W / 2 + jx, H * 0.52 + jy
        s = {"small": rng.uniform(0.34, 0.42), "big": rng.uniform(0.86, 0.94)}.get(sc["size"], rng.uniform(0.58, 0.74)) * m
        o = sc["objects"]
        if sc["size"] == "small" and ground:
            cy += 0.12 * m
        put = lambda ob, x, y, side, sh=ground: self.place(img, sc["style"], ob, x, y, side, rng, sh)
        if len(o) == 1 and sc["count"] == 1:
            put(o[0], cx, cy, s)
        elif len(o) == 1:
            n = sc["count"]
            side = (0.42 if n == 2 else 0.31) * m * rng.uniform(0.95, 1.08)
            for i in range(n):
                put(o[0], cx + (i - (n - 1) / 2) * side * 1.06 + rng.uniform(-3, 3), cy + rng.uniform(-0.03, 0.03) * m, side)
        else:
            a, b = o
            rel = sc["relation"]
            side = rng.uniform(0.40, 0.46) * m
            d = 0.245 * m
            if rel == "and":
                rel = "left"  # in the order of mention
            if rel in ("left", "right"):
                k = -1 if rel == "left" else 1
                put(a, cx + k * d, cy, side)
                put(b, cx - k * d, cy, side)
            elif rel in ("above", "below"):
                k = -1 if rel == "above" else 1
                top, low = (a, b) if k < 0 else (b, a)
                put(low, cx, cy + d * 0.98, side)
                put(top, cx, cy - d * 0.98, side, False)
            elif rel == "on":
                hb = self.sprite(sc["style"], b["concept"]).shape
                ha = self.sprite(sc["style"], a["concept"]).shape
                sb, sa = 0.5 * m, 0.36 * m
                yb = cy + 0.2 * m
                top = yb - hb[0] / max(hb[:2]) * sb / 2
                put(b, cx, yb, sb)
                put(a, cx, top - ha[0] / max(ha[:2]) * sa / 2 + 0.035 * m, sa, False)
            else:
                front, back = (a, b) if rel == "front" else (b, a)
                k = rng.choice([-1, 1])
                put(back, cx + k * 0.1 * m, cy - 0.09 * m, 0.52 * m)
                put(front, cx - k * 0.07 * m, cy + 0.13 * m, 0.42 * m)
        if sc["light"] == "dark":
            img = img * np.array([0.42, 0.44, 0.54], np.float32)
        elif sc["light"] == "bright":
            img = 255 - (255 - img) * 0.62
        return np.clip(img + 0.5, 0, 255).astype(np.uint8)

    # ------------------------------------------------------------ choice

    def choose(self, rng, shape=(256, 256), want_held=False, concept=None, hues=0.32):
        """A random scene dict; never a held-out combination, or (with want_held) only one.

        A thing has a colour that is not its own with probability `hues` (0.6 with want_held).
        """
        C = len(self.codes)
        while True:
            u = rng.random()
            two = u < 0.16 and not want_held
            count = 1
            if not two and not want_held and rng.random() < 0.05:
                count = int(rng.integers(2, 4))
            objs = [
                {"concept": int(rng.integers(C)) if concept is None else concept, "colour": int(rng.integers(len(COLOURS))) if rng.random() < (hues if not want_held else 0.6) else -1}
                for _ in range(2 if two else 1)
            ]
            if two and objs[0]["concept"] == objs[1]["concept"]:
                continue
            v = rng.random()
            if want_held:
                v = 0.3 + 0.7 * v
            bg = "" if v < 0.30 else backgrounds.NAMES[int(rng.integers(11))] if v < 0.52 else backgrounds.NAMES[11 + int(rng.integers(15))]
            style = self.styles[0] if rng.random() < 0.4 else self.styles[int(rng.integers(1, len(self.styles)))]
            # An object of the background's own colour could not be seen.
            if any(ob["colour"] >= 0 and bg == COLOURS[ob["colour"]][0] + " background" for ob in objs):
                continue
            held = [held_out(ob["concept"], ob["colour"], style, bg) for ob in objs]
            if any(held) != want_held:
                continue
            z = rng.random()
            return {
                "objects": objs, "count": count, "style": style, "background": bg, "shape": shape,
                "relation": str(rng.choice(["and", "and", "and", "left", "right", "above", "on", "below", "behind", "front"])) if two else "",
                "size": str(rng.choice(["small", "big"])) if not two and count == 1 and not want_held and rng.random() < 0.12 else "",
                "light": "" if want_held or z > 0.08 else "dark" if z < 0.04 else "bright",
            }

    # ------------------------------------------------------------ captions

    def caption(self, sc, rng, zh=None):
        """One caption of a scene, in varied wording and word order."""
        r = random.Random(int(rng.integers(1 << 30)))
        return self._zh(sc, r) if (r.random() < 0.5 if zh is None else zh) else self._en(sc, r)

    def _en(self, sc, r):
        con = self.lex.concepts

        def noun(o, many=False):
            c = con[o["concept"]]
            name = c["plural"] if many else c["en"][0] if r.random() < 0.75 else r.choice(c["en"])
            col = COLOURS[o["colour"]][0] + " " if o["colour"] >= 0 else ""
            size = {"small": r.choice(["small ", "little ", "tiny "]), "big": r.choice(["big ", "large ", "huge "])}.get(sc["size"], "")
            if many:
                return f"{['two', 'three'][sc['count'] - 2]} {col}{name}"
            body = size + col + name
            return body if r.random() < 0.15 else f"{'an' if body[0] in 'aeiou' else 'a'} {body}"

        o = sc["objects"]
        text = noun(o[0], sc["count"] > 1)
        if len(o) == 2:
            text += f" {r.choice(EN_REL[sc['relation']])} {noun(o[1])}"
        bg = sc["background"]
        if bg.endswith(" background"):
            text = r.choice([f"{text} on a {bg}", f"{text}, {bg}", f"{bg}, {text}"])
        elif bg:
            w = r.choice(EN_ALL[bg])
            text = r.choice([f"{text} {w}", f"{text} {w}", f"{w}, {text}"])
        if sc["light"]:
            text = f"{text}, {sc['light']}" if r.random() < 0.6 else f"{sc['light']} picture, {text}"
        if r.random() < 0.65:
            s = EN_STYLE[sc["style"]]
            text = f"{text}, {r.choice(s)}" if r.random() < 0.6 else f"{r.choice(s)} of {text}"
        return text

    def _zh(self, sc, r):
        con = self.lex.concepts

        def noun(o, many=False):
            c = con[o["concept"]]
            name = c["zh"][0] if r.random() < 0.75 else r.choice(c["zh"])
            col = r.choice([ZH_COLOUR[COLOURS[o["colour"]][0]][0] + "的", r.choice(ZH_COLOUR[COLOURS[o["colour"]][0]][:2])]) if o["colour"] >= 0 else ""
            size = {"small": r.choice(["小", "小小的"]), "big": r.choice(["大", "巨大的"])}.get(sc["size"], "")
            if many:
                return ["两个", "三个"][sc["count"] - 2] + col + name
            # "小" or "大" straight before a name could join another name, so a 的 stands between.
            if size in ("小", "大") and not col:
                size += "的"
            return r.choice(["", "一个", "一只"]) + size + col + name

        o = sc["objects"]
        text = noun(o[0], sc["count"] > 1)
        if len(o) == 2:
            b = noun(o[1])
            if sc["relation"] == "and":
                text += r.choice(["和", "与", "旁边的"]) + b
            else:
                w = ZH_REL[sc["relation"]]
                text = f"{text}在{b}{w}" if r.random() < 0.5 else f"{b}{w}的{text}"
        bg = sc["background"]
        if bg.endswith(" background"):
            w = ZH_COLOUR[bg[:-11]][0] + "背景"
            text = r.choice([f"{w}上的{text}", f"{text}，{w}", f"{w}，{text}"])
        elif bg:
            w = r.choice(ZH_IN[bg])
            text = r.choice([f"{w}的{text}", f"{text}，{w}", f"{w}，{text}"]) if len(o) == 2 or r.random() < 0.6 else f"{text}在{w}"
        if sc["light"]:
            text = f"{text}，{'昏暗' if sc['light'] == 'dark' else '明亮'}"
        if r.random() < 0.65:
            s = r.choice(ZH_STYLE[sc["style"]])
            text = f"{text}，{s}" if r.random() < 0.6 else f"{s}，{text}" if s == "扁平" or sc["style"] == "line" else f"{s}的{text}"
        return text
