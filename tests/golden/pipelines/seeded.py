"""Weights that are made from their names, as the tests make them: models without files."""

import math

import numpy
import torch


def seeded(name, shape):
    """Gives the numbers of a weight: FNV-1a of the name starts a SplitMix64 that counts places."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    count = math.prod(shape)
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ (z >> numpy.uint64(31))
    even = (z >> numpy.uint64(40)).astype(numpy.float64) / 2.0**23 - 1.0
    if len(shape) == 1:
        values = even * 0.2 + (1.0 if name.endswith(("weight", "running_var")) else 0.0)
    else:
        values = even * math.sqrt(3.0 / math.prod(shape[1:]))
    # By way of f32, so that every machine rounds alike.
    return torch.from_numpy(values.astype(numpy.float32).astype(numpy.float16).astype(numpy.float32).reshape(shape))


def filled(model, part, prefix=""):
    """Gives every weight of a part its numbers; files have `prefix` before some names."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            stored = name if name.startswith(("text_model.", "text_projection.")) else prefix + name
            parameter.copy_(seeded(f"{part}/{stored}", tuple(parameter.shape)))
    return model.eval()
