//! What a front end asks for when the subject of a picture is to be cut out, and what it gets.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DeviceChoice, Notice, PictureFile, Pixels, Precision};

/// Asks for a picture without its background: its subject, by the house's own net, or what is pointed at,
/// by a net of the Segment Anything family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutOutRequest {
    /// The picture.
    pub picture: PictureFile,
    /// Which device computes.
    #[serde(default)]
    pub device: DeviceChoice,
    /// How exactly the processor computes.
    #[serde(default = "Precision::of_old_recipes")]
    pub precision: Precision,
    /// What is pointed at; `None` for the picture's subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectPrompt>,
}

impl CutOutRequest {
    /// Asks for the subject of the picture in a file.
    pub fn new(picture: impl Into<PathBuf>) -> Self {
        Self {
            picture: PictureFile::at(picture),
            device: DeviceChoice::Auto,
            precision: Precision::Fast,
            object: None,
        }
    }

    /// Asks for what is pointed at in the picture in a file.
    pub fn of_object(picture: impl Into<PathBuf>, object: ObjectPrompt) -> Self {
        Self { object: Some(object), ..Self::new(picture) }
    }
}

/// Says what of a picture is meant, in its pixels from the left and upper edge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectPrompt {
    /// The net, by its name among those that are found or by its path; `None` for the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Places inside and outside of it.
    #[serde(default)]
    pub points: Vec<ObjectPoint>,
    /// A box around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub around: Option<ObjectBox>,
    /// Which of the three masks is wanted, from part (0) to whole (2); `None` for the one that is foretold
    /// to be best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<u8>,
}

impl ObjectPrompt {
    /// How many masks there are to choose from.
    pub const MASKS: u8 = 3;

    /// Tells whether nothing is pointed at yet that could be found.
    pub fn is_empty(&self) -> bool {
        self.around.is_none() && !self.points.iter().any(|point| point.is_inside)
    }
}

/// Is a place of a picture that was pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ObjectPoint {
    /// From the left edge, in pixels.
    pub x: f32,
    /// From the upper edge.
    pub y: f32,
    /// Whether it belongs to what is meant, rather than to what surrounds it.
    pub is_inside: bool,
}

/// Is a box around what is meant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ObjectBox {
    /// Its left side, in pixels from the picture's.
    pub x: f32,
    /// Its upper side.
    pub y: f32,
    /// How wide it is.
    pub width: f32,
    /// How high it is.
    pub height: f32,
}

/// Holds a picture whose background is transparent. It is a step of editing, so no library keeps it.
#[derive(Debug, Clone)]
pub struct CutOutOutput {
    /// The picture: colours as they were, and the mask, times what alpha there was, as its alpha.
    pub pixels: Arc<Pixels>,
    /// The mean of the mask, 0 to 1: how much of the picture belongs to the subject.
    pub subject_share: f32,
    /// The licence of the net.
    pub licence: String,
    /// What was found where something was pointed at.
    pub object: Option<FoundObject>,
    /// What the user should know about the result.
    pub notices: Vec<Notice>,
}

/// Holds what was found where something was pointed at.
#[derive(Debug, Clone)]
pub struct FoundObject {
    /// How far each pixel belongs to it, a byte a pixel, rows from the top.
    pub mask: Arc<Vec<u8>>,
    /// How well each of the masks is foretold to fit, about 0 to 1, from part to whole.
    pub qualities: Vec<f32>,
    /// Which of them this is; `None` for the one that is made for prompts which leave no doubt.
    pub chosen: Option<u8>,
    /// The name of the net.
    pub model: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Request;

    #[test]
    fn a_request_is_written_and_read_again() {
        let request = Request::CutOut(Box::new(CutOutRequest::new("a.png")));
        let text = serde_json::to_string(&request).expect("text");
        assert!(text.starts_with(r#"{"job":"cut_out","#), "{text}");
        assert_eq!(serde_json::from_str::<Request>(&text).expect("a request"), request);
        assert!(!text.contains("object"), "{text}");
        let prompt = ObjectPrompt {
            points: vec![ObjectPoint { x: 3.5, y: 4.0, is_inside: true }],
            around: Some(ObjectBox { x: 0.0, y: 1.0, width: 9.0, height: 8.0 }),
            mask: Some(2),
            ..ObjectPrompt::default()
        };
        let request = Request::CutOut(Box::new(CutOutRequest::of_object("a.png", prompt)));
        let text = serde_json::to_string(&request).expect("text");
        assert_eq!(serde_json::from_str::<Request>(&text).expect("a request"), request);
    }

    #[test]
    fn a_prompt_without_anything_inside_points_at_nothing() {
        let mut prompt = ObjectPrompt::default();
        prompt.points.push(ObjectPoint { x: 1.0, y: 1.0, is_inside: false });
        assert!(prompt.is_empty());
        prompt.around = Some(ObjectBox { x: 0.0, y: 0.0, width: 2.0, height: 2.0 });
        assert!(!prompt.is_empty());
    }
}
