"""Writes tiny models of the Stable Diffusion family under the names of CompVis, Stability and stable-diffusion.cpp, and what
diffusers makes of them.

    pip install -r requirements.txt; python make.py

Seed 11. The models are diffusers' own classes with a few channels and random weights. Each is turned into a single file here;
diffusers' readers of single files (`convert_ldm_unet_checkpoint` and its kin) must give back the same tensors, or the script
stops. expected.json holds the `config.json` of each part and, for each tensor under diffusers' name, its shape, its sum and
its sum weighted by 1, 2, 3 … 97, 1, 2 …, all in 64 bits; for 8-bit floats those of the numbers as they were stored.
"""

import json
from pathlib import Path

import gguf
import numpy
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.loaders import single_file_utils as reader
from ldm import below, ldm_net, ldm_vae, open_clip, with_top
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

HERE = Path(__file__).parent
torch.manual_seed(11)
expected = {}

def seeded(model):
    """Gives every weight its own random numbers, norms too."""
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.randn(tensor.shape) * 0.5)
    return model


def state(model, dtype=torch.float16):
    return {name: tensor.to(dtype).contiguous() for name, tensor in model.state_dict().items()}


def figures(tensor):
    numbers = tensor.double().flatten().numpy()
    weights = numpy.arange(len(numbers)) % 97 + 1
    return [list(tensor.shape), float(numbers.sum()), float((numbers * weights).sum())]


def note(case, part, tensors, config):
    entry = expected.setdefault(case, {})
    entry[part] = {"config": config, "tensors": {name: figures(tensor) for name, tensor in sorted(tensors.items())}}


def settings(model):
    config = dict(model.config) if hasattr(model.config, "items") else model.config.to_dict()
    return json.loads(json.dumps({key: value for key, value in config.items() if not key.startswith("_")}, default=str))


def same(ours, theirs, what):
    assert set(ours) == set(theirs), (what, sorted(set(ours) ^ set(theirs))[:4])
    for name, tensor in ours.items():
        assert torch.equal(tensor.reshape(theirs[name].shape), theirs[name]), (what, name)


def unet(**more):
    base = dict(
        sample_size=8, layers_per_block=1, norm_num_groups=2, attention_head_dim=2, cross_attention_dim=32,
        block_out_channels=(4, 8), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    return seeded(UNet2DConditionModel(**(base | more)))


def vae(**more):
    base = dict(
        block_out_channels=(2, 4), layers_per_block=1, latent_channels=4, norm_num_groups=2,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )
    return seeded(AutoencoderKL(**(base | more)))


def text(kind, **more):
    base = dict(
        hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, vocab_size=9,
        max_position_embeddings=5, projection_dim=16, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )
    return seeded(kind(CLIPTextConfig(**(base | more))))


# SD 1.x: CompVis's names, the text encoder of transformers, averaged weights that must not be taken.
net, auto, words = unet(), vae(), text(CLIPTextModel)
nets, autos, said = state(net), state(auto), with_top(state(words))
single = below("model.diffusion_model.", ldm_net(nets, 1, 2)) | below("first_stage_model.", ldm_vae(autos, 2))
single |= below("cond_stage_model.transformer.", said)
same(nets, reader.convert_ldm_unet_checkpoint(dict(single), {**net.config, "layers_per_block": 1}), "sd1 unet")
same(autos, reader.convert_ldm_vae_checkpoint(dict(single), dict(auto.config)), "sd1 vae")
same(said, reader.convert_ldm_clip_checkpoint(dict(single)), "sd1 text")
single["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(5)[None]
single["model_ema.diffusion_modelinput_blocks00weight"] = torch.zeros(4, 4, 3, 3)
single["model_ema.decay"] = torch.tensor(0.99)
single["alphas_cumprod"] = torch.zeros(10)
save_file(single, HERE / "sd1.safetensors")
for part, model, tensors in [("unet", net, nets), ("vae", auto, autos), ("text_encoder", words, said)]:
    note("sd1", part, tensors, settings(model))

# The same as stable-diffusion.cpp writes it: kernels and vectors as they are, matrices of the text encoder in blocks.
writer = gguf.GGUFWriter(HERE / "sd1.gguf", "sd1")
for name, tensor in single.items():
    if "model_ema" in name or "position_ids" in name or "alphas" in name or name.startswith(("first_stage_model.encoder", "first_stage_model.quant")):
        continue
    array = tensor.float().numpy()
    if array.ndim == 2 and array.shape[1] % 32 == 0:
        writer.add_tensor(name, gguf.quantize(array, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        single[name] = torch.from_numpy(gguf.dequantize(gguf.quantize(array, gguf.GGMLQuantizationType.Q8_0), gguf.GGMLQuantizationType.Q8_0))
    else:
        writer.add_tensor(name, array.astype(numpy.float16 if array.ndim > 1 else numpy.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
prefix = "model.diffusion_model."
decoder = {name: tensor for name, tensor in autos.items() if name.startswith(("decoder.", "post_quant"))}
blocks = reader.convert_ldm_unet_checkpoint({k: v.float() for k, v in single.items()}, {**net.config, "layers_per_block": 1})
note("sd1-gguf", "unet", {n: t.reshape(nets[n].shape) for n, t in blocks.items()}, settings(net))
note("sd1-gguf", "vae", decoder, settings(auto))
kept = {name: tensor.float() for name, tensor in single.items() if "position_ids" not in name}
note("sd1-gguf", "text_encoder", reader.convert_ldm_clip_checkpoint(kept), settings(words))

# SD 2.x: OpenCLIP's text encoder, whose last layer is not used; a latent consistency net on top.
net = unet(use_linear_projection=True, attention_head_dim=(2, 4), time_cond_proj_dim=6, in_channels=9)
whole = text(CLIPTextModelWithProjection, num_hidden_layers=3, hidden_act="gelu", projection_dim=32)
nets, said = state(net), state(whole)
prefix = "cond_stage_model.model."
single = below("model.diffusion_model.", ldm_net(nets, 1, 2)) | below(prefix, open_clip(said))
# diffusers' reader passes over the embedding of the guidance.
guided = {name: tensor for name, tensor in nets.items() if "cond_proj" not in name}
same(guided, reader.convert_ldm_unet_checkpoint(dict(single), {**net.config, "layers_per_block": 1}), "sd2 unet")
used = {name: tensor for name, tensor in said.items() if ".layers.2." not in name and "projection" not in name}
read = {name: tensor for name, tensor in single.items() if "resblocks.2." not in name and "text_projection" not in name}
same(used, reader.convert_open_clip_checkpoint(whole, read, prefix), "sd2 text")
save_file(single, HERE / "sd2.safetensors")
note("sd2", "unet", nets, settings(net))
note("sd2", "text_encoder", used, settings(whole) | {"num_hidden_layers": 2})

# SDXL: three levels of which two attend, an added embedding, both text encoders.
net = unet(
    block_out_channels=(4, 8, 8), down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=(1, 1, 2),
    attention_head_dim=(1, 2, 2), use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=4,
    projection_class_embeddings_input_dim=40, layers_per_block=2,
)
first, second = text(CLIPTextModel), text(CLIPTextModelWithProjection, hidden_act="gelu", projection_dim=32)
nets, said, also = state(net), with_top(state(first)), state(second)
single = below("model.diffusion_model.", ldm_net(nets, 2, 3)) | below("conditioner.embedders.0.transformer.", said)
single |= below("conditioner.embedders.1.model.", open_clip(also))
config = {**net.config, "layers_per_block": 2}
same(nets, reader.convert_ldm_unet_checkpoint(dict(single), config), "sdxl unet")
same(said, reader.convert_ldm_clip_checkpoint(dict(single)), "sdxl text")
same(also, reader.convert_open_clip_checkpoint(second, dict(single), "conditioner.embedders.1.model."), "sdxl second text")
# 8-bit floats with scales, as ComfyUI keeps them.
for name, tensor in list(single.items()):
    if name.startswith("model.diffusion_model.") and name.endswith("weight") and tensor.ndim > 1:
        scale = tensor.float().abs().max() / 448
        stored = (tensor.float() / scale).to(torch.float8_e4m3fn)
        single[name] = stored
        single[name.replace(".weight", ".scale_weight")] = scale.reshape(1)
        single[name.replace(".weight", ".scale_input")] = torch.ones(1)
single["model.diffusion_model.scaled_fp8"] = torch.zeros(2).to(torch.float8_e4m3fn)
wide = {}
for name, tensor in single.items():
    if "scale" in name:
        continue
    scale = single.get(name.replace(".weight", ".scale_weight")) if name.endswith(".weight") else None
    wide[name] = tensor.float() * scale if scale is not None else tensor
save_file(single, HERE / "sdxl.safetensors")
note("sdxl", "unet", reader.convert_ldm_unet_checkpoint(wide, config), settings(net))
note("sdxl", "text_encoder", said, settings(first))
note("sdxl", "text_encoder_2", also, settings(second))

# A ControlNet of SD 1.x.
net = seeded(ControlNetModel(
    layers_per_block=1, norm_num_groups=2, attention_head_dim=2, cross_attention_dim=32, block_out_channels=(4, 8),
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), conditioning_embedding_out_channels=(2, 3, 4, 5),
))
nets = state(net)
single = below("control_model.", ldm_net(nets, 1, 2))
same(nets, reader.convert_controlnet_checkpoint(dict(single), {**net.config}), "controlnet")
save_file(single, HERE / "controlnet.safetensors")
note("controlnet", "controlnet", nets, settings(net))

# A VAE of 2022: diffusers' names, with the attention's old ones.
old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
renamed = {}
for name, tensor in autos.items():
    for new, then in old.items():
        name = name.replace(f"attentions.0.{new}.", f"attentions.0.{then}.")
    renamed[name] = tensor
save_file(renamed, HERE / "vae-2022.safetensors")
note("vae-2022", "vae", autos, settings(auto))

(HERE / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
for file in HERE.glob("*.safetensors"):
    file.chmod(0o644)
