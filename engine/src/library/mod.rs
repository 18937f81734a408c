//! Models on this machine, the devices that can run them, and what a run will cost.

mod checkpoint;
mod devices;
mod diffusion_need;
mod estimate;
mod files;
mod hashes;
mod language;
mod memory;
mod model_kind;
mod models;
mod picture_defaults;
mod picture_models;
mod segmenters;
mod shelves;
mod upscalers;

pub use checkpoint::LocatedWeights;
pub use devices::{DeviceInfo, devices};
pub use diffusion_need::{DiffusionNeed, decode_bytes, lean_decode_bytes};
pub use estimate::{Estimate, LanguageNeed, estimate, estimate_music};
pub use files::{Located, ModelFiles, Weights, hex};
pub use hashes::Hashes;
pub use language::{HOUSE_COMPOSER, HOUSE_WRITER, LanguageEntry, LanguageFile, LocatedFile};
pub use memory::{
    available_memory_bytes, held_memory_bytes, peak_memory_bytes, total_memory_bytes,
};
pub use model_kind::ModelKind;
pub use models::{HOUSE_PICTURE, Models, PictureModel};
pub use picture_defaults::PictureDefaults;
pub use picture_models::PictureEntry;
pub use segmenters::{HOUSE_SEGMENTER, LocatedSegmenter, OpenSegmenter};
pub use shelves::{Shelf, ShelfEntry};
pub use upscalers::{HOUSE_UPSCALER, LocatedUpscaler};

#[cfg(test)]
mod model_tests;
