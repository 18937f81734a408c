"""Writes what ControlNets and tiny autoencoders of diffusers compute, beside the files that make.py writes.

    pip install torch==2.15.0 diffusers==0.42.1 safetensors==0.8.0 numpy==2.4.6
    python make_control.py

The weights have no files: each follows from its name (`../pipelines/seeded.py`), as in the tests. The tiny autoencoder's are
called as its author calls them. `bf16.*` is how far the reference in bf16 is from itself in f32.
"""

import copy
import sys
from pathlib import Path

import diffusers
import torch
from diffusers import AutoencoderTiny, ControlNetModel
from safetensors.torch import save_file

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "pipelines"))
from seeded import filled, seeded  # noqa: E402

SEED = 20261127


def spread(x):
    return float(x.float().square().mean().sqrt())


def write(name, model, inputs, run):
    with torch.no_grad():
        outputs = run(model, torch.float32)
        narrow = run(copy.deepcopy(model).bfloat16(), torch.bfloat16)
    errors = {k: spread(narrow[k].float() - v) / spread(v) for k, v in outputs.items()}
    tensors = {f"in.{k}": v.contiguous() for k, v in inputs.items()}
    tensors |= {f"out.{k}": v.contiguous() for k, v in outputs.items()}
    tensors |= {f"bf16.{k}": torch.tensor([v]) for k, v in errors.items()}
    metadata = {"script": "make_control.py", "seed": str(SEED), "torch": torch.__version__, "diffusers": diffusers.__version__}
    save_file(tensors, HERE / f"{name}.safetensors", metadata)
    print(name, {k: tuple(v.shape) for k, v in outputs.items()}, errors)


def control(name, strength, **config):
    torch.manual_seed(SEED)
    model = filled(ControlNetModel(conditioning_embedding_out_channels=(8, 16, 16, 32), layers_per_block=1, **config), name)
    inputs = {
        "latents": torch.randn(2, 4, 8, 6), "times": torch.tensor([981.0, 17.5]),
        "text": torch.randn(2, 7, model.config.cross_attention_dim), "hint": torch.rand(2, 3, 64, 48)}
    if model.config.addition_embed_type == "text_time":
        inputs["pooled"] = torch.randn(2, 20)
        inputs["sizes"] = torch.tensor([[64.0, 48, 0, 0, 64, 48], [128, 128, 4, 8, 64, 64]])

    def run(model, dtype):
        more = {"text_embeds": inputs["pooled"].to(dtype), "time_ids": inputs["sizes"].to(dtype)} if "sizes" in inputs else None
        out = model(inputs["latents"].to(dtype), inputs["times"], inputs["text"].to(dtype), inputs["hint"].to(dtype),
                    conditioning_scale=strength, added_cond_kwargs=more)
        return {f"down{n}": x for n, x in enumerate(out.down_block_res_samples)} | {"middle": out.mid_block_res_sample}

    write(name, model, inputs, run)


def tiny():
    torch.manual_seed(SEED)
    model = AutoencoderTiny().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            half, _, number, rest = name.split(".", 3)
            # The author counts the bend of the decoder's inputs as a layer.
            stored = f"{half}.{int(number) + (half == 'decoder')}.{rest}"
            parameter.copy_(seeded(f"tiny-vae/{stored}", tuple(parameter.shape)))
    inputs = {"latents": torch.randn(2, 4, 3, 5), "picture": torch.rand(2, 3, 24, 40) * 2 - 1}
    write("tiny-vae", model, inputs, lambda model, dtype: {
        "picture": model.decode(inputs["latents"].to(dtype)).sample,
        "latents": model.encode(inputs["picture"].to(dtype)).latents})


control("control-sd1", 1.0, block_out_channels=(32, 64), cross_attention_dim=24, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"))
control("control-sdxl", 0.6, block_out_channels=(32, 64), cross_attention_dim=24, attention_head_dim=(2, 4),
        transformer_layers_per_block=(1, 2), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=16, projection_class_embeddings_input_dim=20 + 6 * 16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"))
tiny()
