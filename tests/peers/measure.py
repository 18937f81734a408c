"""What the scripts of this folder share: options, the clock, memory, the line of JSON.

Nothing here imports an engine. Some variables are read by an engine when it is loaded, so `prepare_process` comes
before the import of torch or openvino.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import time

SEED = 20261126
ROOT = pathlib.Path(__file__).resolve().parents[2]
# `target` is ignored by git.
CACHE = ROOT / "target" / "peers"

# What holds the engines to AVX2 without VNNI.
# oneDNN, in torch and in OpenVINO, obeys ONEDNN_MAX_CPU_ISA. OpenVINO's own kernels obey OV_CPU_MAX_ISA, in release
# builds since 2026.4; both must be set to the same value (openvino pull request 36980). ATEN_CPU_CAPABILITY is for
# torch's own kernels, MKL_ENABLE_INSTRUCTIONS for the matrix products of MKL.
ISA_VARIABLES = {
    "native": {},
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OV_CPU_MAX_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}


def arguments(description):
    """Returns a parser with the options that all scripts have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=count, default=5, help="timed runs after one that is not timed")
    parser.add_argument("--threads", type=count, default=2)
    return parser


def add_engine(parser):
    """Adds the choice of engine, precision and instruction set."""
    parser.add_argument("--engine", choices=["torch", "openvino"], required=True)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--isa", choices=sorted(ISA_VARIABLES), default="native", help="what the engine may use")


def count(text):
    """Reads a whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def prepare_process(threads, isa="native"):
    """Sets what engines read when they are loaded."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["MKL_NUM_THREADS"] = str(threads)
    # No engine may look for anything on the network: all weights are random.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ.update(ISA_VARIABLES[isa])


def timed(call, runs):
    """Calls once without a clock, then `runs` times with it; returns the first result and the seconds."""
    first = call()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return first, seconds


def peak_bytes():
    """Returns the most memory that the process has held at once, or None where the system does not say."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def processor():
    """Returns the processor's name, its family and model, and the number of cores."""
    found = {}
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    name = found.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in found:
        name += f" (family {found['cpu family']}, model {found['model']})"
    return f"{name}, {os.cpu_count()} cores"


def report(fields, seconds):
    """Prints one line of JSON: the fields, the median of the seconds, all of them, and the machine's load."""
    line = dict(fields)
    line["seconds"] = statistics.median(seconds)
    line["all_seconds"] = [round(value, 6) for value in seconds]
    line["load_average"] = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    print(json.dumps(line), flush=True)
