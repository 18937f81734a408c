//! The document that a person edits, as data: tiles, layers, selections and what is done to them.
//!
//! Nothing here knows a model, a file or a window. Pixels are 8-bit sRGB with straight alpha in
//! copy-on-write tiles, so a whole document is cloned in microseconds and two versions of it share
//! what they have in common: that is what undo, the tree of edits and the textures build on.

mod area;
mod distance;
mod continued;
mod harmony;
mod mask;
pub mod region;

pub mod seam;
mod stitch;
mod taps;
mod tiles;

pub use area::Area;
pub use mask::{prepare, usual_margins};
pub use region::{RegionPlan, SizeRules};
pub use seam::SeamReport;
pub use stitch::{Cropped, Patch};
pub use tiles::{TILE_PX, TileAt, Tiles};
