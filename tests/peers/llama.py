"""Times llama.cpp on a GGUF file, on the processor, through the low-level interface of llama-cpp-python.

    python llama.py qwen2-0.5b-q8_0.gguf

Reads 512 random tokens in one batch into an empty cache (only the last one's scores are asked for), then writes 64
tokens one at a time; which ones does not matter to the time, so they are random too, and no sampler is timed. Prints
two lines of JSON, `prefill` and `decode`.
"""

import ctypes
import pathlib
import statistics
import sys
import time

import measure


def open_model(path, options):
    """Opens a model and a context on the processor."""
    import llama_cpp

    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    wanted = llama_cpp.llama_model_default_params()
    wanted.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), wanted)
    if not model:
        sys.exit(f"llama.cpp could not open {path}")
    wanted = llama_cpp.llama_context_default_params()
    wanted.n_ctx = options.prompt + options.tokens
    wanted.n_batch = wanted.n_ubatch = options.batch
    wanted.n_threads = wanted.n_threads_batch = options.threads
    wanted.no_perf = True
    context = llama_cpp.llama_init_from_model(model, wanted)
    if not context:
        sys.exit("llama.cpp could not make a context")
    # The callback lives as long as the library may call it.
    return model, context, quiet


def decode(context, ids):
    """Reads tokens after those that the cache holds; scores are kept for the last."""
    import llama_cpp

    array = (llama_cpp.llama_token * len(ids))(*ids)
    if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(ids))) != 0:
        sys.exit("llama.cpp could not compute a batch")


def one_run(context, options, prompt, written):
    """Returns the seconds of reading and of writing."""
    import llama_cpp

    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    start = time.perf_counter()
    for at in range(0, len(prompt), options.batch):
        decode(context, prompt[at : at + options.batch])
    llama_cpp.llama_synchronize(context)
    middle = time.perf_counter()
    for token in written:
        decode(context, [token])
        llama_cpp.llama_synchronize(context)
    return middle - start, time.perf_counter() - middle


def main():
    parser = measure.arguments(__doc__.splitlines()[0])
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--prompt", type=measure.count, default=512, help="tokens that are read")
    parser.add_argument("--tokens", type=measure.count, default=64, help="tokens that are written")
    parser.add_argument("--batch", type=measure.count, default=512)
    options = parser.parse_args()
    measure.prepare_process(options.threads)

    import llama_cpp
    import numpy

    model, context, _quiet = open_model(options.file, options)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    rng = numpy.random.default_rng(measure.SEED)
    ids = rng.integers(0, vocabulary, options.prompt + options.tokens).tolist()
    prompt, written = ids[: options.prompt], ids[options.prompt :]
    runs = [one_run(context, options, prompt, written) for _ in range(options.runs + 1)][1:]
    scores = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), shape=(vocabulary,))
    if not numpy.isfinite(scores).all() or scores.min() == scores.max():
        sys.exit("the scores are not finite, or all the same")
    fields = dict(engine="llama.cpp", version=llama_cpp.__version__, file=options.file.name, threads=options.threads)
    fields |= dict(batch=options.batch, executes=llama_cpp.llama_print_system_info().decode().strip(" |"))
    for work, tokens, seconds in zip(("prefill", "decode"), (options.prompt, options.tokens), zip(*runs)):
        each = dict(work=work, tokens=tokens, tokens_per_second=round(tokens / statistics.median(seconds), 2))
        measure.report(each | fields | {"peak_bytes": measure.peak_bytes()}, seconds)


if __name__ == "__main__":
    main()
