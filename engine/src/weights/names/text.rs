//! The text encoders.

use super::{Found, How, Names, is_no_weight};

/// Where the first encoder may stand, best first: with the names of transformers, and of OpenCLIP.
pub(super) const FIRST: [&[&str]; 2] = [
    &[
        "cond_stage_model.transformer.",
        "conditioner.embedders.0.transformer.",
        "text_encoder/",
        "text_encoder.",
        "text_encoders.clip_l.transformer.",
        "te.",
        "",
    ],
    &["cond_stage_model.model.", ""],
];
/// The same for the second.
pub(super) const SECOND: [&[&str]; 2] = [
    &[
        "cond_stage_model.1.transformer.",
        "conditioner.embedders.1.transformer.",
        "text_encoder_2/",
        "text_encoder_2.",
        "text_encoders.clip_g.transformer.",
        "te1.",
        "",
    ],
    // In the refiner it is the only one.
    &["conditioner.embedders.1.model.", "conditioner.embedders.0.model.", ""],
];

/// The prefix of SD 2.x, whose last layer is not used: its words are taken one layer before.
const SD2: &str = "cond_stage_model.model.";
/// Where stable-diffusion.cpp puts the same encoder under the names of transformers, how wide it
/// is, and the layer that is not used.
const SD2_OF_CPP: (&str, usize, &str) =
    ("cond_stage_model.transformer.", 1024, "text_model.encoder.layers.23.");

/// Within a layer: OpenCLIP's name and that of transformers.
const LAYER: [(&str, &str); 5] = [
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("attn.out_proj", "self_attn.out_proj"),
];

/// Finds a text encoder at one of these places.
pub(super) fn text_encoder(names: &Names<'_>, places: [&[&'static str]; 2]) -> Option<Found> {
    let [transformers, open] = places;
    let token = "embeddings.token_embedding.weight";
    if let Some(prefix) = names.prefix_of(transformers, &format!("text_model.{token}")) {
        return Some(from_transformers(names, prefix, ""));
    }
    // Merged files of 2022 leave out the encoder's name, and so does transformers since 5.
    if let Some(prefix) = names.prefix_of(transformers, token) {
        return Some(from_transformers(names, prefix, "text_model."));
    }
    let is_here = |prefix: &&&str| {
        let first = format!("{prefix}transformer.resblocks.0.attn.in_proj_weight");
        names.has(&format!("{prefix}token_embedding.weight")) && names.has(&first)
    };
    open.iter().find(is_here).map(|prefix| from_open_clip(names, prefix))
}

fn from_transformers<'a>(names: &Names<'a>, prefix: &'static str, left_out: &str) -> Found {
    let (place, width, last) = SD2_OF_CPP;
    let token = format!("{prefix}text_model.embeddings.token_embedding.weight");
    let unused = (prefix == place && names.side(&token, 1) == Some(width)).then_some(last);
    let mut found = Found::default();
    for name in names.below(prefix).filter(|name| !is_no_weight(name)) {
        let stored = format!("{prefix}{name}");
        match name {
            _ if unused.is_some_and(|layer| name.starts_with(layer)) => found.surplus.push(stored),
            "text_projection.weight" => found.add(name.to_owned(), &stored, How::AsIs),
            // stable-diffusion.cpp keeps OpenCLIP's, which is multiplied from the left.
            "text_model.text_projection" => {
                found.add("text_projection.weight".to_owned(), &stored, How::Transposed);
            }
            _ if name.starts_with("text_model.") => found.add(name.to_owned(), &stored, How::AsIs),
            _ if !left_out.is_empty() => {
                let tops = ["embeddings.", "encoder.", "final_layer_norm."];
                match tops.iter().any(|top| name.starts_with(top)) {
                    true => found.add(format!("{left_out}{name}"), &stored, How::AsIs),
                    false => found.surplus.push(stored),
                }
            }
            _ if prefix.is_empty() => {}
            _ => found.surplus.push(stored),
        }
    }
    found
}

fn from_open_clip<'a>(names: &Names<'a>, prefix: &'static str) -> Found {
    let layers = "transformer.resblocks.";
    let layer_of = |name: &str| -> Option<(usize, String)> {
        let (number, end) = name.strip_prefix(layers)?.split_once('.')?;
        Some((number.parse().ok()?, end.to_owned()))
    };
    let last = names.below(prefix).filter_map(layer_of).map(|(layer, _)| layer).max();
    let unused = last.filter(|_| prefix == SD2);
    let mut found = Found::default();
    for name in names.below(prefix).filter(|name| !is_no_weight(name)) {
        let stored = format!("{prefix}{name}");
        let top = match name {
            "token_embedding.weight" => Some("text_model.embeddings.token_embedding.weight"),
            "positional_embedding" => Some("text_model.embeddings.position_embedding.weight"),
            "ln_final.weight" => Some("text_model.final_layer_norm.weight"),
            "ln_final.bias" => Some("text_model.final_layer_norm.bias"),
            _ => None,
        };
        if let Some(top) = top {
            found.add(top.to_owned(), &stored, How::AsIs);
            continue;
        }
        // SD 2.x has no use for the pooled words.
        if name == "text_projection" && prefix != SD2 {
            found.add("text_projection.weight".to_owned(), &stored, How::Transposed);
            continue;
        }
        match layer_of(name).filter(|(layer, _)| Some(*layer) != unused) {
            Some((layer, end)) => add_layer(&mut found, layer, &end, &stored),
            None if prefix.is_empty() => {}
            None => found.surplus.push(stored),
        }
    }
    found
}

fn add_layer(found: &mut Found, layer: usize, end: &str, stored: &str) {
    let layer = format!("text_model.encoder.layers.{layer}");
    if let Some(kind) = end.strip_prefix("attn.in_proj_") {
        for (index, projection) in ["q_proj", "k_proj", "v_proj"].into_iter().enumerate() {
            let name = format!("{layer}.self_attn.{projection}.{kind}");
            found.add(name, stored, How::Third(index));
        }
        return;
    }
    let renamed = LAYER.iter().find_map(|(theirs, ours)| {
        let rest = end.strip_prefix(theirs)?;
        rest.starts_with('.').then(|| format!("{layer}.{ours}{rest}"))
    });
    match renamed {
        Some(name) => found.add(name, stored, How::AsIs),
        None => found.surplus.push(stored.to_owned()),
    }
}
