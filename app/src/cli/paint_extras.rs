//! What `atelier paint` takes beside a model and a prompt: sampler settings, LoRAs, ControlNets and
//! pictures.

use std::path::{Path, PathBuf};

use atelier_engine::EngineError;
use atelier_engine::protocol::{
    Borders, ControlUse, Extras, HintKind, LoraUse, MemoryUse, ModelChoice, ModelRef, PictureFile,
    PredictionChoice, Region, RegionMode, Sampling, ScheduleKind, Source, VariantChoice,
};
use clap::Args;

/// Holds the settings of the sampler beyond its name.
#[derive(Debug, Clone, Default, Args)]
pub struct SamplingArgs {
    /// Noise levels: automatic, normal, karras, exponential, sgm_uniform, simple, ddim_uniform, beta,
    /// align_your_steps or trailing
    #[arg(long, value_name = "NAME", value_parser = parse_schedule)]
    schedule: Option<ScheduleKind>,
    /// New noise in each step, 0 to 1; the sampler's own when not given
    #[arg(long, value_name = "F")]
    eta: Option<f32>,
    /// Factor of the noise that a sampler adds, 0 to 2
    #[arg(long, value_name = "F")]
    s_noise: Option<f32>,
    /// Holds guidance to the prompt's own contrast, 0 to 1
    #[arg(long, value_name = "F")]
    cfg_rescale: Option<f32>,
}

impl SamplingArgs {
    /// Puts what was given in place of what a model is sampled with otherwise.
    pub fn apply(&self, sampling: Sampling) -> Sampling {
        Sampling {
            schedule: self.schedule.unwrap_or(sampling.schedule),
            eta: self.eta.or(sampling.eta),
            s_noise: self.s_noise.unwrap_or(sampling.s_noise),
            cfg_rescale: self.cfg_rescale.unwrap_or(sampling.cfg_rescale),
            ..sampling
        }
    }
}

/// Holds how a part of a picture is cut out for a model and put back.
#[derive(Debug, Clone, Default, Args)]
pub struct RegionArgs {
    /// How the mask is painted: fill (replaced), seamless (with its surroundings) or focus (enlarged);
    /// seamless when not given
    #[arg(long, value_name = "NAME", requires = "init", value_parser = parse_mode)]
    pub mode: Option<RegionMode>,
    /// Pixels around the mask that are read along
    #[arg(long, value_name = "N", requires = "init")]
    padding: Option<u32>,
    /// Pixels by which the mask grows before it is painted; 0 when not given
    #[arg(long, value_name = "N", requires = "init")]
    grow: Option<u32>,
    /// Pixels over which the result fades in, from the mask's edge inwards
    #[arg(long, value_name = "N", requires = "init")]
    pub feather: Option<u32>,
    /// What is added around the picture.
    #[arg(skip)]
    pub added: Borders,
}

impl RegionArgs {
    fn region(&self) -> Region {
        Region {
            mode: self.mode.unwrap_or_default(),
            padding_px: self.padding,
            grow_px: self.grow,
            feather_px: self.feather,
            added: self.added,
        }
    }
}

/// Holds files that change a model, and pictures that guide it.
#[derive(Debug, Clone, Default, Args)]
pub struct ExtrasArgs {
    /// Folder of models: a plain one, or an installation of AUTOMATIC1111's web UI or ComfyUI
    #[arg(long, value_name = "FOLDER")]
    pub models: Vec<PathBuf>,
    /// LoRA with its strength, or its strengths in the net and the text encoder: FILE:0.8 or
    /// FILE:0.8:0.5
    #[arg(long, value_name = "FILE[:F[:F]]")]
    lora: Vec<String>,
    /// Embedding (textual inversion) whose words the prompt uses
    #[arg(long, value_name = "FILE")]
    embedding: Vec<String>,
    /// ControlNet with its picture and strength: FILE:IMAGE:0.7
    #[arg(long, value_name = "FILE:IMAGE[:F]")]
    controlnet: Vec<String>,
    /// What is drawn from the picture of each ControlNet: none, canny, scribble, tile or invert
    #[arg(long, value_name = "NAME", value_parser = parse_hint)]
    hint: Vec<HintKind>,
    /// VAE in place of the model's own; a TAESD decodes in about a seventh of the time
    #[arg(long, value_name = "FILE")]
    vae: Option<String>,
    /// Layer of the text encoder that is read, counted from the last, which is 1
    #[arg(long, value_name = "N")]
    clip_skip: Option<u32>,
    /// What the net predicts, where the file cannot tell: epsilon or v
    #[arg(long, value_name = "NAME", value_parser = parse_prediction)]
    prediction: Option<PredictionChoice>,
    /// How the model was distilled, where the file's name does not say or misleads: standard, turbo,
    /// lightning, hyper or lcm. Steps, sampler, noise levels, guidance and size follow, unless given
    #[arg(long, value_name = "NAME", value_parser = parse_variant)]
    variant: Option<VariantChoice>,
    /// Takes little memory: the parts of a model are read one after the other, and pictures are decoded
    /// some rows at a time. Without it, that is done where memory is short
    #[arg(long)]
    low_memory: bool,
    /// Picture that is to be changed. The result has its size, unless a width or height is given
    #[arg(long, value_name = "IMAGE")]
    pub init: Option<PathBuf>,
    /// How much is changed, above 0 to 1; when not given 0.75, or 1 with `--mode fill`
    #[arg(long, value_name = "F", requires = "init")]
    pub strength: Option<f32>,
    /// What of the picture may change: white on black
    #[arg(long, value_name = "IMAGE", requires = "init")]
    pub mask: Option<PathBuf>,
    #[command(flatten)]
    pub region: RegionArgs,
    /// How strongly a model that follows instructions keeps to the picture
    #[arg(long, value_name = "F", requires = "init")]
    image_guidance: Option<f32>,
}

impl ExtrasArgs {
    /// Returns what was said about the model itself.
    pub fn choice(&self) -> ModelChoice {
        ModelChoice { variant: self.variant, prediction: self.prediction }
    }

    /// Returns what was given, as a request has it.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when a file with its strength cannot be read as one.
    pub fn extras(&self) -> Result<Extras, EngineError> {
        let mut controls = Vec::new();
        for (index, text) in self.controlnet.iter().enumerate() {
            let hint = self.hint.get(index).or(self.hint.last()).copied().unwrap_or_default();
            controls.push(control(text, hint)?);
        }
        Ok(Extras {
            loras: self.lora.iter().map(|text| lora(text)).collect(),
            embeddings: self.embedding.iter().map(ModelRef::named).collect(),
            vae: self.vae.as_ref().map(ModelRef::named),
            controls,
            clip_skip: self.clip_skip,
            prediction: self.prediction,
            memory: if self.low_memory { MemoryUse::Low } else { MemoryUse::Automatic },
            source: self.init.as_ref().map(|init| {
                let usual = if self.region.mode == Some(RegionMode::Fill) { 1.0 } else { 0.75 };
                let source = Source::new(init, self.strength.unwrap_or(usual));
                Source {
                    mask: self.mask.as_ref().map(PictureFile::at),
                    image_guidance: self.image_guidance.unwrap_or(source.image_guidance),
                    region: Some(self.region.region()),
                    ..source
                }
            }),
        })
    }
}

fn parse_schedule(name: &str) -> Result<ScheduleKind, String> {
    ScheduleKind::from_id(&name.to_lowercase()).ok_or_else(|| {
        let names: Vec<_> = ScheduleKind::ALL.iter().map(|kind| kind.id()).collect();
        format!("the schedules are {}", names.join(", "))
    })
}

fn parse_mode(name: &str) -> Result<RegionMode, String> {
    RegionMode::from_id(&name.to_lowercase()).ok_or_else(|| {
        let names: Vec<_> = RegionMode::ALL.iter().map(|mode| mode.id()).collect();
        format!("the modes are {}", names.join(", "))
    })
}

fn parse_hint(name: &str) -> Result<HintKind, String> {
    HintKind::from_id(&name.to_lowercase()).ok_or_else(|| {
        let names: Vec<_> = HintKind::ALL.iter().map(|kind| kind.id()).collect();
        format!("what can be drawn is {}", names.join(", "))
    })
}

fn parse_prediction(name: &str) -> Result<PredictionChoice, String> {
    match name.to_lowercase().as_str() {
        "eps" => Ok(PredictionChoice::Epsilon),
        "v_prediction" => Ok(PredictionChoice::V),
        name => PredictionChoice::from_id(name).ok_or("nets predict epsilon or v".to_owned()),
    }
}

/// Reads a variant's name; families and what nets are made for are no variants, and who asks for one is
/// told why.
fn parse_variant(name: &str) -> Result<VariantChoice, String> {
    VariantChoice::from_id(&name.to_lowercase()).ok_or_else(|| {
        let names: Vec<_> = VariantChoice::ALL.iter().map(|variant| variant.id()).collect();
        format!(
            "the variants are {}; the family (SD 1.x, SD 2.x, SDXL), inpainting and InstructPix2Pix are \
             told by the shapes of the tensors and cannot be chosen",
            names.join(", ")
        )
    })
}

/// Takes a number off the end of a text, behind a colon.
fn number_behind(text: &str) -> Option<(&str, f32)> {
    let (before, number) = text.rsplit_once(':')?;
    let number: f32 = number.trim().parse().ok()?;
    (!before.is_empty()).then_some((before, number))
}

fn lora(text: &str) -> LoraUse {
    let (file, unet, words) = match number_behind(text) {
        None => (text, 1.0, 1.0),
        Some((before, last)) => match number_behind(before) {
            None => (before, last, last),
            Some((file, first)) => (file, first, last),
        },
    };
    LoraUse { model: ModelRef::named(file), unet, text: words }
}

/// Reads `FILE:IMAGE:0.7`. Either file may have colons in its name, so the place between them is
/// where both sides are there.
fn control(text: &str, hint: HintKind) -> Result<ControlUse, EngineError> {
    let (files, strength) = number_behind(text).unwrap_or((text, 1.0));
    let places: Vec<usize> = files.match_indices(':').map(|(at, _)| at).collect();
    let is_there = |at: &&usize| Path::new(&files[**at + 1..]).is_file();
    let Some(at) = places.iter().find(is_there).or(places.last()) else {
        let reason = format!("must be a file and a picture, FILE:IMAGE:0.7, not “{text}”");
        return Err(EngineError::invalid("ControlNet", reason));
    };
    Ok(ControlUse {
        model: ModelRef::named(&files[..*at]),
        picture: PictureFile::at(&files[at + 1..]),
        over_source: false,
        hint,
        strength,
        between: [0.0, 1.0],
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_lora_has_one_strength_or_two_and_colons_in_its_name_stay() {
        let read = |text| {
            let LoraUse { model, unet, text } = lora(text);
            (model.name, unet, text)
        };
        assert_eq!(read("a.safetensors"), ("a.safetensors".into(), 1.0, 1.0));
        assert_eq!(read("a:0.8"), ("a".into(), 0.8, 0.8));
        assert_eq!(read("a:-0.8:0.5"), ("a".into(), -0.8, 0.5));
        assert_eq!(read("C:/a:0.8"), ("C:/a".into(), 0.8, 0.8));
        assert_eq!(read("C:/a"), ("C:/a".into(), 1.0, 1.0));
    }

    #[test]
    fn a_controlnet_is_parted_from_its_picture_where_the_picture_is() {
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("a:b.png");
        std::fs::write(&picture, b"x").unwrap();
        let picture = picture.to_string_lossy();
        let found = control(&format!("C:/net:{picture}:0.7"), HintKind::Canny).unwrap();
        assert_eq!(found.model.name, "C:/net");
        assert_eq!(found.picture.path.to_string_lossy(), picture);
        assert_eq!((found.strength, found.hint), (0.7, HintKind::Canny));
        let found = control("net:missing.png", HintKind::None).unwrap();
        assert_eq!((found.model.name.as_str(), found.strength), ("net", 1.0));
        assert!(control("net", HintKind::None).is_err());
    }
}
