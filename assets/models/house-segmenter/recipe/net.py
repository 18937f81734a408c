"""The network: a small U-Net of plain 3x3 convolutions, without any normalisation.

Parameter names are a file format: the program that runs the model reads them.  `describe` writes
the same as a list of layers into config.json.
"""

import torch
import torch.nn.functional as F
from torch import nn

CHANNELS = (16, 32, 48, 64, 80, 80)  # of each level; each has half of the side of the one before
SIDE = 256  # what the network is trained on


class Pair(nn.Module):
    """relu(conv2(relu(conv1(x)))), both 3x3 with a border of zeros."""

    def __init__(self, i, o):
        """Builds both convolutions with starting values for ReLU."""
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, padding=1)
        self.conv2 = nn.Conv2d(o, o, 3, padding=1)
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)

    def forward(self, x):
        """Runs both."""
        return F.relu(self.conv2(F.relu(self.conv1(x))))


class Segmenter(nn.Module):
    """Picture [b,3,h,w] in 0..1 -> logit [b,1,h,w] of each pixel's belonging to a subject.

    Both sides are multiples of 32.  Going down, a 2x2 average halves the side before every level
    but the first; going up, the nearest enlargement by two is joined with the level's own
    result, the enlargement's channels first.
    """

    def __init__(self, channels=CHANNELS):
        """Builds `down.0` (finest) to `down.5`, `up.0` (coarsest) to `up.4` and `out`."""
        super().__init__()
        self.down, self.up, c = nn.ModuleList(), nn.ModuleList(), 3
        for k in channels:
            self.down.append(Pair(c, k))
            c = k
        for k in reversed(channels[:-1]):
            self.up.append(Pair(c + k, k))
            c = k
        self.out = nn.Conv2d(c, 1, 3, padding=1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)

    def forward(self, x):
        """Runs the network."""
        kept = []
        for i, level in enumerate(self.down):
            x = level(F.avg_pool2d(x, 2) if i else x)
            kept.append(x)
        kept.pop()
        for level in self.up:
            x = level(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), kept.pop()], 1))
        return self.out(x)


def describe(channels=CHANNELS):
    """Lists the layers in the order in which they run, for config.json."""
    out, c = [], 3

    def pair(name, o):
        """Adds the two convolutions of a level."""
        nonlocal c
        for conv in ("conv1", "conv2"):
            out.append({"op": "conv3x3", "name": f"{name}.{conv}", "in": c, "out": o, "padding": 1, "then": "relu"})
            c = o

    for i, k in enumerate(channels):
        if i:
            out.append({"op": "average_pool_2x2"})
        pair(f"down.{i}", k)
        if i < len(channels) - 1:
            out.append({"op": "keep", "as": i, "channels": k})
    for j, k in enumerate(reversed(channels[:-1])):
        out.append({"op": "nearest_x2"})
        out.append({"op": "concatenate", "with": len(channels) - 2 - j, "order": "current channels first, then the kept ones", "channels": c + k})
        c += k
        pair(f"up.{j}", k)
    out.append({"op": "conv3x3", "name": "out", "in": c, "out": 1, "padding": 1, "then": "none"})
    return out
