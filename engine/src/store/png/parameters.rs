//! The `parameters` text that AUTOMATIC1111's web UI writes into pictures, and that most other
//! programs can read.
//!
//! Its form, as it is found in pictures: the prompt on one or more lines, then a line that begins
//! with `Negative prompt:` and may go on, then one line of `Key: value` pairs between commas. A
//! value with a comma, a colon or a line break in it is a JSON string.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::protocol::{EnlargeRequest, PictureRequest, SamplerKind, Size};

const NEGATIVE: &str = "Negative prompt:";

/// Shows this much of a hash, as the web UI does.
const HASH_LETTERS: usize = 10;

/// Caps the pairs that are kept from one line.
const MAX_PAIRS: usize = 256;

/// Holds settings found in a picture that another program made, as far as they were understood.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ForeignRecipe {
    /// What the picture shows.
    pub prompt: String,
    /// What it should not show; empty for none.
    pub negative: String,
    /// Number of steps.
    pub steps: Option<u32>,
    /// The sampler, by the name that program has for it.
    pub sampler: Option<String>,
    /// Strength of classifier-free guidance; finite, 0 or more.
    pub guidance: Option<f32>,
    /// The seed; it gives other noise here than there.
    pub seed: Option<u64>,
    /// The size in pixels.
    pub size: Option<Size>,
    /// The model's name.
    pub model: Option<String>,
    /// The first letters of the model's hash.
    pub model_hash: Option<String>,
    /// Every other key with its value, in order.
    pub unparsed: Vec<(String, String)>,
}

impl ForeignRecipe {
    /// Reads the text that stands under `parameters`. Whatever the text, something comes out: a text
    /// without settings is a prompt.
    pub fn read(text: &str) -> Self {
        read(text)
    }

    /// Returns the sampler of ours that has this name there, with whatever schedule.
    pub fn sampler_kind(&self) -> Option<SamplerKind> {
        let name = self.sampler.as_deref()?.to_lowercase();
        let name = name.trim_start_matches("k_").trim_start_matches("sample_");
        let name = ["karras", "exponential", "simple", "normal"]
            .iter()
            .fold(name, |name, schedule| name.trim_end_matches(schedule))
            .trim_end_matches([' ', '_']);
        match name {
            "dpmpp 2m" | "dpm++2m" => Some(SamplerKind::DpmPp2m),
            "pndm" => Some(SamplerKind::Pndm),
            name => SamplerKind::ALL
                .into_iter()
                .find(|kind| kind.label().to_lowercase() == name)
                .or_else(|| SamplerKind::from_id(name)),
        }
    }
}

/// Writes a request as `parameters`.
pub(super) fn write(request: &PictureRequest) -> String {
    let mut text = request.prompt.with_styles();
    let negative = request.prompt.negative.trim();
    if !negative.is_empty() {
        let _ = write!(text, "\n{NEGATIVE} {negative}");
    }
    let _ = write!(
        text,
        "\nSteps: {}, Sampler: {}, CFG scale: {}, Seed: {}, Size: {}x{}",
        request.sampling.steps,
        request.sampling.sampler.label(),
        request.sampling.guidance,
        request.seed,
        request.size.width_px,
        request.size.height_px,
    );
    if let Some(hash) = request.model.sha256.get(..HASH_LETTERS) {
        let _ = write!(text, ", Model hash: {}", quoted(hash));
    }
    let _ = write!(
        text,
        ", Model: {}, Version: Atelier {}",
        quoted(&request.model.name),
        env!("CARGO_PKG_VERSION")
    );
    text
}

/// Writes an enlarged picture's request as `parameters`: those of the picture it was made from, and the two
/// keys that the web UI adds; nothing where that has no recipe.
pub(super) fn write_enlarged(request: &EnlargeRequest) -> String {
    let Some(painted) = request.painted() else { return String::new() };
    let mut text = write(painted);
    let _ = write!(
        text,
        ", Postprocess upscale by: {}, Postprocess upscaler: {}",
        request.factor,
        quoted(&request.model.name)
    );
    text
}

/// Reads `parameters`. Whatever the text, something comes out: a text without settings is a prompt.
pub(super) fn read(text: &str) -> ForeignRecipe {
    let lines: Vec<&str> = text.lines().collect();
    let settings_at = find_settings(&lines);
    let (words, settings) = lines.split_at(settings_at.unwrap_or(lines.len()));
    let mut recipe = read_words(words);
    if let Some((line, after)) = settings.split_first() {
        for (key, value) in pairs(line) {
            recipe.put(key, value);
        }
        // Extensions of the web UI add lines of their own below.
        for line in after.iter().filter(|line| !line.trim().is_empty()).take(MAX_PAIRS) {
            let (key, value) = line.split_once(':').unwrap_or(("", line));
            recipe.unparsed.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    recipe
}

/// Finds the line of settings: the last that begins like one, because a prompt may look like one too.
fn find_settings(lines: &[&str]) -> Option<usize> {
    let begins_with_steps = |line: &&str| {
        line.trim_start()
            .strip_prefix("Steps:")
            .is_some_and(|rest| rest.trim_start().starts_with(|c: char| c.is_ascii_digit()))
    };
    lines.iter().rposition(begins_with_steps).or_else(|| {
        let last = lines.iter().rposition(|line| !line.trim().is_empty())?;
        let known = ["Sampler", "CFG scale", "Seed", "Size", "Model", "Model hash"];
        let pairs = pairs(lines[last]);
        let count = pairs.iter().filter(|(key, _)| known.contains(&key.as_str())).count();
        (count >= 3).then_some(last)
    })
}

fn read_words(lines: &[&str]) -> ForeignRecipe {
    let mut recipe = ForeignRecipe::default();
    let negative_at = lines.iter().position(|line| line.starts_with(NEGATIVE));
    let (prompt, negative) = lines.split_at(negative_at.unwrap_or(lines.len()));
    recipe.prompt = prompt.join("\n").trim().to_owned();
    let negative = negative.join("\n");
    recipe.negative = negative.strip_prefix(NEGATIVE).unwrap_or_default().trim().to_owned();
    recipe
}

impl ForeignRecipe {
    /// Keeps a pair where it belongs; what does not make sense stays readable under `unparsed`.
    fn put(&mut self, key: String, value: String) {
        fn fill<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
            let fits = slot.is_none() && value.is_some();
            if fits {
                *slot = value;
            }
            fits
        }
        let text = || Some(value.clone()).filter(|value| !value.is_empty());
        let is_understood = match key.as_str() {
            "Steps" => fill(&mut self.steps, value.parse().ok()),
            "Sampler" => fill(&mut self.sampler, text()),
            "CFG scale" | "CFG Scale" => {
                let number = value.parse::<f32>().ok().filter(|n| n.is_finite() && *n >= 0.0);
                fill(&mut self.guidance, number)
            }
            "Seed" => fill(&mut self.seed, value.parse().ok()),
            "Size" => fill(&mut self.size, size(&value)),
            "Model" => fill(&mut self.model, text()),
            "Model hash" => fill(&mut self.model_hash, text()),
            _ => false,
        };
        if !is_understood {
            self.unparsed.push((key, value));
        }
    }
}

fn size(value: &str) -> Option<Size> {
    let (width, height) = value.split_once(['x', '×'])?;
    let (width_px, height_px) = (width.trim().parse().ok()?, height.trim().parse().ok()?);
    (width_px > 0 && height_px > 0).then_some(Size { width_px, height_px })
}

/// Splits a line into its pairs. A piece without a key belongs to the value before it.
fn pairs(line: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() && pairs.len() < MAX_PAIRS {
        let end = rest.find(',').unwrap_or(rest.len());
        let key_end = rest[..end].find(':').filter(|&at| is_key(rest[..at].trim()));
        if let Some(at) = key_end {
            let key = rest[..at].trim().to_owned();
            let value = rest[at + 1..].trim_start();
            let (value, after) = json_string(value).unwrap_or_else(|| up_to_comma(value));
            pairs.push((key, value));
            rest = after;
        } else {
            let (piece, after) = up_to_comma(rest);
            match pairs.last_mut() {
                Some((_, value)) => {
                    value.push_str(", ");
                    value.push_str(&piece);
                }
                None => pairs.push((String::new(), piece)),
            }
            rest = after;
        }
        rest = rest.trim_start();
    }
    pairs
}

fn is_key(text: &str) -> bool {
    text.starts_with(char::is_alphanumeric) && text.len() <= 64
}

fn up_to_comma(text: &str) -> (String, &str) {
    let (value, rest) = text.split_once(',').unwrap_or((text, ""));
    (value.trim().to_owned(), rest)
}

/// Reads a JSON string that is followed by a comma or the end.
fn json_string(text: &str) -> Option<(String, &str)> {
    if !text.starts_with('"') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = values.next()?.ok()?;
    let rest = text[values.byte_offset()..].trim_start();
    match rest.strip_prefix(',') {
        Some(after) => Some((value, after)),
        None => rest.is_empty().then_some((value, rest)),
    }
}

fn quoted(value: &str) -> String {
    if value.contains([',', ':', '"', '\n', '\r']) {
        serde_json::Value::from(value).to_string()
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn prompts_of_several_lines_and_quoted_values_are_read() {
        let recipe = read(
            "a fox,\nSteps: of stone\n\nin the snow\nNegative prompt: blurry,\nlow quality\n\
             Steps: 30, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 18446744073709551615, \
             Size: 512x768, Model hash: 0a1b2c3d4e, Model: \"dream, \\\"v2\\\": ünï\", \
             Lora hashes: \"a: 12, b: 34\", Eta: 0.2\nTemplate: a {fox|cat}",
        );
        assert_eq!(recipe.prompt, "a fox,\nSteps: of stone\n\nin the snow");
        assert_eq!(recipe.negative, "blurry,\nlow quality");
        assert_eq!((recipe.steps, recipe.guidance), (Some(30), Some(6.5)));
        assert_eq!(recipe.seed, Some(u64::MAX));
        assert_eq!(recipe.size, Some(Size { width_px: 512, height_px: 768 }));
        assert_eq!(recipe.sampler_kind(), Some(SamplerKind::DpmPp2m));
        assert_eq!(recipe.model.as_deref(), Some("dream, \"v2\": ünï"));
        assert_eq!(recipe.model_hash.as_deref(), Some("0a1b2c3d4e"));
        let rest = [
            pair("Lora hashes", "a: 12, b: 34"),
            pair("Eta", "0.2"),
            pair("Template", "a {fox|cat}"),
        ];
        assert_eq!(recipe.unparsed, rest);
    }

    #[test]
    fn senseless_values_stay_readable_instead_of_becoming_settings() {
        let recipe = read("x\nSteps: 20, CFG scale: NaN, Seed: -1, Size: 0x9, Sampler: , Steps: 3");
        assert_eq!(recipe.steps, Some(20));
        assert_eq!(
            (recipe.guidance, recipe.seed, recipe.size, &recipe.sampler),
            (None, None, None, &None)
        );
        let rest = [
            pair("CFG scale", "NaN"),
            pair("Seed", "-1"),
            pair("Size", "0x9"),
            pair("Sampler", ""),
            pair("Steps", "3"),
        ];
        assert_eq!(recipe.unparsed, rest);
    }

    #[test]
    fn an_unquoted_value_keeps_its_commas() {
        let recipe = read("x\nSteps: 20, Hires prompt: a red, big fox, Seed: 7");
        assert_eq!(recipe.unparsed, [pair("Hires prompt", "a red, big fox")]);
        assert_eq!(recipe.seed, Some(7));
        let unended = read("x\nSteps: 20, Model: \"no end, Seed: 7");
        assert_eq!((unended.model.as_deref(), unended.seed), (Some("\"no end"), Some(7)));
    }

    #[test]
    fn a_text_without_settings_is_a_prompt() {
        assert_eq!(read("only words, nothing: else").prompt, "only words, nothing: else");
        assert_eq!(read(""), ForeignRecipe::default());
        let no_steps = read("words\nSampler: Euler, Seed: 1, Size: 8x8");
        assert_eq!((no_steps.prompt.as_str(), no_steps.seed), ("words", Some(1)));
    }

    #[test]
    fn samplers_are_known_by_the_names_other_programs_have() {
        let kind = |name: &str| {
            ForeignRecipe { sampler: Some(name.to_owned()), ..Default::default() }.sampler_kind()
        };
        assert_eq!(kind("Euler"), Some(SamplerKind::Euler));
        assert_eq!(kind("Euler a"), Some(SamplerKind::EulerA));
        assert_eq!(kind("euler_ancestral"), Some(SamplerKind::EulerA));
        assert_eq!(kind("PLMS"), Some(SamplerKind::Pndm));
        assert_eq!(kind("DPM++ 2M SDE Heun"), None);
        assert_eq!(kind("DPM fast"), None);
        assert_eq!(kind("k_heun"), Some(SamplerKind::Heun));
        assert_eq!(kind("sample_dpmpp_2m"), Some(SamplerKind::DpmPp2m));
        assert_eq!(kind("DPM++ 2M SDE Karras"), Some(SamplerKind::DpmPp2mSde));
        assert_eq!(kind("UniPC"), Some(SamplerKind::UniPc));
    }
}
