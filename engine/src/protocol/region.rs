//! How a part of a picture is cut out for a model and put back into the whole.

use serde::{Deserialize, Serialize};

/// Says what is read around a selection, and at which scale it is painted.
///
/// # Source
/// The selections of krita-ai-diffusion: what it reads around them (`compute_bounds`) and what it
/// calls fill, seamless and focus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RegionMode {
    /// What is selected is replaced: nothing of it is shown to the model, which continues what is
    /// around it. For removing, adding and outpainting; the strength is 1.
    Fill,
    /// What is around the selection is read along, at the document's own scale where the model can
    /// paint as much, and the result blends in.
    #[default]
    Seamless,
    /// Little more than the selection is read, enlarged to the size that the model paints best: for
    /// detail in a small part of a large document.
    Focus,
}

impl RegionMode {
    /// Lists every mode, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Fill, Self::Seamless, Self::Focus];

    /// Returns the name used on the command line and in recipes.
    pub fn id(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Seamless => "seamless",
            Self::Focus => "focus",
        }
    }

    /// Returns the mode of an id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.id() == id)
    }
}

/// Holds how many pixels are added to a picture on each side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Borders {
    /// On the left.
    pub left_px: u32,
    /// Above.
    pub top_px: u32,
    /// On the right.
    pub right_px: u32,
    /// Below.
    pub bottom_px: u32,
}

impl Borders {
    /// Tells whether nothing is added.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Says that a part of a picture is painted at the model's size and put back into the whole, whose
/// size the result has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Region {
    /// What is read around the selection, and at which scale it is painted.
    pub mode: RegionMode,
    /// Pixels read around the selection; by its size and the mode when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padding_px: Option<u32>,
    /// Pixels by which the selection grows before it is painted; none when not given, so that what is
    /// not selected keeps its bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grow_px: Option<u32>,
    /// Pixels over which the result fades in, from the edge of the grown selection inwards; by its
    /// size when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feather_px: Option<u32>,
    /// What is added around the picture, and painted beside what is selected.
    #[serde(skip_serializing_if = "Borders::is_empty")]
    pub added: Borders,
}
