//! The picture that is to be changed, and what of it may change, for every kind of model.

use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;

use super::{hints, pictures};
use crate::canvas::{Area, Cropped, MAX_SIDE_PX, RegionPlan, SizeRules, Tiles};
use crate::error::EngineError;
use crate::protocol::{Borders, Notice, Pixels, Region, Size, Source};

/// The mask of a pixel that may change altogether.
const OPEN: u8 = 255;

/// Holds a picture that is to be changed, at the size of the picture that is made.
pub(super) struct Changed {
    /// The picture.
    pub pixels: Arc<Pixels>,
    /// How far each pixel may change, 0 to 255; `None` where all may.
    pub mask: Option<Vec<u8>>,
    /// What is to be said about the files.
    pub notices: Vec<Notice>,
    /// The whole picture, when only a region of it is painted.
    whole: Option<Whole>,
}

/// Holds a picture of which a region is painted.
struct Whole {
    area: Area,
    /// Where the picture lies in it.
    inner: Area,
    document: Tiles<4>,
    /// `None` where nothing may change.
    plan: Option<RegionPlan>,
}

impl Changed {
    /// Opens a picture with its mask, and scales it, or the region that is painted, to `size`.
    ///
    /// # Errors
    /// Those of opening pictures and of [`RegionPlan::new`].
    pub(super) fn open(source: &Source, size: Size) -> Result<Self, EngineError> {
        match &source.region {
            None => Self::fitted(source, size),
            Some(region) => {
                let document = Document::open(source, region)?;
                let plan = match document.selection.is_empty() {
                    true => None,
                    false => Some(document.plan((&SizeRules::exactly(size), Some(size)), region)?),
                };
                let cropped = match &plan {
                    Some(plan) => plan.crop(&document.pixels),
                    None => blank(size),
                };
                let Document { area, inner, pixels: document, mut notices, .. } = document;
                if plan.is_none() {
                    let sentence = "The mask is black everywhere, so nothing changes".to_owned();
                    notices.push(Notice::Unusual { sentence });
                }
                let is_open = cropped.mask.iter().all(|mask| *mask == OPEN);
                Ok(Self {
                    pixels: Arc::new(cropped.picture),
                    mask: (!is_open).then_some(cropped.mask),
                    notices,
                    whole: Some(Whole { area, inner, document, plan }),
                })
            }
        }
    }

    fn fitted(source: &Source, size: Size) -> Result<Self, EngineError> {
        let picture = pictures::over_white(&pictures::open(&source.picture.path)?);
        let mut notices = Vec::new();
        let mask = match &source.mask {
            None => None,
            Some(file) => {
                let mask = pictures::over_white(&pictures::open(&file.path)?);
                let mask = of_one_size(mask, &picture, &file.path, &mut notices);
                Some(brightness(&hints::fit(&mask, size.width_px, size.height_px)))
            }
        };
        let pixels = Arc::new(hints::fit(&picture, size.width_px, size.height_px));
        Ok(Self { pixels, mask, notices, whole: None })
    }

    /// Returns of a picture that lies over the one that is changed what the model is shown of that, at its
    /// size; one of another size is scaled first.
    pub(super) fn beside(&self, picture: &Pixels) -> Pixels {
        let Some(Whole { inner, plan, .. }) = &self.whole else {
            return hints::fit(picture, self.pixels.width_px, self.pixels.height_px);
        };
        let Some(plan) = plan else { return (*self.pixels).clone() };
        let [width, height] = [inner.width_px, inner.height_px];
        let is_same = [picture.width_px, picture.height_px] == [width, height];
        let scaled = (!is_same).then(|| hints::scaled(picture, width, height));
        let picture = scaled.as_ref().unwrap_or(picture);
        plan.beside(&Tiles::from_bytes(*inner, &picture.rgba))
    }

    /// Makes the result of what was painted: what may not change is put back, so that pixels whose mask
    /// is 0 have the same bits as before, and a region is laid into the whole picture.
    ///
    /// # Errors
    /// Those of [`RegionPlan::stitch`].
    pub(super) fn finish(&self, mut painted: Pixels) -> Result<Pixels, EngineError> {
        let Some(Whole { area, document, plan, .. }) = &self.whole else {
            self.restore(&mut painted);
            return Ok(painted);
        };
        let mut whole = document.clone();
        if let Some(plan) = plan {
            plan.stitch(document, &painted)?.apply(&mut whole);
        }
        Ok(Pixels { width_px: area.width_px, height_px: area.height_px, rgba: whole.read(*area) })
    }

    /// Puts what may not change back into a picture: pixels whose mask is 0 have the same bits as
    /// before.
    fn restore(&self, painted: &mut Pixels) {
        let Some(mask) = &self.mask else { return };
        let pairs = painted.rgba.chunks_exact_mut(4).zip(self.pixels.rgba.chunks_exact(4));
        for ((new, old), mask) in pairs.zip(mask) {
            let share = u32::from(*mask);
            for (new, old) in new.iter_mut().zip(old) {
                let mixed = u32::from(*new) * share + u32::from(*old) * (255 - share);
                *new = ((mixed + 127) / 255) as u8;
            }
        }
    }
}

/// Returns the size at which a region of a picture is best painted by a model of these rules.
///
/// # Errors
/// Those of opening pictures and of [`RegionPlan::new`].
pub fn planned_size(source: &Source, rules: &SizeRules) -> Result<Size, EngineError> {
    let region = source.region.unwrap_or_default();
    let document = Document::open(source, &region)?;
    if document.selection.is_empty() {
        let sides = [document.area.width_px, document.area.height_px].map(f64::from);
        let none = || EngineError::invalid("model", "paints no size that is near the picture's");
        return rules.nearest(sides).ok_or_else(none);
    }
    Ok(document.plan((rules, None), &region)?.size)
}

/// Returns what is painted where nothing may change.
fn blank(size: Size) -> Cropped {
    let pixels = size.width_px as usize * size.height_px as usize;
    let picture =
        Pixels { width_px: size.width_px, height_px: size.height_px, rgba: vec![OPEN; 4 * pixels] };
    Cropped { picture, mask: vec![0; pixels] }
}

/// Holds a picture as a document, with what is selected of it.
struct Document {
    area: Area,
    /// Where the picture lies in it.
    inner: Area,
    pixels: Tiles<4>,
    selection: Tiles<1>,
    notices: Vec<Notice>,
}

impl Document {
    fn open(source: &Source, region: &Region) -> Result<Self, EngineError> {
        let picture = pictures::open(&source.picture.path)?;
        let inner = Area::new(0, 0, picture.width_px, picture.height_px);
        let area = with_borders(inner, region.added)?;
        let mut notices = Vec::new();
        let mut selection = Tiles::default();
        match &source.mask {
            Some(file) => {
                let mask = pictures::over_white(&pictures::open(&file.path)?);
                let mask = of_one_size(mask, &picture, &file.path, &mut notices);
                selection.write(inner, &brightness(&mask));
                if !region.added.is_empty() {
                    add_borders(&mut selection, area, inner);
                }
            }
            None if region.added.is_empty() => selection.fill(inner, [OPEN]),
            None => add_borders(&mut selection, area, inner),
        }
        Ok(Self {
            area,
            inner,
            pixels: Tiles::from_bytes(inner, &picture.rgba),
            selection,
            notices,
        })
    }

    fn plan(
        &self,
        rules: (&SizeRules, Option<Size>),
        region: &Region,
    ) -> Result<RegionPlan, EngineError> {
        RegionPlan::new(&self.selection, self.area, rules, region)
    }
}

/// Returns a picture's area with what is added around it.
fn with_borders(inner: Area, added: Borders) -> Result<Area, EngineError> {
    let sides = [added.left_px, added.top_px, added.right_px, added.bottom_px];
    let [width, height] = [
        u64::from(inner.width_px) + u64::from(added.left_px) + u64::from(added.right_px),
        u64::from(inner.height_px) + u64::from(added.top_px) + u64::from(added.bottom_px),
    ];
    let most = u64::from(MAX_SIDE_PX);
    if width > most || height > most || sides.iter().any(|side| *side > MAX_SIDE_PX) {
        let reason = format!(
            "with its borders must be at most {MAX_SIDE_PX} pixels each way, not {width} × {height}"
        );
        return Err(EngineError::invalid("picture", reason));
    }
    let [left, top, right, bottom] = sides.map(|side| side as i32);
    Ok(Area::between([-left, -top], [inner.right() + right, inner.bottom() + bottom]))
}

/// Selects what of `area` lies around `inner`.
fn add_borders(selection: &mut Tiles<1>, area: Area, inner: Area) {
    let [left, top] = [area.x, area.y];
    for border in [
        Area::between([left, top], [area.right(), inner.y]),
        Area::between([left, inner.bottom()], [area.right(), area.bottom()]),
        Area::between([left, inner.y], [inner.x, inner.bottom()]),
        Area::between([inner.right(), inner.y], [area.right(), inner.bottom()]),
    ] {
        selection.fill(border, [OPEN]);
    }
}

/// Returns a mask of the picture's size, and says so when it had another.
fn of_one_size(mask: Pixels, picture: &Pixels, path: &Path, notices: &mut Vec<Notice>) -> Pixels {
    let [wanted, found] = [picture, &mask].map(|pixels| [pixels.width_px, pixels.height_px]);
    if wanted == found {
        return mask;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let sentence = format!(
        "The mask {name} is {} × {} pixels and was scaled to the picture's {} × {}",
        found[0], found[1], wanted[0], wanted[1]
    );
    notices.push(Notice::Unusual { sentence });
    hints::scaled(&mask, wanted[0], wanted[1])
}

/// Returns the brightness of each pixel, by the weights of BT.601.
fn brightness(pixels: &Pixels) -> Vec<u8> {
    let bright = |pixel: &[u8]| {
        let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
    };
    pixels.rgba.chunks_exact(4).map(bright).collect()
}

/// Returns `new` where the mask is 1 and `old` where it is 0.
///
/// # Errors
/// Passes on errors of the tensor library.
pub(super) fn mix(new: &Tensor, old: &Tensor, mask: &Tensor) -> Result<Tensor, EngineError> {
    let changed = (new - old)?.broadcast_mul(mask)?;
    Ok((changed + old)?)
}
