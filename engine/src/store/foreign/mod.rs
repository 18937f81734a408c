//! What pictures of other programs say about how they were made: read out of the bytes of a PNG,
//! JPEG or WebP file, and turned into a request of ours as far as that goes.
//!
//! One file per program stands beside this one; `texts` opens the containers, `samplers` knows the
//! names that the programs have for samplers and schedules, `settle` says what cannot be honoured.
//! Nothing in a file is trusted: lengths are checked against the file, unpacked texts and graphs have
//! bounds, and links that lead in circles end.

mod a1111;
mod comfyui;
mod exif;
mod fooocus;
mod invokeai;
mod json;
mod novelai;
mod samplers;
mod sdcpp;
mod settle;
mod stealth;
mod swarmui;
mod texts;

use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::protocol::{Pixels, PredictionChoice, Size};

pub(in crate::store) use settle::bare_request;
pub use texts::PictureFormat;
use texts::Texts;

/// Stands for the path in an error about bytes that came without one.
const NO_PATH: &str = "picture without a file name";

/// Caps the settings without a field of their own, and the sentences about what is not honoured.
const MAX_OTHERS: usize = 256;
const MAX_SENTENCES: usize = 64;

/// Names the program that made a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Program {
    /// AUTOMATIC1111's web UI, or one that writes as it does and does not say its name.
    Automatic1111,
    /// Forge and its relatives.
    Forge,
    /// SD.Next.
    SdNext,
    /// ComfyUI.
    ComfyUi,
    /// InvokeAI.
    InvokeAi,
    /// SwarmUI.
    SwarmUi,
    /// Fooocus.
    Fooocus,
    /// NovelAI.
    NovelAi,
    /// stable-diffusion.cpp.
    StableDiffusionCpp,
}

impl Program {
    /// Returns the program's name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Automatic1111 => "AUTOMATIC1111",
            Self::Forge => "Forge",
            Self::SdNext => "SD.Next",
            Self::ComfyUi => "ComfyUI",
            Self::InvokeAi => "InvokeAI",
            Self::SwarmUi => "SwarmUI",
            Self::Fooocus => "Fooocus",
            Self::NovelAi => "NovelAI",
            Self::StableDiffusionCpp => "stable-diffusion.cpp",
        }
    }
}

/// Holds how another program sampled a picture, in that program's words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ForeignSampling {
    /// Number of steps.
    pub steps: Option<u32>,
    /// Strength of classifier-free guidance; finite, 0 or more.
    pub guidance: Option<f32>,
    /// The sampler, by the name that program has for it.
    pub sampler: Option<String>,
    /// The choice of noise levels, by the name that program has for it; `None` also where the
    /// sampler's name says it.
    pub schedule: Option<String>,
    /// How much noise comes anew in each step.
    pub eta: Option<f32>,
    /// How far guidance is held to the contrast of the prompt's own prediction.
    pub cfg_rescale: Option<f32>,
    /// What the net predicts, where that was chosen.
    pub prediction: Option<PredictionChoice>,
}

/// Names a model as another program does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignModel {
    /// Its name, without folders and ending.
    pub name: String,
    /// Its hash by that program's rule: often the first ten letters of the file's SHA-256.
    pub hash: Option<String>,
}

/// Names a LoRA as another program does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForeignLora {
    /// Its name, without folders and ending.
    pub name: String,
    /// Its strength in the net.
    pub unet: f32,
    /// Its strength in the text encoders.
    pub text: f32,
}

/// Holds what a picture of another program says about how it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForeignSettings {
    /// Who made it.
    pub program: Program,
    /// What it shows.
    pub prompt: String,
    /// What it should not show; empty for none.
    pub negative: String,
    /// The seed.
    pub seed: Option<u64>,
    /// How it was sampled.
    pub sampling: ForeignSampling,
    /// The size that was asked for, which need not be that of the picture.
    pub size: Option<Size>,
    /// The model.
    pub model: Option<ForeignModel>,
    /// The autoencoder, where another than the model's own was chosen.
    pub vae: Option<String>,
    /// The layer of the text encoder that was read, counted from the last, which is 1.
    pub clip_skip: Option<u32>,
    /// The LoRAs that stand beside the prompt; those that it names itself are in its text.
    pub loras: Vec<ForeignLora>,
    /// Every other setting with its value.
    pub other: Vec<(String, String)>,
    /// What cannot be honoured here, in one sentence each.
    pub unhonoured: Vec<String>,
}

impl ForeignSettings {
    /// Begins with nothing known but the program.
    fn of(program: Program) -> Self {
        Self {
            program,
            prompt: String::new(),
            negative: String::new(),
            seed: None,
            sampling: ForeignSampling::default(),
            size: None,
            model: None,
            vae: None,
            clip_skip: None,
            loras: Vec::new(),
            other: Vec::new(),
            unhonoured: Vec::new(),
        }
    }

    /// Keeps a setting that has no field of its own.
    fn keep(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        if self.other.len() < MAX_OTHERS && !value.is_empty() {
            self.other.push((key, value));
        }
    }

    /// Says once what cannot be honoured.
    fn say(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if self.unhonoured.len() < MAX_SENTENCES && !self.unhonoured.contains(&sentence) {
            self.unhonoured.push(sentence);
        }
    }

    /// Tells whether nothing at all was understood.
    fn is_empty(&self) -> bool {
        let Self { prompt, seed, sampling, model, .. } = self;
        prompt.is_empty()
            && seed.is_none()
            && sampling.steps.is_none()
            && sampling.sampler.is_none()
            && model.is_none()
    }
}

/// Holds what was found in the file of a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForeignPicture {
    /// What kind of file it is.
    pub format: PictureFormat,
    /// The size of the picture itself, before its camera's word on which way is up.
    pub size: Size,
    /// How it was made, if it says so.
    pub settings: Option<ForeignSettings>,
    /// Texts about its making that could not be read, in one sentence each.
    pub unread: Vec<String>,
}

/// Is how a program's settings are looked for: `None` when it made no such picture.
type Reader = fn(&Texts) -> Option<Result<ForeignSettings, String>>;

/// In the order in which they are asked: those whose marks are plain before those that would also
/// take a picture of another.
const READERS: [Reader; 6] =
    [swarmui::read, fooocus::read, a1111::read, invokeai::read, novelai::read, comfyui::read];

/// Reads what a picture's file says about how it was made; saying nothing is no error. Where no text
/// does, what may be hidden in the transparency of its pixels is looked for, which decodes it.
///
/// Memory stays below the size of the file, its pixels and some 100 MiB, whatever the file claims.
///
/// # Errors
/// [`EngineError::Damaged`] when the bytes are no PNG, JPEG or WebP file, or not a whole one as far as
/// it had to be read.
pub fn read(bytes: &[u8]) -> Result<ForeignPicture, EngineError> {
    read_with(bytes, None)
}

/// Reads as [`read`] does, for one who has decoded the picture already.
///
/// # Errors
/// As [`read`].
pub fn read_with(bytes: &[u8], pixels: Option<&Pixels>) -> Result<ForeignPicture, EngineError> {
    let texts = Texts::of(bytes).map_err(|reason| EngineError::damaged(NO_PATH, reason))?;
    let mut found = ForeignPicture {
        format: texts.format,
        size: texts.size,
        settings: None,
        unread: texts.unread.clone(),
    };
    look(&texts, &mut found);
    if found.settings.is_none() && texts.has_alpha {
        let hidden = match pixels {
            Some(pixels) => stealth::read(pixels),
            None => super::pictures::decode(bytes).ok().as_ref().and_then(stealth::read),
        };
        match hidden {
            Some(Ok(hidden)) => look(&texts.hidden(&hidden), &mut found),
            Some(Err(sentence)) => found.unread.push(sentence),
            None => {}
        }
    }
    Ok(found)
}

/// Asks the readers in turn.
fn look(texts: &Texts, found: &mut ForeignPicture) {
    for reader in READERS {
        match reader(texts) {
            Some(Ok(mut settings)) if !settings.is_empty() => {
                settle::settle(&mut settings);
                found.settings = Some(settings);
                return;
            }
            Some(Err(sentence)) if !found.unread.contains(&sentence) => {
                found.unread.push(sentence);
            }
            _ => {}
        }
    }
}

/// Returns a model's name without the folders and the ending that it has on somebody's disk.
fn bare_name(name: &str) -> String {
    const ENDINGS: [&str; 7] = ["safetensors", "ckpt", "pt", "pth", "bin", "gguf", "sft"];
    let file = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let bare = match file.rsplit_once('.') {
        Some((stem, ending)) if ENDINGS.contains(&ending.to_lowercase().as_str()) => stem,
        _ => file,
    };
    // No name may lead elsewhere when it is looked for.
    bare.trim_start_matches(['.', '~']).chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Returns a model of this name, unless it is empty.
fn model(name: &str, hash: Option<String>) -> Option<ForeignModel> {
    let name = bare_name(name);
    (!name.is_empty()).then_some(ForeignModel { name, hash })
}

/// Returns a size that a picture can have.
fn size(width_px: u64, height_px: u64) -> Option<Size> {
    let side = |px: u64| u32::try_from(px).ok().filter(|px| (1..=16_384).contains(px));
    Some(Size { width_px: side(width_px)?, height_px: side(height_px)? })
}

/// Returns the beginning of a text on one line, to stand in a sentence.
fn quote(text: &str) -> String {
    const MOST: usize = 80;
    let mut short: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}
