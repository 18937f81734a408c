//! The running preview on the graphics card, faded into the document by the mask of what changes.

use std::sync::Arc;

use atelier_engine::protocol::Pixels;
use egui::{ColorImage, Context, TextureHandle, TextureId, TextureOptions};

use crate::state::editor::PaintPlace;
use crate::theme::premultiplied_colour;

/// The longest side of a preview that is handed over, so that a frame has time for it.
const SIDE_MAX: usize = 320;

/// Holds the texture of a preview and what it was made of.
#[derive(Default)]
pub struct CanvasPreview {
    texture: Option<TextureHandle>,
    /// Both are held, so that others at the same addresses are not taken for them.
    made_of: Option<(Arc<Pixels>, Arc<[u8]>)>,
}

impl CanvasPreview {
    /// Brings a preview to the graphics card, once for each.
    pub fn show(
        &mut self,
        ctx: &Context,
        preview: &Arc<Pixels>,
        place: &PaintPlace,
    ) -> Option<TextureId> {
        let is_same = self.made_of.as_ref().is_some_and(|(known, alpha)| {
            Arc::ptr_eq(known, preview) && Arc::ptr_eq(alpha, &place.alpha)
        });
        if !is_same {
            let image = faded(preview, place)?;
            match &mut self.texture {
                Some(texture) => texture.set(image, TextureOptions::LINEAR),
                None => {
                    let options = TextureOptions::LINEAR;
                    self.texture = Some(ctx.load_texture("canvas-preview", image, options));
                }
            }
            self.made_of = Some((preview.clone(), place.alpha.clone()));
        }
        self.texture.as_ref().map(TextureHandle::id)
    }

    /// Lets go of the preview: there is none.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Makes an image of a preview with the alpha of its place.
fn faded(preview: &Pixels, place: &PaintPlace) -> Option<ColorImage> {
    let [width, height] = [preview.width_px as usize, preview.height_px as usize];
    if width == 0 || height == 0 || preview.rgba.len() < 4 * width * height {
        return None;
    }
    let grid = if place.alpha.is_empty() { [width, height] } else { place.grid };
    let longest = grid[0].max(grid[1]).max(1);
    let size = grid.map(|side| (side * longest.min(SIDE_MAX) / longest).max(1));
    let across: Vec<Between> = (0..size[0]).map(|at| Between::of(at, size[0], width)).collect();
    let mut pixels = Vec::with_capacity(size[0] * size[1]);
    for row in 0..size[1] {
        let down = Between::of(row, size[1], height);
        let rows = [down.from * width, down.to * width];
        for (column, between) in across.iter().enumerate() {
            let alpha = match place.alpha.is_empty() {
                true => u8::MAX,
                false => {
                    let at = row * grid[1] / size[1] * grid[0] + column * grid[0] / size[0];
                    place.alpha.get(at).copied().unwrap_or_default()
                }
            };
            let value = |channel: usize| {
                let along = |row: usize| {
                    let at = |x: usize| f32::from(preview.rgba[4 * (row + x) + channel]);
                    at(between.from) + between.share * (at(between.to) - at(between.from))
                };
                let (upper, lower) = (along(rows[0]), along(rows[1]));
                (upper + down.share * (lower - upper)).round() as u8
            };
            let share = u32::from(alpha);
            let [r, g, b] = [0, 1, 2].map(|at| ((u32::from(value(at)) * share + 127) / 255) as u8);
            pixels.push(premultiplied_colour([r, g, b, alpha]));
        }
    }
    Some(ColorImage::new(size, pixels))
}

/// Lies between two samples of a side.
struct Between {
    from: usize,
    to: usize,
    /// How much of the second.
    share: f32,
}

impl Between {
    /// Finds the samples out of `samples` for one of `count` places.
    fn of(at: usize, count: usize, samples: usize) -> Self {
        let place = (at as f32 + 0.5) * samples as f32 / count as f32 - 0.5;
        let place = place.clamp(0.0, samples as f32 - 1.0);
        let from = place as usize;
        Self { from, to: (from + 1).min(samples - 1), share: place - from as f32 }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use atelier_engine::canvas::Area;

    use super::*;
    use crate::theme::pixel_colour;

    fn place(alpha: &[u8], grid: [usize; 2]) -> PaintPlace {
        PaintPlace { area: Area::new(0, 0, 64, 64), alpha: alpha.into(), grid }
    }

    #[test]
    fn a_preview_fades_by_the_mask_and_is_handed_over_once() {
        let preview = Arc::new(Pixels::new(2, 2, [200, 100, 50, 255].repeat(4)).unwrap());
        let image = faded(&preview, &place(&[0, 255, 0, 128], [2, 2])).unwrap();
        assert_eq!(image.size, [2, 2]);
        assert_eq!(image.pixels[0].a(), 0);
        assert_eq!(image.pixels[1], pixel_colour([200, 100, 50]));
        assert_eq!(image.pixels[3].a(), 128);
        let (ctx, mut shown) = (Context::default(), CanvasPreview::default());
        let place = place(&[], [0, 0]);
        let first = shown.show(&ctx, &preview, &place);
        assert!(first.is_some());
        let known = shown.made_of.clone().unwrap();
        assert_eq!(shown.show(&ctx, &preview, &place), first);
        assert!(Arc::ptr_eq(&known.0, &shown.made_of.unwrap().0));
    }

    #[test]
    fn a_large_preview_is_shrunk_before_it_is_handed_over() {
        let preview = Pixels::new(2048, 1024, vec![9; 2048 * 1024 * 4]).unwrap();
        let image = faded(&preview, &place(&[], [0, 0])).unwrap();
        assert_eq!(image.size, [320, 160]);
    }
}
