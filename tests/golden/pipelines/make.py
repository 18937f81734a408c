"""Runs diffusers' pipelines on tiny models of every kind, and writes what they make.

    pip install -r requirements.txt; python make.py

The models have no files: each weight is made from its name and place by `seeded`, which the tests do the same way, rounded to
f16. golden.json holds the `config.json` of every part of every model and the settings of every case; golden.safetensors holds,
for each case, its noise, its latents after the last step and its picture (8 bits), and the pictures that were given.

Where diffusers draws random numbers by itself (the latents of a picture that is encoded), the mean is taken in their place;
where it asks for noise to add to a picture, it gets the noise of the case.
"""

import gzip
import json
import math
import sys
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import (
    AutoencoderKL, ControlNetModel, DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, HeunDiscreteScheduler,
    KDPM2DiscreteScheduler, LMSDiscreteScheduler, PNDMScheduler, StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline, StableDiffusionXLControlNetPipeline, StableDiffusionXLInpaintPipeline, StableDiffusionXLPipeline,
    LatentConsistencyModelPipeline, UNet2DConditionModel, UniPCMultistepScheduler,
)
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "sd"))
from ldm import below, ldm_net, ldm_vae, with_top  # noqa: E402
from seeded import filled, seeded  # noqa: E402

SIDE = 64
PROMPT = "a red fox in the snow, oil painting"
NEGATIVE = "blurry, dark"
EMBEDDED = "a red fox by glimmerwort, oil painting"
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}

golden = {"models": {}, "cases": {}, "versions": {
    "torch": torch.__version__, "diffusers": diffusers.__version__, "transformers": transformers.__version__}}
tensors = {}


def settings(config):
    config = dict(config) if hasattr(config, "items") else config.to_dict()
    return json.loads(json.dumps(config, default=str))


def tokenizer(pad):
    packed = HERE.parents[2] / "assets" / "vocabularies" / "clip-merges.txt.gz"
    merges = [tuple(line.split(" ")) for line in gzip.decompress(packed.read_bytes()).decode().split("\n")]
    letters = list(transformers.models.clip.tokenization_clip.bytes_to_unicode().values()) if hasattr(
        transformers.models.clip.tokenization_clip, "bytes_to_unicode") else byte_letters()
    words = letters + [letter + "</w>" for letter in letters] + [a + b for a, b in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=merges, pad_token=pad, model_max_length=77)


def byte_letters():
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    rest = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + n) for n in range(len(rest))]


def text_config(width, act, projection=None):
    return CLIPTextConfig(
        vocab_size=49408, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=3, num_attention_heads=2,
        max_position_embeddings=77, hidden_act=act, projection_dim=projection or width, bos_token_id=49406, eos_token_id=49407)


def unet(channels=4, **more):
    config = dict(
        sample_size=8, in_channels=channels, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
        cross_attention_dim=24, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
    return filled(UNet2DConditionModel(**(config | more)), "unet")


def vae():
    return filled(AutoencoderKL(
        block_out_channels=(32, 32, 32, 32), layers_per_block=1, latent_channels=4, sample_size=SIDE,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4), "vae")


def model(name, kind, unet, scheduler, text, pad="<|endoftext|>", second=None, **more):
    """Makes a model and notes what its folder says."""
    parts = {"unet": unet, "vae": vae(), "text_encoder": filled(CLIPTextModel(text), "text_encoder", "text_model.")}
    # diffusers reads the last norm under a name that transformers gave up.
    object.__setattr__(parts["text_encoder"], "text_model", parts["text_encoder"])
    if second is not None:
        parts["text_encoder_2"] = filled(CLIPTextModelWithProjection(second), "text_encoder_2")
    golden["models"][name] = {
        "parts": {part: settings(net.config) for part, net in parts.items()} | {"scheduler": settings(scheduler.config)},
        "pad": pad, "kind": kind.__name__}
    return parts | {"tokenizer": tokenizer(pad)} | ({"tokenizer_2": tokenizer("!")} if second is not None else {})


def picture(seed):
    """A picture of soft colours, and its mask: the middle, on the grid of the latents."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 3, 5, 5, generator=generator)
    large = torch.nn.functional.interpolate(small, (SIDE, SIDE), mode="bicubic", align_corners=True).clamp(0, 1)
    return (large[0].permute(1, 2, 0) * 255).round().to(torch.uint8).contiguous()


def keep(case, latents, noise, **about):
    golden["cases"][case] = about
    tensors[f"{case}.latents"] = latents.detach().float().contiguous()
    if noise is not None:
        tensors[f"{case}.noise"] = noise.contiguous()


def run(case, name, pipeline, scheduler, steps=6, guidance=4.0, negative=NEGATIVE, prompt=PROMPT, seed=1, decode=False,
        call=None, **about):
    """Runs a pipeline from noise of its own and keeps its latents, and its picture if asked for."""
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = scheduler
    noise = torch.randn(1, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(seed))
    given = dict(height=SIDE, width=SIDE, latents=first(noise, scheduler)) if "init" not in about else {}
    given |= call or {}
    with torch.no_grad():
        patched(pipeline, noise)
        out = pipeline(prompt=prompt, negative_prompt=negative, num_inference_steps=steps, guidance_scale=guidance,
                       output_type="latent", **given).images
        if decode:
            decoded = pipeline.vae.decode(out / pipeline.vae.config.scaling_factor).sample
            tensors[f"{case}.picture"] = ((decoded[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).contiguous()
    keep(case, out, noise, model=name, steps=steps, guidance=guidance, prompt=prompt, negative=negative or "", **about)
    print(case, "done", float(out.abs().mean()))


def first(noise, scheduler):
    """Makes the noise with which a scheduler begins one of unit variance: some leave out the picture's share of it."""
    if float(scheduler.init_noise_sigma) == 1.0:
        return noise.clone()
    largest = float(scheduler.sigmas.max())
    return noise * math.hypot(largest, 1.0) / float(scheduler.init_noise_sigma)


def patched(pipeline, noise):
    """Takes means where latents of pictures are drawn, and the case's noise where noise is."""
    import diffusers.models.autoencoders.vae as module
    module.DiagonalGaussianDistribution.sample = lambda self, generator=None: self.mean
    for place in list(sys.modules.values()):
        name = getattr(place, "__name__", "")
        if name.startswith("diffusers.pipelines.stable_diffusion") and hasattr(place, "randn_tensor"):
            place.randn_tensor = lambda shape, **_: noise.clone()


def compvis(parts):
    """Lists CompVis's name of each tensor of a model, with its part, its name there and its shape here."""
    single, meant = {}, []
    for part, prefix, rename in [
        ("unet", "model.diffusion_model.", lambda tensors: ldm_net(tensors, 1, 2)),
        ("vae", "first_stage_model.", lambda tensors: ldm_vae(tensors, 4)),
        ("text_encoder", "cond_stage_model.transformer.", lambda tensors: tensors),
    ]:
        named = parts[part].state_dict()
        named = with_top(named) if part == "text_encoder" else named
        marked = {}
        for name, tensor in named.items():
            marked[name] = torch.full(tensor.shape, float(len(meant)))
            meant.append((part, name))
        single |= below(prefix, rename(marked))
    return {name: [*meant[int(tensor.flatten()[0])], list(tensor.shape)] for name, tensor in single.items()}


def main():
    torch.manual_seed(0)
    plain = dict(SCHEDULE, prediction_type="epsilon")
    off = dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    euler = lambda **more: EulerDiscreteScheduler(**(plain | dict(timestep_spacing="linspace") | more))
    text = lambda **more: text_config(24, "quick_gelu", **more)

    # Stable Diffusion 1: every sampler that adds no noise.
    sd1 = model("sd1", StableDiffusionPipeline, unet(), euler(), text())
    pipeline = StableDiffusionPipeline(**sd1, scheduler=euler(), **off)
    golden["compvis"] = compvis(sd1)
    one = dict(set_alpha_to_one=False, steps_offset=1)
    samplers = {
        "euler": euler(),
        "heun": HeunDiscreteScheduler(**plain, timestep_spacing="linspace"),
        "dpm2": KDPM2DiscreteScheduler(**plain, timestep_spacing="linspace", use_karras_sigmas=True),
        "lms": LMSDiscreteScheduler(**plain, timestep_spacing="linspace"),
        "dpmpp_2m": DPMSolverMultistepScheduler(**plain, timestep_spacing="linspace"),
        "unipc": UniPCMultistepScheduler(**plain, timestep_spacing="linspace"),
        "ddim": DDIMScheduler(**plain, clip_sample=False, **one),
        "pndm": PNDMScheduler(**plain, skip_prk_steps=True, **one),
    }
    for name, scheduler in samplers.items():
        run(f"sd1-{name}", "sd1", pipeline, scheduler, sampler=name, decode=name == "euler",
            schedule="karras" if name == "dpm2" else "automatic")
    run("sd1-unguided", "sd1", pipeline, euler(), guidance=1.0, sampler="euler")
    # diffusers skips layers for the prompt and not for its negative, so there is none.
    run("sd1-skip", "sd1", pipeline, euler(), sampler="euler", clip_skip=2, guidance=1.0, call=dict(clip_skip=1))

    # A new word of two vectors.
    vectors = seeded("glimmerwort", (2, 24))
    tensors["glimmerwort"] = vectors
    words = StableDiffusionPipeline(**sd1, scheduler=euler(), **off)
    words.tokenizer = tokenizer("<|endoftext|>")
    count = len(words.tokenizer)
    words.tokenizer.add_tokens(["glimmerwort", "wortsecond"])
    table = words.text_encoder.get_input_embeddings().weight.data
    words.text_encoder.resize_token_embeddings(count + 2)
    words.text_encoder.get_input_embeddings().weight.data[count:] = vectors
    # Here the second vector is a word of its own in the prompt.
    embedded = EMBEDDED.replace("glimmerwort", "glimmerwort wortsecond")
    run("sd1-embedding", "sd1", words, euler(), sampler="euler", embedding=True, prompt=embedded)
    golden["cases"]["sd1-embedding"]["prompt"] = EMBEDDED
    words.text_encoder.resize_token_embeddings(count)
    words.text_encoder.get_input_embeddings().weight.data.copy_(table)

    # Pictures that are changed.
    given, mask = picture(5), torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    mask[16:48, 24:56] = 255
    tensors["init"], tensors["mask"] = given, mask
    as_tensor = given.permute(2, 0, 1)[None].float() / 127.5 - 1
    image, cover = Image.fromarray(given.numpy()), Image.fromarray(mask.numpy())
    latents = sd1["vae"].encode(as_tensor).latent_dist.mean.detach() * sd1["vae"].config.scaling_factor
    tensors["init.latents"] = latents.contiguous()
    changed = StableDiffusionImg2ImgPipeline(**sd1, scheduler=euler(), **off)
    run("sd1-img2img", "sd1", changed, euler(), sampler="euler", init=True, strength=0.5,
        call=dict(image=as_tensor / 2 + 0.5, strength=0.5))
    held = StableDiffusionInpaintPipeline(**sd1, scheduler=euler(), **off)
    run("sd1-blend", "sd1", held, euler(), sampler="euler", init=True, strength=0.5, mask=True,
        call=dict(image=image, mask_image=cover, strength=0.5, height=SIDE, width=SIDE))

    # Nets that read more than latents.
    nine = model("inpaint", StableDiffusionInpaintPipeline, unet(9), euler(), text())
    filling = StableDiffusionInpaintPipeline(**nine, scheduler=euler(), **off)
    noise = torch.randn(1, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(1))
    run("inpaint", "inpaint", filling, euler(), sampler="euler", init=True, strength=1.0, mask=True,
        call=dict(image=image, mask_image=cover, strength=1.0, height=SIDE, width=SIDE, latents=first(noise, euler())))
    eight = model("instruct", StableDiffusionInstructPix2PixPipeline, unet(8), euler(), text())
    instructed = StableDiffusionInstructPix2PixPipeline(**eight, scheduler=euler(), **off)
    run("instruct", "instruct", instructed, euler(), sampler="euler", init=True, strength=1.0, image_guidance=1.3,
        call=dict(image=image, image_guidance_scale=1.3, latents=first(noise, euler())))

    # Stable Diffusion 2: v, another encoder, another filling.
    v = dict(plain, prediction_type="v_prediction")
    sd2 = model("sd2", StableDiffusionPipeline, unet(cross_attention_dim=32, use_linear_projection=True),
                EulerDiscreteScheduler(**v, timestep_spacing="linspace"), text_config(32, "gelu"), pad="!")
    second = StableDiffusionPipeline(**sd2, scheduler=euler(), **off)
    run("sd2-euler", "sd2", second, EulerDiscreteScheduler(**v, timestep_spacing="linspace"), sampler="euler")
    run("sd2-rescale", "sd2", second, DDIMScheduler(**v, clip_sample=False, **one), sampler="ddim", cfg_rescale=0.7,
        call=dict(guidance_rescale=0.7))
    terminal = dict(v, rescale_betas_zero_snr=True, timestep_spacing="trailing")
    zero = model("sd2-terminal", StableDiffusionPipeline, unet(cross_attention_dim=32, use_linear_projection=True),
                 EulerDiscreteScheduler(**terminal), text_config(32, "gelu"), pad="!")
    run("sd2-terminal", "sd2-terminal", StableDiffusionPipeline(**zero, scheduler=euler(), **off),
        EulerDiscreteScheduler(**terminal), sampler="euler")

    # A pruned net: layers of other depths, no middle.
    thin = model("pruned", StableDiffusionPipeline, unet(
        layers_per_block=2, mid_block_type=None, down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), transformer_layers_per_block=([1, 2], [1, 1]),
        reverse_transformer_layers_per_block=([2, 1, 1], [1, 1, 2])), euler(), text())
    run("pruned", "pruned", StableDiffusionPipeline(**thin, scheduler=euler(), **off), euler(), sampler="euler")

    # Latent consistency: the net is told the guidance.
    lcm = model("lcm", LatentConsistencyModelPipeline, unet(time_cond_proj_dim=32), euler(), text())
    told = StableDiffusionPipeline(**lcm, scheduler=euler(), **off)
    run("lcm", "lcm", told, euler(), sampler="euler", guidance=8.0)

    # Stable Diffusion XL.
    xl_sizes = dict(
        cross_attention_dim=56, attention_head_dim=(2, 4), transformer_layers_per_block=(1, 2),
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=40 + 6 * 256,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))
    xl_net = unet(**xl_sizes)
    xl = model("sdxl", StableDiffusionXLPipeline, xl_net, euler(), text(), second=text_config(32, "gelu", 40))
    large = StableDiffusionXLPipeline(**xl, scheduler=euler())
    run("sdxl-euler", "sdxl", large, euler(), sampler="euler", decode=True)
    run("sdxl-empty", "sdxl", large, euler(), sampler="euler", negative=None)
    # As Turbo is run, and as Lightning is: few steps from the very last level, without guidance.
    trailing = EulerDiscreteScheduler(**plain, timestep_spacing="trailing")
    run("sdxl-turbo", "sdxl", large, trailing, sampler="euler", schedule="trailing", steps=1, guidance=1.0)
    run("sdxl-lightning", "sdxl", large, trailing, sampler="euler", schedule="trailing", steps=4, guidance=1.0)
    nine = model("sdxl-inpaint", StableDiffusionXLInpaintPipeline, unet(9, **xl_sizes), euler(), text(),
                 second=text_config(32, "gelu", 40))
    filling = StableDiffusionXLInpaintPipeline(**nine, scheduler=euler())
    noise = torch.randn(1, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(1))
    run("sdxl-inpaint", "sdxl-inpaint", filling, euler(), sampler="euler", init=True, strength=1.0, mask=True,
        call=dict(image=image, mask_image=cover, strength=1.0, height=SIDE, width=SIDE, latents=first(noise, euler())))

    # ControlNets.
    for kind, net, base, pipe, more in [
        ("sd1", sd1["unet"], sd1, StableDiffusionControlNetPipeline, off),
        ("sdxl", xl_net, xl, StableDiffusionXLControlNetPipeline, {}),
    ]:
        control = ControlNetModel.from_unet(net, conditioning_embedding_out_channels=(16, 16, 32, 32))
        filled(control, f"controlnet-{kind}")
        golden["models"][kind]["control"] = settings(control.config)
        guided = pipe(**base, controlnet=control, scheduler=euler(), **more)
        run(f"{kind}-control", kind, guided, euler(), sampler="euler", control=True, control_strength=0.8, between=[0.2, 0.9],
            call=dict(image=image, controlnet_conditioning_scale=0.8, control_guidance_start=0.2, control_guidance_end=0.9))

    save_file(tensors, HERE / "golden.safetensors", {"script": "make.py"})
    (HERE / "golden.json").write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    print(len(tensors), "tensors", (HERE / "golden.safetensors").stat().st_size // 1024, "kB")


main()
