//! The tiny autoencoder (TAESD) that draws previews.

use std::path::Path;

use super::list::List;
use super::{Said, Shapes, side};
use crate::error::EngineError;

/// The features of every layer.
const WIDTH: usize = 64;
/// The layers of the decoder as it was published, whose first one is a clamp: a block, or a
/// convolution without bias behind a doubling.
const DECODER: [(usize, bool); 13] = [
    (3, true),
    (4, true),
    (5, true),
    (7, false),
    (8, true),
    (9, true),
    (10, true),
    (12, false),
    (13, true),
    (14, true),
    (15, true),
    (17, false),
    (18, true),
];
/// The layers of the encoder: a block, or a convolution without bias that halves the size.
const ENCODER: [(usize, bool); 13] = [
    (1, true),
    (2, false),
    (3, true),
    (4, true),
    (5, true),
    (6, false),
    (7, true),
    (8, true),
    (9, true),
    (10, false),
    (11, true),
    (12, true),
    (13, true),
];

/// Describes a tiny autoencoder.
///
/// # Source
/// Ollin Boer Bohan's TAESD, `taesd.py`; the names here are its own, with `encoder.` and `decoder.`
/// before the numbers of its layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TinyVaeConfig {
    /// The channels of a latent.
    pub latent_channels: usize,
    /// The file has a decoder.
    pub has_decoder: bool,
    /// The file has an encoder.
    pub has_encoder: bool,
}

impl TinyVaeConfig {
    /// Describes a tiny autoencoder by the shapes of its tensors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is none.
    pub fn of(shapes: &Shapes, path: &Path) -> Result<Self, EngineError> {
        Self::from_shapes(shapes).map_err(|reason| EngineError::damaged(path, reason))
    }

    fn from_shapes(shapes: &Shapes) -> Said<Self> {
        let (has_decoder, has_encoder) =
            (shapes.contains_key("decoder.1.weight"), shapes.contains_key("encoder.14.weight"));
        let latent_channels = match (has_decoder, has_encoder) {
            (true, _) => side(shapes, "decoder.1.weight", 1)?,
            (false, true) => side(shapes, "encoder.14.weight", 0)?,
            (false, false) => return Err("holds no tiny autoencoder".to_owned()),
        };
        Ok(Self { latent_channels, has_decoder, has_encoder })
    }

    /// Returns the layers of the decoder by their numbers: blocks (`true`) and doublings.
    pub fn decoder_layers() -> &'static [(usize, bool)] {
        &DECODER
    }

    /// Returns the layers of the encoder by their numbers: blocks (`true`) and halvings.
    pub fn encoder_layers() -> &'static [(usize, bool)] {
        &ENCODER
    }

    /// Returns the features of every layer.
    pub fn width() -> usize {
        WIDTH
    }

    /// Returns all tensors with their shapes.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = List::default();
        let layers = |list: &mut List, half: &str, layers: &[(usize, bool)]| {
            for (number, is_block) in layers {
                let name = format!("{half}.{number}");
                if *is_block {
                    for conv in [0, 2, 4] {
                        list.conv(&format!("{name}.conv.{conv}"), WIDTH, WIDTH, 3);
                    }
                } else {
                    list.tensors.push((format!("{name}.weight"), vec![WIDTH, WIDTH, 3, 3]));
                }
            }
        };
        if self.has_encoder {
            list.conv("encoder.0", WIDTH, 3, 3);
            layers(&mut list, "encoder", &ENCODER);
            list.conv("encoder.14", self.latent_channels, WIDTH, 3);
        }
        if self.has_decoder {
            list.conv("decoder.1", WIDTH, self.latent_channels, 3);
            layers(&mut list, "decoder", &DECODER);
            list.conv("decoder.19", 3, WIDTH, 3);
        }
        list.tensors
    }
}
