"""Turns the names of diffusers and transformers into those of CompVis, Stability and OpenCLIP."""

import torch

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
TOP = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "time_embedding.cond_proj": "time_embed.cond_proj",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def split(name):
    module, kind = name.rsplit(".", 1)
    return module, kind


def ldm_net(tensors, layers, levels):
    """Turns the names of a UNet or a ControlNet with `layers` layers at each of `levels` levels."""
    out = {}
    for name, tensor in tensors.items():
        module, kind = split(name)
        steps = module.split(".")
        place = lambda rest: ".".join(RESNET.get(step, step) if "resnets" in steps else step for step in rest)
        if module in TOP:
            module = TOP[module]
        elif steps[0] == "down_blocks":
            level = int(steps[1])
            if steps[2] == "downsamplers":
                module = f"input_blocks.{(level + 1) * (layers + 1)}.0.op"
            else:
                block = 1 + level * (layers + 1) + int(steps[3])
                module = f"input_blocks.{block}.{0 if steps[2] == 'resnets' else 1}." + place(steps[4:])
        elif steps[0] == "up_blocks":
            level = int(steps[1])
            if steps[2] == "upsamplers":
                has_attention = any(other.startswith(f"up_blocks.{level}.attentions.") for other in tensors)
                module = f"output_blocks.{level * (layers + 1) + layers}.{2 if has_attention else 1}.conv"
            else:
                block = level * (layers + 1) + int(steps[3])
                module = f"output_blocks.{block}.{0 if steps[2] == 'resnets' else 1}." + place(steps[4:])
        elif steps[0] == "mid_block":
            block = 2 * int(steps[2]) + (steps[1] == "attentions")
            module = f"middle_block.{block}." + place(steps[3:])
        elif steps[0] == "controlnet_down_blocks":
            module = f"zero_convs.{steps[1]}.0"
        elif steps[0] == "controlnet_mid_block":
            module = "middle_block_out.0"
        elif steps[0] == "controlnet_cond_embedding":
            blocks = 1 + max(int(n.split(".")[2]) for n in tensors if n.startswith("controlnet_cond_embedding.blocks."))
            place = {"conv_in": 0, "conv_out": 2 * blocks + 2}.get(steps[1])
            module = f"input_hint_block.{2 * int(steps[2]) + 2 if place is None else place}"
        else:
            raise ValueError(name)
        out[f"{module}.{kind}"] = tensor
    return out


def ldm_vae(tensors, levels):
    out = {}
    for name, tensor in tensors.items():
        module, kind = split(name)
        steps = module.split(".")
        if steps[1:2] == ["down_blocks"] or steps[1:2] == ["up_blocks"]:
            level = int(steps[2]) if steps[1] == "down_blocks" else levels - 1 - int(steps[2])
            way = steps[1].split("_")[0]
            if steps[3] == "resnets":
                rest = ".".join(steps[5:]).replace("conv_shortcut", "nin_shortcut")
                module = f"{steps[0]}.{way}.{level}.block.{steps[4]}.{rest}"
            else:
                module = f"{steps[0]}.{way}.{level}.{steps[3].removesuffix('rs')}.conv"
        elif steps[1:2] == ["mid_block"]:
            if steps[2] == "resnets":
                module = f"{steps[0]}.mid.block_{int(steps[3]) + 1}." + ".".join(steps[4:])
            else:
                new = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"}[steps[4]]
                module = f"{steps[0]}.mid.attn_1.{new}"
                if tensor.ndim == 2:
                    tensor = tensor[:, :, None, None]
        elif steps[1:2] == ["conv_norm_out"]:
            module = f"{steps[0]}.norm_out"
        out[f"{module}.{kind}"] = tensor
    return out


def open_clip(tensors):
    """Turns a text encoder into OpenCLIP's, with one matrix for query, key and value."""
    out = {}
    tops = {
        "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
        "text_model.embeddings.position_embedding.weight": "positional_embedding",
        "text_model.final_layer_norm.weight": "ln_final.weight",
        "text_model.final_layer_norm.bias": "ln_final.bias",
    }
    places = {
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "self_attn.out_proj": "attn.out_proj",
    }
    for name, tensor in tensors.items():
        if name in tops:
            out[tops[name]] = tensor
        elif name == "text_projection.weight":
            out["text_projection"] = tensor.T.contiguous()
        else:
            layer, rest = name.removeprefix("text_model.encoder.layers.").split(".", 1)
            module, kind = split(rest)
            if module in places:
                out[f"transformer.resblocks.{layer}.{places[module]}.{kind}"] = tensor
            elif module == "self_attn.q_proj":
                whole = [tensors[name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"]
                out[f"transformer.resblocks.{layer}.attn.in_proj_{kind}"] = torch.cat(whole)
    out["logit_scale"] = torch.tensor(4.6)
    return out


def with_top(tensors):
    """Puts back the name of the encoder that transformers 5 leaves out."""
    name = lambda old: old if old.startswith("text_") else f"text_model.{old}"
    return {name(old): tensor for old, tensor in tensors.items() if "position_ids" not in old}


def below(prefix, tensors):
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
