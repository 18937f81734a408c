"""Writes tiny upscalers and what PyTorch makes of random pictures with them and with a real one.

    pip install torch==2.15.0 safetensors==0.8.0 numpy==2.4.6
    python make.py realesr-animevideov3.pth

The nets are written down here after BasicSR 1.4.2 (`archs/srvgg_arch.py`, `archs/rrdbnet_arch.py`), whose package does not install
with a torch of today. Weights, pictures: seed 41. Weights of the tiny nets are rounded to f16 first, in which they are kept.

"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
SEED = 41


class SRVGGNetCompact(nn.Module):
    def __init__(self, features, convolutions, scale):
        super().__init__()
        self.scale = scale
        self.body = nn.ModuleList([nn.Conv2d(3, features, 3, 1, 1), nn.PReLU(features)])
        for _ in range(convolutions):
            self.body += [nn.Conv2d(features, features, 3, 1, 1), nn.PReLU(features)]
        self.body.append(nn.Conv2d(features, 3 * scale * scale, 3, 1, 1))

    def forward(self, x):
        out = x
        for layer in self.body:
            out = layer(out)
        return F.pixel_shuffle(out, self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")


def leaky(x):
    return F.leaky_relu(x, 0.2)


class Dense(nn.Module):
    def __init__(self, features, growth):
        super().__init__()
        for n in range(5):
            setattr(self, f"conv{n + 1}", nn.Conv2d(features + n * growth, growth if n < 4 else features, 3, 1, 1))

    def forward(self, x):
        seen = [x]
        for n in range(4):
            seen.append(leaky(getattr(self, f"conv{n + 1}")(torch.cat(seen, 1))))
        return self.conv5(torch.cat(seen, 1)) * 0.2 + x


class RRDB(nn.Module):
    def __init__(self, features, growth):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (Dense(features, growth) for _ in range(3))

    def forward(self, x):
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    def __init__(self, scale, features, growth, blocks):
        super().__init__()
        self.fold = {4: 1, 2: 2, 1: 4}[scale]
        self.conv_first = nn.Conv2d(3 * self.fold**2, features, 3, 1, 1)
        self.body = nn.Sequential(*[RRDB(features, growth) for _ in range(blocks)])
        self.conv_body = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_up1 = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_up2 = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_hr = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_last = nn.Conv2d(features, 3, 3, 1, 1)

    def forward(self, x):
        first = self.conv_first(F.pixel_unshuffle(x, self.fold) if self.fold > 1 else x)
        x = first + self.conv_body(self.body(first))
        x = leaky(self.conv_up1(F.interpolate(x, scale_factor=2, mode="nearest")))
        x = leaky(self.conv_up2(F.interpolate(x, scale_factor=2, mode="nearest")))
        return self.conv_last(leaky(self.conv_hr(x)))


def old_name(name, blocks):
    """Gives a tensor the name that ESRGAN's first training code had for it."""
    kind = name.rsplit(".", 1)[1]
    tail = {"conv_first": "0", "conv_body": f"1.sub.{blocks}", "conv_up1": "3", "conv_up2": "6", "conv_hr": "8", "conv_last": "10"}
    layer = name.split(".")[0]
    if layer in tail:
        return f"model.{tail[layer]}.{kind}"
    _, block, dense, conv, _ = name.split(".")
    return f"model.1.sub.{block}.{dense.upper()}.{conv}.0.{kind}"


torch.manual_seed(SEED)
notes = {"script": "make.py", "seed": str(SEED), "torch": torch.__version__}
golden = {}


@torch.no_grad()
def run(name, net, height, width):
    picture = torch.rand(1, 3, height, width)
    golden[f"{name}.in"], golden[f"{name}.out"] = picture, net(picture).contiguous()
    print(name, tuple(golden[f"{name}.out"].shape), float(golden[f"{name}.out"].std()))


nets = {
    "compact-x4": SRVGGNetCompact(8, 3, 4),
    "compact-x2": SRVGGNetCompact(6, 1, 2),
    "rrdb-x4": RRDBNet(4, 8, 4, 2),
    "rrdb-x2": RRDBNet(2, 8, 4, 1),
    "rrdb-x1": RRDBNet(1, 6, 2, 1),
    "rrdb-old": RRDBNet(4, 6, 4, 1),
}
for name, net in nets.items():
    for layer in net.modules():
        if isinstance(layer, nn.PReLU):
            nn.init.uniform_(layer.weight, -0.5, 1.0)
    net.half().float()
    weights = {key: value.half() for key, value in net.state_dict().items()}
    if name == "rrdb-old":
        weights = {old_name(key, 1): value for key, value in weights.items()}
    if name == "compact-x2":
        torch.save({"params_ema": weights}, HERE / f"{name}.pth")
    else:
        save_file(weights, HERE / f"{name}.safetensors", notes)
    run(name, net, 12, 8)
real = SRVGGNetCompact(64, 16, 4)
real.load_state_dict(torch.load(sys.argv[1], map_location="cpu", weights_only=True)["params"])
run("animevideov3", real, 16, 20)
save_file(golden, HERE / "golden.safetensors", notes)
