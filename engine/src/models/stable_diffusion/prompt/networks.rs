//! Names of extra networks in prompts: `<lora:name:0.8>`.

use std::ops::Range;

use super::traced::Traced;
use super::{NoticeKind, PromptNotice};

/// The longest tag that is looked at, and the longest name of a kind, in bytes.
const MAX_TAG_BYTES: usize = 300;
const MAX_KIND_BYTES: usize = 32;

/// Holds a LoRA that a prompt names.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraTag {
    /// The name of its file, without ending.
    pub name: String,
    /// Its strength in the text encoder.
    pub text_weight: f64,
    /// Its strength in the U-Net; the same unless the tag says so.
    pub unet_weight: f64,
    /// Where the tag stands in the prompt, in bytes.
    pub source: Range<usize>,
}

/// Takes the tags of extra networks out of a text. LoRAs are returned; other networks are told.
///
/// # Source
/// AUTOMATIC1111's wiki, “Extra networks”: `<kind:name:weight>`, where a LoRA's second weight or
/// `te=` and `unet=` set its strengths apart. `lyco` is what LoRA's relatives were called once.
pub(super) fn take(text: &Traced, notices: &mut Vec<PromptNotice>) -> (Traced, Vec<LoraTag>) {
    let words = text.text();
    let (mut rest, mut loras, mut begun) = (Traced::default(), Vec::new(), 0);
    for (start, _) in words.match_indices('<') {
        let Some((kind, arguments, end)) = (start >= begun).then(|| tag(words, start)).flatten()
        else {
            continue;
        };
        rest.push_slice(text, begun..start);
        begun = end;
        let source = text.source(start..end);
        let lora =
            matches!(kind, "lora" | "lyco").then(|| lora(arguments, source.clone())).flatten();
        match lora {
            Some(lora) => loras.push(lora),
            None => {
                let kind = NoticeKind::UnsupportedNetwork(kind.to_owned());
                notices.push(PromptNotice { kind, source });
            }
        }
    }
    rest.push_slice(text, begun..words.len());
    (rest, loras)
}

/// Reads a tag at a `<`: its kind, its arguments and where it ends.
fn tag(words: &str, start: usize) -> Option<(&str, &str, usize)> {
    let rest = &words[start + 1..];
    // The kind first: most angles are seen to be none of a tag before the end is looked for.
    let kind = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let kind = &rest[..kind.take(MAX_KIND_BYTES).count()];
    let arguments = rest[kind.len()..].strip_prefix(':').filter(|_| !kind.is_empty())?;
    let length = arguments[..arguments.floor_char_boundary(MAX_TAG_BYTES)].find('>')?;
    let end = start + 1 + kind.len() + 1 + length + 1;
    (length > 0).then(|| (kind, &arguments[..length], end))
}

fn lora(arguments: &str, source: Range<usize>) -> Option<LoraTag> {
    let mut places = Vec::new();
    let (mut text, mut unet) = (None, None);
    for argument in arguments.split(':').map(str::trim) {
        match argument.split_once('=') {
            Some(("te", weight)) => text = Some(number(weight)?),
            Some(("unet", weight)) => unet = Some(number(weight)?),
            // A third weight and other names say how, not how much.
            Some(_) => (),
            None => places.push(argument),
        }
    }
    let (name, weights) = places.split_first()?;
    let weights: Option<Vec<f64>> = weights.iter().map(|weight| number(weight)).collect();
    let weights = weights?;
    let text = text.or(weights.first().copied()).unwrap_or(1.0);
    let unet = unet.or(weights.get(1).copied()).unwrap_or(text);
    (!name.is_empty()).then(|| LoraTag {
        name: (*name).to_owned(),
        text_weight: text,
        unet_weight: unet,
        source,
    })
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(prompt: &str) -> (String, Vec<LoraTag>, Vec<PromptNotice>) {
        let mut notices = Vec::new();
        let (text, loras) = take(&Traced::whole(prompt), &mut notices);
        (text.text().to_owned(), loras, notices)
    }

    #[test]
    fn loras_are_taken_out_with_their_strengths() {
        let weights = |tag: &str| {
            let (text, loras, notices) = taken(&format!("a {tag} b"));
            assert_eq!((text.as_str(), loras.len(), notices.len()), ("a  b", 1, 0), "{tag}");
            assert_eq!(
                (loras[0].name.as_str(), loras[0].source.clone()),
                ("My-Style v2", 2..2 + tag.len())
            );
            (loras[0].text_weight, loras[0].unet_weight)
        };
        assert_eq!(weights("<lora:My-Style v2:0.8>"), (0.8, 0.8));
        assert_eq!(weights("<lora:My-Style v2>"), (1.0, 1.0));
        assert_eq!(weights("<lyco:My-Style v2:-0.5:1>"), (-0.5, 1.0));
        assert_eq!(weights("<lora:My-Style v2:te=0:unet=0.5>"), (0.0, 0.5));
        assert_eq!(weights("<lora:My-Style v2:0.3:unet=0.7>"), (0.3, 0.7));
    }

    #[test]
    fn other_networks_and_broken_tags_are_told_and_angles_are_text() {
        for tag in ["<hypernet:x:1>", "<lora:x:much>", "<lora::1>", "<lora:x:nan>"] {
            let (text, loras, notices) = taken(&format!("a{tag}"));
            assert_eq!((text.as_str(), loras.len(), notices.len()), ("a", 0, 1), "{tag}");
            assert_eq!(notices[0].source, 1..1 + tag.len());
        }
        for text in ["a < b > c", "<lora>", "<a b:c>", "<lora:x", "<>", "<:x>"] {
            assert_eq!(taken(text), (text.to_owned(), Vec::new(), Vec::new()));
        }
        assert_eq!(taken("<<lora:x:1>>").0, "<>");
    }
}
