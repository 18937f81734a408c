//! The nets of Stable Diffusion, alone or in a checkpoint with their encoders.

use super::distilled::distilled;
use super::{Base, Detection, Evidence, Family, Naming, Prediction, Variant, View, parts};

/// Where a UNet may stand, in CompVis's names and in diffusers'.
const LDM: [&str; 4] = ["model.diffusion_model.", "diffusion_model.", "unet.", ""];
const DIFFUSERS: [&str; 4] = ["unet/", "unet.", "model.", ""];

/// What the spread of one norm's shifts lies above in nets that predict v.
///
/// # Source
/// ComfyUI, `supported_models.py`, `SD20.model_type`: the two kinds have the same names and shapes.
const V_SPREAD: f32 = 0.09;

/// Holds what the names of a UNet or of its copy in a ControlNet tell.
struct Net<'a> {
    prefix: &'a str,
    naming: Naming,
    channels: usize,
    base: Option<Base>,
    /// How many attentions look at the words.
    attentions: usize,
    context: usize,
}

fn net<'a>(view: &View<'_>, prefix: &'a str, naming: Naming) -> Option<Net<'a>> {
    let (first, second) = match naming {
        Naming::Ldm => ("input_blocks.0.0.weight", "input_blocks.1.0.in_layers.0.weight"),
        _ => ("conv_in.weight", "down_blocks.0.resnets.0.norm1.weight"),
    };
    let [_, channels, ..] = *view.shape(&format!("{prefix}{first}"))? else { return None };
    view.has(&format!("{prefix}{second}")).then_some(())?;
    let to_words = view.below(prefix).filter(|(name, _)| name.ends_with(".attn2.to_k.weight"));
    let contexts: Vec<usize> =
        to_words.filter_map(|(_, info)| info.shape.get(1).copied()).collect();
    let context = contexts.first().copied()?;
    let base = Base::of_context(context);
    Some(Net { prefix, naming, channels, base, attentions: contexts.len(), context })
}

/// Recognises a UNet and what stands beside it.
pub(super) fn unet(view: &View<'_>) -> Option<Detection> {
    let ldm = LDM.iter().find_map(|prefix| net(view, prefix, Naming::Ldm));
    let net = match ldm {
        Some(net) => net,
        None => DIFFUSERS.iter().find_map(|prefix| net(view, prefix, Naming::Diffusers))?,
    };
    let mut found = Detection::based(Family::StableDiffusion, net.base);
    found.naming = Some(net.naming);
    let is_consistent = view.has(&format!("{}time_embedding.cond_proj.weight", net.prefix))
        || view.has(&format!("{}time_embed.cond_proj.weight", net.prefix));
    found.variant = Some(match net.channels {
        4 if is_consistent => Variant::LatentConsistency,
        4 => Variant::TextToImage,
        5 => Variant::DepthToImage,
        7 => Variant::FourTimesUpscaling,
        8 => Variant::InstructPix2Pix,
        9 => Variant::Inpainting,
        other => {
            found.strange.push(format!("The net takes {other} channels, as no known variant does"));
            Variant::TextToImage
        }
    });
    found.distilled = Some(distilled(found.variant, view.file_name));
    (found.prediction, found.prediction_by) = prediction(view, &net, &mut found.strange).unzip();
    if net.base.is_none() {
        let context = net.context;
        found.strange.push(format!("The net looks at words of width {context}: no known model's"));
    }
    attentions(&net, &mut found);
    if view.any_below("model_ema.") {
        found.detail("averaged weights", "also here (EMA), not used");
    }
    if view.any_below("scaled_fp8") || view.any_below(&format!("{}scaled_fp8", net.prefix)) {
        found.strange.push("Its 8-bit numbers have scales of their own (scaled fp8)".to_owned());
    }
    companions(view, &net, &mut found);
    Some(found)
}

/// Tells a pruned net by its attentions.
fn attentions(net: &Net<'_>, found: &mut Detection) {
    let whole = match net.base {
        Some(Base::Sd1 | Base::Sd2) => 16,
        Some(Base::Sdxl) => 70,
        Some(Base::SdxlRefiner) => 44,
        None => return,
    };
    if net.attentions < whole {
        let has = net.attentions;
        found.detail("pruned", format!("{has} of {whole} attentions, as in SSD-1B or BK-SDM"));
    } else if net.attentions > whole {
        let has = net.attentions;
        found.strange.push(format!("The net has {has} attentions, not {whole}"));
    }
}

/// Tells what the net predicts: what the file says, else what its kind does.
fn prediction(
    view: &View<'_>,
    net: &Net<'_>,
    strange: &mut Vec<String>,
) -> Option<(Prediction, Evidence)> {
    let said = ["modelspec.prediction_type", "scheduler/prediction_type", "prediction_type"]
        .iter()
        .find_map(|key| view.fact(key));
    match said {
        Some("epsilon" | "eps") => return Some((Prediction::Epsilon, Evidence::Metadata)),
        Some("v" | "v_prediction" | "v-prediction") => {
            return Some((Prediction::V, Evidence::Metadata));
        }
        Some("edm") => return Some((Prediction::Edm, Evidence::Metadata)),
        _ => {}
    }
    if view.has("v_pred") {
        if view.has("ztsnr") {
            strange.push("It was trained to begin from pure noise (zero terminal SNR)".to_owned());
        }
        return Some((Prediction::V, Evidence::Mark));
    }
    if view.has("edm_mean") || view.has("edm_vpred.sigma_max") {
        return Some((Prediction::Edm, Evidence::Mark));
    }
    match (net.base?, net.channels) {
        // Those for inpainting and depth were all trained from the net that predicts noise.
        (Base::Sd2, 4) => {
            let block = match net.naming {
                Naming::Ldm => "output_blocks.11.1",
                _ => "up_blocks.3.attentions.2",
            };
            let name = format!("{}{block}.transformer_blocks.0.norm1.bias", net.prefix);
            let spread = (view.numbers)(&name).as_deref().map(spread);
            if spread.is_none() {
                strange.push("Whether it predicts noise or v cannot be told".to_owned());
            }
            let told = if spread? > V_SPREAD { Prediction::V } else { Prediction::Epsilon };
            Some((told, Evidence::Numbers))
        }
        (Base::Sd2, 7) => Some((Prediction::V, Evidence::Usual)),
        _ => Some((Prediction::Epsilon, Evidence::Usual)),
    }
}

/// Returns the standard deviation.
fn spread(values: &[f32]) -> f32 {
    let count = values.len().max(1) as f32;
    let mean = values.iter().sum::<f32>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt()
}

/// Says which of the encoders that a whole checkpoint has are not here.
fn companions(view: &View<'_>, net: &Net<'_>, found: &mut Detection) {
    if !parts::has_vae(view) {
        found.missing.push("the VAE".to_owned());
    }
    let has_text = |prefixes: &[&str]| prefixes.iter().any(|prefix| view.any_below(prefix));
    match net.base {
        Some(Base::Sdxl) => {
            let first = ["conditioner.embedders.0.", "text_encoder/", "text_encoders.clip_l."];
            let second = ["conditioner.embedders.1.", "text_encoder_2/", "text_encoders.clip_g."];
            if !has_text(&first) {
                found.missing.push("the first text encoder (CLIP ViT-L)".to_owned());
            }
            if !has_text(&second) {
                found.missing.push("the second text encoder (OpenCLIP ViT-bigG)".to_owned());
            }
        }
        Some(Base::SdxlRefiner) => {
            if !has_text(&["conditioner.embedders.0.", "text_encoder_2/"]) {
                found.missing.push("the text encoder (OpenCLIP ViT-bigG)".to_owned());
            }
        }
        _ => {
            if !has_text(&["cond_stage_model.", "text_encoder/", "text_encoders."]) {
                found.missing.push("the text encoder".to_owned());
            }
        }
    }
}

/// Recognises a ControlNet.
pub(super) fn control_net(view: &View<'_>) -> Option<Detection> {
    let net = if view.has("controlnet_cond_embedding.conv_in.weight") {
        net(view, "", Naming::Diffusers)?
    } else {
        let prefixes = ["control_model.", ""];
        let is_here = |prefix: &&&str| view.has(&format!("{prefix}input_hint_block.0.weight"));
        net(view, prefixes.iter().find(is_here)?, Naming::Ldm)?
    };
    let mut found = Detection::based(Family::ControlNet, net.base);
    found.naming = Some(net.naming);
    let hint = match net.naming {
        Naming::Ldm => format!("{}input_hint_block.0.weight", net.prefix),
        _ => "controlnet_cond_embedding.conv_in.weight".to_owned(),
    };
    if let Some(channels) = view.side(&hint, 1) {
        found.detail("hint", format!("a picture of {channels} channels"));
    }
    if view.any_below("task_embedding") {
        found.detail("kinds of hints", "several (union)");
    }
    Some(found)
}
