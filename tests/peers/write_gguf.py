"""Writes a GGUF file of the shape of Qwen2-0.5B with random weights, for llama.py.

    python write_gguf.py qwen2-0.5b-q8_0.gguf --quant q8_0
    python write_gguf.py qwen2-0.5b-q4_k_m.gguf --quant q4_k_m

The weights are written as f16 and quantized by llama.cpp itself, so each tensor has the type that llama.cpp gives it:
rows of 896 numbers cannot hold the blocks of 256 that K-quants need, and Q4_K_M falls back to other types for them.
The file has no vocabulary (`tokenizer.ggml.model` is `no_vocab`): it can be timed, not talked to. Needs 1 GB beside
the file for as long as it runs.
"""

import argparse
import ctypes
import pathlib
import sys

import gguf
import numpy

import measure

# Qwen/Qwen2-0.5B, config.json
LAYERS, WIDTH, INNER, HEADS, KEY_HEADS, VOCABULARY = 24, 896, 4864, 14, 2, 151_936
HEAD_WIDTH = WIDTH // HEADS
CONTEXT = 32_768
PARAMETERS = 494_032_768

# llama.h, enum llama_ftype
QUANTS = {"f16": 1, "q4_0": 2, "q8_0": 7, "q4_k_m": 15, "q6_k": 18}


def tensors():
    """Lists names and shapes as [rows, columns]; a vector is a bias or the weight of a norm."""
    yield "token_embd.weight", (VOCABULARY, WIDTH)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", (WIDTH,)
        for name, rows in (("q", WIDTH), ("k", KEY_HEADS * HEAD_WIDTH), ("v", KEY_HEADS * HEAD_WIDTH)):
            yield f"{block}attn_{name}.weight", (rows, WIDTH)
            yield f"{block}attn_{name}.bias", (rows,)
        yield block + "attn_output.weight", (WIDTH, WIDTH)
        yield block + "ffn_norm.weight", (WIDTH,)
        yield block + "ffn_gate.weight", (INNER, WIDTH)
        yield block + "ffn_up.weight", (INNER, WIDTH)
        yield block + "ffn_down.weight", (WIDTH, INNER)
    # No `output.weight`: the embedding serves twice.
    yield "output_norm.weight", (WIDTH,)


def draw(rng, name, shape):
    """Draws a tensor whose products keep the size of their input."""
    if name.endswith("norm.weight"):
        return numpy.ones(shape, dtype=numpy.float32)
    if len(shape) == 1:
        return numpy.zeros(shape, dtype=numpy.float32)
    scale = numpy.float32(1.0 / numpy.sqrt(shape[1]))
    return (rng.standard_normal(shape, dtype=numpy.float32) * scale).astype(numpy.float16)


def write_f16(path):
    """Writes the file with f16 matrices."""
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name("Random weights of the shape of Qwen2-0.5B")
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("no_vocab")
    writer.add_file_type(QUANTS["f16"])
    rng = numpy.random.default_rng(measure.SEED)
    total = 0
    for name, shape in tensors():
        writer.add_tensor(name, draw(rng, name, shape))
        total += int(numpy.prod(shape))
    if total != PARAMETERS:
        sys.exit(f"{total} parameters, not {PARAMETERS}")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(source, target, quant, threads):
    """Quantizes with llama.cpp."""
    import llama_cpp

    options = llama_cpp.llama_model_quantize_default_params()
    options.nthread = threads
    options.ftype = QUANTS[quant]
    code = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(options))
    if code != 0:
        sys.exit(f"llama.cpp could not quantize {source} (code {code})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--quant", choices=sorted(QUANTS), default="q8_0")
    parser.add_argument("--threads", type=measure.count, default=2)
    options = parser.parse_args()
    options.file.parent.mkdir(parents=True, exist_ok=True)
    if options.quant == "f16":
        return write_f16(options.file)
    wide, part = options.file.with_suffix(".f16.part"), options.file.with_suffix(".part")
    try:
        write_f16(wide)
        quantize(wide, part, options.quant, options.threads)
        part.replace(options.file)
    finally:
        wide.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    kinds = {}
    for tensor in gguf.GGUFReader(options.file).tensors:
        kinds.setdefault(tensor.tensor_type.name, []).append(tensor.name)
    for kind, names in sorted(kinds.items()):
        print(f"{kind}: {len(names)} tensors, the first {names[0]}")


if __name__ == "__main__":
    main()
