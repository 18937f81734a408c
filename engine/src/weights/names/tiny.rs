//! The tiny autoencoder.

use super::{Found, How, Names, is_no_weight};

/// Where a half may stand with the names of its author, best first.
const OWN: [(&str, [&str; 3]); 2] = [
    ("decoder", ["first_stage_model.decoder.", "vae.decoder.", "decoder."]),
    ("encoder", ["first_stage_model.encoder.", "vae.encoder.", "encoder."]),
];
/// Where a half may stand with those of diffusers, whose decoder does not count the clamp.
const THEIRS: [(&str, [&str; 2], usize); 2] = [
    ("decoder", ["vae/decoder.layers.", "decoder.layers."], 1),
    ("encoder", ["vae/encoder.layers.", "encoder.layers."], 0),
];

/// Finds a tiny autoencoder, or one half of it.
pub(super) fn tiny_vae(names: &Names<'_>) -> Option<Found> {
    let mut found = Found::default();
    for (half, places, shift) in THEIRS {
        for prefix in places {
            add_half(names, &mut found, (half, prefix, shift));
        }
    }
    for (half, places) in OWN {
        for prefix in places {
            add_half(names, &mut found, (half, prefix, 0));
        }
    }
    if found.origins.is_empty() {
        // A half alone in its file: only a decoder begins with its second layer.
        let half = if names.has("0.weight") { "encoder" } else { "decoder" };
        add_half(names, &mut found, (half, "", 0));
    }
    (!found.origins.is_empty()).then_some(found)
}

fn add_half<'a>(
    names: &Names<'a>,
    found: &mut Found,
    (half, prefix, shift): (&str, &'static str, usize),
) {
    let is_here = found.origins.keys().any(|name| name.starts_with(half));
    if is_here {
        return;
    }
    for name in names.below(prefix).filter(|name| !is_no_weight(name)) {
        let Some((number, rest)) = name.split_once('.') else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        let stored = format!("{prefix}{name}");
        found.add(format!("{half}.{}.{rest}", number.saturating_add(shift)), &stored, How::AsIs);
    }
}
