//! Nets of the Segment Anything family as plain data: their sizes by the shapes of their tensors, and the
//! tensors in the form that the layers read.
//!
//! # Source
//! The names are those of `segment-anything` 1.0 (`build_sam.py`, `modeling/`) and of MobileSAM
//! (`mobile_sam/modeling/tiny_vit_sam.py`).

mod tensors;

use super::detect::detect;
use super::open::Checkpoint;
use crate::error::EngineError;

pub use self::tensors::SamWeights;

/// The side of the square that these nets were trained to see.
///
/// # Source
/// `build_sam.py`; a TinyViT's shapes do not say it.
pub const SIDE: usize = 1024;
/// Heads of every attention of the mask decoder.
///
/// # Source
/// `build_sam.py`, `num_heads`.
pub const DECODER_HEADS: usize = 8;
/// How many pixels of a square's side make one place of an embedding.
pub const PATCH: usize = 16;
/// The widest layer, the most layers and the longest side that a net is believed to have.
const MOST: [usize; 3] = [8192, 256, 4096];

/// Holds the sizes of a net that finds what is pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamConfig {
    /// The side of the square that it sees, a multiple of [`PATCH`].
    pub side: usize,
    /// What turns a picture into an embedding.
    pub encoder: SamEncoder,
    /// Numbers of a place of the embedding.
    pub width: usize,
    /// The mask decoder.
    pub decoder: SamDecoder,
}

/// Holds the sizes of an image encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SamEncoder {
    /// MobileSAM's: convolutions, then windows of several sizes.
    TinyVit(TinyVitConfig),
    /// That of SAM itself.
    Vit(VitConfig),
}

/// Holds the sizes of a TinyViT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TinyVitConfig {
    /// The stages, the finest first; the first has convolutions only.
    pub stages: Vec<TinyVitStage>,
    /// Channels within the convolutions of the first stage.
    pub expanded: usize,
}

/// Holds the sizes of one stage of a TinyViT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TinyVitStage {
    /// Channels.
    pub width: usize,
    /// Blocks.
    pub depth: usize,
    /// Heads of its attention; 0 in the first stage.
    pub heads: usize,
    /// The side of its windows; 0 in the first stage.
    pub window: usize,
    /// Numbers within its multilayer perceptrons; 0 in the first stage.
    pub hidden: usize,
}

/// Holds the sizes of a vision transformer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VitConfig {
    /// Channels.
    pub width: usize,
    /// Numbers of a head.
    pub head_width: usize,
    /// Numbers within the multilayer perceptrons.
    pub hidden: usize,
    /// For each block the side of its windows, which is that of the whole grid where all is seen.
    pub windows: Vec<usize>,
}

/// Holds the sizes of the mask decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamDecoder {
    /// Layers that look both ways.
    pub depth: usize,
    /// Numbers of queries between tokens and picture.
    pub inner: usize,
    /// Numbers within the multilayer perceptrons.
    pub hidden: usize,
    /// Masks: one for prompts that leave no doubt, the others from part to whole.
    pub masks: usize,
    /// Channels of the enlarged embedding: in the middle, and at the end.
    pub enlarged: [usize; 2],
    /// Layers of the head that foretells quality, and their width.
    pub quality: [usize; 2],
}

impl SamConfig {
    /// Reads the sizes of a net from the shapes of its tensors.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the file is something else, or of a kind that is not read;
    /// [`EngineError::Damaged`] when its shapes do not fit each other.
    pub fn of(file: &Checkpoint) -> Result<Self, EngineError> {
        let shapes = Shapes { file };
        let has_decoder = shapes.has("mask_decoder.iou_token.weight")
            && shapes.has("prompt_encoder.no_mask_embed.weight");
        let is_tiny = shapes.has("image_encoder.patch_embed.seq.0.c.weight");
        let is_plain = shapes.has("image_encoder.patch_embed.proj.weight");
        if !has_decoder || !(is_tiny || is_plain) {
            return Err(Self::refused(file));
        }
        let read = || {
            let (side, encoder) =
                if is_tiny { (SIDE, shapes.tiny_vit()?) } else { shapes.vit()? };
            let [1, width] = shapes.get("prompt_encoder.no_mask_embed.weight")? else {
                return None;
            };
            let decoder = shapes.decoder(width)?;
            Some(Self { side, encoder, width, decoder })
        };
        let sound = read().filter(Self::is_sound);
        sound.ok_or_else(|| {
            EngineError::damaged(
                file.path(),
                "is a Segment Anything net of a shape that is not known",
            )
        })
    }

    /// Returns how many places a side of the embedding has.
    pub fn grid(&self) -> usize {
        self.side / PATCH
    }

    fn refused(file: &Checkpoint) -> EngineError {
        let found = detect(file);
        let what = match found.variant {
            Some(variant) => format!("{} ({variant})", found.family),
            None => found.family.to_string(),
        };
        let reason = format!(
            "must be MobileSAM or SAM under the names of their makers, such as mobile_sam.pt; this is \
             {what}: {}",
            file.path().display()
        );
        EngineError::invalid("model", reason)
    }

    fn is_sound(&self) -> bool {
        let [widest, deepest, side] = MOST;
        let SamDecoder { depth, inner, hidden, masks, enlarged, quality } = self.decoder;
        let fits = |width: &usize| (1..=widest).contains(width);
        let deep = |depth: &usize| (1..=deepest).contains(depth);
        let decoder = [self.width, inner, hidden, enlarged[0], enlarged[1], quality[1]];
        let is_sound = (PATCH..=side).contains(&self.side)
            && self.side.is_multiple_of(PATCH)
            && decoder.iter().all(fits)
            && [depth, quality[0]].iter().all(deep)
            && (1..=64).contains(&masks)
            && self.width.is_multiple_of(2)
            && [self.width, inner].iter().all(|width| width.is_multiple_of(DECODER_HEADS));
        is_sound
            && match &self.encoder {
                SamEncoder::TinyVit(config) => {
                    let (first, rest) = (&config.stages[..1], &config.stages[1..]);
                    config.stages.len() == 4
                        && fits(&config.expanded)
                        && first.iter().chain(rest).all(|one| fits(&one.width) && deep(&one.depth))
                        && first.iter().all(|one| one.width.is_multiple_of(2))
                        && rest.iter().all(|one| {
                            fits(&one.hidden)
                                && (1..=64).contains(&one.window)
                                && one.heads > 0
                                && one.width.is_multiple_of(one.heads)
                        })
                }
                SamEncoder::Vit(config) => {
                    fits(&config.width)
                        && fits(&config.hidden)
                        && config.head_width > 0
                        && config.width.is_multiple_of(config.head_width)
                        && deep(&config.windows.len())
                        && config.windows.iter().all(|side| (1..=self.grid()).contains(side))
                }
            }
    }
}

/// Looks at shapes.
struct Shapes<'a> {
    file: &'a Checkpoint,
}

impl Shapes<'_> {
    fn has(&self, name: &str) -> bool {
        self.file.tensors().contains_key(name)
    }

    fn get<const N: usize>(&self, name: &str) -> Option<[usize; N]> {
        self.file.tensors().get(name)?.shape.as_slice().try_into().ok()
    }

    /// Counts `{before}0{behind}`, `{before}1{behind}` and so on.
    fn count(&self, before: &str, behind: &str) -> usize {
        (0..=MOST[1]).take_while(|at| self.has(&format!("{before}{at}{behind}"))).count()
    }

    fn tiny_vit(&self) -> Option<SamEncoder> {
        let mut stages = Vec::new();
        let [expanded, width, 1, 1] = self.get("image_encoder.layers.0.blocks.0.conv1.c.weight")?
        else {
            return None;
        };
        let depth = self.count("image_encoder.layers.0.blocks.", ".conv1.c.weight");
        stages.push(TinyVitStage { width, depth, heads: 0, window: 0, hidden: 0 });
        // The first stage has no perceptrons.
        let first_of = |layer| format!("image_encoder.layers.{layer}.blocks.0.mlp.fc1.weight");
        let layers = (1..=MOST[1]).take_while(|layer| self.has(&first_of(*layer))).count();
        for layer in 1..=layers {
            let name = |rest: &str| format!("image_encoder.layers.{layer}.blocks.{rest}");
            let [hidden, width] = self.get(&name("0.mlp.fc1.weight"))?;
            // One for each distance down and across.
            let [heads, distances] = self.get(&name("0.attn.attention_biases"))?;
            let window = distances.isqrt();
            if window * window != distances {
                return None;
            }
            let depth = self.count(&name(""), ".mlp.fc1.weight");
            stages.push(TinyVitStage { width, depth, heads, window, hidden });
        }
        Some(SamEncoder::TinyVit(TinyVitConfig { stages, expanded }))
    }

    fn vit(&self) -> Option<(usize, SamEncoder)> {
        let [width, 3, PATCH, PATCH] = self.get("image_encoder.patch_embed.proj.weight")? else {
            return None;
        };
        let [1, grid, across, _] = self.get("image_encoder.pos_embed")? else { return None };
        let [hidden, _] = self.get("image_encoder.blocks.0.mlp.lin1.weight")?;
        let depth = self.count("image_encoder.blocks.", ".attn.qkv.weight");
        let mut head_width = None;
        let mut windows = Vec::new();
        for block in 0..depth {
            let [reach, numbers] =
                self.get(&format!("image_encoder.blocks.{block}.attn.rel_pos_h"))?;
            if reach % 2 == 0 || *head_width.get_or_insert(numbers) != numbers {
                return None;
            }
            windows.push(reach.div_ceil(2));
        }
        let config = VitConfig { width, head_width: head_width?, hidden, windows };
        let side = grid.checked_mul(PATCH)?;
        (grid == across).then_some((side, SamEncoder::Vit(config)))
    }

    fn decoder(&self, width: usize) -> Option<SamDecoder> {
        let layers = "mask_decoder.transformer.layers.";
        let [inner, _] = self.get(&format!("{layers}0.cross_attn_token_to_image.q_proj.weight"))?;
        let [hidden, _] = self.get(&format!("{layers}0.mlp.lin1.weight"))?;
        let [masks, tokens] = self.get("mask_decoder.mask_tokens.weight")?;
        let [_, middle, 2, 2] = self.get("mask_decoder.output_upscaling.0.weight")? else {
            return None;
        };
        let [_, end, 2, 2] = self.get("mask_decoder.output_upscaling.3.weight")? else {
            return None;
        };
        let [quality, _] = self.get("mask_decoder.iou_prediction_head.layers.0.weight")?;
        let heads = self.count("mask_decoder.iou_prediction_head.layers.", ".weight");
        (tokens == width).then_some(SamDecoder {
            depth: self.count(layers, ".self_attn.q_proj.weight"),
            inner,
            hidden,
            masks,
            enlarged: [middle, end],
            quality: [heads, quality],
        })
    }
}
