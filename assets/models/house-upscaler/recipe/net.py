"""The network: SRVGGNetCompact as published with Real-ESRGAN, 48 features, 8 inner convolutions, four times.

X. Wang et al., Real-ESRGAN, ICCVW 2021 (arXiv 2107.10833) and its repository, where the compact
network and the names of its tensors (`body.0.weight` and so on) come from.  Parameter names are
a file format: the program that runs the model reads them.
"""

import torch.nn.functional as F
from torch import nn

FEATURES, CONVS, SCALE = 48, 8, 4


class SRVGGNetCompact(nn.Module):
    """Enlarges a picture [b,3,h,w] in 0..1 to [b,3,4h,4w], not clamped.

    `body` is conv, PReLU, then CONVS times conv, PReLU, then a conv to 3*16 channels; what they
    make is shuffled to pixels and added to the nearest enlargement of the input.
    """

    def __init__(self, features=FEATURES, convs=CONVS, scale=SCALE):
        """Builds the layers with PyTorch's starting values, the last one near zero."""
        super().__init__()
        self.scale = scale
        layers = [nn.Conv2d(3, features, 3, padding=1), nn.PReLU(features)]
        for _ in range(convs):
            layers += [nn.Conv2d(features, features, 3, padding=1), nn.PReLU(features)]
        last = nn.Conv2d(features, 3 * scale * scale, 3, padding=1)
        # Starting near nothing, training begins at the nearest enlargement.
        last.weight.data *= 0.1
        nn.init.zeros_(last.bias)
        self.body = nn.ModuleList(layers + [last])

    def forward(self, x):
        """Runs the network."""
        y = x
        for layer in self.body:
            y = layer(y)
        return F.pixel_shuffle(y, self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")
