//! NovelAI: texts of a PNG, or the same hidden in its transparency; `Comment` is an object.

use serde_json::{Map, Value};

use super::texts::Texts;
use super::{ForeignSettings, Program, json, model, quote, size};

/// How much one bracket weighs there.
const BRACKET: f32 = 1.05;

/// Settings that change the picture and have no counterpart here, when they are not off.
const EFFECTS: [(&str, &str); 8] = [
    ("sm", "SMEA sampling has no counterpart here"),
    ("sm_dyn", "SMEA sampling has no counterpart here"),
    ("dynamic_thresholding", "Dynamic thresholding has no counterpart here"),
    ("skip_cfg_above_sigma", "Guidance that begins late has no counterpart here"),
    ("reference_strength", "Pictures as references have no counterpart here"),
    ("reference_strength_multiple", "Pictures as references have no counterpart here"),
    (
        "controlnet_model",
        "The picture was guided by a ControlNet, whose picture is not in the file",
    ),
    ("lora_unet_weights", "The changes that NovelAI makes to its model are not here"),
];

/// Reads the settings of a picture.
pub(super) fn read(texts: &Texts) -> Option<Result<ForeignSettings, String>> {
    let comment = texts.get("Comment")?;
    let is_named = texts.get("Software").is_some_and(|software| software.starts_with("NovelAI"));
    let object = match json::object(comment) {
        Ok(object) => object,
        Err(reason) if is_named => {
            return Some(Err(format!("The text “Comment” of NovelAI {reason}")));
        }
        Err(_) => return None,
    };
    let is_ours = is_named || object.contains_key("uc") && object.contains_key("scale");
    is_ours.then(|| Ok(parse(&object, texts)))
}

fn parse(object: &Map<String, Value>, texts: &Texts) -> ForeignSettings {
    let mut settings = ForeignSettings::of(Program::NovelAi);
    let described = || texts.get("Description").map(str::to_owned);
    let prompt = json::text(object.get("prompt")).or_else(described).unwrap_or_default();
    let negative = json::text(object.get("uc")).unwrap_or_default();
    settings.prompt = weights(&mut settings, &prompt);
    settings.negative = weights(&mut settings, &negative);
    settings.seed = json::whole(object.get("seed"));
    settings.sampling.steps = json::steps(object.get("steps"));
    settings.sampling.guidance = json::strength(object.get("scale"));
    settings.sampling.sampler = json::text(object.get("sampler"));
    settings.sampling.schedule = json::text(object.get("noise_schedule"));
    settings.sampling.cfg_rescale = json::strength(object.get("cfg_rescale"));
    let side = |name: &str| json::whole(object.get(name));
    settings.size = side("width").zip(side("height")).and_then(|(w, h)| size(w, h));
    settings.model = texts.get("Source").and_then(|source| model(source, None));
    if settings.model.is_some() {
        settings.say("NovelAI's own model cannot be had as a file");
    }
    let kind = json::text(object.get("request_type")).unwrap_or_default();
    let noise = json::number(object.get("strength"));
    if kind.contains("Img2Img") {
        settings.say("The picture was made from another one, which is not in the file");
    } else if let Some(noise) = noise.filter(|_| kind.is_empty()) {
        // Its first versions wrote a strength whether or not there was another picture.
        settings.say(format!(
            "The picture may have been made from another one at strength {noise}, which is not in the file"
        ));
    } else if kind.contains("Inpaint") || kind.contains("Infill") {
        settings.say("The picture was painted within a mask, which is not in the file");
    }
    let people = object.get("v4_prompt").and_then(|prompt| {
        prompt.get("caption")?.get("char_captions")?.as_array().filter(|list| !list.is_empty())
    });
    if people.is_some() {
        settings.say("The prompts for single characters are kept as text only");
    }
    for (key, value) in object {
        settings.keep(key, json::shown(value));
    }
    for (key, sentence) in EFFECTS {
        let is_off = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Number(number) => number.as_f64() == Some(0.0),
            _ => false,
        };
        if object.get(key).is_some_and(|value| !is_off(value)) {
            settings.say(sentence);
        }
    }
    settings
}

/// Writes NovelAI's brackets as weights that we read: `{fox}` weighs 1.05, `[fox]` 1 / 1.05, and round
/// ones are letters like others there.
fn weights(settings: &mut ForeignSettings, prompt: &str) -> String {
    let mut has_numbers = false;
    let mut open = Vec::new();
    let mut out = String::with_capacity(prompt.len());
    for c in prompt.chars() {
        match c {
            '{' | '[' => {
                open.push(c);
                out.push('(');
            }
            '}' | ']' => {
                let wanted = if c == '}' { '{' } else { '[' };
                if open.pop() != Some(wanted) {
                    let start = quote(prompt);
                    settings.say(format!(
                        "The brackets in “{start}” do not match and are kept as they are"
                    ));
                    return prompt.to_owned();
                }
                let weight = if c == '}' { BRACKET } else { 1.0 / BRACKET };
                out.push_str(&format!(":{weight:.3})"));
            }
            '(' | ')' => {
                out.push('\\');
                out.push(c);
            }
            _ => {
                has_numbers |= c == ':' && out.ends_with(':');
                out.push(c);
            }
        }
    }
    if has_numbers {
        settings.say("Weights like “1.2::word::” are read as plain text here");
    }
    if open.is_empty() {
        return out;
    }
    let start = quote(prompt);
    settings.say(format!("The brackets in “{start}” do not match and are kept as they are"));
    prompt.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_become_weights_and_round_ones_letters() {
        let mut settings = ForeignSettings::of(Program::NovelAi);
        assert_eq!(weights(&mut settings, "{fox}, (a) cat"), "(fox:1.050), \\(a\\) cat");
        assert_eq!(weights(&mut settings, "{{fox}} [cat]"), "((fox:1.050):1.050) (cat:0.952)");
        assert!(settings.unhonoured.is_empty());
        assert_eq!(weights(&mut settings, "{fox"), "{fox");
        assert_eq!(weights(&mut settings, "fox]"), "fox]");
        assert_eq!(weights(&mut settings, "1.2::fox::"), "1.2::fox::");
        assert_eq!(settings.unhonoured.len(), 3);
    }
}
