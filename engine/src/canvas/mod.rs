//! The document that a person edits, as data: tiles, layers, selections and what is done to them.
//!
//! Nothing here knows a model, a file or a window. Pixels are 8-bit sRGB with straight alpha in
//! copy-on-write tiles, so a whole document is cloned in microseconds and two versions of it share
//! what they have in common: that is what undo, the tree of edits and the textures build on.

mod area;
mod brush;
mod composite;
mod document;
mod ink;
mod limits;
mod scan;
mod shapes;
mod tiles;

pub use area::Area;
pub use brush::{BRUSH_SIZES_PX, Brush, Stroke};
pub use composite::{Blend, lay_over};
pub use document::{
    Document, Layer, LayerId, LayerKind, MAX_LAYERS, MAX_PIXELS, MAX_SIDE_PX, check_size,
};
pub use shapes::{Shape, ShapeStyle, paint_shape};
pub use tiles::{TILE_PX, TileAt, Tiles};
