"""Writes a folder of diffusers of a model's real size with random weights in f16: for measuring loading, memory and time.

    python checkpoint.py sd15 FOLDER
    python checkpoint.py sdxl FOLDER
    python checkpoint.py sd15-control FOLDER

Norms do nothing, biases are 0, and matrices keep the spread of what they read, so that pictures of noise come out.
"""

import json
import math
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

CLIP_L = dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
              hidden_act="quick_gelu", projection_dim=768)
CLIP_G = dict(vocab_size=49408, hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20,
              hidden_act="gelu", projection_dim=1280)
SD15 = dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
SDXL = dict(
    sample_size=128, cross_attention_dim=2048, block_out_channels=(320, 640, 1280), attention_head_dim=(5, 10, 20),
    transformer_layers_per_block=(1, 2, 10), use_linear_projection=True, addition_embed_type="text_time",
    addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"))
VAE = dict(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
           down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4)


def write(place, model, file, prefix=""):
    """Writes random weights of the shapes of a model that has none."""
    place.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(len(place.name))
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("position_ids"):
            continue
        stored = name if name.startswith(("text_model.", "text_projection.")) else prefix + name
        if tensor.dim() == 1:
            values = torch.full(tensor.shape, 1.0 if name.endswith("weight") else 0.0)
        else:
            scale = math.sqrt(3 / math.prod(tensor.shape[1:]))
            values = (torch.rand(tensor.shape, generator=generator) * 2 - 1) * scale
        tensors[stored] = values.half().contiguous()
    save_file(tensors, place / file)
    config = model.config if isinstance(model.config, dict) else model.config.to_dict()
    config = json.loads(json.dumps(dict(config), default=str)) | {"_class_name": type(model).__name__}
    (place / "config.json").write_text(json.dumps(config))
    print(place, sum(tensor.numel() for tensor in tensors.values()) // 1_000_000, "million")


kind, folder = sys.argv[1], Path(sys.argv[2])
NET = "diffusion_pytorch_model.safetensors"
with torch.device("meta"):
    if kind.endswith("-control"):
        control = ControlNetModel.from_unet(UNet2DConditionModel(**(SDXL if kind.startswith("sdxl") else SD15)))
    else:
        unet, vae = UNet2DConditionModel(**(SDXL if kind == "sdxl" else SD15)), AutoencoderKL(
            **VAE, scaling_factor=0.13025 if kind == "sdxl" else 0.18215)
        texts = {"text_encoder": CLIPTextModel(CLIPTextConfig(**CLIP_L))}
        if kind == "sdxl":
            texts["text_encoder_2"] = CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_G))
if kind.endswith("-control"):
    write(folder, control, NET)
else:
    write(folder / "unet", unet, NET)
    write(folder / "vae", vae, NET)
    for part, text in texts.items():
        write(folder / part, text, "model.safetensors", "text_model.")
    parts = {part: ["transformers", type(text).__name__] for part, text in texts.items()}
    parts |= {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"} | parts))
