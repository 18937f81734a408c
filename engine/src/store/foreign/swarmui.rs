//! SwarmUI: an object with `sui_image_params`, under `parameters` in a PNG, in EXIF elsewhere.

use serde_json::{Map, Value};

use super::texts::Texts;
use super::{ForeignLora, ForeignSettings, Program, a1111, bare_name, json, model, quote, size};

const MARK: &str = "sui_image_params";

/// Settings that change the picture and have no counterpart here, and what they are.
const EFFECTS: [(&str, &str); 11] = [
    ("initimage", "The picture was made from another one, which is not in the file"),
    ("maskimage", "The picture was painted within a mask, which is not in the file"),
    ("variationseed", "The variation seed has no counterpart here"),
    ("refinermethod", "The second pass of the refiner has no counterpart here"),
    ("refinermodel", "The model of the refiner has no counterpart here"),
    ("refinerupscale", "The enlargement in a second pass has no counterpart here"),
    ("controlnetmodel", "The picture was guided by a ControlNet, whose picture is not in the file"),
    ("useipadapterforrevision", "Pictures as prompts have no counterpart here"),
    ("seamlesstileable", "Tiling has no counterpart here"),
    ("fluxguidancescale", "Guidance that was distilled into a model has no counterpart here"),
    ("freeuapplyto", "FreeU has no counterpart here"),
];

/// Reads the settings of a picture.
pub(super) fn read(texts: &Texts) -> Option<Result<ForeignSettings, String>> {
    let text = texts
        .all(&["parameters", "UserComment", "Model", "ImageDescription", "Comment"])
        .find(|text| text.starts_with('{') && text.contains(MARK))?;
    let read = json::object(text)
        .map_err(|reason| format!("The text “parameters” of SwarmUI {reason}"))
        .map(|object| match object.get(MARK) {
            Some(Value::Object(params)) => parse(params, &object),
            _ => ForeignSettings::of(Program::SwarmUi),
        });
    Some(read)
}

fn parse(params: &Map<String, Value>, whole: &Map<String, Value>) -> ForeignSettings {
    let mut settings = ForeignSettings::of(Program::SwarmUi);
    settings.prompt = json::text(params.get("prompt")).unwrap_or_default();
    settings.negative = json::text(params.get("negativeprompt")).unwrap_or_default();
    settings.seed = json::whole(params.get("seed"));
    settings.sampling.steps = json::steps(params.get("steps"));
    settings.sampling.guidance = json::strength(params.get("cfgscale"));
    let named = |names: [&str; 3]| names.iter().find_map(|name| json::text(params.get(*name)));
    settings.sampling.sampler = named(["sampler", "comfyuisampler", "comfy_sampler"]);
    settings.sampling.schedule = named(["scheduler", "comfyuischeduler", "comfy_scheduler"]);
    if settings.sampling.sampler.is_none() && settings.sampling.steps.is_some() {
        // What it uses for most models when nothing is chosen.
        settings.sampling.sampler = Some("euler".to_owned());
    }
    let side = |name: &str| json::whole(params.get(name));
    settings.size = side("width").zip(side("height")).and_then(|(w, h)| size(w, h));
    let hash = hash_of(whole, "model");
    settings.model = json::text(params.get("model")).and_then(|name| model(&name, hash));
    if let Some(vae) = json::text(params.get("vae")) {
        a1111::put_vae(&mut settings, &vae);
    }
    // Counted from the end, -1 being the last.
    let layer = json::number(params.get("clipstopatlayer")).filter(|layer| *layer <= -1.0);
    settings.clip_skip = layer.map(|layer| -layer as u32);
    loras(&mut settings, params);
    for (key, value) in params {
        settings.keep(key, json::shown(value));
    }
    for (key, sentence) in EFFECTS {
        if params.get(key).is_some_and(|value| json::shown(value) != "false") {
            settings.say(sentence);
        }
    }
    for tag in ["<segment:", "<object:", "<region:", "<base>", "<refiner>", "<fromto[", "<random:"]
    {
        if settings.prompt.contains(tag) {
            let tag = tag.trim_end_matches([':', '[']);
            settings.say(format!("“{}…” in the prompt is read as plain text here", quote(tag)));
        }
    }
    settings
}

/// Returns the hash of the model that a parameter names.
fn hash_of(whole: &Map<String, Value>, param: &str) -> Option<String> {
    let models = whole.get("sui_models")?.as_array()?;
    let model =
        models.iter().find(|model| model.get("param").and_then(Value::as_str) == Some(param))?;
    // Of the tensors, not of the file: kept for the person who reads it.
    json::text(model.get("hash"))
}

/// Takes over the LoRAs, whose names and weights are lists, or one text with commas each.
fn loras(settings: &mut ForeignSettings, params: &Map<String, Value>) {
    let list = |key: &str| -> Vec<String> {
        match params.get(key) {
            Some(Value::Array(values)) => values.iter().take(64).filter_map(json::scalar).collect(),
            Some(Value::String(text)) => text.split(',').take(64).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    };
    let weights = list("loraweights");
    let text_weights = list("loratencweights");
    let at = |weights: &[String], n: usize| {
        let weight: Option<f32> = weights.get(n).and_then(|text| text.trim().parse().ok());
        weight.filter(|weight| weight.is_finite())
    };
    for (n, name) in list("loras").iter().enumerate() {
        let (name, unet) = (bare_name(name), at(&weights, n).unwrap_or(1.0));
        let text = at(&text_weights, n).unwrap_or(unet);
        if !name.is_empty() {
            settings.loras.push(ForeignLora { name, unet, text });
        }
    }
}
