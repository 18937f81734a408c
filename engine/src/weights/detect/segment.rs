//! Nets that find what is pointed at.

use super::{Detection, Family, Naming, Variant, View};

/// Recognises a net of the Segment Anything family.
pub(super) fn segment_anything(view: &View<'_>) -> Option<Detection> {
    let has_decoder =
        view.has("mask_decoder.iou_token.weight") || view.has("sam_mask_decoder.iou_token.weight");
    let tiny = view.side("image_encoder.patch_embed.seq.2.c.weight", 0);
    let plain = view.side("image_encoder.patch_embed.proj.weight", 0);
    let is_second = view.any_below("sam_mask_decoder.") || view.any_below("image_encoder.trunk.");
    let is_transformers = view.any_below("vision_encoder.");
    let has_encoder = tiny.is_some() || plain.is_some() || is_second || is_transformers;
    if !(has_decoder || (view.any_below("prompt_encoder.") && has_encoder)) {
        return None;
    }
    let mut found = Detection::new(Family::SegmentAnything);
    if is_second {
        found.variant = Some(Variant::Sam2);
        found.strange.push("Nets of SAM 2 are not run yet: MobileSAM and SAM are".to_owned());
        return Some(found);
    }
    if is_transformers {
        found.naming = Some(Naming::Transformers);
        let told = "It has the names of transformers; files with the names of its makers are run";
        found.strange.push(told.to_owned());
        return Some(found);
    }
    found.variant = match (tiny, plain) {
        (Some(_), _) => {
            found.detail("image encoder", "TinyViT");
            Some(Variant::MobileSam)
        }
        (None, Some(width)) => {
            let name = match width {
                768 => "ViT-B".to_owned(),
                1024 => "ViT-L".to_owned(),
                1280 => "ViT-H".to_owned(),
                other => format!("ViT of width {other}"),
            };
            found.detail("image encoder", name);
            Some(Variant::SamVit)
        }
        (None, None) => {
            found.missing.push("the image encoder".to_owned());
            None
        }
    };
    if let Some(width) = view.side("prompt_encoder.no_mask_embed.weight", 1) {
        found.detail("width", width);
    } else {
        found.missing.push("the prompt encoder".to_owned());
    }
    if let Some(masks) = view.side("mask_decoder.mask_tokens.weight", 0) {
        found.detail("masks", masks);
    } else {
        found.missing.push("the mask decoder".to_owned());
    }
    Some(found)
}
