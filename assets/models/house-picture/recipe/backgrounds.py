"""Procedural backgrounds: simple, clean illustrations of places, 320 rows by 384 columns.

Each painter takes a random generator and returns a uint8 picture.  The horizon lies near row 205,
so that a crop of any shipped shape around the middle shows sky and ground.  Everything is drawn at
twice the size and reduced, for smooth edges.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lexicon import COLOURS, SCENES

W, H, K = 384, 320, 2
RGB = {name: np.array(rgb, float) for name, rgb, _, _ in COLOURS}


def vary(rng, c, d=10):
    """A colour near c, as a tuple."""
    shift = rng.normal(0, d * 0.5) + rng.normal(0, d * 0.5, 3)
    return tuple(int(v) for v in np.clip(np.array(c, float) + shift, 0, 255))


def sky(rng, *stops, d=8):
    """Vertical gradient through the colours given, as a PIL picture at K times the size."""
    c = np.array([vary(rng, s, d) for s in stops], float)
    t = np.linspace(0, len(c) - 1, H * K)
    i = np.minimum(t.astype(int), len(c) - 2)
    col = c[i] + (c[i + 1] - c[i]) * (t - i)[:, None]
    return Image.fromarray(np.repeat(col[:, None], W * K, 1).astype(np.uint8))


def hill(d, rng, base, amp, waves, colour):
    """Fills everything below a smooth line: base row, amplitude and number of waves over the width."""
    x = np.arange(0, W * K + 9, 8)
    y = base * K + sum(
        amp * K / (j + 1) * math.copysign(1, rng.normal()) * np.sin(x / (W * K) * 2 * math.pi * waves * (j + 1) * rng.uniform(0.7, 1.3) + rng.uniform(0, 7))
        for j in range(2)
    )
    d.polygon([*zip(x.tolist(), y.tolist()), (W * K, H * K), (0, H * K)], fill=colour)


def peaks(d, rng, base, amp, n, colour, cap=None):
    """A row of pointed mountains standing on `base`, with snowy caps if a colour is given."""
    for i in rng.permutation(n):
        cx = (i + rng.uniform(0.2, 0.8)) * W * K / n
        h = amp * K * rng.uniform(0.6, 1.0)
        w = h * rng.uniform(0.9, 1.3)
        top = base * K - h
        d.polygon([(cx - w, base * K), (cx, top), (cx + w, base * K)], fill=vary(rng, colour, 8))
        if cap:
            q = 0.28
            d.polygon([(cx - w * q, top + h * q), (cx, top), (cx + w * q, top + h * q), (cx + w * q * 0.35, top + h * q * 0.75), (cx, top + h * q * 1.05), (cx - w * q * 0.4, top + h * q * 0.72)], fill=cap)


def disc(d, x, y, r, fill):
    d.ellipse([(x - r) * K, (y - r) * K, (x + r) * K, (y + r) * K], fill=fill)


def cloud(d, rng, x, y, s, fill):
    for dx, dy, r in ((-1, 0.1, 0.55), (-0.4, -0.35, 0.7), (0.35, -0.2, 0.62), (1, 0.12, 0.5)):
        disc(d, x + dx * s, y + dy * s, r * s * rng.uniform(0.9, 1.1), fill)
    d.rounded_rectangle([(x - 1.5 * s) * K, (y + 0.05 * s) * K, (x + 1.5 * s) * K, (y + 0.62 * s) * K], radius=0.28 * s * K, fill=fill)


def clouds(d, rng, n, lo, hi, fill):
    for i in range(n):
        cloud(d, rng, (i + rng.uniform(0.1, 0.9)) * W / n, rng.uniform(lo, hi), rng.uniform(13, 24), fill)


def stars(d, rng, n, lo, hi):
    for _ in range(n):
        c = int(rng.uniform(170, 255))
        disc(d, rng.uniform(0, W), rng.uniform(lo, hi), rng.choice([0.8, 1.1, 1.6, 2.1], p=[0.4, 0.3, 0.2, 0.1]), (c, c, min(255, c + 15)))


def fir(d, rng, x, y, h, colour, trunk=(96, 68, 48)):
    d.rectangle([(x - h * 0.05) * K, (y - h * 0.2) * K, (x + h * 0.05) * K, y * K], fill=trunk)
    for k in range(3):
        b, w = y - h * (0.14 + 0.24 * k), h * (0.27 - 0.06 * k)
        d.polygon([((x - w) * K, b * K), (x * K, (b - h * 0.4) * K), ((x + w) * K, b * K)], fill=colour)


def p_sky(rng):
    im = sky(rng, (70, 160, 236), (176, 220, 250))
    clouds(ImageDraw.Draw(im), rng, int(rng.integers(3, 6)), 30, 300, vary(rng, (246, 250, 255), 4))
    return im


def p_sunset(rng):
    im = sky(rng, (92, 70, 140), (232, 110, 96), (252, 186, 96), (255, 214, 130))
    d = ImageDraw.Draw(im)
    x, r = rng.uniform(80, 300), rng.uniform(26, 40)
    disc(d, x, rng.uniform(178, 205), r * 1.5, vary(rng, (254, 200, 120), 5))
    disc(d, x, rng.uniform(185, 200), r, vary(rng, (255, 236, 170), 5))
    hill(d, rng, 212, 7, 1.2, vary(rng, (150, 78, 98)))
    hill(d, rng, 238, 9, 1.0, vary(rng, (104, 54, 84)))
    return im


def p_night(rng):
    im = sky(rng, (14, 18, 52), (34, 44, 100), (62, 76, 140))
    d = ImageDraw.Draw(im)
    stars(d, rng, 90, 0, 205)
    hill(d, rng, 218, 8, 1.3, vary(rng, (28, 40, 72), 5))
    hill(d, rng, 242, 9, 1.0, vary(rng, (18, 28, 52), 5))
    return im


def p_meadow(rng):
    im = sky(rng, (120, 196, 244), (206, 236, 252), (230, 245, 252))
    d = ImageDraw.Draw(im)
    clouds(d, rng, int(rng.integers(1, 4)), 40, 120, (250, 252, 255))
    hill(d, rng, 196, 12, 1.2, vary(rng, (138, 200, 96)))
    hill(d, rng, 222, 9, 1.0, vary(rng, (112, 184, 78)))
    for _ in range(int(rng.integers(10, 26))):
        x, y = rng.uniform(0, W), rng.uniform(240, 318)
        c = [(255, 255, 255), (255, 220, 90), (248, 150, 180)][int(rng.integers(3))]
        disc(d, x, y, 2.2, c)
    return im


def p_desert(rng):
    im = sky(rng, (118, 196, 232), (250, 226, 180), (252, 226, 170))
    d = ImageDraw.Draw(im)
    disc(d, rng.uniform(60, 320), rng.uniform(60, 120), 20, (255, 244, 190))
    hill(d, rng, 200, 14, 1.1, vary(rng, (236, 196, 126)))
    hill(d, rng, 226, 12, 0.9, vary(rng, (226, 176, 104)))
    hill(d, rng, 262, 9, 0.8, vary(rng, (214, 160, 90)))
    return im


def p_snow(rng):
    im = sky(rng, (150, 186, 222), (206, 224, 240), (224, 234, 244))
    d = ImageDraw.Draw(im)
    for x in rng.uniform(0, W, int(rng.integers(3, 8))):
        fir(d, rng, x, 214, rng.uniform(40, 70), vary(rng, (126, 158, 170), 8))
    hill(d, rng, 206, 8, 1.2, vary(rng, (232, 240, 248), 3))
    hill(d, rng, 234, 8, 0.9, vary(rng, (248, 251, 254), 2))
    for _ in range(60):
        disc(d, rng.uniform(0, W), rng.uniform(0, H), rng.uniform(1.2, 2.8), (255, 255, 255))
    return im


def p_sea(rng):
    im = sky(rng, (122, 198, 246), (214, 238, 252), (226, 243, 252))
    d = ImageDraw.Draw(im)
    clouds(d, rng, int(rng.integers(1, 4)), 40, 130, (252, 253, 255))
    base = vary(rng, (40, 132, 196))
    d.rectangle([0, 200 * K, W * K, H * K], fill=base)
    for k in range(4):
        hill(d, rng, 206 + 26 * k, 2.5 + k, rng.uniform(4, 7) / (1 + 0.2 * k), tuple(int(v * (0.97 - 0.07 * k)) for v in vary(rng, (52, 146, 208), 5)))
    return im


def p_underwater(rng):
    im = sky(rng, (70, 190, 214), (26, 124, 180), (12, 72, 128))
    d = ImageDraw.Draw(im)
    ray = Image.new("L", im.size, 0)
    rd = ImageDraw.Draw(ray)
    for x in rng.uniform(0, W, 4):
        rd.polygon([((x - 10) * K, 0), ((x + 10) * K, 0), ((x + 60) * K, 230 * K), ((x - 5) * K, 230 * K)], fill=34)
    im.paste((220, 250, 255), mask=ray.filter(ImageFilter.GaussianBlur(6 * K)))
    hill(d, rng, 262, 7, 1.2, vary(rng, (206, 188, 136), 8))
    for x in rng.uniform(0, W, 7):
        c, b = vary(rng, (34, 140, 96), 14), rng.uniform(268, 286)
        for s in (-1, 0, 1):
            d.line([(x * K, b * K), ((x + s * 7 + 3) * K, (b - 22) * K), ((x + s * 11 - 2) * K, (b - 44) * K)], fill=c, width=5 * K, joint="curve")
    for _ in range(18):
        disc(d, rng.uniform(0, W), rng.uniform(20, 250), rng.uniform(1.5, 4.5), (150, 220, 236))
    return im


def p_beach(rng):
    im = sky(rng, (110, 196, 246), (204, 236, 252), (226, 244, 252))
    d = ImageDraw.Draw(im)
    clouds(d, rng, int(rng.integers(1, 3)), 40, 120, (252, 253, 255))
    d.rectangle([0, 172 * K, W * K, 240 * K], fill=vary(rng, (40, 160, 200)))
    hill(d, rng, 208, 5, 1.3, (232, 246, 250))
    hill(d, rng, 214, 5, 1.3, vary(rng, (246, 222, 164)))
    hill(d, rng, 262, 6, 1.0, vary(rng, (238, 208, 146)))
    return im


def p_forest(rng):
    im = sky(rng, (170, 214, 196), (206, 232, 204), (190, 222, 180))
    d = ImageDraw.Draw(im)
    for row, (y, lo, hi, c) in enumerate(((200, 90, 140, (122, 176, 140)), (216, 110, 170, (78, 140, 98)))):
        for x in np.arange(-10, W + 10, 30 + 12 * row):
            fir(d, rng, x + rng.uniform(-10, 10), y + rng.uniform(-3, 5), rng.uniform(lo, hi), vary(rng, c, 10), vary(rng, (92, 70, 52)))
    hill(d, rng, 216, 6, 1.2, vary(rng, (96, 150, 82)))
    hill(d, rng, 250, 6, 1.0, vary(rng, (82, 134, 72)))
    return im


def p_city(rng):
    im = sky(rng, (150, 200, 238), (222, 234, 242))
    d = ImageDraw.Draw(im)
    for base, lo, hi, tone in ((215, 80, 165, (168, 188, 212)), (222, 45, 120, (120, 142, 176))):
        x = -10
        while x < W:
            w, h = rng.uniform(30, 52), rng.uniform(lo, hi)
            c = vary(rng, tone, 14)
            d.rectangle([x * K, (base - h) * K, (x + w) * K, base * K], fill=c)
            lit = tuple(min(255, v + 42) for v in c)
            for wy in np.arange(base - h + 9, base - 12, 15):
                for wx in np.arange(x + 6, x + w - 9, 12):
                    d.rectangle([wx * K, wy * K, (wx + 6) * K, (wy + 8) * K], fill=lit)
            x += w + rng.uniform(-2, 5)
    d.rectangle([0, 220 * K, W * K, 236 * K], fill=vary(rng, (196, 198, 202), 5))
    d.rectangle([0, 236 * K, W * K, H * K], fill=vary(rng, (104, 108, 118), 5))
    for x in range(-20, W, 70):
        d.rectangle([x * K, 282 * K, (x + 38) * K, 288 * K], fill=(226, 226, 220))
    return im


def p_space(rng):
    im = sky(rng, (14, 10, 34), (34, 18, 66), (14, 14, 44))
    glow = Image.new("L", im.size, 0)
    gd = ImageDraw.Draw(glow)
    for _ in range(5):
        x, y, r = rng.uniform(0, W), rng.uniform(0, H), rng.uniform(30, 70)
        gd.ellipse([(x - r) * K, (y - r * 0.6) * K, (x + r) * K, (y + r * 0.6) * K], fill=70)
    im.paste(vary(rng, (130, 60, 170), 30), mask=glow.filter(ImageFilter.GaussianBlur(22 * K)))
    d = ImageDraw.Draw(im)
    stars(d, rng, 150, 0, H)
    if rng.random() < 0.6:
        x, y, r = rng.choice([40, 340]) + rng.uniform(-15, 15), rng.choice([60, 250]) + rng.uniform(-15, 15), rng.uniform(16, 28)
        c = vary(rng, (190, 130, 110), 40)
        disc(d, x, y, r, c)
        disc(d, x - r * 0.2, y - r * 0.2, r * 0.72, tuple(min(255, v + 22) for v in c))
    return im


def p_room(rng):
    wall = vary(rng, [(238, 214, 184), (206, 222, 210), (214, 212, 232), (240, 206, 200)][int(rng.integers(4))])
    im = Image.new("RGB", (W * K, H * K), wall)
    d = ImageDraw.Draw(im)
    d.rectangle([0, 224 * K, W * K, H * K], fill=vary(rng, (186, 134, 90)))
    line = vary(rng, (160, 110, 72), 4)
    for y in (246, 276):
        d.rectangle([0, y * K, W * K, (y + 1.5) * K], fill=line)
    d.rectangle([0, 216 * K, W * K, 225 * K], fill=(246, 242, 236))
    for x in ([72, 290] if rng.random() < 0.5 else [int(rng.choice([80, 285]))]):
        x += rng.uniform(-12, 12)
        d.rectangle([(x - 36) * K, 50 * K, (x + 36) * K, 140 * K], fill=(250, 248, 244))
        d.rectangle([(x - 30) * K, 56 * K, (x + 30) * K, 134 * K], fill=vary(rng, (166, 214, 240)))
        d.rectangle([(x - 2) * K, 56 * K, (x + 2) * K, 134 * K], fill=(250, 248, 244))
        d.rectangle([(x - 30) * K, 93 * K, (x + 30) * K, 97 * K], fill=(250, 248, 244))
    return im


def p_mountains(rng):
    im = sky(rng, (140, 194, 236), (220, 234, 246))
    d = ImageDraw.Draw(im)
    peaks(d, rng, 214, 150, 4, (128, 146, 184), (246, 249, 253))
    peaks(d, rng, 214, 84, 5, (94, 118, 150))
    hill(d, rng, 208, 7, 1.1, vary(rng, (122, 160, 104)))
    hill(d, rng, 240, 8, 0.9, vary(rng, (104, 144, 88)))
    return im


def p_rain(rng):
    im = sky(rng, (96, 110, 130), (146, 160, 176), (160, 172, 184))
    d = ImageDraw.Draw(im)
    clouds(d, rng, 5, 10, 60, vary(rng, (122, 132, 150), 5))
    hill(d, rng, 222, 4, 1.0, vary(rng, (110, 126, 130)))
    for _ in range(8):
        x, y = rng.uniform(0, W), rng.uniform(236, 312)
        d.ellipse([(x - 20) * K, (y - 3) * K, (x + 20) * K, (y + 3) * K], fill=(140, 156, 166))
    for _ in range(110):
        x, y, n = rng.uniform(0, W), rng.uniform(0, H), rng.uniform(8, 15)
        d.line([(x * K, y * K), ((x - n * 0.28) * K, (y + n) * K)], fill=(200, 214, 228), width=int(1.3 * K))
    return im


def plain(rng, rgb, d=6):
    """One colour, a little lighter towards the upper middle."""
    c = np.array(vary(rng, rgb, d), float)
    y, x = np.mgrid[0:H, 0:W]
    r = np.hypot((x - W / 2) / W, (y - H * 0.42) / H)[..., None]
    return np.clip(c + (1 - 2.2 * r) * rng.uniform(2, 12), 0, 255).astype(np.uint8)


def default(rng):
    """The background when none is asked for: near-white, faintly warm or cool."""
    c = [(244, 244, 246), (247, 243, 236), (236, 243, 248), (242, 246, 240)][int(rng.integers(4))]
    return plain(rng, c, 3)


PLAIN = {n: RGB[n] for n in RGB}
NAMES = [n + " background" for n in PLAIN] + [s[0] for s in SCENES]  # same order as the lexicon


def paint(name, rng):
    """uint8 [320,384,3] of a background by its canonical name ("" for the default one)."""
    if not name:
        return default(rng)
    if name.endswith(" background"):
        return plain(rng, PLAIN[name[:-11]], 9)
    im = globals()["p_" + name](rng)
    return np.asarray(im.resize((W, H), Image.BOX))
