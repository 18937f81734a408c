//! What a front end asks for when the subject of a picture is to be cut out, and what it gets.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DeviceChoice, Notice, PictureFile, Pixels, Precision};

/// Asks for a picture without its background, by the house's own net.
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
}

impl CutOutRequest {
    /// Asks for the subject of the picture in a file.
    pub fn new(picture: impl Into<PathBuf>) -> Self {
        Self {
            picture: PictureFile::at(picture),
            device: DeviceChoice::Auto,
            precision: Precision::Fast,
        }
    }
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
    /// What the user should know about the result.
    pub notices: Vec<Notice>,
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
    }
}
