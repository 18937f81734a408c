"""Times SRVGGNetCompact in PyTorch on the processor: a picture of 512×512, times four.

    python upscale.py realesr-animevideov3.pth --precision f32
    python upscale.py realesr-animevideov3.pth --precision bf16 --channels-last

The net is written down in ../golden/upscaler/make.py after BasicSR, without the parts that only training needs. The whole picture
goes through at once. Prints one line of JSON; `seconds` is the median of five runs after one that is not timed. Bytes become numbers
and numbers bytes within that time, as in `atelier bench upscale`.
"""

import argparse
import json
import os
import statistics
import time

import torch
import torch.nn.functional as F


class Compact(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        layers = []
        last = max(int(name.split(".")[1]) for name in weights)
        for index in range(last + 1):
            weight = weights[f"body.{index}.weight"]
            if weight.dim() == 4:
                layers.append(torch.nn.Conv2d(weight.shape[1], weight.shape[0], 3, 1, 1))
            else:
                layers.append(torch.nn.PReLU(len(weight)))
        self.body = torch.nn.Sequential(*layers)
        self.scale = int((layers[-1].out_channels // 3) ** 0.5)
        self.load_state_dict(weights)

    def forward(self, x):
        return F.pixel_shuffle(self.body(x), self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")


arguments = argparse.ArgumentParser()
arguments.add_argument("weights")
arguments.add_argument("--precision", choices=["f32", "bf16"], default="f32")
arguments.add_argument("--channels-last", action="store_true")
arguments.add_argument("--compile", action="store_true")
arguments.add_argument("--side", type=int, default=512)
arguments.add_argument("--runs", type=int, default=5)
arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
asked = arguments.parse_args()
torch.set_num_threads(asked.threads)
file = torch.load(asked.weights, map_location="cpu", weights_only=True)
net = Compact(file.get("params_ema", file.get("params", file))).eval()
layout = torch.channels_last if asked.channels_last else torch.contiguous_format
dtype = torch.bfloat16 if asked.precision == "bf16" else torch.float32
net = net.to(dtype=dtype, memory_format=layout)
run_net = torch.compile(net) if asked.compile else net
picture = torch.randint(0, 256, (asked.side, asked.side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def run():
    x = (picture.float() / 255).permute(2, 0, 1)[None].contiguous(memory_format=layout).to(dtype)
    y = (run_net(x).float() * 255).round().clamp(0, 255).to(torch.uint8)
    return y[0].permute(1, 2, 0).contiguous()


times = []
for index in range(asked.runs + 1):
    start = time.perf_counter()
    run()
    if index:
        times.append(time.perf_counter() - start)
print(json.dumps({"work": "upscale", "engine": "torch", "version": torch.__version__, "precision": asked.precision,
                  "channels_last": asked.channels_last, "compile": asked.compile, "threads": asked.threads, "side": asked.side,
                  "seconds": statistics.median(times), "all_seconds": times, "load_average": os.getloadavg()[0]}))
