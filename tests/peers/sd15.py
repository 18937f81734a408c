"""Times the parts of Stable Diffusion 1.5 in PyTorch and OpenVINO, on the processor, with random weights.

    python sd15.py --work unet --engine torch --precision f32
    python sd15.py --work vae --engine openvino --precision bf16
    python sd15.py --work unet --engine openvino --isa avx2

Work:
  unet  one step with guidance: latents [2, 4, 64, 64], words [2, 77, 768]
  vae   decoding latents [1, 4, 64, 64] into a picture [1, 3, 512, 512]
  clip  encoding two prompts of 77 tokens

The models are those of diffusers and transformers, built from the configurations of Stable Diffusion 1.5; the number
of parameters is compared with that of the published files. Weights are drawn by the models' own initialisation from a
fixed seed and rounded to f16, as a downloaded file holds them, then widened to the precision of the run.

One process measures one engine. For OpenVINO a first process converts the model and keeps it in --cache, so that the
memory and the time of the conversion are not counted. Prints one line of JSON.
"""

import json
import pathlib
import subprocess
import sys
import time
import warnings

import measure

# Parameters of the published models; a slip in a configuration below would change them.
PARAMETERS = {"unet": 859_520_964, "vae": 83_653_863, "clip": 123_060_480}

# runwayml/stable-diffusion-v1-5, unet/config.json
UNET = dict(
    sample_size=64,
    in_channels=4,
    out_channels=4,
    layers_per_block=2,
    block_out_channels=(320, 640, 1280, 1280),
    down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    cross_attention_dim=768,
    attention_head_dim=8,
    act_fn="silu",
    norm_num_groups=32,
    norm_eps=1e-5,
    center_input_sample=False,
    flip_sin_to_cos=True,
    freq_shift=0,
    downsample_padding=1,
    mid_block_scale_factor=1,
)

# runwayml/stable-diffusion-v1-5, vae/config.json
VAE = dict(
    sample_size=512,
    in_channels=3,
    out_channels=3,
    latent_channels=4,
    layers_per_block=2,
    block_out_channels=(128, 256, 512, 512),
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
    act_fn="silu",
    norm_num_groups=32,
)

# runwayml/stable-diffusion-v1-5, text_encoder/config.json
CLIP = dict(
    vocab_size=49408,
    hidden_size=768,
    intermediate_size=3072,
    num_hidden_layers=12,
    num_attention_heads=12,
    max_position_embeddings=77,
    hidden_act="quick_gelu",
    layer_norm_eps=1e-5,
    projection_dim=768,
    bos_token_id=0,
    eos_token_id=2,
    pad_token_id=1,
)


def network(work):
    """Builds diffusers' or transformers' model, checks its size and returns it with the name of its call."""
    if work == "unet":
        from diffusers import UNet2DConditionModel

        model = UNet2DConditionModel(**UNET)
    elif work == "vae":
        from diffusers import AutoencoderKL

        model = AutoencoderKL(**VAE)
    else:
        from transformers import CLIPTextConfig, CLIPTextModel

        model = CLIPTextModel(CLIPTextConfig(**CLIP))
    found = sum(parameter.numel() for parameter in model.parameters())
    if found != PARAMETERS[work]:
        sys.exit(f"{work} has {found} parameters, not {PARAMETERS[work]}: this version of the library builds another model")
    return model.eval()


def wrap(work, model):
    """Returns a module that takes and gives plain tensors."""
    import torch

    class Unet(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, latents, timestep, words):
            return self.model(latents, timestep, words, return_dict=False)[0]

    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            # Without the encoder, which no engine need keep in memory.
            self.post_quant_conv = model.post_quant_conv
            self.decoder = model.decoder

        def forward(self, latents):
            return self.decoder(self.post_quant_conv(latents))

    class Text(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, tokens):
            return self.model(input_ids=tokens).last_hidden_state

    return {"unet": Unet, "vae": Decoder, "clip": Text}[work]().eval()


def build(work):
    """Builds the module with random weights of f16, held as f32."""
    import torch

    torch.manual_seed(measure.SEED)
    module = wrap(work, network(work))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.half().float())
    return module


def inputs(work):
    """Returns what the module is called with: numpy arrays, the same for all engines."""
    import numpy

    rng = numpy.random.default_rng(measure.SEED)

    def normal(*shape):
        return rng.standard_normal(shape, dtype=numpy.float32)

    if work == "unet":
        return [normal(2, 4, 64, 64), numpy.array([500.0, 500.0], dtype=numpy.float32), normal(2, 77, 768)]
    if work == "vae":
        return [normal(1, 4, 64, 64)]
    return [rng.integers(3, CLIP["vocab_size"], (2, 77), dtype=numpy.int64)]


def check(output, work):
    """Stops when the output is not of the work's shape or not finite; returns four of its numbers."""
    import numpy

    shape = {"unet": (2, 4, 64, 64), "vae": (1, 3, 512, 512), "clip": (2, 77, 768)}[work]
    if tuple(output.shape) != shape:
        sys.exit(f"{work} gave {tuple(output.shape)}, not {shape}")
    if not numpy.isfinite(output).all():
        sys.exit(f"{work} gave numbers that are not finite")
    sample = output.ravel()[:: output.size // 4][:4]
    if len(set(sample.tolist())) < len(sample):
        sys.exit(f"{work} gave the same number in different places")
    return [round(float(value), 5) for value in sample]


def flop(work):
    """Counts the multiplications and additions of one call (two each), as torch's counter does."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        module = wrap(work, network(work))
    given = [torch.from_numpy(array).to("meta") for array in inputs(work)]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*given)
    return counter.get_total_flops()


def run_torch(options):
    """Measures PyTorch."""
    import torch

    torch.set_num_threads(options.threads)
    start = time.perf_counter()
    module = build(options.work)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[options.precision]
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    module = module.to(dtype).to(memory_format=layout)
    given = [torch.from_numpy(array) for array in inputs(options.work)]
    given = [tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in given]
    load = time.perf_counter() - start
    with torch.inference_mode():
        first, seconds = measure.timed(lambda: module(*given), options.runs)
    sample = check(first.float().numpy(), options.work)
    described = f"{torch.backends.cpu.get_cpu_capability()}, channels last: {options.channels_last}"
    return seconds, dict(version=torch.__version__, executes=described, load_seconds=load, sample=sample)


def convert(options):
    """Converts the model for OpenVINO and keeps it; weights stay f32."""
    import openvino
    import torch

    # The shapes are fixed, so what the tracer warns of does not matter; `sample` shows that the result is right.
    warnings.simplefilter("ignore")
    module = build(options.work)
    given = [torch.from_numpy(array) for array in inputs(options.work)]
    with torch.no_grad():
        model = openvino.convert_model(module, example_input=tuple(given))
    model.reshape({port: list(tensor.shape) for port, tensor in zip(model.inputs, given)})
    path = kept(options)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name("part-" + path.name)
    openvino.save_model(model, part, compress_to_fp16=False)
    # The weights first: who finds the .xml finds both.
    part.with_suffix(".bin").replace(path.with_suffix(".bin"))
    part.replace(path)


def kept(options):
    """Returns where the converted model lies."""
    return pathlib.Path(options.cache) / f"sd15-{options.work}-{measure.SEED}.xml"


def run_openvino(options):
    """Measures OpenVINO."""
    if not kept(options).exists():
        again = [sys.executable, __file__, "--convert", "--work", options.work, "--cache", options.cache]
        subprocess.run([*again, "--engine", "openvino"], check=True)
    import openvino_engine

    start = time.perf_counter()
    compiled = openvino_engine.compile_model(kept(options), options.precision, options.threads)
    load = time.perf_counter() - start
    request = compiled.create_infer_request()
    given = dict(enumerate(inputs(options.work)))
    first, seconds = measure.timed(lambda: request.infer(given, share_inputs=True, share_outputs=True), options.runs)
    # The same memory holds the result of every run.
    sample = check(first[0], options.work)
    described = openvino_engine.executes(compiled)
    return seconds, dict(version=openvino_engine.version(), executes=described, load_seconds=load, sample=sample)


def main():
    parser = measure.arguments(__doc__.splitlines()[0])
    parser.add_argument("--work", choices=sorted(PARAMETERS), required=True)
    measure.add_engine(parser)
    parser.add_argument("--channels-last", action="store_true", help="torch: keep channels innermost")
    parser.add_argument("--cache", default=str(measure.CACHE), help="folder for converted models (4 GB)")
    parser.add_argument("--convert", action="store_true", help="only convert for OpenVINO")
    parser.add_argument("--count", action="store_true", help="only count the arithmetic of the work")
    options = parser.parse_args()
    measure.prepare_process(options.threads, options.isa)
    if options.convert:
        return convert(options)
    if options.count:
        return print(json.dumps({"work": options.work, "flop": flop(options.work)}))
    fields = {key: getattr(options, key) for key in ("work", "engine", "precision", "isa", "threads")}
    seconds, found = {"torch": run_torch, "openvino": run_openvino}[options.engine](options)
    measure.report(fields | found | {"peak_bytes": measure.peak_bytes()}, seconds)


if __name__ == "__main__":
    main()
