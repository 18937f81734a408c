//! Fooocus: an object under `parameters` (in EXIF, in the comment), by either of two sets of keys, or
//! AUTOMATIC1111's text.

use serde_json::{Map, Value};

use super::texts::Texts;
use super::{ForeignLora, ForeignSettings, Program, a1111, bare_name, json, model, quote, size};

/// Reads the settings of a picture.
pub(super) fn read(texts: &Texts) -> Option<Result<ForeignSettings, String>> {
    let is_named = texts.get("fooocus_scheme").is_some_and(|scheme| scheme == "fooocus");
    for text in texts.all(&["parameters", "UserComment", "Comment"]) {
        if !text.starts_with('{') {
            continue;
        }
        match json::object(text) {
            Ok(object) if is_ours(&object) || is_named => return Some(Ok(parse(&object))),
            Err(reason) if is_named => {
                return Some(Err(format!("The text “parameters” of Fooocus {reason}")));
            }
            _ => {}
        }
    }
    None
}

fn is_ours(object: &Map<String, Value>) -> bool {
    let version = object.get("version").or(object.get("Version")).and_then(Value::as_str);
    version.is_some_and(|version| version.contains("Fooocus"))
        || object.contains_key("metadata_scheme")
        || object.contains_key("base_model")
        || object.contains_key("Base Model")
        || object.contains_key("Fooocus V2 Expansion")
}

fn parse(object: &Map<String, Value>) -> ForeignSettings {
    let mut settings = ForeignSettings::of(Program::Fooocus);
    // The second name is what the log of earlier versions has.
    let get = |names: [&str; 2]| names.iter().find_map(|name| object.get(*name));
    settings.prompt = json::text(get(["prompt", "Prompt"])).unwrap_or_default();
    settings.negative = json::text(get(["negative_prompt", "Negative Prompt"])).unwrap_or_default();
    settings.seed = json::whole(get(["seed", "Seed"]));
    let resolution = json::text(get(["resolution", "Resolution"]));
    settings.size = resolution.as_deref().and_then(sides);
    settings.sampling.steps = json::steps(get(["steps", "Steps"]))
        .or_else(|| steps_of(&json::text(get(["performance", "Performance"]))?));
    settings.sampling.guidance = json::strength(get(["guidance_scale", "Guidance Scale"]));
    settings.sampling.sampler = json::text(get(["sampler", "Sampler"]));
    settings.sampling.schedule = json::text(get(["scheduler", "Scheduler"]));
    let hash = json::text(get(["base_model_hash", "Base Model Hash"]));
    settings.model =
        json::text(get(["base_model", "Base Model"])).and_then(|name| model(&name, hash));
    settings.clip_skip = json::steps(get(["clip_skip", "CLIP Skip"])).filter(|skip| *skip >= 1);
    if let Some(vae) = json::text(get(["vae", "VAE"])) {
        a1111::put_vae(&mut settings, &vae);
    }
    loras(&mut settings, object);
    for (key, value) in object {
        settings.keep(key, json::shown(value));
    }
    let refiner = json::text(get(["refiner_model", "Refiner Model"]));
    if let Some(refiner) = refiner.filter(|name| name != "None") {
        settings.say(format!("The refiner “{}” has no counterpart here", quote(&refiner)));
    }
    let styles = get(["styles", "Styles"]).map(json::shown).unwrap_or_default();
    own_ways(&mut settings, &styles);
    settings
}

/// Says what Fooocus does to every picture.
fn own_ways(settings: &mut ForeignSettings, styles: &str) {
    let styles = styles.trim_matches(['[', ']', ' ']).replace(['\'', '"'], "");
    if !styles.is_empty() {
        settings
            .say(format!("The words of the styles {} are not added to the prompt", quote(&styles)));
    }
    settings.say("Sharpness and the guidance by size of Fooocus have no counterpart here");
}

/// Takes over the LoRAs: a list of name and weight, or keys whose values are `name : weight`.
fn loras(settings: &mut ForeignSettings, object: &Map<String, Value>) {
    let mut add = |name: &str, weight: Option<f32>| {
        let (name, weight) = (bare_name(name), weight.unwrap_or(1.0));
        let is_new = settings.loras.iter().all(|lora| lora.name != name);
        if is_new && !name.is_empty() && name != "None" && settings.loras.len() < 64 {
            settings.loras.push(ForeignLora { name, unet: weight, text: weight });
        }
    };
    for lora in object.get("loras").and_then(Value::as_array).into_iter().flatten() {
        if let Some([Value::String(name), weight, ..]) = lora.as_array().map(Vec::as_slice) {
            add(name, json::number(Some(weight)));
        }
    }
    for (key, value) in object {
        let is_lora = key.starts_with("lora_combined_") || key.starts_with("LoRA ");
        if let Some((name, weight)) =
            value.as_str().filter(|_| is_lora).and_then(|text| text.rsplit_once(':'))
        {
            add(name.trim(), weight.trim().parse().ok().filter(|weight: &f32| weight.is_finite()));
        }
    }
}

/// Reads `(768, 1280)`, `768×1280` and the like.
fn sides(text: &str) -> Option<crate::protocol::Size> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    size(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?)
}

/// Returns the steps of a choice of performance, which earlier versions do not write.
///
/// # Source
/// Fooocus `modules/flags.py`, `Steps`.
fn steps_of(performance: &str) -> Option<u32> {
    match performance {
        "Quality" => Some(60),
        "Speed" => Some(30),
        "Extreme Speed" => Some(8),
        "Lightning" | "Hyper-SD" => Some(4),
        _ => None,
    }
}

/// Mends what stands otherwise than in AUTOMATIC1111's text.
pub(super) fn mend(settings: &mut ForeignSettings) {
    let value = |settings: &ForeignSettings, key: &str| {
        settings.other.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    };
    // The prompt there is what the styles made of it.
    if let Some(prompt) = value(settings, "Raw prompt") {
        settings.prompt = prompt;
        settings.negative = value(settings, "Raw negative prompt").unwrap_or_default();
    }
    if let Some(weights) = value(settings, "Lora weights") {
        for pair in weights.split(',').take(64) {
            let Some((name, weight)) = pair.rsplit_once(':') else { continue };
            let weight = weight.trim().parse().ok().filter(|weight: &f32| weight.is_finite());
            let (name, weight) = (bare_name(name), weight.unwrap_or(1.0));
            if !name.is_empty() {
                settings.loras.push(ForeignLora { name, unet: weight, text: weight });
            }
        }
    }
    let styles = value(settings, "Styles").unwrap_or_default();
    own_ways(settings, &styles);
}
