//! What a front end asks for when a picture is to be enlarged, and what it gets.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    DeviceChoice, Extras, ModelRef, Notice, PictureFile, PictureRequest, Pixels, Precision, Prompt,
    Request, Sampling, Size,
};

/// Asks for a larger version of a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnlargeRequest {
    /// The picture.
    pub picture: PictureFile,
    /// The net that enlarges, or [`EnlargeRequest::LANCZOS`].
    pub model: ModelRef,
    /// How many times as wide and high it becomes, above 1 to 16. Any factor goes with any net: a net's
    /// own factor is used once or several times, and what is then too large is shrunk.
    pub factor: f32,
    /// Which device computes.
    #[serde(default)]
    pub device: DeviceChoice,
    /// How exactly the processor computes.
    #[serde(default = "Precision::of_old_recipes")]
    pub precision: Precision,
    /// What paints over the enlarged picture; `None` where it stays as the net made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refine: Option<Box<Refine>>,
    /// The recipe that the picture carried; the engine fills it in before the recipe is written, and
    /// leaves what stands here where the file carries none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Box<Request>>,
}

/// Says how an enlarged picture is painted over, in tiles of the size that a model paints.
///
/// What is not given is that of the picture's own recipe, or what the model is asked for when a person
/// says nothing; the engine fills it in before the recipe is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refine {
    /// How much of the noise schedule is run, above 0 to 1: how far the picture may change.
    pub strength: f32,
    /// Which model paints: the one that painted the picture where it is among those that are found, else
    /// the house's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
    /// What the picture shows; of a picture without a recipe nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
    /// How to sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// The seed of the noise, which belongs to places of the whole picture; 0 without a recipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The size of a tile: that at which the model was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile: Option<Size>,
    /// Files that change the model; neither a picture to change nor ControlNets.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

impl Refine {
    /// The strength when a person says nothing.
    pub const STRENGTH: f32 = 0.3;

    /// Asks for a picture to be painted over as far as `strength` says.
    pub fn new(strength: f32) -> Self {
        Self {
            strength,
            model: None,
            prompt: None,
            sampling: None,
            seed: None,
            tile: None,
            extras: Extras::default(),
        }
    }
}

impl EnlargeRequest {
    /// The name that stands for no net: resizing by Lanczos's filter.
    pub const LANCZOS: &'static str = "lanczos";

    /// Asks for a picture that is `factor` times as wide and high, by a net of this name or path.
    pub fn new(picture: impl Into<PathBuf>, model: impl Into<String>, factor: f32) -> Self {
        Self {
            picture: PictureFile::at(picture),
            model: ModelRef::named(model),
            factor,
            device: DeviceChoice::Auto,
            precision: Precision::Fast,
            refine: None,
            source: None,
        }
    }

    /// Returns the recipe of the picture that was enlarged, however often it was.
    pub fn painted(&self) -> Option<&PictureRequest> {
        match self.source.as_deref()? {
            Request::Picture(request) => Some(request),
            Request::Enlarge(request) => request.painted(),
            _ => None,
        }
    }

    /// Returns how often the picture was enlarged, this time included.
    pub fn depth(&self) -> usize {
        match self.source.as_deref() {
            Some(Request::Enlarge(request)) => 1 + request.depth(),
            _ => 1,
        }
    }

    /// Returns what the picture is called: the words that it was painted from, or its file's name.
    pub fn title(&self) -> String {
        match self.painted() {
            Some(request) => request.prompt.text.clone(),
            None => {
                self.picture.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
            }
        }
    }

    /// Returns the seed of the picture that was enlarged, 0 where it has no recipe.
    pub fn seed(&self) -> u64 {
        self.painted().map_or(0, |request| request.seed)
    }
}

/// Holds an enlarged picture with its recipe.
#[derive(Debug, Clone)]
pub struct Enlarged {
    /// The picture.
    pub pixels: Arc<Pixels>,
    /// The request that makes it again, with the hashes of picture and net and the picture's recipe.
    pub recipe: EnlargeRequest,
    /// The licences of what it was made of.
    pub licence: String,
    /// Where it is saved, when the engine has a library.
    pub file: Option<PathBuf>,
    /// Its number in the library, when the engine has one.
    pub result_id: Option<i64>,
}

/// Holds an enlarged picture and what is to be said about it.
#[derive(Debug, Clone)]
pub struct EnlargeOutput {
    /// The picture.
    pub enlarged: Enlarged,
    /// What the user should know about the result.
    pub notices: Vec<Notice>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_within_a_request_is_written_and_read_again() {
        let first = EnlargeRequest::new("a.jpg", "lanczos", 2.0);
        let source = Some(Box::new(Request::Enlarge(Box::new(first.clone()))));
        let second = EnlargeRequest { source, ..EnlargeRequest::new("b.png", "x", 1.5) };
        let request = Request::Enlarge(Box::new(second.clone()));
        let text = serde_json::to_string(&request).expect("text");
        assert!(text.starts_with(r#"{"job":"enlarge","#), "{text}");
        assert_eq!(serde_json::from_str::<Request>(&text).expect("a request"), request);
        assert!(!text.contains("refine"), "{text}");
        let refined = EnlargeRequest { refine: Some(Box::new(Refine::new(0.3))), ..first.clone() };
        let text = serde_json::to_string(&refined).expect("text");
        assert!(text.contains(r#""refine":{"strength":0.3}"#), "{text}");
        assert_eq!(serde_json::from_str::<EnlargeRequest>(&text).expect("a request"), refined);
        assert_eq!((first.depth(), second.depth()), (1, 2));
        assert_eq!((first.title(), second.painted(), second.seed()), ("a".to_owned(), None, 0));
    }
}
