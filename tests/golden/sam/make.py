"""Writes the golden numbers of Segment Anything's networks.

The weights are made from their names (`../pipelines/seeded.py`), so the files hold what the reference
computes from them and nothing else: `golden.safetensors`, and in `golden.json` the names and shapes of all
tensors. SAM itself is `segment-anything`; MobileSAM's image encoder is its authors' own file, which the
package `mobilesam-lite` has unchanged.

    pip install -r requirements.txt
    pip install --no-deps mobilesam-lite==0.1.2
    python make.py
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy
import torch
from PIL import Image
from safetensors.torch import save_file
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.utils.transforms import ResizeLongestSide

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "pipelines"))
from seeded import seeded  # noqa: E402

package = importlib.util.find_spec("mobilesam_lite").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("tiny_vit_sam", Path(package) / "mobile_sam/modeling/tiny_vit_sam.py")
tiny_vit_sam = sys.modules["tiny_vit_sam"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny_vit_sam)

# A click; a click in and one out; a box; a box and a click. In pixels of the square's side over 128.
PROMPTS = [
    {"points": [[40.0, 52.5, 1]]},
    {"points": [[40.0, 52.5, 1], [100.25, 20.0, 0]]},
    {"box": [16.0, 24.0, 96.0, 110.5]},
    {"points": [[60.0, 60.0, 1]], "box": [16.0, 24.0, 96.0, 110.5]},
]


def tiny_vit(side, widths, depths, heads, windows, outputs):
    model = tiny_vit_sam.TinyViT(
        img_size=side, embed_dims=widths, depths=depths, num_heads=heads, window_sizes=windows,
        mlp_ratio=4.0, mbconv_expand_ratio=4.0, local_conv_size=3, drop_path_rate=0.0)
    # What is written into the code for MobileSAM's own sizes.
    model.layers[2].downsample.conv2.c.stride = (1, 1)
    if outputs != 256:
        norm = tiny_vit_sam.LayerNorm2d
        model.neck = torch.nn.Sequential(
            torch.nn.Conv2d(widths[-1], outputs, 1, bias=False), norm(outputs),
            torch.nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), norm(outputs))

    def forward(x):
        x = model.patch_embed(x)
        for layer in model.layers:
            x = layer(x)
        grid = side // 16
        return model.neck(x.view(1, grid, grid, -1).permute(0, 3, 1, 2))

    model.forward = forward
    return model


def vit(side, width, depth, heads, window, everywhere, outputs):
    return ImageEncoderViT(
        img_size=side, patch_size=16, embed_dim=width, depth=depth, num_heads=heads, mlp_ratio=4,
        out_chans=outputs, qkv_bias=True, norm_layer=lambda n: torch.nn.LayerNorm(n, eps=1e-6),
        use_rel_pos=True, window_size=window, global_attn_indexes=everywhere)


def sam(encoder, side, width, hidden, quality):
    grid = side // 16
    prompts = PromptEncoder(embed_dim=width, image_embedding_size=(grid, grid),
                            input_image_size=(side, side), mask_in_chans=16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=width, mlp_dim=hidden, num_heads=8)
    decoder = MaskDecoder(num_multimask_outputs=3, transformer=transformer, transformer_dim=width,
                          iou_head_depth=3, iou_head_hidden_dim=quality)
    return Sam(encoder, prompts, decoder)


def fill(model, part):
    """Gives every weight its numbers; returns the shapes of all."""
    shapes = {}
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point() or name.startswith("pixel_"):
                continue
            tensor.copy_(seeded(f"{part}/{name}", tuple(tensor.shape)))
            shapes[name] = list(tensor.shape)
    # After the weights: leaving training is when TinyViT reads its biases.
    model.train()
    return shapes, model.eval()


def run(name, model, side, step):
    """Computes embedding and masks; of large ones every `step`-th place each way is kept."""
    shapes, model = fill(model, name)
    picture = seeded(f"{name}/picture", (1, 3, side, side)) * (2.0 * side)
    out = {}
    with torch.no_grad():
        embedding = model.image_encoder(picture)
        out[f"{name}.embedding"] = embedding[:, :, ::step, ::step]
        for index, prompt in enumerate(PROMPTS):
            scale = side / 128
            points = box = None
            if "points" in prompt:
                places = torch.tensor([[[x * scale, y * scale] for x, y, _ in prompt["points"]]])
                points = places, torch.tensor([[label for _, _, label in prompt["points"]]])
            if "box" in prompt:
                box = torch.tensor([prompt["box"]]) * scale
            sparse, dense = model.prompt_encoder(points=points, boxes=box, masks=None)
            masks, quality = model.mask_decoder.predict_masks(
                image_embeddings=embedding, image_pe=model.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense)
            out[f"{name}.{index}.masks"] = masks[0, :, ::step, ::step]
            out[f"{name}.{index}.quality"] = quality[0]
    print(name, {k: (list(v.shape), float(v.square().mean().sqrt())) for k, v in out.items()})
    return {k: v.contiguous() for k, v in out.items()}, shapes


def around(name, side):
    """Computes what stands before the encoder and behind the decoder, for a picture of 200 × 150."""
    rgb = ((seeded(f"{name}/rgb", (150, 200, 3)) * 20 + 0.5).clamp(0, 1) * 255).numpy().astype(numpy.uint8)
    # Smoother, so that resizing it says something.
    smooth = numpy.array(Image.fromarray(rgb).resize((20, 15)).resize((200, 150), Image.BILINEAR))
    resized = ResizeLongestSide(side).apply_image(smooth)
    model = sam(torch.nn.Identity(), side, 32, 48, 24)
    model.image_encoder.img_size = side
    masks = seeded(f"{name}/masks", (1, 1, side // 4, side // 4)) * side
    full = model.postprocess_masks(masks, resized.shape[:2], (150, 200))[0, 0]
    return {
        f"{name}.rgb": torch.from_numpy(smooth.copy()).half(), f"{name}.resized": torch.from_numpy(resized.copy()).half(),
        f"{name}.full": full[::3, ::3].contiguous(),
    }


tensors, cases = {}, {}
for name, model, side, step in [
    ("tiny", sam(tiny_vit(128, [16, 24, 32, 40], [1, 1, 2, 1], [2, 2, 4, 5], [7, 3, 5, 8], 32), 128, 32, 48, 24), 128, 1),
    ("plain", sam(vit(128, 32, 3, 4, 3, (1,), 32), 128, 32, 48, 24), 128, 1),
    ("mobile", sam(tiny_vit(1024, [64, 128, 160, 320], [2, 2, 6, 2], [2, 4, 5, 10], [7, 7, 14, 7], 256), 1024, 256, 2048, 256), 1024, 8),
]:
    found, shapes = run(name, model, side, step)
    tensors |= found
    cases[name] = {"side": side, "step": step, "tensors": shapes}
tensors |= around("around", 128)
note = {"script": "make.py", "torch": torch.__version__, "segment-anything": "1.0", "mobilesam-lite": "0.1.2",
        "prompts": PROMPTS, "cases": cases}
save_file(tensors, HERE / "golden.safetensors")
(HERE / "golden.json").write_text(json.dumps(note, separators=(",", ":")) + "\n")
for file in ["golden.safetensors", "golden.json"]:
    print(file, (HERE / file).stat().st_size // 1024, "kB")
