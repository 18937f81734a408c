//! How a net was distilled to be sampled in few steps: told by the shapes of some nets,
//! otherwise only by the name of the file.

use super::{Evidence, Variant};
use crate::protocol::VariantChoice;

/// The words in names that say so, in the order in which they are looked for.
const WORDS: [(&str, VariantChoice); 4] = [
    ("turbo", VariantChoice::Turbo),
    ("lightning", VariantChoice::Lightning),
    ("hyper", VariantChoice::Hyper),
    ("lcm", VariantChoice::Lcm),
];

/// Tells how a net made for this was distilled; the name is in small letters.
pub(super) fn distilled(made_for: Option<Variant>, name: &str) -> (VariantChoice, Evidence) {
    if made_for == Some(Variant::LatentConsistency) {
        return (VariantChoice::Lcm, Evidence::Shapes);
    }
    if made_for == Some(Variant::InstructPix2Pix) {
        // It is led by guidance, which distilled nets run without.
        return (VariantChoice::Standard, Evidence::Shapes);
    }
    match WORDS.iter().find(|(word, _)| name.contains(word)) {
        Some((_, variant)) => (*variant, Evidence::Name),
        None => (VariantChoice::Standard, Evidence::Usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_says_more_than_a_name() {
        let told = |made_for, name| distilled(Some(made_for), name);
        let lcm = (VariantChoice::Lcm, Evidence::Shapes);
        assert_eq!(told(Variant::LatentConsistency, "my-turbo-mix.safetensors"), lcm);
        let standard = (VariantChoice::Standard, Evidence::Shapes);
        assert_eq!(told(Variant::InstructPix2Pix, "my-turbo-mix.safetensors"), standard);
        let turbo = (VariantChoice::Turbo, Evidence::Name);
        assert_eq!(told(Variant::TextToImage, "my-turbo-mix.safetensors"), turbo);
        let lightning = (VariantChoice::Lightning, Evidence::Name);
        assert_eq!(told(Variant::Inpainting, "sdxl_lightning_4step.ckpt"), lightning);
        let standard = (VariantChoice::Standard, Evidence::Usual);
        assert_eq!(told(Variant::TextToImage, "v1-5-pruned.ckpt"), standard);
    }
}
