//! What stands beside a picture model and its prompt: files that change it, and pictures that guide it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{MemoryUse, ModelRef, NoiseSource, PictureRequest, PredictionChoice, Region};

/// Holds what a request uses beside its model and its prompt; of it, a picture to change alone is for
/// the house model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extras {
    /// Low-rank changes to the model, those that the prompt names not among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<LoraUse>,
    /// Files of new words (textual inversion), beside those in the folders of embeddings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub embeddings: Vec<ModelRef>,
    /// The autoencoder to use in place of the model's own, a whole one or a tiny one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vae: Option<ModelRef>,
    /// ControlNets with their pictures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<ControlUse>,
    /// The layer of the text encoder that is read, counted from the last, which is 1; `None` for the
    /// model's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_skip: Option<u32>,
    /// What the net predicts, where the file's own word or shape is not to be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<PredictionChoice>,
    /// The picture that is to be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// How much memory the model may take.
    #[serde(skip_serializing_if = "MemoryUse::is_automatic")]
    pub memory: MemoryUse,
}

impl Extras {
    /// Tells whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether there is nothing that changes a model or guides a picture.
    pub fn is_plain(&self) -> bool {
        Self { memory: MemoryUse::Automatic, ..self.clone() }.is_empty()
    }

    /// Returns every file that is named, in the words of the person who reads a recipe.
    pub fn files(&self) -> Vec<String> {
        let picture = |picture: &PictureFile| picture.path.display().to_string();
        let mut files: Vec<String> =
            self.loras.iter().map(|lora| lora.model.name.clone()).collect();
        files.extend(self.embeddings.iter().chain(&self.vae).map(|model| model.name.clone()));
        for control in &self.controls {
            files.push(control.model.name.clone());
            files.push(picture(&control.picture));
        }
        if let Some(source) = &self.source {
            files.push(picture(&source.picture));
            files.extend(source.mask.as_ref().map(picture));
        }
        files
    }
}

impl Extras {
    /// Lists the pictures that are read: that which is changed, its mask, those that guide.
    pub fn pictures(&self) -> impl Iterator<Item = &PictureFile> {
        let source = self.source.iter();
        let controls = self.controls.iter().map(|control| &control.picture);
        source.flat_map(|one| [Some(&one.picture), one.mask.as_ref()]).flatten().chain(controls)
    }
}

impl PictureRequest {
    /// Forgets every place on a computer that a recipe of somebody else names, and returns what was
    /// forgotten: files of models keep their names alone, by which they are looked for in the
    /// person's own folders, and noise comes from the seed. Pictures are forgotten with what reads
    /// them unless `keep` says where they are here.
    pub fn forget_places(&mut self, keep: impl Fn(&PictureFile) -> Option<PathBuf>) -> Vec<String> {
        let mut forgotten = Vec::new();
        let extras = &mut self.extras;
        let models = [&mut self.model]
            .into_iter()
            .chain(extras.loras.iter_mut().map(|one| &mut one.model))
            .chain(&mut extras.embeddings)
            .chain(&mut extras.vae)
            .chain(extras.controls.iter_mut().map(|one| &mut one.model));
        for model in models {
            if let Some((_, name)) = model.name.rsplit_once(['/', '\\']) {
                let name = name.to_owned();
                forgotten.push(std::mem::replace(&mut model.name, name));
            }
        }
        if let NoiseSource::File(path) = &self.noise {
            forgotten.push(path.display().to_string());
            self.noise = NoiseSource::Seed;
        }
        let mut find = |file: &mut PictureFile| match keep(file) {
            Some(path) => {
                file.path = path;
                true
            }
            None => {
                forgotten.push(file.path.display().to_string());
                false
            }
        };
        extras.controls.retain_mut(|control| find(&mut control.picture));
        if let Some(source) = &mut extras.source {
            let has_mask = source.mask.as_mut().is_none_or(&mut find);
            if !find(&mut source.picture) || !has_mask {
                extras.source = None;
            }
        }
        forgotten
    }
}

/// Names a LoRA and says how strongly it changes the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraUse {
    /// The file.
    pub model: ModelRef,
    /// Its strength in the net, -100 to 100; 1 is as it was trained.
    pub unet: f32,
    /// Its strength in the text encoders.
    pub text: f32,
}

/// Names a file of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureFile {
    /// The file.
    pub path: PathBuf,
    /// Hexadecimal SHA-256 of its bytes; empty until the engine has read it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
}

impl PictureFile {
    /// Names a file whose hash is not known yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), sha256: String::new() }
    }
}

/// Says how a ControlNet guides a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlUse {
    /// The ControlNet.
    pub model: ModelRef,
    /// The picture that guides; it is scaled and cropped to the size of the picture that is made, or
    /// where it lies over the one that is changed, as that is.
    pub picture: PictureFile,
    /// Whether it lies over the picture that is changed, whose size it has: the net is shown the region
    /// that is painted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over_source: bool,
    /// What is drawn from the picture before the net reads it.
    #[serde(default)]
    pub hint: HintKind,
    /// How strongly it guides, 0 to 2.
    pub strength: f32,
    /// The share of the steps at which it begins and ends, 0 to 1.
    #[serde(default = "whole")]
    pub between: [f32; 2],
}

fn whole() -> [f32; 2] {
    [0.0, 1.0]
}

/// Names what is drawn from a picture for a ControlNet: what needs no weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HintKind {
    /// The picture as it is.
    #[default]
    None,
    /// Its edges, thin and white.
    Canny,
    /// Its outlines, thick and white.
    Scribble,
    /// A blurred copy.
    Tile,
    /// Its negative.
    Invert,
}

impl HintKind {
    /// Lists every kind, in the order in which they are offered.
    pub const ALL: [Self; 5] = [Self::None, Self::Canny, Self::Scribble, Self::Tile, Self::Invert];

    /// Returns the name used on the command line and in recipes.
    pub fn id(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Canny => "canny",
            Self::Scribble => "scribble",
            Self::Tile => "tile",
            Self::Invert => "invert",
        }
    }

    /// Returns the kind of an id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }
}

/// Holds a picture that is to be changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The picture; it is scaled and cropped to the size of the picture that is made.
    pub picture: PictureFile,
    /// What may change: white; what may not: black.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<PictureFile>,
    /// How much of the noise schedule is run, above 0 to 1. 1 leaves nothing of the picture.
    pub strength: f32,
    /// How strongly a net that follows instructions keeps to the picture, 0 to 30.
    #[serde(default = "image_guidance")]
    pub image_guidance: f32,
    /// The part of the picture that is painted at the request's size and put back, so that the result
    /// is as large as the picture; `None` to scale and crop all of it to that size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
}

/// What diffusers' pipeline of InstructPix2Pix has.
fn image_guidance() -> f32 {
    1.5
}

impl Source {
    /// Names a picture that is to be changed as far as `strength` says.
    pub fn new(path: impl Into<PathBuf>, strength: f32) -> Self {
        Self {
            picture: PictureFile::at(path),
            mask: None,
            strength,
            image_guidance: image_guidance(),
            region: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_without_extras_is_read_and_nothing_is_written_for_them() {
        let read: Extras = serde_json::from_str("{}").expect("nothing");
        assert!(read.is_empty());
        assert_eq!(serde_json::to_string(&read).expect("text"), "{}");
    }

    #[test]
    fn every_file_of_a_recipe_is_listed() {
        let extras = Extras {
            loras: vec![LoraUse { model: ModelRef::named("a"), unet: 1.0, text: 1.0 }],
            embeddings: vec![ModelRef::named("b")],
            vae: Some(ModelRef::named("c")),
            controls: vec![ControlUse {
                model: ModelRef::named("d"),
                picture: PictureFile::at("e"),
                over_source: false,
                hint: HintKind::Canny,
                strength: 1.0,
                between: whole(),
            }],
            source: Some(Source { mask: Some(PictureFile::at("g")), ..Source::new("f", 0.5) }),
            ..Extras::default()
        };
        assert_eq!(extras.files(), ["a", "b", "c", "d", "e", "f", "g"]);
        let text = serde_json::to_string(&extras).expect("text");
        assert_eq!(serde_json::from_str::<Extras>(&text).expect("extras"), extras);
        for kind in HintKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("a name"), kind.id());
            assert_eq!(HintKind::from_id(kind.id()), Some(kind));
        }
    }
}
