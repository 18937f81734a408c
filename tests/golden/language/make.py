"""Makes the golden files of the language models: tiny random checkpoints of every family, written as
GGUF with llama.cpp's conventions, and what transformers computes from the very same weights.

For each family and form (f16, q8_0):
  <family>-<form>.gguf   the model
and in golden.safetensors:
  <family>-<form>.logits  [8, vocabulary] f32: of the first written tokens
  <family>-<form>.tokens  [64] i64: greedy
  <family>-<form>.gaps    [64] f32: how far the second likeliest token lies below the likeliest
  prompt                  [44] i64

The weights of the reference are rounded to the form first. Usage: python make.py (about a minute).
"""

import json
import math
import platform
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM
from transformers import (Gemma3TextConfig, LlamaConfig, MistralConfig, Phi3Config, Qwen2Config, Qwen3Config,
                          SmolLM3Config)

HERE = Path(__file__).parent
SEEDS = 2  # of these, the one whose closest choice is the clearest
SPECIAL = ["<|a|>", "<|b|>", "<|c|>"]  # none that ends a text
WIDTH, INNER, HEADS, KV, HEAD, CONTEXT = 32, 64, 4, 2, 16, 256
STEPS, KEPT = 64, 8
PROMPT = [ord(c) for c in "The tide came in twice a day, said Mo to Una"]  # no “th”, which is one token


def letters():
    """GPT-2's letters for the 256 bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = iter(range(0x100, 0x200))
    return [chr(b) if b in plain else chr(next(rest)) for b in range(256)]


VOCAB = letters() + ["th"] + SPECIAL  # one pair, so that the list of pairs is not empty
COMMON = dict(vocab_size=len(VOCAB), hidden_size=WIDTH, intermediate_size=INNER, num_attention_heads=HEADS,
              num_key_value_heads=KV, max_position_embeddings=CONTEXT, bos_token_id=None, eos_token_id=None,
              pad_token_id=None, attn_implementation="eager")
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
LONG = dict(rope_type="longrope", rope_theta=10000.0, short_factor=[1.0 + 0.05 * i for i in range(HEAD // 4)],
            long_factor=[1.0 + 0.7 * i for i in range(HEAD // 4)], original_max_position_embeddings=32, factor=CONTEXT / 32)


def families():
    plain = dict(rope_type="default", rope_theta=10000.0)
    yield "llama", "llama", LlamaConfig(**COMMON, num_hidden_layers=3, head_dim=HEAD, rope_parameters=LLAMA3)
    yield "mistral", "llama", MistralConfig(**COMMON, num_hidden_layers=3, head_dim=HEAD, sliding_window=16,
                                            rope_parameters=plain)
    # Qwen2 and Phi-3 have no head size of their own: the width is shared out.
    yield "qwen2", "qwen2", Qwen2Config(**(COMMON | dict(hidden_size=64)), num_hidden_layers=2,
                                        rope_parameters=plain | dict(rope_theta=1e6))
    yield "qwen3", "qwen3", Qwen3Config(**COMMON, num_hidden_layers=3, head_dim=HEAD, tie_word_embeddings=True,
                                        rope_parameters=plain | dict(rope_theta=1e6))
    yield "gemma3", "gemma3", Gemma3TextConfig(
        **COMMON, num_hidden_layers=6, head_dim=HEAD, query_pre_attn_scalar=HEAD, sliding_window=16,
        rope_parameters={"sliding_attention": plain,
                         "full_attention": dict(rope_type="linear", rope_theta=1e6, factor=8.0)})
    yield "phi3", "phi3", Phi3Config(**(COMMON | dict(hidden_size=64)), num_hidden_layers=2, sliding_window=24,
                                     original_max_position_embeddings=CONTEXT, rope_parameters=plain)
    yield "phi3-long", "phi3", Phi3Config(**(COMMON | dict(hidden_size=64)), num_hidden_layers=2,
                                          original_max_position_embeddings=32,
                                          rope_parameters=LONG | dict(partial_rotary_factor=0.5))
    yield "smollm3", "smollm3", SmolLM3Config(**COMMON, num_hidden_layers=4, head_dim=HEAD, tie_word_embeddings=True,
                                              rope_parameters=plain | dict(rope_theta=5e6))


def build(config, seed):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2:
                # Where the last matrix is the first one again, a token must not simply repeat itself.
                tied = 0.1 if config.model_type.startswith("gemma") else 0.25
                embedding = tied if config.tie_word_embeddings else 1.0
                p.normal_(0, embedding if "embed" in name else 1.6 / math.sqrt(p.shape[1]))
            elif name.endswith("bias"):
                p.normal_(0, 0.3)
            else:  # norms; gemma adds 1 itself
                size = 4.0 if name == "model.norm.weight" and config.tie_word_embeddings else 1.0
                p.normal_(size - config.model_type.startswith("gemma"), 0.15)
    return model


def rounded(model, form):
    """Rounds every matrix to the form in which the file will hold it."""
    kind = {"f16": gguf.GGMLQuantizationType.F16, "q8_0": gguf.GGMLQuantizationType.Q8_0}[form]
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() == 2:
                stored = gguf.quants.quantize(p.numpy(), kind)
                p.copy_(torch.from_numpy(np.array(gguf.quants.dequantize(stored, kind))))
    return model, kind


@torch.no_grad()
def greedy(model):
    ids, logits, gaps = list(PROMPT), [], []
    for _ in range(STEPS):
        row = model(torch.tensor([ids]), use_cache=False).logits[0, -1].float()
        best = row.topk(2).values
        logits.append(row.numpy())
        gaps.append(float(best[0] - best[1]))
        ids.append(int(row.argmax()))
    return np.stack(logits[:KEPT]), np.array(ids[len(PROMPT):]), np.array(gaps, dtype=np.float32)


def interleaved(w, heads):
    """Rows of a head as llama.cpp wants them for these families: halves become neighbours."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def named(state, family, config):
    """Yields (name in GGUF, array)."""
    gemma = family == "gemma3"
    norm = lambda a: a + 1 if gemma else a
    yield "token_embd.weight", state["model.embed_tokens.weight"]
    yield "output_norm.weight", norm(state["model.norm.weight"])
    if not config.tie_word_embeddings:
        yield "output.weight", state["lm_head.weight"]
    norms = {"input_layernorm": "attn_norm", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
    norms |= ({"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
               "post_feedforward_layernorm": "post_ffw_norm"} if gemma else {"post_attention_layernorm": "ffn_norm"})
    matrices = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
                "self_attn.o_proj": "attn_output", "self_attn.qkv_proj": "attn_qkv", "mlp.gate_proj": "ffn_gate",
                "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate_up_proj": "ffn_up"}
    turned = {"self_attn.q_proj": HEADS, "self_attn.k_proj": KV} if family in ("llama", "smollm3") else {}
    for layer in range(config.num_hidden_layers):
        for part, there in (norms | matrices).items():
            for end in ("weight", "bias"):
                key = f"model.layers.{layer}.{part}.{end}"
                if key not in state:
                    continue
                w = state[key]
                if part in turned:
                    w = interleaved(w, turned[part])
                yield f"blk.{layer}.{there}.{end}", norm(w) if part in norms else w


def write(path, name, family, config, model, kind):
    w = gguf.GGUFWriter(path, family)
    w.add_name(f"tiny {name}")
    w.add_license("MIT OR Apache-2.0")
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    w.add_block_count(config.num_hidden_layers)
    w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV)
    w.add_layer_norm_rms_eps(config.rms_norm_eps)
    if getattr(config, "head_dim", None):
        w.add_key_length(config.head_dim)
        w.add_value_length(config.head_dim)
    rope = config.rope_parameters
    rope = rope.get("full_attention", rope)
    w.add_rope_freq_base(rope["rope_theta"])
    head = getattr(config, "head_dim", None) or config.hidden_size // HEADS
    turned = int(head * rope.get("partial_rotary_factor", 1.0))
    w.add_rope_dimension_count(turned)
    window = getattr(config, "sliding_window", None)
    if window and name in ("mistral", "gemma3", "phi3"):
        w.add_sliding_window(window)
    if rope["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "longrope":
        original = config.original_max_position_embeddings
        stretch = config.max_position_embeddings / original
        w.add_rope_scaling_orig_ctx_len(original)
        w.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(stretch) / math.log(original)))
        for there in ("long", "short"):
            w.add_tensor(f"rope_factors_{there}.weight", np.array(rope[f"{there}_factor"], dtype=np.float32))
    if rope["rope_type"] == "llama3":
        # As llama.cpp's converter makes them: what a frequency is divided by.
        factors = []
        for i in range(turned // 2):
            wave = 2 * math.pi * rope["rope_theta"] ** (2 * i / turned)
            original, low, high = (rope[k] for k in ("original_max_position_embeddings", "low_freq_factor",
                                                     "high_freq_factor"))
            if wave < original / high:
                factors.append(1.0)
            elif wave > original / low:
                factors.append(rope["factor"])
            else:
                smooth = (original / wave - low) / (high - low)
                factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
        w.add_tensor("rope_freqs.weight", np.array(factors, dtype=np.float32))
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(VOCAB)
    w.add_token_types([1] * (len(VOCAB) - len(SPECIAL)) + [3] * len(SPECIAL))
    w.add_token_merges(["t h"])
    state = {k: v.numpy() for k, v in model.state_dict().items()}
    for there, a in named(state, family, config):
        if a.ndim == 2:
            w.add_tensor(there, gguf.quants.quantize(np.ascontiguousarray(a), kind), raw_dtype=kind)
        else:
            w.add_tensor(there, np.ascontiguousarray(a, dtype=np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    torch.set_num_threads(1)
    golden, seeds = {"prompt": np.array(PROMPT)}, {}
    for name, family, config in families():
        for form in ("f16", "q8_0"):
            best = None
            for seed in range(SEEDS):
                model, kind = rounded(build(config, seed), form)
                made = greedy(model)
                if best is None or made[2].min() > best[0]:
                    best = made[2].min(), seed, made, model, kind
            gap, seed, made, model, kind = best
            key = f"{name}-{form}"
            write(HERE / f"{key}.gguf", name, family, config, model, kind)
            golden |= {f"{key}.{part}": a for part, a in zip(("logits", "tokens", "gaps"), made)}
            seeds[key] = seed
            print(f"{key}: seed {seed}, smallest gap {gap:.4f}, logits ±{np.abs(made[0]).max():.1f}, "
                  f"{len(set(made[1]))} different tokens", flush=True)
    versions = {m.__name__: m.__version__ for m in (torch, transformers, np)} | {"python": platform.python_version()}
    save_file({k: np.ascontiguousarray(v) for k, v in golden.items()}, HERE / "golden.safetensors",
              metadata={"made_by": "tests/golden/language/make.py", "versions": json.dumps(versions),
                        "seeds": json.dumps(seeds)})


main()
