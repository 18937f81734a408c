//! Single parts and small models.

use super::{Base, Detection, Family, Naming, Variant, View};

/// Recognises the models of this project.
pub(super) fn house(view: &View<'_>) -> Option<Detection> {
    if view.any_below("dit.blocks.") && view.has("dit.ada.bias") && view.has("dec.conv_in.bias") {
        return Some(Detection::new(Family::HousePicture));
    }
    if view.fact("atelier.music.vocabulary").is_some() {
        return Some(Detection::new(Family::HouseComposer));
    }
    (view.fact("general.name") == Some("Atelier house writer"))
        .then(|| Detection::new(Family::HouseWriter))
}

/// Recognises a language model in a GGUF file.
pub(super) fn language(view: &View<'_>) -> Option<Detection> {
    let architecture = view.fact("general.architecture")?;
    let has_vocabulary = view.fact("tokenizer.ggml.model").is_some();
    if !view.has("token_embd.weight") && !has_vocabulary {
        return None;
    }
    let mut found = Detection::new(Family::LanguageModel);
    found.detail("architecture", architecture);
    let sizes =
        [("layers", "block_count"), ("width", "embedding_length"), ("context", "context_length")];
    for (name, key) in sizes {
        if let Some(value) = view.fact(&format!("{architecture}.{key}")) {
            found.detail(name, value);
        }
    }
    if !view.has("token_embd.weight") {
        found.missing.push("all weights: it holds a vocabulary only".to_owned());
    } else if !has_vocabulary {
        found.missing.push("the vocabulary".to_owned());
    }
    Some(found)
}

/// Recognises an IP-Adapter.
pub(super) fn ip_adapter(view: &View<'_>) -> Option<Detection> {
    let mut keys = view.tensors.iter().filter(|(name, _)| name.ends_with("to_k_ip.weight"));
    let context = keys.next()?.1.shape.get(1).copied()?;
    let mut found = Detection::based(Family::IpAdapter, Base::of_context(context));
    if view.has("image_proj.latents") || view.has("image_proj.perceiver_resampler.latents") {
        found.variant = Some(Variant::Plus);
    } else if view.has("image_proj.proj.0.weight") {
        found.variant = Some(Variant::FaceId);
    }
    if !view.any_below("image_proj.") {
        found.missing.push("the projection of the picture (image_proj)".to_owned());
    }
    Some(found)
}

/// Recognises TAESD and its kin.
pub(super) fn tiny_autoencoder(view: &View<'_>) -> Option<Detection> {
    // The net as published counts a clamp as its first layer, and so does not that of diffusers.
    let own = ["", "decoder.", "first_stage_model.decoder.", "vae.decoder."];
    let theirs = ["decoder.layers.", "vae/decoder.layers."];
    let latent = |prefix: &&str, first: usize| {
        let block = view.has(&format!("{prefix}{}.conv.0.weight", first + 2));
        let shape = view.shape(&format!("{prefix}{first}.weight"))?;
        (block && shape.len() == 4 && shape[0] == 64 && shape[2..] == [3, 3]).then_some(shape[1])
    };
    let decoder = own.iter().find_map(|prefix| latent(prefix, 1));
    let diffusers = theirs.iter().find_map(|prefix| latent(prefix, 0));
    // An encoder alone begins with the picture's three channels.
    let begins = ["", "encoder.", "encoder.layers.", "first_stage_model.encoder.", "vae/encoder."];
    let encoder = begins.iter().any(|prefix| {
        view.shape(&format!("{prefix}0.weight")) == Some(&[64, 3, 3, 3])
            && view.has(&format!("{prefix}1.conv.0.weight"))
    });
    let channels = decoder.or(diffusers);
    if channels.is_none() && !encoder {
        return None;
    }
    let mut found = Detection::new(Family::TinyAutoencoder);
    let is_diffusers = diffusers.is_some() && decoder.is_none();
    found.naming = Some(if is_diffusers { Naming::Diffusers } else { Naming::Taesd });
    match channels {
        None => found.missing.push("the decoder".to_owned()),
        Some(channels) => {
            found.detail("latent channels", channels);
            let is_xl = view.file_name.contains("xl");
            found.detail(
                "for latents of",
                match channels {
                    4 if is_xl => "SDXL, by the name of the file (TAESDXL)",
                    4 => "SD 1.x and 2.x (TAESD), or SDXL (TAESDXL): they have the same tensors",
                    16 => "SD 3 or FLUX (TAESD3, TAEF1)",
                    32 => "FLUX.2 (TAEF2)",
                    _ => "an unknown model",
                },
            );
        }
    }
    if !encoder {
        found.missing.push("the encoder".to_owned());
    }
    Some(found)
}

/// Where a VAE may stand.
const VAE: [&str; 5] = ["first_stage_model.", "vae/", "vae.", "model.", ""];

/// Tells whether a VAE's decoder is here, alone or beside others.
pub(super) fn has_vae(view: &View<'_>) -> bool {
    VAE.iter().any(|prefix| view.has(&format!("{prefix}decoder.conv_in.weight")))
        || view.any_below("first_stage_model.decoder.")
}

/// Recognises a VAE that stands alone.
pub(super) fn vae(view: &View<'_>) -> Option<Detection> {
    let here = |part: &str| {
        VAE.iter().find(|prefix| view.has(&format!("{prefix}{part}.conv_in.weight"))).copied()
    };
    let (decoder, encoder) = (here("decoder"), here("encoder"));
    let prefix = decoder.or(encoder)?;
    let is_ldm = view.any_below(&format!("{prefix}decoder.up."))
        || view.any_below(&format!("{prefix}encoder.down."));
    let is_diffusers = view.any_below(&format!("{prefix}decoder.up_blocks."))
        || view.any_below(&format!("{prefix}encoder.down_blocks."));
    (is_ldm || is_diffusers).then_some(())?;
    let mut found = Detection::new(Family::Vae);
    found.naming = Some(if is_ldm { Naming::Ldm } else { Naming::Diffusers });
    match view.side(&format!("{prefix}decoder.conv_in.weight"), 1) {
        Some(channels) => {
            found.detail("latent channels", channels);
            if channels == 4 {
                found.detail("for latents of", "SD 1.x, 2.x or SDXL: they have the same tensors");
            }
        }
        None => found.missing.push("the decoder".to_owned()),
    }
    if encoder.is_none() {
        found.missing.push("the encoder".to_owned());
    }
    Some(found)
}

/// Recognises a text or image encoder of CLIP.
pub(super) fn clip(view: &View<'_>) -> Option<Detection> {
    if let Some(width) = view.side("vision_model.embeddings.class_embedding", 0) {
        let mut found = Detection::new(Family::ClipImage);
        found.naming = Some(Naming::Transformers);
        found.detail(
            "model",
            match width {
                768 => "CLIP ViT-B",
                1024 => "CLIP ViT-L",
                1280 => "OpenCLIP ViT-H, the eye of IP-Adapter for SD 1.x and of Plus for SDXL",
                1664 => "OpenCLIP ViT-bigG, the eye of IP-Adapter for SDXL",
                _ => "an unknown one",
            },
        );
        return Some(found);
    }
    let transformers = ["", "text_encoder/", "cond_stage_model.transformer.", "text_encoder."];
    let open = ["", "cond_stage_model.model.", "conditioner.embedders.1.model.", "model."];
    let theirs = transformers.iter().find_map(|prefix| {
        // Since 5, transformers leaves out the encoder's name.
        ["text_model.", ""].iter().find_map(|inner| {
            view.shape(&format!("{prefix}{inner}encoder.layers.0.self_attn.q_proj.weight"))?;
            view.side(&format!("{prefix}{inner}embeddings.token_embedding.weight"), 1)
        })
    });
    let width = theirs.or_else(|| {
        open.iter()
            .filter(|prefix| view.any_below(&format!("{prefix}transformer.resblocks.")))
            .find_map(|prefix| view.side(&format!("{prefix}token_embedding.weight"), 1))
    })?;
    let mut found = Detection::new(Family::ClipText);
    found.naming = Some(if theirs.is_some() { Naming::Transformers } else { Naming::OpenClip });
    found.detail(
        "model",
        match width {
            768 => "CLIP ViT-L: SD 1.x, and the first of SDXL",
            1024 => "OpenCLIP ViT-H: SD 2.x",
            1280 => "OpenCLIP ViT-bigG: the second of SDXL",
            _ => "an unknown one",
        },
    );
    Some(found)
}

/// Recognises the upscalers of the ESRGAN family.
pub(super) fn upscaler(view: &View<'_>) -> Option<Detection> {
    let mut found = Detection::new(Family::Upscaler);
    let blocks = |start: &str| {
        let number =
            |name: &str| name.strip_prefix(start)?.split('.').next()?.parse::<usize>().ok();
        view.tensors.keys().filter_map(|name| number(name)).max().map_or(0, |last| last + 1)
    };
    if view.has("body.0.rdb1.conv1.weight") {
        let [features, channels, ..] = *view.shape("conv_first.weight")? else { return None };
        let ups = ["conv_up1.weight", "conv_up2.weight", "conv_up3.weight"];
        let grown = 1_usize << ups.iter().filter(|name| view.has(name)).count();
        // Smaller factors fold the picture first: 2×2 pixels in 12 channels, 4×4 in 48.
        let folded = match channels {
            12 => 2,
            48 => 4,
            _ => 1,
        };
        found.variant = Some(Variant::Rrdb);
        found.detail("factor", format!("×{}", grown / folded));
        found.detail("size", format!("{} blocks of {features} features", blocks("body.")));
    } else if view.has("model.1.sub.0.RDB1.conv1.0.weight") {
        // Each step up is a convolution three places on; the last two convolutions stand closer.
        let ups = [3, 6, 9].iter().filter(|at| view.has(&format!("model.{at}.weight")));
        let grown = 1_usize << ups.count();
        found.variant = Some(Variant::OldRrdb);
        found.detail("factor", format!("×{grown}"));
        found.detail("size", format!("{} blocks", blocks("model.1.sub.").saturating_sub(1)));
    } else {
        let [features, 3, 3, 3] = *view.shape("body.0.weight")? else { return None };
        (view.shape("body.1.weight")? == [features]).then_some(())?;
        let last = view.shape(&format!("body.{}.weight", blocks("body.") - 1))?;
        let outputs = last.first().filter(|_| last.len() == 4)? / 3;
        found.variant = Some(Variant::Compact);
        found.detail("factor", format!("×{}", outputs.isqrt()));
        let convolutions = blocks("body.").saturating_sub(3) / 2;
        found.detail("size", format!("{convolutions} convolutions of {features} features"));
    }
    Some(found)
}

/// Recognises embeddings of new words.
pub(super) fn textual_inversion(view: &View<'_>) -> Option<Detection> {
    const MOST_TENSORS: usize = 16;
    let count = view.tensors.len();
    if !(1..=MOST_TENSORS).contains(&count) {
        return None;
    }
    let width = |info: &super::TensorInfo| {
        let last = info.shape.last().copied().filter(|last| [768, 1024, 1280].contains(last));
        last.filter(|_| info.shape.len() <= 2)
    };
    let pair = (view.shape("clip_l"), view.shape("clip_g"));
    let mut found = Detection::new(Family::TextualInversion);
    let vectors = |shape: &[usize]| if shape.len() == 2 { shape[0] } else { 1 };
    if let (Some(first), Some(_)) = pair {
        found.base = Some(Base::Sdxl);
        found.detail("vectors", vectors(first));
        return Some(found);
    }
    let widths: Option<Vec<usize>> = view.tensors.values().map(width).collect();
    let widths = widths?;
    let is_named = view.any_below("string_to_param.")
        || view.has("emb_params")
        || view.tensors.keys().all(|name| name.starts_with('<') && name.ends_with('>'))
        || count == 1;
    (is_named && widths.iter().all(|width| *width == widths[0])).then_some(())?;
    found.base = match widths[0] {
        768 => Some(Base::Sd1),
        1024 => Some(Base::Sd2),
        _ => Some(Base::Sdxl),
    };
    let is_a1111 = view.any_below("string_to_param.");
    found.naming = Some(if is_a1111 { Naming::A1111 } else { Naming::Diffusers });
    let names: Vec<&str> = view.tensors.keys().map(String::as_str).collect();
    let word = if is_a1111 { view.fact("name").map(str::to_owned) } else { Some(names.join(", ")) };
    if let Some(word) = word {
        found.detail("word", word);
    }
    found.detail("vectors", view.tensors.values().map(|info| vectors(&info.shape)).sum::<usize>());
    Some(found)
}
