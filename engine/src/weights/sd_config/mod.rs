//! How a model of the Stable Diffusion family is built, as plain data.
//!
//! Each part is described either by the `config.json` of a diffusers folder or by the shapes of its
//! tensors under diffusers' names (see [`super::names`]); both give the same description. From it
//! follows the list of all tensors with their shapes, in the order in which PyTorch has them. Every
//! number that comes out of a file is bounded.
//!
//! # Source
//! diffusers 0.42: `UNet2DConditionModel`, `ControlNetModel`, `AutoencoderKL`; transformers 5:
//! `CLIPTextModel`.

mod control;
mod json;
mod list;
mod presets;
mod text;
mod tiny;
mod unet;
mod vae;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

pub use self::control::ControlConfig;
pub use self::text::{Activation, TextConfig};
pub use self::tiny::TinyVaeConfig;
pub use self::unet::{Addition, Classes, Level as UnetLevel, UnetConfig};
pub use self::vae::VaeConfig;
use super::source::ByteSource;
use crate::error::EngineError;

/// Shapes of tensors by diffusers' names.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// A result whose error is the rest of a sentence.
type Said<T> = Result<T, String>;

/// The largest `config.json`.
const JSON_MAX_BYTES: u64 = 1 << 20;
/// The most levels of a net.
const LEVELS_MAX: usize = 8;
/// The most layers of a level.
const LAYERS_MAX: usize = 16;
/// The most blocks of a transformer.
const DEPTH_MAX: usize = 64;
/// The most channels or features.
const WIDTH_MAX: usize = 1 << 16;

/// Reads the `config.json` of a part.
///
/// # Errors
/// [`EngineError::Io`] when it cannot be opened; [`EngineError::Damaged`] when it is no JSON.
pub fn read_json(path: &Path) -> Result<Value, EngineError> {
    let source = ByteSource::open(path)?;
    if source.length() > JSON_MAX_BYTES {
        return Err(EngineError::damaged(path, "is too long for a file of settings"));
    }
    let bytes = source.take(0, source.length());
    let bytes = bytes.map_err(|error| EngineError::io("read the settings", path, &error))?;
    serde_json::from_slice(&bytes).map_err(|_| EngineError::damaged(path, "holds no settings"))
}

/// Returns a side of a tensor that must be there.
fn side(shapes: &Shapes, name: &str, axis: usize) -> Said<usize> {
    let found = shapes.get(name).ok_or_else(|| format!("lacks the tensor “{name}”"))?;
    let side = found.get(axis).copied().filter(|side| (1..=WIDTH_MAX).contains(side));
    side.ok_or_else(|| format!("holds the tensor “{name}” in the shape {found:?}"))
}

/// Tells whether any tensor's name begins so.
fn any_below(shapes: &Shapes, prefix: &str) -> bool {
    let next = shapes.range(prefix.to_owned()..).next();
    next.is_some_and(|(name, _)| name.starts_with(prefix))
}

/// Counts what stands at `<prefix>0<tail>`, `<prefix>1<tail>` and so on.
fn count(shapes: &Shapes, prefix: &str, tail: &str, most: usize) -> Said<usize> {
    let is_there = |index: &usize| any_below(shapes, &format!("{prefix}{index}{tail}"));
    match (0..=most).take_while(is_there).count() {
        found if found > most => Err(format!("has more than {most} of “{prefix}…”")),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests;
