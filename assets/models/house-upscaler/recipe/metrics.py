"""Measures how near one picture is to another: PSNR, SSIM, LPIPS."""

import torch
import torch.nn.functional as F


def psnr(a, b):
    """Computes the peak signal-to-noise ratio in dB of pictures [b,3,h,w] in 0..1, one for each."""
    return -10 * (a - b).square().mean((1, 2, 3)).clamp(min=1e-10).log10()


def ssim(a, b):
    """Computes SSIM of the brightness of pictures [b,3,h,w] in 0..1: a Gaussian window of 11, sigma 1.5.

    After Z. Wang et al., Image quality assessment: from error visibility to structural similarity,
    IEEE Transactions on Image Processing 2004; only places where the window fits are counted.
    """
    grey = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    a, b = ((p * grey).sum(1, keepdim=True) for p in (a, b))
    t = torch.arange(11.0) - 5
    g = torch.exp(-t * t / (2 * 1.5**2))
    g = g / g.sum()
    k = (g[:, None] * g)[None, None]
    blur = lambda p: F.conv2d(p, k)
    ma, mb = blur(a), blur(b)
    va, vb, both = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    s = (2 * ma * mb + c1) * (2 * both + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
    return s.mean((1, 2, 3))


class Lpips:
    """LPIPS with SqueezeNet 1.1 (R. Zhang et al., CVPR 2018), from a file of its published weights.

    The file is not part of the project; scores without it lack this column.
    """

    FIRES = [("slice2", 3), ("slice2", 4), ("slice3", 6), ("slice3", 7), ("slice4", 9), ("slice5", 10), ("slice6", 11), ("slice7", 12)]

    def __init__(self, path):
        """Reads the weights."""
        s = torch.load(path, map_location="cpu", weights_only=True)
        self.s = {k: v.float() for k, v in s.get("state_dict", s).items()}

    def fire(self, x, name):
        """Runs one fire module: squeeze, then two expansions side by side."""
        conv = lambda v, part, pad: F.relu(F.conv2d(v, self.s[f"{name}.{part}.weight"], self.s[f"{name}.{part}.bias"], padding=pad))
        x = conv(x, "squeeze", 0)
        return torch.cat([conv(x, "expand1x1", 0), conv(x, "expand3x3", 1)], 1)

    def features(self, x):
        """Gives the seven layers that the metric compares, of pictures in 0..1."""
        x = (x * 2 - 1 - self.s["scaling_layer.shift"]) / self.s["scaling_layer.scale"]
        x = F.relu(F.conv2d(x, self.s["net.slice1.0.weight"], self.s["net.slice1.0.bias"], stride=2))
        out = [x]
        for part, number in self.FIRES:
            # SqueezeNet 1.1 pools before its modules 3, 6 and 9; the metric reads behind each slice.
            if number in (3, 6, 9):
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            x = self.fire(x, f"net.{part}.{number}")
            if number not in (3, 6):
                out.append(x)
        return out

    @torch.no_grad()
    def __call__(self, a, b):
        """Computes the distance of pictures [b,3,h,w] in 0..1, one for each."""
        total = 0
        for k, (p, q) in enumerate(zip(self.features(a), self.features(b))):
            unit = lambda v: v / (v.square().sum(1, keepdim=True).sqrt() + 1e-10)
            d = (unit(p) - unit(q)).square()
            total = total + (d * self.s[f"lin{k}.model.1.weight"]).sum(1).mean((1, 2))
        return total
