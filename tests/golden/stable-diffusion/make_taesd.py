"""Writes what the published tiny autoencoder makes of random latents, from the real weights in a GGUF file.

    pip install torch==2.15.0 gguf==0.19.0 safetensors==0.8.0 numpy==2.4.6
    python make_taesd.py taesd-decoder.gguf

The net is written down here after its description (madebyollin/taesd: a clamp, blocks of three convolutions beside a short cut,
doublings behind which a convolution has no bias). Seed 12. The picture is as the author has it, 0 to 1.

"""

import sys
from pathlib import Path

import gguf
import numpy
import torch
from safetensors.torch import save_file

BLOCKS = {3, 4, 5, 8, 9, 10, 13, 14, 15, 18}
weights = {}
for tensor in gguf.GGUFReader(sys.argv[1]).tensors:
    shape = [int(side) for side in reversed(tensor.shape)]
    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32).reshape(shape)
    weights[tensor.name.removeprefix("first_stage_model.decoder.")] = torch.from_numpy(values.copy())


def conv(name, x):
    return torch.nn.functional.conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), padding=1)


latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(12))
x = torch.relu(conv("1", torch.tanh(latents / 3) * 3))
for layer in range(3, 20):
    if layer in BLOCKS:
        h = torch.relu(conv(f"{layer}.conv.0", x))
        h = torch.relu(conv(f"{layer}.conv.2", h))
        x = torch.relu(conv(f"{layer}.conv.4", h) + x)
    elif f"{layer}.weight" in weights:
        if f"{layer}.bias" not in weights:
            x = torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest")
        x = conv(str(layer), x)
save_file({"in.latents": latents, "out.picture": x.contiguous()}, Path(__file__).parent / "taesd.safetensors",
          {"script": "make_taesd.py", "seed": "12", "torch": torch.__version__})
print(x.shape, float(x.mean()), float(x.std()))
