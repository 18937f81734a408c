"""The house picture model: fixed encoder, sharpening decoder, lexicon text encoder, flow transformer.

Everything here runs in plain float32 PyTorch; the trainers add autocast and compilation.
Shapes are written as [batch, channels, height, width] for pictures and latents and as
[batch, tokens, width] for sequences.  Parameter names are a file format: the program that
runs the model reads them, so they may not change without a new `version` in config.json.
"""

import json
import math
from dataclasses import asdict, dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

DOWN = 16  # picture pixels per latent cell
PATCH = 2  # latent cells per transformer token, each way


@dataclass
class Config:
    """Sizes of all three networks; written to config.json with the latent statistics."""

    version: int = 3
    encoder: str = "area4"
    prediction: str = "x0"
    latent_channels: int = 48
    dec_width: int = 48
    dec_blocks: int = 5
    dec_out_width: int = 24
    vocab: int = 512
    max_tokens: int = 16
    width: int = 256
    heads: int = 4
    mlp: int = 768
    blocks: int = 8
    text_blocks: int = 2
    time_freqs: int = 128
    pos_freqs: int = 8
    rope_base: float = 100.0
    sketch_first: int = 128  # ids from here on are concepts and have a sketch for each style
    sketch_side: int = 8  # a sketch is a grid of side x side codes
    sketch_width: int = 40  # numbers in a code
    sketch_pixels: int = 48  # a sketch is a drawing of pixels x pixels
    sketch_max: int = 3  # how many sketches a prompt brings at most
    style_ids: list = field(default_factory=lambda: [95, 96, 97, 98])  # the first is meant where none is named
    layouts: dict = field(default_factory=dict)  # id -> boxes [dx, dy, side], see `layout`
    stir: list = field(default_factory=lambda: [0.05, 0.12, 0.07])  # how far things move, and change in size, see `stir`
    mend: int = 0  # width of the net that mends the seams between tokens; 0 for none
    latent_mean: list = field(default_factory=lambda: [0.3] * 48)
    latent_std: list = field(default_factory=lambda: [0.5] * 48)

    def save(self, path, **extra):
        with open(path, "w", encoding="utf-8") as f:
            json.dump({**asdict(self), **extra}, f, indent=1, ensure_ascii=False)

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as f:
            d = json.load(f)
        return cls(**{k: v for k, v in d.items() if k in cls.__dataclass_fields__})


# ------------------------------------------------------------------ pictures and latents


def encode(x, cfg):
    """Picture [b,3,H,W] in [-1,1] -> normalised latent [b,48,H/16,W/16]; nothing is learnt.

    Every 4x4 block of pixels is averaged; 4x4 of those averages make one latent cell, its 48
    numbers ordered (colour, row, column).
    """
    z = F.pixel_unshuffle(F.avg_pool2d(x, 4), 4)
    mean = torch.tensor(cfg.latent_mean, device=x.device)[:, None, None]
    std = torch.tensor(cfg.latent_std, device=x.device)[:, None, None]
    return (z - mean) / std


def thumbnail(z, cfg):
    """Normalised latent [b,48,h,w] -> the small picture [b,3,4h,4w] that it is."""
    mean = torch.tensor(cfg.latent_mean, device=z.device)[:, None, None]
    std = torch.tensor(cfg.latent_std, device=z.device)[:, None, None]
    return F.pixel_shuffle(z * std + mean, 4)


class ConvBlock(nn.Module):
    """x + conv2(silu(conv1(silu(x)))), 3x3 convolutions, width unchanged."""

    def __init__(self, c):
        super().__init__()
        self.conv1 = nn.Conv2d(c, c, 3, padding=1)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1)
        # The branch starts small, so the stack starts near the identity.
        self.conv2.weight.data *= 0.1

    def forward(self, x):
        return x + self.conv2(F.silu(self.conv1(F.silu(x))))


class Decoder(nn.Module):
    """Small picture [b,3,h,w] -> picture [b,3,4h,4w], not clamped: a sharpening enlargement.

    What the network makes is added to the bilinear enlargement (pixel centres, as
    align_corners=False has it).
    """

    def __init__(self, cfg):
        super().__init__()
        c, o = cfg.dec_width, cfg.dec_out_width
        self.conv_in = nn.Conv2d(3, c, 3, padding=1)
        self.blocks = nn.ModuleList(ConvBlock(c) for _ in range(cfg.dec_blocks))
        self.up3 = nn.Conv2d(c, 4 * o, 3, padding=1)
        self.up4 = nn.Conv2d(o, 12, 3, padding=1)
        nn.init.zeros_(self.up4.weight)
        nn.init.zeros_(self.up4.bias)

    def forward(self, u):
        x = self.conv_in(u)
        for m in self.blocks:
            x = m(x)
        x = self.up4(F.silu(F.pixel_shuffle(self.up3(x), 2)))
        big = F.interpolate(u, scale_factor=4, mode="bilinear", align_corners=False)
        return big + F.pixel_shuffle(x, 2)


# ------------------------------------------------------------------ transformer


def rms(x, weight=None):
    """Root-mean-square normalisation over the last axis, in float32."""
    y = x.float()
    y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6)
    return y if weight is None else y * weight


def rope_tables(h, w, base, lead, device=None):
    """Cosine and sine tables [lead + h*w, 32] for heads of 64.

    A head's 64 numbers are two halves of 32: the first turns with y, the second with x.
    In each half, number i and number i+16 form a pair that turns by coordinate * base^(-i/16).
    Coordinates are token units from the centre of the grid.  The `lead` first tokens (text)
    do not turn.  Column i of the tables is the pair i of the y half for i < 16 and the pair
    i-16 of the x half above.
    """
    f = base ** (-torch.arange(16, dtype=torch.float32, device=device) / 16)
    y = torch.arange(h, dtype=torch.float32, device=device) - (h - 1) / 2
    x = torch.arange(w, dtype=torch.float32, device=device) - (w - 1) / 2
    ay = (y[:, None] * f).repeat_interleave(w, 0)
    ax = (x[:, None] * f).repeat(h, 1)
    a = torch.cat([ay, ax], 1)
    a = torch.cat([torch.zeros(lead, 32, device=device), a], 0)
    return a.cos(), a.sin()


def rotate(x, cos, sin):
    """Turns x [b, heads, n, 64] by the tables [n, 32] or [b, 1, n, 32]."""
    b, k, n, _ = x.shape
    x = x.reshape(b, k, n, 2, 2, 16)  # half (y, x); first or second of the pair; pair
    c = cos.unflatten(-1, (2, 16))
    s = sin.unflatten(-1, (2, 16))
    u, v = x[..., 0, :], x[..., 1, :]
    return torch.stack([u * c - v * s, u * s + v * c], dim=-2).reshape(b, k, n, 64)


def attention(x, m, heads, cos, sin, mask):
    """Joint attention over x [b,n,D]; m holds qkv, q_norm, k_norm, out."""
    b, n, d = x.shape
    q, k, v = m.qkv(x).reshape(b, n, 3, heads, 64).permute(2, 0, 3, 1, 4).unbind(0)
    q, k = rms(q, m.q_norm), rms(k, m.k_norm)
    if cos is not None:
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    # Written out, because on a CPU these short sequences run 2.6 times as fast forwards and
    # backwards as through scaled_dot_product_attention.
    a = (q.to(v.dtype) @ k.to(v.dtype).transpose(2, 3)).float() * 64**-0.5
    o = a.masked_fill(~mask, -1e9).softmax(-1).to(v.dtype) @ v
    return m.out(o.transpose(1, 2).reshape(b, n, d))


class Mixer(nn.Module):
    """The matrices every block has: attention and a gated MLP; none has a bias."""

    def __init__(self, d, heads, mlp):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(d, 3 * d, bias=False)  # rows: all of q, all of k, all of v
        self.q_norm = nn.Parameter(torch.ones(64))
        self.k_norm = nn.Parameter(torch.ones(64))
        self.out = nn.Linear(d, d, bias=False)
        self.w12 = nn.Linear(d, 2 * mlp, bias=False)  # rows: gate, then value
        self.w3 = nn.Linear(mlp, d, bias=False)
        for p in (self.qkv, self.out, self.w12, self.w3):
            nn.init.normal_(p.weight, std=p.in_features**-0.5)

    def mlp(self, x):
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * value)


class TextBlock(Mixer):
    def __init__(self, d, heads, mlp):
        super().__init__(d, heads, mlp)
        self.norm1 = nn.Parameter(torch.ones(d))
        self.norm2 = nn.Parameter(torch.ones(d))

    def forward(self, x, mask):
        x = x + attention(rms(x, self.norm1), self, self.heads, None, None, mask)
        return x + self.mlp(rms(x, self.norm2))


class TextEncoder(nn.Module):
    """Token ids [b,t], their number [b], places of sketched concepts [b,k], style [b] -> Text.

    A row with no token at all stands for the empty prompt: it becomes the one learnt `null`
    vector at position 0 (the position embedding is added to it too), with length 1.

    A concept (an id from `sketch_first` on) also brings its sketch in the prompt's style.
    `places` [b,k] says where in `ids` their concepts stand, -1 for none.
    """

    def __init__(self, cfg):
        super().__init__()
        d = cfg.width
        self.cfg = cfg
        self.tok = nn.Parameter(torch.randn(cfg.vocab, d) * 0.5)
        self.pos = nn.Parameter(torch.randn(cfg.max_tokens, d) * 0.1)
        self.null = nn.Parameter(torch.randn(d) * 0.5)
        self.blocks = nn.ModuleList(
            TextBlock(d, cfg.heads, cfg.mlp) for _ in range(cfg.text_blocks)
        )
        self.norm = nn.Parameter(torch.ones(d))
        self.sketch = Sketch(cfg)

    def forward(self, ids, n, places, style):
        b, t = ids.shape
        x = F.embedding(ids, self.tok)
        x = torch.where((n == 0)[:, None, None], self.null, x) + self.pos[:t]
        ok = valid(n, t)
        for m in self.blocks:
            x = m(x, ok[:, None, None, :])
        x = rms(x, self.norm)
        # The mean is over the tokens in use only, so padding never changes the result.
        mean = (x * ok[..., None]).sum(1) / ok.sum(1, keepdim=True)
        there = places.clamp(min=0)
        concept = (ids.gather(1, there) - self.cfg.sketch_first).clamp(min=0)
        own = x.gather(1, there[..., None].expand(-1, -1, x.shape[-1]))
        drawn = self.sketch(concept, style) * (places >= 0)[..., None, None, None]
        return Text(x, ok, mean, drawn, own)


@dataclass
class Text:
    """What the transformer reads of a prompt."""

    states: torch.Tensor  # [b,t,D]
    ok: torch.Tensor  # [b,t], which of them are in use
    mean: torch.Tensor  # [b,D], over those in use
    drawn: torch.Tensor  # [b,k,4,pixels,pixels], see Sketch; zero where there is no sketch
    own: torch.Tensor  # [b,k,D], the states of the sketches' concepts


class Sketch(nn.Module):
    """What a thing looks like: codes [concepts,styles,cells,width], learnt like the token table.

    A code is widened to a cell's pixels; the cells make a drawing of 4 channels: colour, in the
    units of normalised latents and times its cover, and cover, from 0 to 1 or about that.
    """

    def __init__(self, cfg):
        super().__init__()
        self.side, self.cut = cfg.sketch_side, cfg.sketch_pixels // cfg.sketch_side
        concepts, cells = cfg.vocab - cfg.sketch_first, cfg.sketch_side**2
        self.code = nn.Parameter(torch.randn(concepts, len(cfg.style_ids), cells, cfg.sketch_width))
        self.show = nn.Linear(cfg.sketch_width, 4 * self.cut**2)  # rows: channel, row, column

    def forward(self, concept, style):
        """Rows of concepts [b,k] in a style [b] -> [b,k,4,pixels,pixels]."""
        cells = self.show(self.code[concept, style[:, None]])
        return F.pixel_shuffle(cells.transpose(2, 3).unflatten(3, (self.side, self.side)), self.cut)


def layout(ids, cfg):
    """The sketches of a list of ids: [(place in ids, dx, dy, side)], at most `sketch_max`.

    A box is where the composer of the training pictures puts a thing on the average, in units of
    `unit(height, width)`, counted from the middle of the width and 0.52 of the height.  One
    concept alone has the boxes that a size or a count among the ids gives it (a count: one box
    for each), else those of id 0; of several, the first two have the boxes of the first relation
    among the ids (else of "and", 90), a third that of id 0.
    """
    at = [i for i, v in enumerate(ids) if v >= cfg.sketch_first][: cfg.sketch_max]
    table = cfg.layouts
    keys = [str(v) for v in ids if str(v) in table]
    if len(at) == 1:
        boxes = next((table[k] for k in keys if int(k) > 90), table["0"])
        return [(at[0], *b) for b in boxes][: cfg.sketch_max]
    boxes = next((table[k] for k in keys if int(k) <= 90), table["90"])
    return [(p, *b) for p, b in zip(at, boxes + table["0"])]


def stir(boxes, noise, cfg):
    """Moves and sizes the boxes of one picture [(dx, dy, side)] by chance, as the composer does.

    The chance is that of the picture's own noise [C,h,w]: the first cell of its first three
    channels, made even over -1..1 by a logistic curve, move the whole in x, in y, and size it.
    """
    shift, alone, several = cfg.stir
    x, y, z = (2 / (1 + math.exp(-1.702 * float(noise[k, 0, 0]))) - 1 for k in range(3))
    f = 1 + z * (alone if len(boxes) == 1 else several)
    return [(dx * f + x * shift, dy * f + y * shift, side * f) for dx, dy, side in boxes]


def unit(h, w):
    """What the composer measures sizes against, in pixels."""
    return math.sqrt(h * w) * (1.0 if h == w else 0.86)


def sketched(ids, cfg, k, noise=None):
    """Lists of ids -> (places [b,k], boxes [b,k,3], style [b]); stirred where noise [b,C,h,w] is given."""
    places, boxes, style = [], [], []
    for i, row in enumerate(ids):
        row = [int(v) for v in row if int(v)]
        found = layout(row, cfg)[:k]
        own = [f[1:] for f in found]
        own = own if noise is None else stir(own, noise[i], cfg)
        places.append([f[0] for f in found] + [-1] * (k - len(found)))
        boxes.append(own + [(0.0, 0.0, 1.0)] * (k - len(found)))
        style.append(next((cfg.style_ids.index(v) for v in row if v in cfg.style_ids), 0))
    return (torch.tensor(places, dtype=torch.long).reshape(len(places), k),
            torch.tensor(boxes, dtype=torch.float32).reshape(len(places), k, 3), torch.tensor(style))


def edges(boxes, h, w):
    """Boxes [b,k,3] in a picture of h x w latent cells -> left, top, size [b,k] in pixels of the small picture."""
    m = unit(h * DOWN, w * DOWN) / DOWN * 4
    side = boxes[..., 2] * m
    return w * 2 + boxes[..., 0] * m - side / 2, h * 4 * 0.52 + boxes[..., 1] * m - side / 2, side


def lay(drawn, boxes, h, w):
    """Drawings [b,k,4,p,p] laid into their boxes -> [b,k,4,4h,4w], each on its own.

    A pixel is the mean of the drawing's pixels under a tent around its middle, as wide as the
    pixel is in the drawing, but never narrower than one there; outside there is nothing.
    """
    p = drawn.shape[-1]
    x0, y0, s = (v[..., None, None] for v in edges(boxes, h, w))
    part = torch.arange(p, dtype=torch.float32, device=drawn.device)
    r = (p / s).clamp(min=1)

    def shares(n, start):
        mid = torch.arange(n, dtype=torch.float32, device=drawn.device)[:, None] + 0.5
        return (1 - (((mid - start) / s * p - 0.5) - part).abs() / r).clamp(min=0) / r

    return torch.einsum("bkyp,bkcpq,bkxq->bkcyx", shares(4 * h, y0), drawn, shares(4 * w, x0))


def valid(n, t):
    """Which of t text places are in use [b,t]; the empty prompt uses the first."""
    return torch.arange(t, device=n.device) < n.clamp(min=1)[:, None]


class Block(Mixer):
    """Transformer block; `table` [6,D] is added to the shared modulation [b,6,D].

    Order of the six: shift, scale, gate for attention; shift, scale, gate for the MLP.
    """

    def __init__(self, d, heads, mlp):
        super().__init__(d, heads, mlp)
        self.table = nn.Parameter(torch.zeros(6, d))

    def forward(self, x, mod, cos, sin, mask):
        s1, c1, g1, s2, c2, g2 = (mod + self.table)[:, :, None, :].unbind(1)
        x = x + g1 * attention(rms(x) * (1 + c1) + s1, self, self.heads, cos, sin, mask)
        return x + g2 * self.mlp(rms(x) * (1 + c2) + s2)


def patchify(z):
    """[b,C,h,w] -> [b, h/2*w/2, 4C]; a token's numbers are ordered (channel, row, column)."""
    return F.pixel_unshuffle(z, PATCH).flatten(2).transpose(1, 2)


def unpatchify(x, h, w):
    """Inverse of patchify for a latent of h by w cells."""
    return F.pixel_shuffle(x.transpose(1, 2).unflatten(2, (h // PATCH, w // PATCH)), PATCH)


def time_features(s, freqs):
    """s [b] in (0,1) -> [b, 2*freqs]: cosines, then sines, of 1000*s*10000^(-i/freqs)."""
    f = torch.exp(-math.log(10000.0) * torch.arange(freqs, device=s.device) / freqs)
    a = 1000.0 * s[:, None].float() * f
    return torch.cat([a.cos(), a.sin()], 1)


def place_features(h, w, freqs, device=None):
    """[h*w, 4*freqs]: sin y, cos y, sin x, cos x of centred coordinates * pi/32 * 2^(k/2)."""
    f = math.pi / 32 * 2 ** (torch.arange(freqs, dtype=torch.float32, device=device) / 2)
    y = torch.arange(h, dtype=torch.float32, device=device) - (h - 1) / 2
    x = torch.arange(w, dtype=torch.float32, device=device) - (w - 1) / 2
    ay = (y[:, None] * f).repeat_interleave(w, 0)
    ax = (x[:, None] * f).repeat(h, 1)
    return torch.cat([ay.sin(), ay.cos(), ax.sin(), ax.cos()], 1)


class Mend(nn.Module):
    """Adds to a guess of x0 what joins its tokens: they are written side by side, each blind to
    the exact edge of the next.  It sees the guess, the noisy latent and the time, and starts as
    nothing at all, so that weights trained without it carry over.
    """

    def __init__(self, c, width, d):
        super().__init__()
        self.conv1 = nn.Conv2d(2 * c, width, 3, padding=1)  # channels: the guess, then the latent
        self.time = nn.Linear(d, width, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv3 = nn.Conv2d(width, c, 3, padding=1)
        nn.init.zeros_(self.time.weight)
        nn.init.zeros_(self.conv3.weight)
        nn.init.zeros_(self.conv3.bias)

    def forward(self, x0, z, c):
        x = self.conv1(torch.cat([x0, z], 1)) + self.time(c)[:, :, None, None]
        return x0 + self.conv3(F.silu(self.conv2(F.silu(x))))


class FlowTransformer(nn.Module):
    """The clean latent x0 [b,C,h,w] as guessed from a noisy one at time s [b].

    Given a `Text` and the boxes [b,k,3] of its sketches.  The sketches are laid into their boxes.
    Their sum is read with the tokens there (`hint`), and so is the state of a concept where its
    sketch covers a token (`owner`), which says whose drawing it is; what the network guesses is added to
    the drawings' colours, each taken as far as `gate` says.  The noisy latent is (1-s)*x0 + s*noise.
    """

    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        d = cfg.width
        c = cfg.latent_channels * PATCH * PATCH
        self.x_in = nn.Linear(c, d)
        self.hint = nn.Linear(4 * cfg.latent_channels // 3 * PATCH * PATCH, d, bias=False)
        self.owner = nn.Linear(d, d, bias=False)
        self.place = nn.Linear(4 * cfg.pos_freqs, d, bias=False)
        self.time1 = nn.Linear(2 * cfg.time_freqs, d)
        self.time2 = nn.Linear(d, d)
        self.pool = nn.Linear(d, d)
        self.ada = nn.Linear(d, 6 * d)
        self.blocks = nn.ModuleList(Block(d, cfg.heads, cfg.mlp) for _ in range(cfg.blocks))
        self.final_ada = nn.Linear(d, 2 * d)  # shift, scale
        self.final = nn.Linear(d, c)
        self.gate = nn.Linear(d, c)
        self.mend = Mend(cfg.latent_channels, cfg.mend, d) if cfg.mend else None
        for m in (self.ada, self.final_ada, self.final, self.gate):
            nn.init.zeros_(m.weight)
            nn.init.zeros_(m.bias)
        nn.init.ones_(self.gate.bias)
        nn.init.zeros_(self.owner.weight)

    def lay(self, text, boxes, h, w):
        """What the sketches give every token: the sum of drawings [b,tokens,4/3 C] (colours, then
        cover, each ordered as a latent's numbers are) and of the owners' states [b,tokens,D]."""
        laid = lay(text.drawn, boxes, h, w)
        cover = F.avg_pool2d(laid[:, :, 3], 4 * PATCH).flatten(2)  # [b,k,tokens]
        return patchify(F.pixel_unshuffle(laid.sum(1), 4)), cover.transpose(1, 2) @ text.own

    def forward(self, z, s, text, boxes):
        return self.guess(z, s, text.states, text.ok, text.mean, *self.lay(text, boxes, *z.shape[2:]))

    def guess(self, z, s, states, ok, mean, drawings, owners):
        """`forward` behind `lay`; of fixed shapes, so that it can be compiled."""
        cfg = self.cfg
        b, _, h, w = z.shape
        t = states.shape[1]
        gh, gw = h // PATCH, w // PATCH
        x = self.x_in(patchify(z)) + self.place(place_features(gh, gw, cfg.pos_freqs, z.device))
        x = x + self.hint(drawings) + self.owner(owners)
        c = self.time2(F.silu(self.time1(time_features(s, cfg.time_freqs)))) + self.pool(mean)
        c = F.silu(c)
        mod = self.ada(c).float().unflatten(1, (6, -1))
        x = torch.cat([states, x], 1).float()
        mask = torch.cat([ok, ok.new_ones(b, gh * gw)], 1)[:, None, None, :]
        cos, sin = rope_tables(gh, gw, cfg.rope_base, t, z.device)
        for m in self.blocks:
            x = m(x, mod, cos, sin, mask)
        shift, scale = self.final_ada(c).float()[:, None, :].chunk(2, dim=-1)
        x = rms(x[:, t:]) * (1 + scale) + shift
        x = self.final(x) + self.gate(x) * drawings[..., : cfg.latent_channels * PATCH * PATCH]
        x = unpatchify(x.float(), h, w)
        return x if self.mend is None else self.mend(x, z, c).float()


class Painter(nn.Module):
    """Text encoder and transformer together, as they are trained."""

    def __init__(self, cfg):
        super().__init__()
        self.text = TextEncoder(cfg)
        self.dit = FlowTransformer(cfg)

    def forward(self, z, s, ids, n, places, boxes, style):
        return self.dit(z, s, self.text(ids, n, places, style), boxes)


@torch.no_grad()
def sample(painter, ids, n, noise, steps=20, guidance=3.0, shift=1.0):
    """Euler steps from noise at s=1 to a picture latent at s=0.

    ids [b,t], n [b], noise [b,C,h,w]; times u_k = 1 - k/steps, s = shift*u / (1 + (shift-1)*u).
    Where things stand is a chance of the noise too (`stir`).  The two guesses of x0 (with the prompt, and with none) are mixed as
    empty + guidance*(full - empty); the velocity is v = (x_s - x0) / s.
    """
    b = noise.shape[0]
    places, boxes, style = (v.to(ids.device) for v in sketched(ids.tolist(), painter.text.cfg, painter.text.cfg.sketch_max, noise))
    k = max(1, int((places >= 0).sum(1).max()))
    full, boxes = painter.text(ids, n, places[:, :k], style), boxes[:, :k]
    zero = torch.zeros_like(n)
    empty = painter.text(ids[:, :1], zero, torch.full_like(places[:, :k], -1), zero)
    at = [painter.dit.lay(text, boxes, *noise.shape[2:]) for text in (full, empty)]
    u = 1 - torch.arange(steps + 1, dtype=torch.float64) / steps
    times = (shift * u / (1 + (shift - 1) * u)).tolist()
    z = noise
    for now, after in zip(times, times[1:]):
        s = torch.full((b,), now, device=z.device)
        x0 = painter.dit.guess(z, s, full.states, full.ok, full.mean, *at[0])
        if guidance != 1:
            e = painter.dit.guess(z, s, empty.states, empty.ok, empty.mean, *at[1])
            x0 = e + guidance * (x0 - e)
        z = z + (z - x0) / now * (after - now)
    return z
