"""Writes small torch files in every container and protocol, and expected.json: what is in them, byte for byte.

    pip install -r requirements.txt; python make.py

Seed 5. Each file is a few kB; expected.json names the dtype, the shape and the bytes (hexadecimal, row-major, little-endian)
of each tensor as PyTorch itself loads it.
"""

import argparse
import collections
import json
import warnings
from pathlib import Path

import torch

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
torch.manual_seed(5)


def bytes_of(tensor):
    tensor = tensor.detach().contiguous()
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes().hex() if tensor.numel() else ""


def flatten(value, prefix=""):
    if isinstance(value, torch.Tensor):
        yield prefix, {"dtype": str(value.dtype), "shape": list(value.shape), "bytes": bytes_of(value)}
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from flatten(inner, f"{prefix}.{index}" if prefix else str(index))


base = torch.randn(4, 6)
shared = torch.arange(40, dtype=torch.float32)
tensors = {
    "plain": base,
    "transposed": base.t(),
    "column": base[:, 2],
    "every_second": base[1::2, ::2],
    "permuted": torch.randn(2, 3, 4).permute(2, 0, 1),
    "channels_last": torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last),
    "shared_first": shared[:10],
    "shared_last": shared[30:].view(2, 5),
    "shared_windows": shared.as_strided((3, 4), (2, 1), 5),
    "expanded": torch.randn(3, 1).expand(3, 4),
    "empty": torch.zeros(0, 3),
    "scalar": torch.tensor(2.5),
    "parameter": torch.nn.Parameter(torch.randn(2, 2)),
    "nested": {"a": {"b": torch.randn(2)}, "list": [torch.randn(1), (torch.randn(1), torch.randn(2))]},
    "说明": torch.randn(1),
    "step": 7,
    "note": "plain text",
    "rate": 0.5,
    "flag": True,
    "big": 2**70,
    "size": torch.Size([1, 2]),
}
for dtype in ["float64", "float16", "bfloat16", "int8", "uint8", "int16", "int32", "int64", "bool", "complex64"]:
    tensors[dtype] = (torch.randn(3, 5) * 50).to(getattr(torch, dtype)).t()
typed = {dtype: (torch.randn(3, 4) * 4).to(getattr(torch, dtype)) for dtype in ["float8_e4m3fn", "float8_e5m2"]}
typed["uint16"] = torch.tensor([[1, 2], [65535, 4]], dtype=torch.uint16).t()

module = torch.nn.Sequential(collections.OrderedDict(conv=torch.nn.Conv2d(1, 2, 3), norm=torch.nn.BatchNorm2d(2)))
trained = {
    "epoch": 3,
    "global_step": 1234,
    "state_dict": module.state_dict(),
    "optimizer_states": [{"state": {0: {"exp_avg": torch.randn(2)}}}],
    "hyper_parameters": argparse.Namespace(rate=0.1),
}
files, expected = {}, {}
for protocol in range(2, 6):
    files[f"zip-{protocol}.pt"] = (tensors, {"pickle_protocol": protocol}, tensors)
    old = {"pickle_protocol": protocol, "_use_new_zipfile_serialization": False}
    files[f"legacy-{protocol}.pt"] = (tensors, old, tensors)
files["typed-zip.pt"] = (typed, {}, typed)
files["typed-legacy.pt"] = (typed, {"_use_new_zipfile_serialization": False}, typed)
files["trained.ckpt"] = (trained, {}, module.state_dict())
files["module.pth"] = (module, {}, module.state_dict())
files["inversion-a1111.pt"] = (
    {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.nn.Parameter(torch.randn(2, 768).half())}, "name": "fox",
     "step": 900, "sd_checkpoint": "81761151", "sd_checkpoint_name": "v1-5-pruned"}, {}, None)
for name, (value, settings, wanted) in files.items():
    torch.save(value, HERE / name, **settings)
    wanted = torch.load(HERE / name, weights_only=False) if wanted is None else wanted
    expected[name] = dict(flatten(wanted))
(HERE / "expected.json").write_text(json.dumps(expected, indent=0, ensure_ascii=False) + "\n")
print(torch.__version__, {name: (HERE / name).stat().st_size for name in files})
