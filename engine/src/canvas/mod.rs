//! The document that a person edits, as data: tiles, layers, selections and what is done to them.
//!
//! Nothing here knows a model, a file or a window. Pixels are 8-bit sRGB with straight alpha in
//! copy-on-write tiles, so a whole document is cloned in microseconds and two versions of it share
//! what they have in common: that is what undo, the tree of edits and the textures build on.

mod area;
mod borders;
mod brush;
mod composite;
mod continued;
mod distance;
mod document;
mod fill;
mod harmony;
mod ink;
mod limits;
mod mask;
mod outline;
pub mod region;
mod resample;
mod reshape;
mod scan;
pub mod seam;
mod select;
mod shapes;
mod stitch;
mod taps;
mod tiles;
mod tone;
mod transform;

pub use area::Area;
pub use borders::{MAX_BORDER_PX, feather, grow, shrink};
pub use brush::{BRUSH_SIZES_PX, Brush, Stroke};
pub use composite::{Blend, lay_over};
pub use document::{
    Document, Guiding, Layer, LayerId, LayerKind, MAX_LAYERS, MAX_PIXELS, MAX_SIDE_PX, check_size,
};
pub use fill::{Bucket, Gradient, GradientShape, paint_gradient, pour};
pub use mask::{prepare, usual_feather};
pub use outline::{MAX_OUTLINE_LINES, outline};
pub use region::{RegionPlan, SizeRules};
pub use resample::{Filter, rotate, scale};
pub use reshape::{Grip, Reshape};
pub use seam::SeamReport;
pub use select::{ColourMatch, Combine, combine, invert, select_colour};
pub use shapes::{Shape, ShapeStyle, paint_shape};
pub use stitch::{Cropped, Patch};
pub use tiles::{TILE_PX, TileAt, Tiles};
pub use tone::keep_tone;
pub use transform::{Flip, QuarterTurn, crop, flip, shift, turn};
