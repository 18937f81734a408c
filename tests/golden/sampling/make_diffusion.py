"""Writes diffusion.safetensors: samplers and schedules of the Stable Diffusion family, step by step.

    python -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/pip install --no-deps k-diffusion==0.1.1.post1
    venv/bin/python make_diffusion.py

Samplers that diffusers has run there, the others in k-diffusion, in f64. Both are given a made-up model:
an elementwise function of its input and timestep, which another implementation can repeat exactly.
The noise that they add is that of engine/src/math/rng.rs for seed 7, written anew below: stream 0 is the
starting noise, stream 1 + 2·step + part what is added in a step.

Tensors, f32 unless said:
  noise                     [1, 4, 8, 8]  stream 0
  draws                     [40, 256]     streams 1 to 40
  kept.<betas>              [1000]        running product of 1 - beta
  levels.<schedule>-<n>     [n + 1]       levels, f64
  times.<schedule>-<n>      [n]           timesteps of diffusers
  rescale.{guided,cond}     [2, 4, 8, 8]  outputs with and without guidance
  rescale.<phi>             [2, 4, 8, 8]  what becomes of the first
  <case>.sigmas             [n + 1]       levels, f64
  <case>.timesteps          [n]           timesteps of diffusers (none for k-diffusion)
  <case>.steps              [n, 16]       after each step, every 17th value of the latents
A case is <program>-<sampler>-<eta>-<s_noise>-<s_churn>-<prediction>-<schedule>-<steps>, where
eta may be "own"; rows of steps that k-diffusion does not show are not numbers. Latents of diffusers have
unit variance but for Euler and LMS, those of k-diffusion never.
"""

import importlib.util
import inspect
import math
import pathlib
import struct
import sys
import types

import diffusers
import numpy as np
import scipy
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    TCDScheduler,
)
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from diffusers.schedulers import (
    scheduling_ddim,
    scheduling_ddpm,
    scheduling_dpmsolver_multistep,
    scheduling_euler_ancestral_discrete,
    scheduling_lcm,
    scheduling_tcd,
)
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr
from diffusers.schedulers.scheduling_utils import AysSchedules
from safetensors.torch import save_file

SEED = 7
SHAPE = (1, 4, 8, 8)
TABLE = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
LEADING = dict(TABLE, timestep_spacing="leading", steps_offset=1)


def load_k_diffusion():
    """Loads k-diffusion's samplers without what they do not need here (training, ODE solvers, trees)."""
    needed = ("torchdiffeq", "torchsde", "torchvision")
    installed = [name for name in needed if importlib.util.find_spec(name) is not None]
    for name, parts in (
        ("torchdiffeq", ["odeint"]),
        ("torchsde", []),
        ("torchvision", []),
        ("torchvision.transforms", ["functional"]),
    ):
        if name not in sys.modules and name.split(".")[0] not in installed:
            module = types.ModuleType(name)
            for part in parts:
                setattr(module, part, None)
            sys.modules[name] = module
    folder = pathlib.Path(importlib.util.find_spec("k_diffusion").origin).parent
    package = types.ModuleType("k_diffusion")
    package.__path__ = [str(folder)]
    sys.modules["k_diffusion"] = package
    utils = types.ModuleType("k_diffusion.utils")
    utils.append_dims = lambda x, dims: x[(...,) + (None,) * (dims - x.ndim)]
    sys.modules["k_diffusion.utils"] = package.utils = utils
    import k_diffusion.sampling

    return k_diffusion.sampling


k = load_k_diffusion()


def model(prediction, x, timestep):
    """The made-up model in f64; keep in step with tests/tests/sampling_diffusion.rs."""
    x, a = x.double(), float(timestep) / 1000.0
    if prediction == "epsilon":
        return x * (0.4 + 0.6 * a) + 0.35 * (1.0 - 0.9 * a) * torch.sin(2.0 * x + 5.0 * a)
    if prediction == "v_prediction":
        return 0.5 * x * (1.0 - a) - 0.6 * torch.sin(1.5 * x + 4.0 * a)
    return 0.6 * x * (1.0 - 0.5 * a) + 0.3 * torch.sin(x + 2.0 * a)


def philox(counter, key):
    a, b, c, d = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (p1 >> 32) ^ b ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ d ^ k1, p0 & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return a, b, c, d


def normal(seed, stream, count):
    values = []
    for block in range(count // 4):
        words = philox((block, 0, stream, 0), (seed & 0xFFFFFFFF, seed >> 32))
        for radius, angle in (words[0:2], words[2:4]):
            radius = math.sqrt(-2.0 * math.log((radius + 0.5) / 2**32))
            angle = 2.0 * math.pi * ((angle + 0.5) / 2**32)
            values += [radius * math.cos(angle), radius * math.sin(angle)]
    return torch.tensor([struct.unpack("f", struct.pack("f", v))[0] for v in values])


NOISE = normal(SEED, 0, 256).reshape(SHAPE)
DRAWS = torch.stack([normal(SEED, 1 + n, 256) for n in range(40)])


def draw(step, part=0):
    return DRAWS[2 * step + part].reshape(SHAPE)


class Table:
    """The training levels in f64."""

    def __init__(self):
        betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
        kept = np.cumprod(1.0 - betas)
        self.sigmas = np.sqrt((1.0 - kept) / kept)
        self.logs = np.log(self.sigmas)

    def timestep(self, sigma):
        return float(np.interp(math.log(float(sigma)), self.logs, np.arange(1000)))

    def sigma(self, timestep):
        return float(np.exp(np.interp(timestep, np.arange(1000), self.logs)))


TABLE64 = Table()


def levels(kind, n):
    """Levels of k-diffusion, ComfyUI and the paper on aligned steps, from their formulas, in f64."""
    smallest, largest = TABLE64.sigmas[0], TABLE64.sigmas[-1]
    torch.set_default_dtype(torch.float64)
    if kind == "normal":  # k-diffusion DiscreteSchedule.get_sigmas
        result = [TABLE64.sigma(t) for t in np.linspace(999, 0, n)]
    elif kind == "sgm_uniform":
        result = [TABLE64.sigma(t) for t in np.linspace(999, 0, n + 1)[:-1]]
    elif kind == "simple":
        result = [TABLE64.sigmas[-(1 + int(x * (1000 / n)))] for x in range(n)]
    elif kind == "ddim_uniform":
        result = [TABLE64.sigmas[1 + (1000 // n) * x] for x in reversed(range(n))]
    elif kind == "karras":
        result = k.get_sigmas_karras(n, smallest, largest).tolist()[:-1]
    elif kind == "exponential":
        result = k.get_sigmas_exponential(n, smallest, largest).tolist()[:-1]
    elif kind == "beta":
        shares = scipy.stats.beta.ppf(1.0 - np.linspace(0.0, 1.0, n), 0.6, 0.6)
        result = [smallest + p * (largest - smallest) for p in shares]
    else:
        name = {"align_your_steps": "StableDiffusionSigmas", "align_your_steps_xl": "StableDiffusionXLSigmas"}[kind]
        known = AysSchedules[name][:-1] + [0.029]
        places = np.linspace(0.0, 1.0, len(known))
        logs = np.interp(np.linspace(0.0, 1.0, n + 1), places, np.log(known))
        result = np.exp(logs)[:-1].tolist()
    torch.set_default_dtype(torch.float32)
    return result + [0.0]


def run_k(sampler, prediction, sigmas, **options):
    """Runs k-diffusion in f64 and returns the latents after each step."""
    sigmas = torch.tensor(sigmas, dtype=torch.float64)
    before, calls = [], [0]

    def denoiser(x, sigma):
        sigma = sigma[0].item()
        scale = math.hypot(sigma, 1.0)
        y = model(prediction, x / scale, TABLE64.timestep(sigma))
        if prediction == "epsilon":
            return x - sigma * y
        if prediction == "v_prediction":
            return x / scale**2 - sigma / scale * y
        return y

    def next_draw(*_):
        calls[0] += 1
        return draw(calls[0] - 1).double()

    def brownian(sigma, sigma_next):
        step, part = divmod(calls[0], 2)
        calls[0] += 1
        if part == 0:
            return draw(step, 0).double()
        start, end = sigma.item(), sigma_next.item()
        middle = math.sqrt(start * end)
        first = math.sqrt(start - middle) * draw(step, 0).double()
        return (first + math.sqrt(middle - end) * draw(step, 1).double()) / math.sqrt(start - end)

    function = getattr(k, f"sample_{sampler}")
    if "noise_sampler" in inspect.signature(function).parameters:
        options["noise_sampler"] = brownian if sampler == "dpmpp_sde" else next_draw
    randn_like, torch.randn_like = torch.randn_like, next_draw
    try:
        x = function(
            denoiser,
            NOISE.double() * math.hypot(sigmas[0].item(), 1.0),
            sigmas,
            callback=lambda info: before.append(info["x"].clone()),
            disable=True,
            **options,
        )
    finally:
        torch.randn_like = randn_like
    # With churn the callback sees latents that have already gone back up; only ends are comparable.
    return before[1:] + [x]


def run_diffusers(scheduler, prediction, steps, **step_options):
    scheduler.set_timesteps(steps)
    count, x, after = [0], NOISE * scheduler.init_noise_sigma, []

    def next_draw(*_, **__):
        return draw(count[0])

    modules = [
        scheduling_ddim,
        scheduling_ddpm,
        scheduling_dpmsolver_multistep,
        scheduling_euler_ancestral_discrete,
        scheduling_lcm,
        scheduling_tcd,
    ]
    before = [module.randn_tensor for module in modules]
    for module in modules:
        module.randn_tensor = next_draw
    for timestep in scheduler.timesteps:
        given = scheduler.scale_model_input(x, timestep)
        y = model(prediction, given, timestep).float()
        x = scheduler.step(y, timestep, x, **step_options).prev_sample
        after.append(x.clone())
        count[0] += 1
    for module, function in zip(modules, before):
        module.randn_tensor = function
    if isinstance(scheduler, PNDMScheduler):
        # The first step is taken twice.
        del after[0]
    return after


def levels_of(scheduler, timesteps, last):
    """Levels of schedulers that keep none, in f64 from their f32 table."""
    kept = scheduler.alphas_cumprod.double()
    return [((1 - kept[int(t)]) / kept[int(t)]).sqrt().item() for t in timesteps] + [last]


def main():
    tensors = {"noise": NOISE, "draws": DRAWS}

    for name, scheduler in (
        ("scaled_linear", DDIMScheduler(**TABLE)),
        ("linear", DDIMScheduler(beta_start=0.0001, beta_end=0.02, beta_schedule="linear")),
        ("squared_cosine", DDIMScheduler(beta_schedule="squaredcos_cap_v2")),
    ):
        tensors[f"kept.{name}"] = scheduler.alphas_cumprod
        zero = torch.cumprod(1.0 - rescale_zero_terminal_snr(scheduler.betas), 0)
        tensors[f"kept.{name}.zero"] = zero

    kinds = ["normal", "sgm_uniform", "simple", "ddim_uniform", "karras", "exponential", "beta"]
    kinds += ["align_your_steps", "align_your_steps_xl"]
    for n in (1, 2, 5, 10, 20, 33):
        for kind in kinds:
            if n == 1 and kind in ("karras", "exponential"):
                # The ramp of one value starts at the largest level, as everywhere.
                assert abs(levels(kind, n)[0] - TABLE64.sigmas[-1]) < 1e-6
            tensors[f"levels.{kind}-{n}"] = torch.tensor(levels(kind, n), dtype=torch.float64)
        for kind, options in (
            ("karras", dict(use_karras_sigmas=True)),
            ("exponential", dict(use_exponential_sigmas=True)),
            ("beta", dict(use_beta_sigmas=True)),
            ("leading", dict(timestep_spacing="leading", steps_offset=1)),
            ("trailing", dict(timestep_spacing="trailing")),
        ):
            if n == 1:
                continue
            scheduler = EulerDiscreteScheduler(**TABLE, **options)
            scheduler.set_timesteps(n)
            tensors[f"levels.diffusers_{kind}-{n}"] = scheduler.sigmas.double()
            tensors[f"times.diffusers_{kind}-{n}"] = scheduler.timesteps.float()

    guided = torch.stack([draw(0)[0] * 3.0 + 0.2, draw(1)[0] * 0.7])
    cond = torch.stack([draw(2)[0], draw(3)[0] * 1.5 - 0.4])
    tensors["rescale.guided"], tensors["rescale.cond"] = guided, cond
    for phi in (0.3, 0.7, 1.0):
        tensors[f"rescale.{phi}"] = rescale_noise_cfg(guided, cond, guidance_rescale=phi)

    def add(name, sigmas, timesteps, after):
        assert len(after) == len(sigmas) - 1, name
        tensors[f"{name}.sigmas"] = torch.tensor(sigmas, dtype=torch.float64)
        if timesteps is not None:
            tensors[f"{name}.timesteps"] = timesteps.float()
        tensors[f"{name}.steps"] = torch.stack([x.flatten()[::17] for x in after]).float()

    predictions = ("epsilon", "v_prediction", "sample")
    plain = dict(eta=1.0, s_noise=1.0)
    less = dict(eta=0.6, s_noise=0.9)
    still = dict(eta=0.0)
    churn = dict(s_churn=4.0, s_noise=1.003)
    for prediction in predictions:
        for kind in ("karras", "normal"):
            for n in (4, 12):
                for sampler, ours, variants in (
                    ("euler", "euler", [{}, churn]),
                    ("euler_ancestral", "euler_a", [plain, less]),
                    ("heun", "heun", [{}, churn]),
                    ("dpm_2", "dpm2", [{}, churn]),
                    ("dpm_2_ancestral", "dpm2_a", [plain, less]),
                    ("lms", "lms", [{}]),
                    ("dpmpp_2m", "dpmpp_2m", [{}]),
                    ("dpmpp_2m_sde", "dpmpp_2m_sde", [plain, less, still]),
                    ("dpmpp_sde", "dpmpp_sde", [plain, less, still]),
                    ("dpmpp_3m_sde", "dpmpp_3m_sde", [plain, less, still]),
                ):
                    for options in variants:
                        after = run_k(sampler, prediction, levels(kind, n), **options)
                        if "s_churn" in options:
                            after = [torch.full(SHAPE, math.nan)] * (n - 1) + after[-1:]
                        eta, s_noise, s_churn = (
                            options.get("eta", "own"),
                            options.get("s_noise", 1.0),
                            options.get("s_churn", 0.0),
                        )
                        name = f"k-{ours}-{eta}-{s_noise}-{s_churn}-{prediction}-{kind}-{n}"
                        add(name, levels(kind, n), None, after)

        for n in (4, 12):
            common = dict(prediction_type=prediction)
            off = dict(clip_sample=False, set_alpha_to_one=False)
            for sampler, eta, scheduler, options in (
                ("ddpm", None, DDPMScheduler(**LEADING, **common, clip_sample=False), {}),
                ("ddim", 0.0, DDIMScheduler(**LEADING, **common, **off), {}),
                ("ddim", 0.7, DDIMScheduler(**LEADING, **common, **off), dict(eta=0.7)),
                ("ddim", 1.0, DDIMScheduler(**LEADING, **common, **off), dict(eta=1.0)),
                ("pndm", None, PNDMScheduler(**LEADING, **common, skip_prk_steps=True), {}),
                ("lcm", None, LCMScheduler(**TABLE, **common), {}),
                ("tcd", 0.3, TCDScheduler(**TABLE, **common, set_alpha_to_one=False), dict(eta=0.3)),
                ("tcd", 1.0, TCDScheduler(**TABLE, **common, set_alpha_to_one=False), dict(eta=1.0)),
                ("tcd", 0.0, TCDScheduler(**TABLE, **common, set_alpha_to_one=False), dict(eta=0.0)),
                ("euler_a", 1.0, EulerAncestralDiscreteScheduler(**TABLE, **common), {}),
                ("lms", None, LMSDiscreteScheduler(**TABLE, **common), {}),
                (
                    "dpmpp_2m_sde",
                    1.0,
                    DPMSolverMultistepScheduler(**TABLE, **common, algorithm_type="sde-dpmsolver++"),
                    {},
                ),
            ):
                if prediction == "sample" and sampler in ("euler_a", "lms"):
                    continue  # diffusers refuses or has a prediction of another kind there
                if prediction != "epsilon" and sampler == "pndm":
                    continue  # diffusers extrapolates v there, the engine always the noise
                after = run_diffusers(scheduler, prediction, n, **options)
                timesteps = scheduler.timesteps
                if sampler == "pndm":
                    timesteps = torch.cat([timesteps[:1], timesteps[2:]])
                if hasattr(scheduler, "sigmas"):
                    sigmas = scheduler.sigmas.double().tolist()
                else:
                    first = levels_of(scheduler, [0], 0.0)[0]
                    last = 0.0 if sampler in ("ddpm", "lcm") else first
                    sigmas = levels_of(scheduler, timesteps, last)
                eta = "own" if eta is None else eta
                add(f"d-{sampler}-{eta}-1.0-0.0-{prediction}-automatic-{n}", sigmas, timesteps, after)

    file = pathlib.Path(__file__).with_name("diffusion.safetensors")
    metadata = {
        "script": "tests/golden/sampling/make_diffusion.py",
        "seed": str(SEED),
        "versions": f"diffusers {diffusers.__version__}, k-diffusion 0.1.1.post1, torch {torch.__version__}, "
        f"numpy {np.__version__}, scipy {scipy.__version__}",
    }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file, metadata)
    ends = [v.abs().max().item() for name, v in tensors.items() if name.endswith(".steps")]
    print(f"{len(ends)} cases, {file.stat().st_size} bytes")


main()
