//! Which part of a document a model is shown, and at which size.
//!
//! A model paints pictures of certain sizes; a document has any. So a part of the document around
//! what is selected is cut out ([`RegionPlan::context`]), scaled to a size that the model paints
//! ([`RegionPlan::size`]), changed, scaled back and laid over the document through a soft mask
//! ([`RegionPlan::mask`]). What the modes mean is said at [`RegionMode`].

use super::mask::{prepare, usual_feather};
use super::{Area, MAX_SIDE_PX, Tiles, check_size};
use crate::error::EngineError;
use crate::protocol::{Region, RegionMode, Size};

/// The least padding.
const LEAST_PADDING: u32 = 16;
/// How much a size counts that is off the area that is wanted, against one that is off its shape.
const AREA_COUNTS: f64 = 0.25;

/// Says which sizes a model paints.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeRules {
    /// Sides are multiples of this.
    pub grid_px: u32,
    /// The least and the most pixels in all.
    pub area_px: [u64; 2],
    /// The pixels in all that it was trained at.
    pub nominal_px: u64,
    /// How many times longer the longer side may be.
    pub aspect_max: f64,
}

impl SizeRules {
    /// Makes rules that a size alone fits, lying or standing.
    pub fn exactly(size: Size) -> Self {
        let [w, h] = [size.width_px, size.height_px].map(|side| side.max(1));
        let area = u64::from(w) * u64::from(h);
        let aspect_max = f64::from(w.max(h)) / f64::from(w.min(h));
        Self { grid_px: 0, area_px: [area; 2], nominal_px: area, aspect_max }
    }

    /// Tells whether the model paints a size.
    pub fn allows(&self, size: Size) -> bool {
        let [w, h] = [size.width_px, size.height_px];
        let area = u64::from(w) * u64::from(h);
        let [least, most] = self.area_px;
        let grid = self.grid_px.max(1);
        let aspect = f64::from(w.max(h)) / f64::from(w.min(h).max(1));
        w > 0
            && h > 0
            && w.is_multiple_of(grid)
            && h.is_multiple_of(grid)
            && (least..=most).contains(&area)
            && aspect <= self.aspect_max + 1e-9
    }

    /// Returns the size of the shape and area nearest to `[width, height]`; `None` where the rules
    /// allow none.
    pub fn nearest(&self, [width, height]: [f64; 2]) -> Option<Size> {
        let apart = |size: &Size| {
            let [w, h] = [f64::from(size.width_px), f64::from(size.height_px)];
            let shape = (w / h / (width / height)).ln().powi(2);
            let area = (w * h / (width * height)).ln().powi(2);
            shape + AREA_COUNTS * area
        };
        let grid = self.grid_px.max(1);
        let longest =
            ((self.area_px[1] as f64 * self.aspect_max).sqrt() / f64::from(grid)) as u32 + 1;
        let sides = || (1..=longest).map(move |n| n * grid);
        let sizes = sides().flat_map(|width_px| {
            // Of one width only the heights near the wanted shape and area matter.
            let by_shape = f64::from(width_px) * height / width;
            let by_area = width * height / f64::from(width_px);
            let near = [
                by_shape,
                by_area,
                f64::from(width_px),
                f64::from(width_px) / self.aspect_max,
                f64::from(width_px) * self.aspect_max,
                self.area_px[0] as f64 / f64::from(width_px),
                self.area_px[1] as f64 / f64::from(width_px),
            ];
            near.into_iter().flat_map(move |near| {
                let below = (near.min(1e6) / f64::from(grid)).floor() as u32;
                [below, below + 1].map(|n| Size { width_px, height_px: n * grid })
            })
        });
        sizes.filter(|size| self.allows(*size)).min_by(|a, b| apart(a).total_cmp(&apart(b)))
    }
}

/// Holds how a part of a document is cut out and put back.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionPlan {
    /// The whole document.
    pub document: Area,
    /// What is cut out. Where the shape that the model paints asks for it, it reaches beyond the
    /// document.
    pub context: Area,
    /// What the model paints.
    pub size: Size,
    /// What the model is shown of the selection.
    pub mode: RegionMode,
    /// How far each pixel of the document may change, 0 to 255: the selection, grown and fading in.
    pub mask: Tiles<1>,
    /// The least area with all that may change.
    pub bounds: Area,
}

impl RegionPlan {
    /// Plans how a selection of a document is painted. A `size` that is given is taken; without, the
    /// best that the rules allow is.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when nothing of the document is selected, the document has no
    /// pixels or more than 16,384 each way, or a size that is given is off the rules.
    pub fn new(
        selection: &Tiles<1>,
        document: Area,
        (rules, size): (&SizeRules, Option<Size>),
        region: &Region,
    ) -> Result<Self, EngineError> {
        check_size(Size { width_px: document.width_px, height_px: document.height_px })?;
        let [grow, feather] = [region.grow_px, region.feather_px];
        let selected = selection.bounds().map(|bounds| bounds.intersect(document));
        let Some(selected) = selected.filter(|bounds| !bounds.is_empty()) else {
            return Err(nothing_selected());
        };
        let feather = feather.unwrap_or_else(|| usual_feather(selected)).min(MAX_SIDE_PX);
        let mask = prepare(selection, document, grow.unwrap_or(0).min(MAX_SIDE_PX), feather);
        let bounds = mask.bounds().ok_or_else(nothing_selected)?;
        let fixed = match size {
            Some(size) if !rules.allows(size) => {
                let reason = format!(
                    "is not one that the model paints: {} × {}",
                    size.width_px, size.height_px
                );
                return Err(EngineError::invalid("size", reason));
            }
            size => size,
        };
        let padding =
            region.padding_px.unwrap_or_else(|| usual_padding(bounds, document, region.mode));
        let padding = i32::try_from(padding).unwrap_or(i32::MAX);
        let wanted = bounds.grown(padding).intersect(document);
        let (context, size) = choose(wanted, document, (rules, fixed), region.mode)?;
        Ok(Self { document, context, size, mode: region.mode, mask, bounds })
    }

    /// Returns how many pixels of the document one of the model's stands for, along x and y.
    pub fn scale(&self) -> [f64; 2] {
        [
            f64::from(self.context.width_px) / f64::from(self.size.width_px),
            f64::from(self.context.height_px) / f64::from(self.size.height_px),
        ]
    }
}

fn nothing_selected() -> EngineError {
    EngineError::invalid("selection", "is empty: nothing of the picture may change")
}

/// Returns how many pixels around what changes are read.
///
/// # Source
/// krita-ai-diffusion's `compute_bounds`: the document's longest side / 16 or half of the
/// selection's mean side, whichever is more; a quarter of that where the mode is to focus.
fn usual_padding(bounds: Area, document: Area, mode: RegionMode) -> u32 {
    let mean = bounds.width_px / 2 + bounds.height_px / 2;
    let around = (document.width_px.max(document.height_px) / 16).max(mean / 2);
    match mode {
        RegionMode::Focus => mean / 8,
        _ => around,
    }
    .max(LEAST_PADDING)
}

/// Chooses what is cut out around `wanted`, and the size that it is painted at.
fn choose(
    wanted: Area,
    document: Area,
    (rules, fixed): (&SizeRules, Option<Size>),
    mode: RegionMode,
) -> Result<(Area, Size), EngineError> {
    let nominal = rules.nominal_px as f64;
    let wanted = match mode {
        RegionMode::Focus => wanted,
        // What is smaller than the model paints is shown with more around it, not enlarged.
        _ => at_least(wanted, document, nominal.sqrt() as u32),
    };
    let [w, h] = [wanted.width_px, wanted.height_px].map(f64::from);
    let enlarged = (nominal / (w * h)).sqrt().max(1.0);
    let size = match fixed {
        Some(size) => size,
        None => rules.nearest([w * enlarged, h * enlarged]).ok_or_else(|| {
            EngineError::invalid("model", "paints no size that fits the selection")
        })?,
    };
    let [across, down] = [f64::from(size.width_px), f64::from(size.height_px)];
    let mut scale = (w / across).max(h / down);
    if mode != RegionMode::Focus {
        // Nothing is gained by showing more than there is.
        let all = (f64::from(document.width_px) / across).max(f64::from(document.height_px) / down);
        scale = scale.max(all.min(1.0));
    }
    let side = |model: f64| ((model * scale).round() as u32).max(1);
    let (width, height) = (side(across).max(wanted.width_px), side(down).max(wanted.height_px));
    let x = placed(wanted.x, wanted.width_px, width, [document.x, document.right()]);
    let y = placed(wanted.y, wanted.height_px, height, [document.y, document.bottom()]);
    Ok((Area::new(x, y, width, height), size))
}

/// Makes an area `side` pixels wide and high at least, as far as the document goes.
fn at_least(area: Area, document: Area, side: u32) -> Area {
    let width = area.width_px.max(side.min(document.width_px));
    let height = area.height_px.max(side.min(document.height_px));
    let x = placed(area.x, area.width_px, width, [document.x, document.right()]);
    let y = placed(area.y, area.height_px, height, [document.y, document.bottom()]);
    Area::new(x, y, width, height)
}

/// Returns where a stretch of `length` begins that covers one of `wanted` from `at`, has it in the
/// middle and lies within the document's ends, if it can.
fn placed(at: i32, wanted: u32, length: u32, [start, end]: [i32; 2]) -> i32 {
    let [at, wanted, length, start, end] =
        [i64::from(at), i64::from(wanted), i64::from(length), i64::from(start), i64::from(end)];
    let centred = at - (length - wanted) / 2;
    let begin = if length <= end - start {
        centred.clamp(start, end - length)
    } else {
        // It covers the whole document; what is beyond lies evenly on both sides.
        (start - (length - (end - start)) / 2).clamp(at + wanted - length, at)
    };
    i32::try_from(begin).unwrap_or(0)
}

#[cfg(test)]
#[path = "region_tests.rs"]
mod tests;
