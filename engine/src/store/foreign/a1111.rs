//! AUTOMATIC1111's web UI, and those that write as it does: Forge, SD.Next, stable-diffusion.cpp and
//! Fooocus when it is asked to. The text stands under `parameters` in a PNG, in the comment of EXIF
//! elsewhere.

use crate::store::png::ForeignRecipe;

use super::texts::Texts;
use super::{ForeignSettings, Program, bare_name, fooocus, model, quote, sdcpp};

/// Where the text may stand beside `parameters`.
const PLACES: [&str; 4] = ["UserComment", "ImageDescription", "XPComment", "Comment"];

/// Reads the settings of a picture.
pub(super) fn read(texts: &Texts) -> Option<Result<ForeignSettings, String>> {
    let own = texts.get("parameters").filter(|text| !text.starts_with('{'));
    let text = own.or_else(|| {
        // Elsewhere any text may stand, so that it must have settings.
        texts.all(&PLACES).find(|text| !text.starts_with('{') && text.contains("Steps: "))
    })?;
    Some(Ok(parse(text)))
}

/// Reads a text of settings.
pub(super) fn parse(text: &str) -> ForeignSettings {
    let recipe = ForeignRecipe::read(text);
    let mut settings = ForeignSettings::of(program(&recipe));
    settings.prompt = recipe.prompt;
    settings.negative = recipe.negative;
    settings.seed = recipe.seed;
    settings.size = recipe.size.and_then(|s| super::size(s.width_px.into(), s.height_px.into()));
    settings.sampling.steps = recipe.steps;
    settings.sampling.guidance = recipe.guidance;
    settings.sampling.sampler = recipe.sampler;
    settings.model =
        recipe.model.as_deref().and_then(|name| model(name, recipe.model_hash.clone()));
    if settings.model.is_none()
        && let Some(hash) = recipe.model_hash
    {
        settings.keep("Model hash", hash);
    }
    let has_hires = recipe.unparsed.iter().any(|(key, _)| key.starts_with("Hires "));
    for (key, value) in recipe.unparsed {
        put(&mut settings, &key, &value, has_hires);
        settings.keep(key, value);
    }
    match settings.program {
        Program::StableDiffusionCpp => sdcpp::mend(&mut settings),
        Program::Fooocus => fooocus::mend(&mut settings),
        _ => {}
    }
    settings
}

fn program(recipe: &ForeignRecipe) -> Program {
    let value = |key: &str| {
        recipe.unparsed.iter().find(|(known, _)| known == key).map_or("", |(_, value)| value)
    };
    let version = value("Version");
    let is_forge =
        version.starts_with('f') && version[1..].starts_with(|c: char| c.is_ascii_digit());
    if version.starts_with("stable-diffusion.cpp") {
        Program::StableDiffusionCpp
    } else if version.starts_with("Fooocus") {
        Program::Fooocus
    } else if is_forge || version.to_lowercase().contains("forge") || version == "neo" {
        Program::Forge
    } else if value("App").starts_with("SD.Next") {
        Program::SdNext
    } else {
        Program::Automatic1111
    }
}

/// Takes a setting over, or says that it cannot be.
fn put(settings: &mut ForeignSettings, key: &str, value: &str, has_hires: bool) {
    let number = || value.parse::<f32>().ok().filter(|number| number.is_finite());
    let shown = quote(value);
    match key {
        "Schedule type" | "Scheduler" | "Schedule" => {
            settings.sampling.schedule = Some(value.to_owned());
        }
        // What 1 means is what is done without.
        "Clip skip" | "CLIP skip" => {
            settings.clip_skip = number().filter(|skip| *skip >= 1.0).map(|skip| skip as u32);
        }
        "VAE" => put_vae(settings, value),
        // Ancestral samplers and DDIM have settings of their own there.
        "Eta" | "Eta DDIM" | "Eta ancestral" => settings.sampling.eta = number(),
        "CFG rescale" | "Guidance rescale" | "CFG Rescale φ" => {
            settings.sampling.cfg_rescale = number();
        }
        "Seed" | "Steps" | "Sampler" | "CFG scale" | "Size" => {
            settings.say(format!("The {} “{shown}” makes no sense", key.to_lowercase()));
        }
        "Denoising strength" if !has_hires => settings.say(format!(
            "The picture was made from another one, which is not in the file, at strength {shown}"
        )),
        "Hires upscale" | "Hires resize" => settings.say(format!(
            "The picture was enlarged in a second pass (hires fix, {shown}); only the first is kept"
        )),
        "Variation seed" => {
            settings.say(format!("The variation seed {shown} has no counterpart here"));
        }
        "Refiner" => settings.say(format!("The refiner “{shown}” has no counterpart here")),
        "Tiling" if value != "False" => settings.say("Tiling has no counterpart here"),
        "Face restoration" => {
            settings.say(format!("Faces were mended afterwards by {shown}, which is not here"));
        }
        "Emphasis" if value != "Original" => {
            settings.say(format!("The rule “{shown}” for emphasis is not kept in a recipe"));
        }
        "ENSD" => settings.say(format!("The seed delta {shown} for added noise is not here")),
        "Mask blur" | "Inpaint area" | "Masked content" => {
            settings.say("The picture was painted within a mask, which is not in the file");
        }
        _ if is_control(key) => {
            settings
                .say("The picture was guided by a ControlNet, whose picture is not in the file");
        }
        _ if key.starts_with("ADetailer model") => {
            settings
                .say("Details were painted anew afterwards (ADetailer), which is not done here");
        }
        _ => {
            if let Some(what) = effect(key) {
                settings.say(format!("{what} has no counterpart here"));
            }
        }
    }
}

fn is_control(key: &str) -> bool {
    key.strip_prefix("ControlNet").is_some_and(|rest| {
        rest.trim_start().is_empty() || rest.trim_start().starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Names what a key of an extension or an advanced setting does to the picture.
fn effect(key: &str) -> Option<&'static str> {
    const EFFECTS: [(&str, &str); 16] = [
        ("Token merging ratio", "Token merging"),
        ("FreeU", "FreeU"),
        ("freeu", "FreeU"),
        ("Dynamic thresholding enabled", "Dynamic thresholding"),
        ("dynthres_enabled", "Dynamic thresholding"),
        ("Sigma churn", "The sampler's churn"),
        ("Sigma noise", "The sampler's noise factor"),
        ("Sigma tmin", "The sampler's bound for churn"),
        ("Skip Early CFG", "Guidance that begins late"),
        ("NGMS", "Guidance that is skipped in late steps"),
        ("Pad conds", "The padding of prompts"),
        ("Seed resize from", "A seed for another size"),
        ("Hypernet", "A hypernetwork"),
        ("Tiled Diffusion", "Tiled diffusion"),
        ("RP Active", "The prompter of regions"),
        ("Downcast alphas_cumprod", "A changed noise schedule"),
    ];
    EFFECTS.iter().find(|(begin, _)| key.starts_with(begin)).map(|(_, what)| *what)
}

/// Takes a VAE over, unless the name says that it is the model's own.
pub(super) fn put_vae(settings: &mut ForeignSettings, name: &str) {
    let bare = bare_name(name);
    let own = ["", "none", "automatic", "auto", "default", "default (model)", "baked vae"];
    if !own.contains(&bare.to_lowercase().as_str()) {
        settings.vae = Some(bare);
    }
}
