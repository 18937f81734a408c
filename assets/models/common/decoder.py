"""A small language transformer of the llama family, and how it is written as GGUF with 8 bits.

The house writer and the house composer share it.  Rotary positions turn neighbouring numbers
(0 with 1, 2 with 3, ...), which is how GGUF files of this family hold them, so nothing is
reordered at export.  The output shares the token table.
"""

import json
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    """Sizes; every matrix's rows are a multiple of 32 long, as blocks of Q8_0 are."""

    vocab: int
    context: int
    width: int = 256
    blocks: int = 6
    heads: int = 8
    mlp: int = 640
    rope_base: float = 10000.0
    eps: float = 1e-5

    def save(self, path):
        with open(path, "w", encoding="utf-8") as f:
            json.dump(asdict(self), f, indent=1)

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as f:
            return cls(**json.load(f))


def rms(x, weight, eps):
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + eps) * weight).to(x.dtype)


def rope_tables(n, head, base):
    """Cosine and sine [n, head/2]."""
    f = base ** (-torch.arange(0, head, 2, dtype=torch.float32) / head)
    a = torch.arange(n, dtype=torch.float32)[:, None] * f
    return a.cos(), a.sin()


def rotate(x, cos, sin):
    """Turns x [b, heads, n, head] by pairs of neighbours."""
    u, v = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([u * cos - v * sin, u * sin + v * cos], -1).flatten(-2).to(x.dtype)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c.width
        self.c = c
        self.attn_norm = nn.Parameter(torch.ones(d))
        self.q = nn.Linear(d, d, bias=False)
        self.k = nn.Linear(d, d, bias=False)
        self.v = nn.Linear(d, d, bias=False)
        self.out = nn.Linear(d, d, bias=False)
        self.ffn_norm = nn.Parameter(torch.ones(d))
        self.gate = nn.Linear(d, c.mlp, bias=False)
        self.up = nn.Linear(d, c.mlp, bias=False)
        self.down = nn.Linear(c.mlp, d, bias=False)
        for m in (self.q, self.k, self.v, self.gate, self.up):
            nn.init.normal_(m.weight, std=d**-0.5)
        for m in (self.out, self.down):
            nn.init.normal_(m.weight, std=(2 * c.blocks * m.in_features) ** -0.5)

    def forward(self, x, cos, sin, drop):
        c = self.c
        b, n, d = x.shape
        h = rms(x, self.attn_norm, c.eps)
        q, k, v = (m(h).view(b, n, c.heads, -1).transpose(1, 2) for m in (self.q, self.k, self.v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + F.dropout(self.out(a.transpose(1, 2).reshape(b, n, d)), drop, self.training)
        h = rms(x, self.ffn_norm, c.eps)
        h = self.down(F.silu(self.gate(h)) * self.up(h))
        return x + F.dropout(h, drop, self.training)


class Decoder(nn.Module):
    """Token ids [b,n] -> states [b,n,D]; `logits` makes them [b,n,vocab]."""

    def __init__(self, c, drop=0.0):
        super().__init__()
        self.c, self.drop = c, drop
        self.tok = nn.Parameter(torch.randn(c.vocab, c.width) * c.width**-0.5)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.blocks))
        self.norm = nn.Parameter(torch.ones(c.width))
        cos, sin = rope_tables(c.context, c.width // c.heads, c.rope_base)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, ids):
        n = ids.shape[1]
        x = F.embedding(ids, self.tok)
        for m in self.blocks:
            x = m(x, self.cos[:n], self.sin[:n], self.drop)
        return rms(x, self.norm, self.c.eps)

    def logits(self, ids):
        return self(ids) @ self.tok.T


NAMES = [  # of GGUF, of this module
    ("attn_q", "q.weight"), ("attn_k", "k.weight"), ("attn_v", "v.weight"), ("attn_output", "out.weight"),
    ("ffn_gate", "gate.weight"), ("ffn_up", "up.weight"), ("ffn_down", "down.weight"),
    ("attn_norm", "attn_norm"), ("ffn_norm", "ffn_norm"),
]


def named(c):
    """Yields (name in GGUF, name in the module)."""
    yield "token_embd.weight", "tok"
    yield "output_norm.weight", "norm"
    for i in range(c.blocks):
        for there, here in NAMES:
            yield f"blk.{i}.{there}.weight", f"blocks.{i}.{here}"


def write_gguf(path, c, state, name, description, licence, extra):
    """Writes Q8_0 matrices and f32 norms; `extra(writer)` adds the vocabulary."""
    import gguf

    w = gguf.GGUFWriter(path, "llama")
    w.add_name(name)
    w.add_description(description)
    w.add_license(licence)
    w.add_context_length(c.context)
    w.add_embedding_length(c.width)
    w.add_block_count(c.blocks)
    w.add_feed_forward_length(c.mlp)
    w.add_head_count(c.heads)
    w.add_head_count_kv(c.heads)
    w.add_rope_dimension_count(c.width // c.heads)
    w.add_rope_freq_base(c.rope_base)
    w.add_layer_norm_rms_eps(c.eps)
    w.add_vocab_size(c.vocab)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    extra(w)
    for there, here in named(c):
        t = state[here].float().numpy()
        if t.ndim == 2:
            q = gguf.quants.quantize(t, gguf.GGMLQuantizationType.Q8_0)
            w.add_tensor(there, q, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            w.add_tensor(there, t)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def read_gguf(path, c):
    """The shipped file as a Decoder with the weights that it really holds."""
    import gguf

    tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}
    state = {}
    for there, here in named(c):
        t = tensors[there]
        state[here] = torch.from_numpy(np.array(gguf.quants.dequantize(t.data, t.tensor_type)))
    model = Decoder(c)
    model.load_state_dict(state)
    return model.eval()


@torch.no_grad()
def generate(model, ids, n, temperature=0.8, top_k=40, seed=0, stop=(), allowed=None):
    """Writes up to n more tokens; `allowed(ids)` may return the tokens that may come next."""
    g = torch.Generator().manual_seed(seed)
    ids = list(ids)
    for _ in range(n):
        x = model.logits(torch.tensor([ids[-model.c.context :]]))[0, -1].float()
        if allowed is not None:
            keep = torch.full_like(x, -torch.inf)
            may = torch.as_tensor(allowed(ids))
            keep[may] = x[may]
            x = keep
        if temperature <= 0:
            t = int(x.argmax())
        else:
            v, i = (x / temperature).topk(min(top_k, x.numel()))
            t = int(i[torch.multinomial(v.softmax(-1), 1, generator=g)])
        if t in stop:
            break
        ids.append(t)
    return ids
