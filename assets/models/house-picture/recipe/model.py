"""The house picture model: autoencoder, lexicon text encoder and flow transformer.

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

    version: int = 1
    latent_channels: int = 16
    enc_widths: list = field(default_factory=lambda: [64, 128, 256])
    enc_blocks: list = field(default_factory=lambda: [1, 2, 2])
    dec_widths: list = field(default_factory=lambda: [256, 160, 96])
    dec_blocks: list = field(default_factory=lambda: [2, 2, 3])
    dec_out_width: int = 32
    norm_groups: int = 16
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
    latent_mean: list = field(default_factory=lambda: [0.0] * 16)
    latent_std: list = field(default_factory=lambda: [1.0] * 16)

    def save(self, path, **extra):
        with open(path, "w", encoding="utf-8") as f:
            json.dump({**asdict(self), **extra}, f, indent=1, ensure_ascii=False)

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as f:
            d = json.load(f)
        return cls(**{k: v for k, v in d.items() if k in cls.__dataclass_fields__})


# ------------------------------------------------------------------ autoencoder


class ResBlock(nn.Module):
    """x + conv2(silu(conv1(silu(norm(x))))), 3x3 convolutions, width unchanged."""

    def __init__(self, c, groups):
        super().__init__()
        self.norm = nn.GroupNorm(groups, c, eps=1e-5)
        self.conv1 = nn.Conv2d(c, c, 3, padding=1)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1)
        # The branch starts small, so a deep stack starts near the identity.
        self.conv2.weight.data *= 0.2

    def forward(self, x):
        return x + self.conv2(F.silu(self.conv1(F.silu(self.norm(x)))))


class Encoder(nn.Module):
    """Picture [b,3,H,W] in [-1,1] -> mean and log-variance, each [b,C,H/16,W/16]."""

    def __init__(self, cfg):
        super().__init__()
        a, b, c = cfg.enc_widths
        g = cfg.norm_groups
        na, nb, nc = cfg.enc_blocks
        self.conv_in = nn.Conv2d(48, a, 3, padding=1)
        self.b1 = nn.ModuleList(ResBlock(a, g) for _ in range(na))
        self.down1 = nn.Conv2d(4 * a, b, 3, padding=1)
        self.b2 = nn.ModuleList(ResBlock(b, g) for _ in range(nb))
        self.down2 = nn.Conv2d(4 * b, c, 3, padding=1)
        self.b3 = nn.ModuleList(ResBlock(c, g) for _ in range(nc))
        self.norm = nn.GroupNorm(g, c, eps=1e-5)
        self.conv_out = nn.Conv2d(c, 2 * cfg.latent_channels, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(F.pixel_unshuffle(x, 4))
        for m in self.b1:
            x = m(x)
        x = self.down1(F.pixel_unshuffle(x, 2))
        for m in self.b2:
            x = m(x)
        x = self.down2(F.pixel_unshuffle(x, 2))
        for m in self.b3:
            x = m(x)
        mean, logvar = self.conv_out(F.silu(self.norm(x))).chunk(2, dim=1)
        return mean, logvar.clamp(-20, 4)


class Decoder(nn.Module):
    """Latent [b,C,h,w] (not normalised) -> picture [b,3,16h,16w], not clamped."""

    def __init__(self, cfg):
        super().__init__()
        a, b, c = cfg.dec_widths
        g = cfg.norm_groups
        na, nb, nc = cfg.dec_blocks
        self.conv_in = nn.Conv2d(cfg.latent_channels, a, 3, padding=1)
        self.b1 = nn.ModuleList(ResBlock(a, g) for _ in range(na))
        self.up1 = nn.Conv2d(a, 4 * b, 3, padding=1)
        self.b2 = nn.ModuleList(ResBlock(b, g) for _ in range(nb))
        self.up2 = nn.Conv2d(b, 4 * c, 3, padding=1)
        self.b3 = nn.ModuleList(ResBlock(c, g) for _ in range(nc))
        self.norm = nn.GroupNorm(g, c, eps=1e-5)
        self.up3 = nn.Conv2d(c, 4 * cfg.dec_out_width, 3, padding=1)
        self.up4 = nn.Conv2d(cfg.dec_out_width, 12, 3, padding=1)

    def forward(self, z):
        x = self.conv_in(z)
        for m in self.b1:
            x = m(x)
        x = F.pixel_shuffle(self.up1(x), 2)
        for m in self.b2:
            x = m(x)
        x = F.pixel_shuffle(self.up2(x), 2)
        for m in self.b3:
            x = m(x)
        x = F.pixel_shuffle(self.up3(F.silu(self.norm(x))), 2)
        return F.pixel_shuffle(self.up4(F.silu(x)), 2)


class AutoEncoder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.enc = Encoder(cfg)
        self.dec = Decoder(cfg)


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
    """Turns x [b, heads, n, 64] by the tables [n, 32]."""
    b, k, n, _ = x.shape
    x = x.reshape(b, k, n, 2, 2, 16)  # half (y, x); first or second of the pair; pair
    c = cos.reshape(n, 2, 16)
    s = sin.reshape(n, 2, 16)
    u, v = x[..., 0, :], x[..., 1, :]
    return torch.stack([u * c - v * s, u * s + v * c], dim=-2).reshape(b, k, n, 64)


def attention(x, m, heads, cos, sin, mask):
    """Joint attention over x [b,n,D]; m holds qkv, q_norm, k_norm, out."""
    b, n, d = x.shape
    q, k, v = m.qkv(x).reshape(b, n, 3, heads, 64).permute(2, 0, 3, 1, 4).unbind(0)
    q, k = rms(q, m.q_norm), rms(k, m.k_norm)
    if cos is not None:
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    o = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, attn_mask=mask)
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
    """Token ids [b,t] and their number [b] -> states [b,t,D]; rows past the number are noise.

    A row with no token at all stands for the empty prompt: it becomes the one learnt `null`
    vector at position 0 (the position embedding is added to it too), with length 1.
    """

    def __init__(self, cfg):
        super().__init__()
        d = cfg.width
        self.tok = nn.Parameter(torch.randn(cfg.vocab, d) * 0.5)
        self.pos = nn.Parameter(torch.randn(cfg.max_tokens, d) * 0.1)
        self.null = nn.Parameter(torch.randn(d) * 0.5)
        self.blocks = nn.ModuleList(
            TextBlock(d, cfg.heads, cfg.mlp) for _ in range(cfg.text_blocks)
        )
        self.norm = nn.Parameter(torch.ones(d))

    def forward(self, ids, n):
        t = ids.shape[1]
        x = F.embedding(ids, self.tok)
        x = torch.where((n == 0)[:, None, None], self.null, x) + self.pos[:t]
        mask = valid(n, t)[:, None, None, :]
        for b in self.blocks:
            x = b(x, mask)
        return rms(x, self.norm)


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


class FlowTransformer(nn.Module):
    """Velocity of a latent [b,C,h,w] at time s [b], given text states [b,t,D] and numbers [b]."""

    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        d = cfg.width
        c = cfg.latent_channels * PATCH * PATCH
        self.x_in = nn.Linear(c, d)
        self.place = nn.Linear(4 * cfg.pos_freqs, d, bias=False)
        self.time1 = nn.Linear(2 * cfg.time_freqs, d)
        self.time2 = nn.Linear(d, d)
        self.pool = nn.Linear(d, d)
        self.ada = nn.Linear(d, 6 * d)
        self.blocks = nn.ModuleList(Block(d, cfg.heads, cfg.mlp) for _ in range(cfg.blocks))
        self.final_ada = nn.Linear(d, 2 * d)  # shift, scale
        self.final = nn.Linear(d, c)
        for m in (self.ada, self.final_ada, self.final):
            nn.init.zeros_(m.weight)
            nn.init.zeros_(m.bias)

    def forward(self, z, s, text, n):
        cfg = self.cfg
        b, _, h, w = z.shape
        t = text.shape[1]
        gh, gw = h // PATCH, w // PATCH
        x = self.x_in(patchify(z)) + self.place(place_features(gh, gw, cfg.pos_freqs, z.device))
        ok = valid(n, t)
        # The mean is over the tokens in use only, so padding never changes the result.
        mean = (text * ok[..., None]).sum(1) / ok.sum(1, keepdim=True)
        c = self.time2(F.silu(self.time1(time_features(s, cfg.time_freqs)))) + self.pool(mean)
        c = F.silu(c)
        mod = self.ada(c).float().unflatten(1, (6, -1))
        x = torch.cat([text, x], 1).float()
        mask = torch.cat([ok, ok.new_ones(b, gh * gw)], 1)[:, None, None, :]
        cos, sin = rope_tables(gh, gw, cfg.rope_base, t, z.device)
        for m in self.blocks:
            x = m(x, mod, cos, sin, mask)
        shift, scale = self.final_ada(c).float()[:, None, :].chunk(2, dim=-1)
        x = self.final(rms(x[:, t:]) * (1 + scale) + shift)
        return unpatchify(x.float(), h, w)


class Painter(nn.Module):
    """Text encoder and transformer together, as they are trained."""

    def __init__(self, cfg):
        super().__init__()
        self.text = TextEncoder(cfg)
        self.dit = FlowTransformer(cfg)

    def forward(self, z, s, ids, n):
        return self.dit(z, s, self.text(ids, n), n)


@torch.no_grad()
def sample(painter, ids, n, noise, steps=20, guidance=3.0):
    """Euler steps from noise at s=1 to a picture latent at s=0.

    ids [b,t], n [b], noise [b,C,h,w]; times are evenly spaced, s_k = 1 - k/steps.  The two
    predictions (with the prompt, and with none) are mixed as empty + guidance*(full - empty).
    """
    b = noise.shape[0]
    full = painter.text(ids, n)
    zero = torch.zeros_like(n)
    empty = painter.text(ids[:, :1], zero)
    z = noise
    for k in range(steps):
        s = torch.full((b,), 1 - k / steps, device=z.device)
        v = painter.dit(z, s, full, n)
        if guidance != 1:
            v0 = painter.dit(z, s, empty, zero)
            v = v0 + guidance * (v - v0)
        z = z - v / steps
    return z
