"""Writes small LoRAs by every trainer's names for the model in ../sd/sd1.safetensors, and what diffusers and PEFT make of its weights.

    pip install -r requirements.txt; python make.py

Seed 12. expected.safetensors holds, for each case and each weight that the case changes, the difference of the changed weight and
the one of the model, as `<case>/<part>/<diffusers' name>`, in f32 from f64. Where diffusers or PEFT read a file, the difference is
theirs (`fuse_lora`, `merge_and_unload`); for the files of LyCORIS, which neither reads, it is the published formula in torch.
cases.json says which files a case takes, with what strength.
"""

import json
import shutil
import warnings
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders import single_file_utils as reader
from peft import LoHaConfig, LoKrConfig, LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
torch.manual_seed(12)
SD = HERE.parent / "sd"
described = json.loads((SD / "expected.json").read_text())["sd1"]
single = {name: tensor.double() for name, tensor in load_file(SD / "sd1.safetensors").items()}
expected, cases = {}, {}


def fresh():
    """Returns the net and the text encoder of the model, in f64 so that differences keep their digits."""
    config = described["unet"]["config"]
    net = UNet2DConditionModel(**config).double()
    net.load_state_dict(reader.convert_ldm_unet_checkpoint(dict(single), config))
    words = CLIPTextModel(CLIPTextConfig(**described["text_encoder"]["config"])).double()
    tensors = reader.convert_ldm_clip_checkpoint(dict(single))
    words.load_state_dict({name: tensor for name, tensor in tensors.items() if "position_ids" not in name})
    return net, words


NET, WORDS = (model.state_dict() for model in fresh())


def note(case, files, weights):
    """`weights` are the changed weights by part and name; what is as it was is left out."""
    cases[case] = files
    count = 0
    for part, base, changed in [("unet", NET, weights.get("unet", {})), ("text_encoder", WORDS, weights.get("text_encoder", {}))]:
        for name, tensor in changed.items():
            delta = tensor - base[name]
            if delta.abs().max() > 0:
                expected[f"{case}/{part}/{name}"] = delta.float().contiguous()
                count += 1
    assert count, case
    print(case, count)


def pair(to, inner, rank=2, kernel=()):
    up = torch.randn(to, rank, *[1 for _ in kernel]) * 0.3
    return torch.randn(rank, inner, *kernel) * 0.3, up


def write(name, tensors, metadata=None):
    save_file({key: tensor.float().contiguous() for key, tensor in tensors.items()}, HERE / name, metadata)
    (HERE / name).chmod(0o644)


def merged(model):
    """Returns the weights of a model with merged layers, by their plain names."""
    out = {}
    for name, tensor in model.state_dict().items():
        if "lora_" in name or "hada_" in name or "lokr_" in name:
            continue
        out[name.replace(".base_layer.", ".").removeprefix("base_model.model.")] = tensor
    return out


def by_diffusers(files):
    """Returns the weights after diffusers has loaded and fused files with strengths."""
    net, words = fresh()
    pipe = StableDiffusionPipeline(
        vae=None, text_encoder=words, tokenizer=None, unet=net, scheduler=None, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )
    names = [f"a{index}" for index in range(len(files))]
    for adapter, (file, _) in zip(names, files):
        pipe.load_lora_weights(str(HERE), weight_name=file, adapter_name=adapter)
        net.double(), words.double()
    pipe.set_adapters(names, [strength for _, strength in files])
    pipe.fuse_lora(adapter_names=names)
    return {"unet": merged(pipe.unet), "text_encoder": merged(pipe.text_encoder)}


ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0"
LDM_ATTENTION = "input_blocks.1.1.transformer_blocks.0"
MID = "mid_block.attentions.0.transformer_blocks.0"
TEXT = "text_model.encoder.layers"
flat = lambda name: name.replace(".", "_")

# kohya's names, with diffusers' blocks; alpha beside each; a convolution of 3×3 and one of 1×1, as LoCon has them.
kohya = {}
for module, to, inner, kernel in [
    (f"{ATTENTION}.attn1.to_q", 4, 4, ()), (f"{ATTENTION}.attn2.to_k", 4, 32, ()), (f"{ATTENTION}.attn2.to_out.0", 4, 4, ()),
    (f"{ATTENTION}.ff.net.0.proj", 32, 4, ()), ("down_blocks.0.attentions.0.proj_in", 4, 4, (1, 1)),
    ("down_blocks.1.resnets.0.conv1", 8, 4, (3, 3)), (f"{MID}.attn2.to_v", 8, 32, ()),
]:
    down, up = pair(to, inner, 2, kernel)
    kohya |= {f"lora_unet_{flat(module)}.lora_down.weight": down, f"lora_unet_{flat(module)}.lora_up.weight": up}
    kohya[f"lora_unet_{flat(module)}.alpha"] = torch.tensor(1.0)
for module, to, inner in [("0.self_attn.q_proj", 32, 32), ("0.self_attn.out_proj", 32, 32), ("1.mlp.fc1", 24, 32)]:
    down, up = pair(to, inner, 3)
    key = f"lora_te_{flat(TEXT)}_{flat(module)}"
    kohya |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(2.0)}
write("kohya.safetensors", kohya, {"ss_network_module": "networks.lora"})
note("kohya", [["kohya.safetensors", 1.0]], by_diffusers([("kohya.safetensors", 1.0)]))

# The same file with CompVis's blocks.
ldm = {}
for key, tensor in kohya.items():
    for ours, theirs in [
        (flat(ATTENTION), flat(LDM_ATTENTION)), ("down_blocks_0_attentions_0", "input_blocks_1_1"),
        ("down_blocks_1_resnets_0_conv1", "input_blocks_3_0_in_layers_2"), ("mid_block_attentions_0", "middle_block_1"),
    ]:
        key = key.replace(ours, theirs)
    ldm[key] = tensor
write("kohya-ldm.safetensors", ldm)
cases["kohya-ldm"] = [["kohya-ldm.safetensors", 1.0]]
for key in [key for key in expected if key.startswith("kohya/")]:
    expected[key.replace("kohya/", "kohya-ldm/")] = expected[key].clone()

# As diffusers writes it: PEFT's ends behind the parts' names, PEFT's settings in the metadata.
net, words = fresh()
net.add_adapter(LoraConfig(r=2, lora_alpha=3, target_modules=["to_q", "to_v", "to_out.0"], init_lora_weights=False))
words.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=["k_proj", "out_proj"], init_lora_weights=False))
from peft.utils import get_peft_model_state_dict  # noqa: E402

StableDiffusionPipeline.save_lora_weights(
    HERE, unet_lora_layers={k: v.float() for k, v in get_peft_model_state_dict(net).items()},
    text_encoder_lora_layers={k: v.float() for k, v in get_peft_model_state_dict(words).items()},
    unet_lora_adapter_metadata=net.peft_config["default"].to_dict(), text_encoder_lora_adapter_metadata=words.peft_config["default"].to_dict(),
    weight_name="diffusers.safetensors",
)
note("diffusers", [["diffusers.safetensors", 1.0]], by_diffusers([("diffusers.safetensors", 1.0)]))
note(
    "two", [["kohya.safetensors", 0.7], ["diffusers.safetensors", -0.4]],
    by_diffusers([("kohya.safetensors", 0.7), ("diffusers.safetensors", -0.4)]),
)

# As diffusers wrote it in 2023: processors of attentions, no alpha.
old = {}
for module, to, inner in [(f"{ATTENTION}.attn1", 4, 4), (f"{MID}.attn1", 8, 8)]:
    for end in ["to_q", "to_k", "to_v", "to_out"]:
        down, up = pair(to, inner)
        old[f"{module}.processor.{end}_lora.down.weight"] = down
        old[f"{module}.processor.{end}_lora.up.weight"] = up
write("diffusers-old.safetensors", {f"unet.{key}": tensor for key, tensor in old.items()})
note("diffusers-old", [["diffusers-old.safetensors", 1.0]], by_diffusers([("diffusers-old.safetensors", 1.0)]))
# Before it had the part's name.
write("diffusers-oldest.safetensors", old)
cases["diffusers-oldest"] = [["diffusers-oldest.safetensors", 1.0]]
for key in [key for key in expected if key.startswith("diffusers-old/")]:
    expected[key.replace("diffusers-old/", "diffusers-oldest/")] = expected[key].clone()


def by_peft(name, config):
    """Saves a trained adapter as PEFT does, and merges it."""
    net, _ = fresh()
    model = get_peft_model(net, config)
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            if any(mark in key for mark in ["lora_A", "lora_B", "hada_", "lokr_"]):
                # As many digits as the file keeps.
                tensor.copy_((torch.randn(tensor.shape) * 0.3).float())
            if "magnitude" in key:
                tensor.copy_((tensor * (1 + 0.2 * torch.rand(tensor.shape))).float())
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    state = model.state_dict()
    model.save_pretrained(folder)
    tensors = {key: tensor.float() for key, tensor in load_file(folder / "adapter_model.safetensors").items()}
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    (folder / "adapter_model.safetensors").chmod(0o644)
    (folder / "README.md").unlink(missing_ok=True)
    settings = json.loads((folder / "adapter_config.json").read_text())
    keep = ["peft_type", "r", "lora_alpha", "alpha", "alpha_pattern", "rank_pattern", "use_rslora", "use_dora"]
    (folder / "adapter_config.json").write_text(json.dumps({k: settings[k] for k in keep if k in settings}, indent=1) + "\n")
    assert state
    note(name, [[f"{name}/adapter_model.safetensors", 1.0]], {"unet": merged(model.merge_and_unload())})


SOME = ["to_q", "attn2.to_k", "down_blocks.1.resnets.0.conv1"]
by_peft("peft", LoraConfig(r=2, lora_alpha=4, use_rslora=True, target_modules=SOME, alpha_pattern={"attn2.to_k": 1}, rank_pattern={"attn2.to_k": 3}))
by_peft("peft-dora", LoraConfig(r=2, lora_alpha=3, use_dora=True, target_modules=SOME))
by_peft("peft-loha", LoHaConfig(r=2, alpha=3, use_effective_conv2d=True, target_modules=SOME))
by_peft("peft-lokr", LoKrConfig(r=1, alpha=3, use_effective_conv2d=True, decompose_both=True, target_modules=SOME))
by_peft("peft-lokr-whole", LoKrConfig(r=8, alpha=12, target_modules=SOME))

# The files of LyCORIS, by the published formulas.
TO_Q, CONV = f"{ATTENTION}.attn1.to_q.weight", "down_blocks.1.resnets.0.conv1.weight"
Q_KEY, CONV_KEY = f"lora_unet_{flat(TO_Q[:-7])}", f"lora_unet_{flat(CONV[:-7])}"
random = lambda *shape: (torch.randn(*shape) * 0.3).float()
dbl = lambda tensor: tensor.double()


def lycoris(name, tensors, changed):
    write(f"{name}.safetensors", tensors)
    note(name, [[f"{name}.safetensors", 1.0]], {"unet": {key: NET[key] + delta for key, delta in changed.items()}})


# LoCon with a core: the convolution is up · core · down.
up, mid, down = random(8, 2, 1, 1), random(2, 2, 3, 3), random(2, 4, 1, 1)
delta = torch.einsum("oi,ijhw,jn->onhw", dbl(up)[..., 0, 0], dbl(mid), dbl(down)[..., 0, 0])
lycoris("locon-core", {
    f"{CONV_KEY}.lora_up.weight": up, f"{CONV_KEY}.lora_mid.weight": mid, f"{CONV_KEY}.lora_down.weight": down,
    f"{CONV_KEY}.alpha": torch.tensor(1.0),
}, {CONV: delta * 0.5})

# LoHa: two products, multiplied number by number; for the convolution with cores.
a, b, c, d = random(4, 2), random(2, 4), random(4, 2), random(2, 4)
ca, cb, cc, cd, t1, t2 = random(2, 8), random(2, 4), random(2, 8), random(2, 4), random(2, 2, 3, 3), random(2, 2, 3, 3)
core = lambda t, left, right: torch.einsum("ijkl,jr,ip->prkl", dbl(t), dbl(right), dbl(left))
lycoris("loha", {
    f"{Q_KEY}.hada_w1_a": a, f"{Q_KEY}.hada_w1_b": b, f"{Q_KEY}.hada_w2_a": c, f"{Q_KEY}.hada_w2_b": d,
    f"{Q_KEY}.alpha": torch.tensor(1.0),
    f"{CONV_KEY}.hada_w1_a": ca, f"{CONV_KEY}.hada_w1_b": cb, f"{CONV_KEY}.hada_w2_a": cc, f"{CONV_KEY}.hada_w2_b": cd,
    f"{CONV_KEY}.hada_t1": t1, f"{CONV_KEY}.hada_t2": t2, f"{CONV_KEY}.alpha": torch.tensor(3.0),
}, {
    TO_Q: (dbl(a) @ dbl(b)) * (dbl(c) @ dbl(d)) * 0.5,
    CONV: core(t1, ca, cb) * core(t2, cc, cd) * 1.5,
})

# LoKr: a Kronecker product; both factors whole (then alpha means nothing), or the second a product.
w1, w2 = random(2, 2), random(2, 2)
k1, k2a, k2b = random(2, 2), random(4, 1), random(1, 2 * 9)
second = (dbl(k2a) @ dbl(k2b)).reshape(4, 2, 3, 3)
lycoris("lokr", {
    f"{Q_KEY}.lokr_w1": w1, f"{Q_KEY}.lokr_w2": w2, f"{Q_KEY}.alpha": torch.tensor(9999999827968.0),
    f"{CONV_KEY}.lokr_w1": k1, f"{CONV_KEY}.lokr_w2_a": k2a, f"{CONV_KEY}.lokr_w2_b": k2b, f"{CONV_KEY}.alpha": torch.tensor(0.5),
}, {
    TO_Q: torch.kron(dbl(w1), dbl(w2)),
    CONV: torch.kron(dbl(k1)[..., None, None], second) * 0.5,
})

# DoRA as LyCORIS has it: lengths of the outputs, or of the inputs.
tensors, changed = {}, {}
for key, name, axis in [(Q_KEY, TO_Q, 0), (CONV_KEY, CONV, 1)]:
    weight = NET[name]
    down, up = pair(weight.shape[0], weight.shape[1], 2, tuple(weight.shape[2:]))
    whole = weight + (dbl(up).flatten(1) @ dbl(down).flatten(1)).reshape(weight.shape) * 0.5
    others = [side for side in range(weight.ndim) if side != axis]
    length = whole.square().sum(dim=others, keepdim=True).sqrt()
    scale = (length * (1 + 0.2 * torch.rand(length.shape))).float()
    tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(1.0), f"{key}.dora_scale": scale}
    changed[name] = dbl(scale) * whole / length - weight
lycoris("dora", tensors, changed)

# Whole differences, of a bias and of a norm too.
lycoris("whole", {
    f"{CONV_KEY}.diff": (w := random(8, 4, 3, 3)), f"{CONV_KEY}.diff_b": (v := random(8)),
    "lora_unet_down_blocks_1_resnets_0_norm1.w_norm": (n := random(4)), "lora_unet_down_blocks_1_resnets_0_norm1.b_norm": (m := random(4)),
}, {
    CONV: dbl(w), "down_blocks.1.resnets.0.conv1.bias": dbl(v),
    "down_blocks.1.resnets.0.norm1.weight": dbl(n), "down_blocks.1.resnets.0.norm1.bias": dbl(m),
})

save_file(expected, HERE / "expected.safetensors")
for file in HERE.glob("**/*.safetensors"):
    file.chmod(0o644)
(HERE / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
