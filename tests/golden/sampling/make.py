"""Writes golden.safetensors: what diffusers' schedulers do with a made-up model, step by step.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python make.py

The model is an elementwise function of its input and timestep, computed in f64 and rounded to f32, so that
another implementation can repeat it exactly. Latents are [1, 4, 8, 8].

Tensors, f32:
  noise                     [1, 4, 8, 8]  standard normal, torch seed 20260514
  normal.<seed>             [64]          the generator of engine/src/math/rng.rs, written anew below
  table                     [1000]        sigma of every training timestep
  <case>.sigmas             [n + 1]       levels
  <case>.timesteps          [n]           what the model is told at the start of each step
  <case>.steps              [n, 16]       after each step, every 17th value of the latents
  <case>.end                [1, 4, 8, 8]  the last latents (only for 10 steps)
A case is <form>-<scheduler>-<steps>; see main().
"""

import math
import pathlib
import struct

import diffusers
import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)
from safetensors.torch import save_file

SEED = 20260514
SHAPE = (1, 4, 8, 8)
TABLE = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def model(prediction, x, timestep):
    """The made-up model; keep in step with tests/tests/sampling_golden.rs."""
    x, a = x.double(), float(timestep) / 1000.0
    if prediction == "flow":
        y = x * (0.2 + 0.8 * a) - 0.7 * torch.cos(1.7 * x + 3.0 * a)
    elif prediction == "epsilon":
        y = x * (0.4 + 0.6 * a) + 0.35 * (1.0 - 0.9 * a) * torch.sin(2.0 * x + 5.0 * a)
    else:
        y = 0.5 * x * (1.0 - a) - 0.6 * torch.sin(1.5 * x + 4.0 * a)
    return y.float()


def run(scheduler, prediction, noise, steps, **timestep_options):
    scheduler.set_timesteps(steps, **timestep_options)
    x = noise * scheduler.init_noise_sigma if hasattr(scheduler, "init_noise_sigma") else noise
    after = []
    for timestep in scheduler.timesteps:
        given = x
        if hasattr(scheduler, "scale_model_input"):
            given = scheduler.scale_model_input(x, timestep)
        x = scheduler.step(model(prediction, given, timestep), timestep, x).prev_sample
        # Heun's two halves count as one step.
        if getattr(scheduler, "state_in_first_order", True):
            after.append(x.clone())
        last = x
    if len(after) < steps:
        after.append(last)
    assert len(after) == steps
    sigmas, timesteps = scheduler.sigmas, scheduler.timesteps.float()
    if scheduler.order == 2:
        sigmas = torch.cat([sigmas[0:1], sigmas[1:-1:2], sigmas[-1:]])
        timesteps = timesteps[0::2]
    return sigmas.float(), timesteps, after


def philox(counter, key):
    a, b, c, d = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (p1 >> 32) ^ b ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ d ^ k1, p0 & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return a, b, c, d


def normal(seed, count):
    values = []
    for block in range((count + 3) // 4):
        words = philox((block & 0xFFFFFFFF, block >> 32, 0, 0), (seed & 0xFFFFFFFF, seed >> 32))
        for radius, angle in (words[0:2], words[2:4]):
            radius = math.sqrt(-2.0 * math.log((radius + 0.5) / 2**32))
            angle = 2.0 * math.pi * ((angle + 0.5) / 2**32)
            values += [radius * math.cos(angle), radius * math.sin(angle)]
    return torch.tensor([struct.unpack("f", struct.pack("f", v))[0] for v in values[:count]])


def main():
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(SEED))
    tensors = {"noise": noise}
    for seed in (0, 42, 2**64 - 1):
        tensors[f"normal.{seed}"] = normal(seed, 64)
    alphas = EulerDiscreteScheduler(**TABLE).alphas_cumprod
    tensors["table"] = ((1 - alphas) / alphas) ** 0.5

    def add(name, result):
        sigmas, timesteps, after = result
        tensors[f"{name}.sigmas"], tensors[f"{name}.timesteps"] = sigmas, timesteps
        tensors[f"{name}.steps"] = torch.stack([x.flatten()[::17] for x in after])
        if len(after) == 10:
            tensors[f"{name}.end"] = after[-1]

    for steps in (5, 10, 20):
        for shift in (1.0, 3.0) if steps == 10 else (1.0,):
            form = f"flow{shift:.0f}"
            euler = FlowMatchEulerDiscreteScheduler(shift=shift)
            heun = FlowMatchHeunDiscreteScheduler(shift=shift)
            solver = dict(
                prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, solver_order=2
            )
            uniform = np.linspace(1.0, 1.0 / steps, steps)
            for name, scheduler, options in (
                ("uniform", FlowMatchEulerDiscreteScheduler(shift=shift), dict(sigmas=uniform)),
                ("euler", euler, {}),
                ("heun", heun, {}),
                ("dpmpp_2m", DPMSolverMultistepScheduler(**solver), {}),
                ("unipc", UniPCMultistepScheduler(**solver), {}),
            ):
                add(f"{form}-{name}-{steps}", run(scheduler, "flow", noise, steps, **options))
        for prediction in ("epsilon", "v_prediction"):
            for karras in (False, True):
                form = f"{prediction[0]}-{'karras' if karras else 'normal'}"
                common = dict(TABLE, prediction_type=prediction, use_karras_sigmas=karras)
                for name, scheduler in (
                    ("euler", EulerDiscreteScheduler(**common)),
                    ("heun", HeunDiscreteScheduler(**common)),
                    ("dpmpp_2m", DPMSolverMultistepScheduler(**common)),
                    ("unipc", UniPCMultistepScheduler(**common)),
                ):
                    add(f"{form}-{name}-{steps}", run(scheduler, prediction, noise, steps))

    file = pathlib.Path(__file__).with_name("golden.safetensors")
    metadata = {
        "script": "tests/golden/sampling/make.py",
        "seed": str(SEED),
        "versions": f"diffusers {diffusers.__version__}, torch {torch.__version__}, numpy {np.__version__}",
    }
    save_file({k: v.contiguous().float() for k, v in tensors.items()}, file, metadata)
    ends = [v.abs().max().item() for k, v in tensors.items() if k.endswith(".steps")]
    print(f"{len(ends)} cases, {file.stat().st_size} bytes, largest latent {max(ends):.2f}")


main()
