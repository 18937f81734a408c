"""Compiles a model with OpenVINO on the processor and tells what it will execute."""

import collections

import openvino


def compile_model(model, precision, threads, count_time=False):
    """Compiles for one request at a time; `model` is a model or the path of one."""
    core = openvino.Core()
    config = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "PERF_COUNT": count_time,
    }
    return core.compile_model(model, "CPU", config)


def executes(compiled):
    """Counts the kernels of the compiled graph that do the arithmetic, most frequent first."""
    kinds = collections.Counter()
    for node in compiled.get_runtime_model().get_ordered_ops():
        layer, kernel = info(node, "layerType"), info(node, "primitiveType")
        # `unknown`: constants, inputs, what is folded away.
        if not kernel.startswith("unknown"):
            kinds[f"{layer} {kernel}"] += 1
    return dict(kinds.most_common())


def info(node, key):
    """Reads one entry of what the plugin says of a node."""
    entries = node.get_rt_info()
    if key not in entries:
        return "unknown"
    value = entries[key]
    return str(getattr(value, "value", value))


def version():
    """Returns OpenVINO's version."""
    return openvino.get_version()
