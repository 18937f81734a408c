//! InvokeAI: `invokeai_metadata` since 3.0, `sd-metadata` and the command line `Dream` before.

use serde_json::{Map, Value};

use super::texts::Texts;
use super::{ForeignLora, ForeignSettings, Program, a1111, bare_name, json, model, quote, size};

/// Reads the settings of a picture.
pub(super) fn read(texts: &Texts) -> Option<Result<ForeignSettings, String>> {
    let mut trouble = None;
    for (keyword, parse) in [
        ("invokeai_metadata", metadata as fn(&Map<String, Value>) -> ForeignSettings),
        ("sd-metadata", sd_metadata),
    ] {
        let Some(text) = texts.get(keyword) else { continue };
        match json::object(text) {
            Ok(object) => return Some(Ok(parse(&object))),
            Err(reason) => trouble = Some(format!("The text “{keyword}” of InvokeAI {reason}")),
        }
    }
    let dream = texts.get("Dream").map(|line| Ok(dream(line)));
    dream.or_else(|| trouble.map(Err))
}

/// Reads what versions since 3.0 write.
fn metadata(object: &Map<String, Value>) -> ForeignSettings {
    let mut settings = ForeignSettings::of(Program::InvokeAi);
    settings.prompt = json::text(object.get("positive_prompt")).unwrap_or_default();
    settings.negative = json::text(object.get("negative_prompt")).unwrap_or_default();
    settings.seed = json::whole(object.get("seed"));
    settings.sampling.steps = json::steps(object.get("steps"));
    settings.sampling.guidance = json::strength(object.get("cfg_scale"));
    settings.sampling.cfg_rescale = json::strength(object.get("cfg_rescale_multiplier"));
    settings.sampling.sampler = json::text(object.get("scheduler"));
    let side = |name: &str| json::whole(object.get(name));
    settings.size = side("width").zip(side("height")).and_then(|(w, h)| size(w, h));
    settings.model = object.get("model").and_then(|value| {
        let hash = json::text(value.get("hash"));
        // Older versions write the rule before the hash.
        let hash = hash.map(|hash| hash.trim_start_matches("sha256:").to_owned());
        model(&name_of(value)?, hash)
    });
    if let Some(vae) = object.get("vae").and_then(name_of) {
        a1111::put_vae(&mut settings, &vae);
    }
    // How many layers are skipped: none is the last layer, which is 1 elsewhere.
    let skipped = json::steps(object.get("clip_skip")).filter(|skipped| *skipped > 0);
    settings.clip_skip = skipped.and_then(|skipped| skipped.checked_add(1));
    for lora in object.get("loras").and_then(Value::as_array).into_iter().flatten().take(64) {
        let named = lora.get("lora").or(lora.get("model")).and_then(name_of);
        let weight = json::number(lora.get("weight")).unwrap_or(0.75);
        if let Some(name) = named.map(|name| bare_name(&name)).filter(|name| !name.is_empty()) {
            settings.loras.push(ForeignLora { name, unet: weight, text: weight });
        }
    }
    for (key, value) in object {
        settings.keep(key, json::shown(value));
    }
    let is_there = |key: &str| match object.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    let mode = json::text(object.get("generation_mode")).unwrap_or_default();
    if mode.contains("inpaint") || mode.contains("outpaint") {
        settings.say("The picture was painted within a mask, which is not in the file");
    } else if mode.contains("img2img") || is_there("init_image") {
        settings.say("The picture was made from another one, which is not in the file");
    }
    for (key, sentence) in [
        ("controlnets", "The picture was guided by a ControlNet, whose picture is not in the file"),
        ("ipAdapters", "Pictures as prompts have no counterpart here"),
        ("t2iAdapters", "T2I adapters have no counterpart here"),
        ("refiner_model", "The refiner has no counterpart here"),
        ("positive_style_prompt", "A prompt of its own for the style has no counterpart here"),
        ("hrf_enabled", "The picture was enlarged in a second pass; only the first is kept"),
        ("seamless_x", "Tiling has no counterpart here"),
        ("seamless_y", "Tiling has no counterpart here"),
    ] {
        if is_there(key) {
            settings.say(sentence);
        }
    }
    settings
}

/// Returns the name of a model, which versions put under different keys.
fn name_of(value: &Value) -> Option<String> {
    let inner = value.get("model").unwrap_or(value);
    json::text(inner.get("name"))
        .or_else(|| json::text(inner.get("model_name")))
        .or_else(|| inner.as_str().map(str::to_owned))
}

/// Reads what versions 2 wrote.
fn sd_metadata(object: &Map<String, Value>) -> ForeignSettings {
    let mut settings = ForeignSettings::of(Program::InvokeAi);
    let empty = Map::new();
    let image = object.get("image").and_then(Value::as_object).unwrap_or(&empty);
    let texts: Vec<String> = match image.get("prompt") {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(parts)) => {
            parts.iter().take(32).filter_map(|part| json::text(part.get("prompt"))).collect()
        }
        _ => Vec::new(),
    };
    if texts.len() > 1 {
        settings.say("Several prompts were mixed by weight; here they are one text");
    }
    (settings.prompt, settings.negative) = apart(&texts.join(", "));
    settings.seed = json::whole(image.get("seed"));
    settings.sampling.steps = json::steps(image.get("steps"));
    settings.sampling.guidance = json::strength(image.get("cfg_scale"));
    settings.sampling.sampler = json::text(image.get("sampler"));
    let side = |name: &str| json::whole(image.get(name));
    settings.size = side("width").zip(side("height")).and_then(|(w, h)| size(w, h));
    // `model` says the family; the hash is that of the file.
    let hash = json::text(object.get("model_hash"));
    settings.model = json::text(object.get("model_weights")).and_then(|name| model(&name, hash));
    for (key, value) in object.iter().filter(|(key, _)| *key != "image").chain(image) {
        settings.keep(key, json::shown(value));
    }
    let is_on = |key: &str| match image.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    };
    if image.get("type").and_then(Value::as_str) == Some("img2img") || is_on("init_image_path") {
        settings.say("The picture was made from another one, which is not in the file");
    }
    for (key, sentence) in [
        ("threshold", "Thresholding of latents has no counterpart here"),
        ("perlin", "Perlin noise has no counterpart here"),
        ("seamless", "Tiling has no counterpart here"),
        ("hires_fix", "The picture was enlarged in a second pass; only the first is kept"),
        ("variations", "Variations of a seed have no counterpart here"),
        (
            "postprocessing",
            "Faces were mended or the picture enlarged afterwards, which is not done here",
        ),
    ] {
        if is_on(key) {
            settings.say(sentence);
        }
    }
    settings
}

/// Takes what stands in square brackets out of a prompt: there it is what the picture should not show.
fn apart(prompt: &str) -> (String, String) {
    let (mut words, mut unwanted) = (String::new(), Vec::new());
    let mut rest = prompt;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((inside, behind)) = after.split_once(']') else { break };
        words.push_str(before);
        unwanted.push(inside.trim());
        rest = behind;
    }
    words.push_str(rest);
    (words.trim().trim_end_matches(',').to_owned(), unwanted.join(", "))
}

/// Reads the command line that the first versions wrote: `"prompt [negative]" -s 50 -S 7 …`.
fn dream(line: &str) -> ForeignSettings {
    let mut settings = ForeignSettings::of(Program::InvokeAi);
    let line = line.trim();
    // The prompt ends at the last quotation mark before the options; within, there may be others.
    let (prompt, options) = match line.strip_prefix('"').and_then(|rest| rest.rsplit_once("\" ")) {
        Some((prompt, options)) => (prompt, options),
        None => match line.find(" -") {
            Some(at) => line.split_at(at),
            None => (line.trim_matches('"'), ""),
        },
    };
    (settings.prompt, settings.negative) = apart(&prompt.replace("\\\"", "\""));
    let (mut width, mut height) = (None, None);
    for (name, value) in options_of(options) {
        match name {
            "s" | "-steps" => settings.sampling.steps = value.parse().ok(),
            "S" | "-seed" => settings.seed = value.parse().ok(),
            "W" | "-width" => width = value.parse().ok(),
            "H" | "-height" => height = value.parse().ok(),
            "C" | "-cfg_scale" => {
                let guidance: Option<f32> = value.parse().ok();
                settings.sampling.guidance = guidance.filter(|g| g.is_finite() && *g >= 0.0);
            }
            "A" | "-sampler" => settings.sampling.sampler = Some(value.clone()),
            "I" | "-init_img" => {
                settings.say("The picture was made from another one, which is not in the file");
            }
            "G" | "-gfpgan_strength" | "U" | "-upscale" => settings.say(
                "Faces were mended or the picture enlarged afterwards, which is not done here",
            ),
            "V" | "-with_variations" | "v" => {
                settings.say("Variations of a seed have no counterpart here");
            }
            _ => {}
        }
        settings.keep(format!("-{name}"), value);
    }
    settings.size = width.zip(height).and_then(|(w, h)| size(w, h));
    if !settings.negative.is_empty() && settings.prompt.is_empty() {
        let start = quote(&settings.negative);
        settings.say(format!("The prompt has nothing but “{start}”, which is not wanted"));
    }
    settings
}

/// Splits a command line into options with all that follows each, which may be negative numbers.
fn options_of(line: &str) -> Vec<(&str, String)> {
    const MOST: usize = 64;
    let mut options: Vec<(&str, String)> = Vec::new();
    for word in line.split_whitespace().take(MOST * 4) {
        let name = word
            .strip_prefix('-')
            .filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-'));
        if let Some(name) = name.filter(|_| options.len() < MOST) {
            options.push((name, String::new()));
        } else if let Some((_, value)) = options.last_mut() {
            if !value.is_empty() {
                value.push(' ');
            }
            value.push_str(word);
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_taken_out_of_a_prompt() {
        assert_eq!(
            apart("a fox, [blurry] red [bad]"),
            ("a fox,  red".to_owned(), "blurry, bad".to_owned())
        );
        assert_eq!(apart("a [fox"), ("a [fox".to_owned(), String::new()));
    }

    #[test]
    fn a_command_line_is_read_whatever_stands_in_it() {
        for line in ["", "\"", "\" -", "-s", "a -s -S -W", "\"a\" -s x -V 1:-0.5 -"] {
            let _ = dream(line);
        }
        let read = dream("\"a \"red\" fox\" -s 20 -S 5");
        assert_eq!((read.prompt.as_str(), read.sampling.steps), ("a \"red\" fox", Some(20)));
    }
}
