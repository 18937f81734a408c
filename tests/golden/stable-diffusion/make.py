"""Writes the golden files of the Stable Diffusion family's networks.

Each file holds a tiny network with random weights as diffusers or transformers names them (f16), its
inputs (`in.*`) and what the reference computes from those very weights (`out.*`), in f32 on the
processor.

    pip install torch==2.15.0 diffusers==0.42.1 transformers==5.24.0 safetensors==0.8.0 numpy==2.4.6
    python make.py

The versions that made the files beside this script are written into their metadata.
"""

import copy
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

HERE = Path(__file__).parent
SEED = 20261126


def spread(x):
    return float(x.float().square().mean().sqrt())


def write(name, model, inputs, run):
    """Writes a model, its inputs, its outputs, and how far the reference in bf16 is from them: the
    root of the mean square of the difference, divided by that of the output (`bf16.*`)."""
    with torch.no_grad():
        outputs = run(model, torch.float32)
        narrow = run(copy.deepcopy(model).bfloat16(), torch.bfloat16)
    errors = {k: spread(narrow[k].float() - v) / spread(v) for k, v in outputs.items()}
    # Files have this prefix, whatever the library calls the module today.
    prefix = "text_model." if isinstance(model, CLIPTextModel) else ""
    tensors = {k if k.startswith(("text_model.", "text_projection.")) else prefix + k: v.detach().half().contiguous() for k, v in model.state_dict().items()
               if not k.endswith("position_ids")}
    tensors |= {f"in.{k}": v.contiguous() for k, v in inputs.items()}
    tensors |= {f"out.{k}": v.detach().contiguous() for k, v in outputs.items()}
    tensors |= {f"bf16.{k}": torch.tensor([v]) for k, v in errors.items()}
    metadata = {"script": "make.py", "seed": str(SEED), "torch": torch.__version__,
                "diffusers": diffusers.__version__, "transformers": transformers.__version__}
    save_file(tensors, HERE / f"{name}.safetensors", metadata)
    size = (HERE / f"{name}.safetensors").stat().st_size
    print(name, len(tensors), "tensors", size // 1024, "kB", errors)


def shake(model):
    """Gives norms and biases values of their own, so that leaving one out shows; rounds all to f16."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
            parameter.copy_(parameter.half().float())
    return model.eval()


def unet(name, batch=2, size=16, **config):
    torch.manual_seed(SEED)
    model = shake(UNet2DConditionModel(sample_size=size, **config))
    inputs = {
        "latents": torch.randn(batch, model.config.in_channels, size, size),
        "times": torch.tensor([981.0, 17.5][:batch]),
        "text": torch.randn(batch, 7, model.config.cross_attention_dim),
    }
    added = None
    if model.config.addition_embed_type == "text_time":
        inputs["pooled"] = torch.randn(batch, 20)
        inputs["sizes"] = torch.tensor([[64.0, 48, 0, 0, 64, 48], [128, 128, 4, 8, 64, 64]][:batch])
        added = {"text_embeds": inputs["pooled"], "time_ids": inputs["sizes"]}
    def run(model, dtype):
        more = {k: v.to(dtype) for k, v in added.items()} if added else None
        return {"sample": model(inputs["latents"].to(dtype), inputs["times"],
                                inputs["text"].to(dtype), added_cond_kwargs=more).sample}

    write(name, model, inputs, run)


def vae():
    torch.manual_seed(SEED)
    model = shake(AutoencoderKL(
        block_out_channels=(32, 32), layers_per_block=1, latent_channels=4,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2))
    inputs = {"latents": torch.randn(2, 4, 6, 10), "picture": torch.rand(2, 3, 12, 20) * 2 - 1}
    write("vae", model, inputs, lambda model, dtype: {
        "picture": model.decode(inputs["latents"].to(dtype)).sample,
        "moments": model.encode(inputs["picture"].to(dtype)).latent_dist.parameters})


def clip(name, kind, act, projection, **more):
    torch.manual_seed(SEED)
    config = CLIPTextConfig(
        vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=12, hidden_act=act,
        projection_dim=projection, eos_token_id=99, bos_token_id=98, **more)
    model = shake(kind(config))
    ids = torch.tensor([[98, 5, 17, 3, 99, 99, 99, 99, 99, 99, 99, 99],
                        [98, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99]])

    def run(model, dtype):
        out = model(ids, output_hidden_states=True)
        pooled = out.text_embeds if projection and hasattr(out, "text_embeds") else out.pooler_output
        return {"states": out.last_hidden_state, "hidden": out.hidden_states[-2], "pooled": pooled}

    write(name, model, {"ids": ids.float(), "ends": torch.tensor([4.0, 11.0])}, run)


unet("unet-sd1", block_out_channels=(32, 32, 64), layers_per_block=1, cross_attention_dim=24,
     attention_head_dim=4,
     down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
     up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"))
unet("unet-sdxl", block_out_channels=(32, 32), layers_per_block=1, cross_attention_dim=24,
     attention_head_dim=(2, 4), transformer_layers_per_block=(1, 2), use_linear_projection=True,
     addition_embed_type="text_time", addition_time_embed_dim=256,
     projection_class_embeddings_input_dim=20 + 6 * 256,
     down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
     up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))
unet("unet-inpaint", batch=1, size=8, block_out_channels=(32, 32), layers_per_block=1, in_channels=9,
     cross_attention_dim=16, attention_head_dim=2,
     down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
     up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
vae()
clip("clip-l", CLIPTextModel, "quick_gelu", 0)
clip("clip-g", CLIPTextModelWithProjection, "gelu", 24)
