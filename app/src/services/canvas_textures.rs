//! A document on the graphics card: in blocks of tiles, at the scale at which it is looked at. Only
//! tiles that changed are handed over again, and only so many in a frame.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_engine::canvas::{Area, Blend, Document, LayerKind, TILE_PX, TileAt, Tiles};
use egui::{Color32, ColorImage, Context, Rect, TextureHandle, TextureId, TextureOptions, pos2};

use crate::theme::{MASK_VEIL, premultiplied_colour};

/// Tiles of a block along each side.
const BLOCK_TILES: i32 = 4;

/// How often the size of what is shown may be halved: a document of 16,384 pixels on a small window.
const LEVEL_MAX: u32 = 4;

/// How many tiles are handed over in a frame at most, and how long that may take.
const TILES_A_FRAME: usize = 96;
const TIME_A_FRAME: Duration = Duration::from_millis(6);

/// From this scale on, pixels are shown as squares.
const CRISP_SCALE: f32 = 3.0;

/// What a tile was made of; the tiles are held, so that another at the same address is not taken for
/// one of them.
type Recipe = Vec<(Arc<[u8]>, u8, Blend, LayerKind)>;

/// Holds the blocks of one document.
#[derive(Default)]
pub struct CanvasTextures {
    blocks: HashMap<(u32, TileAt), Block>,
    recipes: HashMap<(u32, TileAt), Recipe>,
    is_crisp: bool,
    frame: u64,
}

/// Says how much may be handed over in this frame.
struct Budget {
    tiles: usize,
    until: Instant,
}

impl Budget {
    fn is_spent(&self) -> bool {
        // One tile at least, so that a slow machine comes to an end as well.
        self.tiles == 0 || (self.tiles < TILES_A_FRAME && Instant::now() > self.until)
    }
}

struct Block {
    texture: TextureHandle,
    last_used: u64,
}

/// Is a part of the document that can be drawn.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The texture.
    pub texture: TextureId,
    /// What of the document it shows.
    pub area: Area,
    /// What of the texture that is.
    pub uv: Rect,
}

/// Says what became of a frame.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// What is drawn, in any order.
    pub parts: Vec<Part>,
    /// Whether tiles are left for the next frame.
    pub is_late: bool,
}

impl CanvasTextures {
    /// Brings what is seen of a document to the graphics card. `scale` is points of the screen per
    /// pixel of the document, in physical pixels.
    pub fn show(&mut self, ctx: &Context, document: &Document, seen: Area, scale: f32) -> Shown {
        self.frame += 1;
        let level = level_of(scale);
        let is_crisp = scale >= CRISP_SCALE;
        if is_crisp != self.is_crisp {
            // A texture has its filter for life.
            *self = Self { is_crisp, frame: self.frame, ..Self::default() };
        }
        let seen = seen.intersect(document.area());
        let mut shown = Shown::default();
        let mut budget = Budget { tiles: TILES_A_FRAME, until: Instant::now() + TIME_A_FRAME };
        let block_px = (BLOCK_TILES * TILE_PX) << level;
        let first = [seen.x, seen.y].map(|side| side.div_euclid(block_px));
        let last = [seen.right(), seen.bottom()].map(|side| (side - 1).div_euclid(block_px));
        for row in first[1]..=last[1] {
            for column in first[0]..=last[0] {
                let area =
                    Area::new(column * block_px, row * block_px, block_px as u32, block_px as u32);
                let within = area.intersect(seen);
                if within.is_empty() {
                    continue;
                }
                let key = (level, [column, row]);
                self.fill(ctx, document, key, (area, within), &mut budget);
                let Some(block) = self.blocks.get(&key) else { continue };
                shown.parts.push(part_of(block, level, [column, row], document.area()));
            }
        }
        shown.is_late = budget.is_spent();
        if shown.is_late {
            // What is not there yet is shown as it was at the scale of before.
            let before = self.blocks.iter().filter(|((other, _), _)| *other != level);
            let before: Vec<Part> = before
                .filter_map(|((other, at), block)| {
                    let part = part_of(block, *other, *at, document.area());
                    (!part.area.intersect(seen).is_empty()).then_some(part)
                })
                .collect();
            shown.parts.splice(0..0, before);
        }
        let (frame, recent) = (self.frame, 120);
        self.blocks.retain(|_, block| block.last_used + recent >= frame);
        let blocks = &self.blocks;
        let block_of = |(level, at): &(u32, TileAt)| {
            let tiles = BLOCK_TILES << level;
            (*level, at.map(|side| side.div_euclid(tiles)))
        };
        self.recipes.retain(|key, _| blocks.contains_key(&block_of(key)));
        shown
    }

    /// Hands over what changed of a block.
    fn fill(
        &mut self,
        ctx: &Context,
        document: &Document,
        key: (u32, TileAt),
        (_, within): (Area, Area),
        budget: &mut Budget,
    ) {
        let (level, block_at) = key;
        let side = (TILE_PX >> level) as usize;
        let options = if self.is_crisp { TextureOptions::NEAREST } else { TextureOptions::LINEAR };
        for at in Tiles::<4>::touched(within) {
            let recipe = recipe_of(document, at);
            let known = self.recipes.get(&(level, at));
            let is_new = !self.blocks.contains_key(&key);
            if !is_new && known.is_some_and(|known| is_same(known, &recipe)) {
                continue;
            }
            if !is_new && known.is_none() && recipe.is_empty() {
                // A new block is clear already.
                self.recipes.insert((level, at), recipe);
                continue;
            }
            if budget.is_spent() {
                break;
            }
            budget.tiles -= 1;
            let image = shrunk(document, at, &recipe, level, side);
            let block = self.blocks.entry(key).or_insert_with(|| {
                let px = BLOCK_TILES as usize * TILE_PX as usize;
                let clear = ColorImage::filled([px, px], Color32::TRANSPARENT);
                Block { texture: ctx.load_texture("canvas", clear, options), last_used: 0 }
            });
            let tiles = BLOCK_TILES << level;
            let place = [0, 1].map(|axis| (at[axis] - block_at[axis] * tiles) as usize * side);
            block.texture.set_partial(place, image, options);
            self.recipes.insert((level, at), recipe);
        }
        if let Some(block) = self.blocks.get_mut(&key) {
            block.last_used = self.frame;
        }
    }
}

/// Returns what of a document a block shows.
fn part_of(block: &Block, level: u32, [column, row]: TileAt, document: Area) -> Part {
    let side = (BLOCK_TILES * TILE_PX) << level;
    let whole = Area::new(column * side, row * side, side as u32, side as u32);
    let area = whole.intersect(document);
    let end = |px: u32| px as f32 / side as f32;
    let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(end(area.width_px), end(area.height_px)));
    Part { texture: block.texture.id(), area, uv }
}

/// Returns how often the size is halved at a scale: the largest at which no pixel of the screen
/// lacks one of its own.
fn level_of(scale: f32) -> u32 {
    let halvings = (1.0 / scale.max(1e-6)).log2().floor();
    (halvings.max(0.0) as u32).min(LEVEL_MAX)
}

/// Lists what a tile is made of.
fn recipe_of(document: &Document, at: TileAt) -> Recipe {
    let seen = document
        .layers
        .iter()
        .filter(|layer| layer.shows() || (layer.kind == LayerKind::Mask && layer.is_visible));
    seen.filter_map(|layer| {
        let tile = layer.pixels.tile(at)?;
        Some((tile.clone(), layer.opacity, layer.blend, layer.kind))
    })
    .collect()
}

fn is_same(a: &Recipe, b: &Recipe) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| Arc::ptr_eq(&a.0, &b.0) && (a.1, a.2, a.3) == (b.1, b.2, b.3))
}

/// Returns a tile at a level, premultiplied.
fn shrunk(document: &Document, at: TileAt, recipe: &Recipe, level: u32, side: usize) -> ColorImage {
    let tile = document.composite_tile(at);
    let masks: Vec<&Arc<[u8]>> = recipe
        .iter()
        .filter(|(.., kind)| *kind == LayerKind::Mask)
        .map(|(tile, ..)| tile)
        .collect();
    let step = 1usize << level;
    let count = (step * step) as u32;
    let mut pixels = Vec::with_capacity(side * side);
    for row in 0..side {
        for column in 0..side {
            let (mut sums, mut veil) = ([0u32; 4], 0u32);
            for y in row * step..(row + 1) * step {
                let start = (y * TILE_PX as usize + column * step) * 4;
                let line = start..start + step * 4;
                if let Some(line) = tile.as_ref().and_then(|tile| tile.get(line.clone())) {
                    for pixel in line.chunks_exact(4) {
                        let alpha = u32::from(pixel[3]);
                        for (sum, value) in sums.iter_mut().zip(&pixel[..3]) {
                            *sum += u32::from(*value) * alpha;
                        }
                        sums[3] += alpha;
                    }
                }
                for mask in &masks {
                    let line = mask.get(line.clone()).unwrap_or_default();
                    veil += line.chunks_exact(4).map(|pixel| u32::from(pixel[3])).sum::<u32>();
                }
            }
            let mut colour = [0, 1, 2].map(|at| sums[at] / (count * 255));
            let mut alpha = sums[3] / count;
            // Half of the veil's strength, so that the picture shows through.
            let veil = (veil / count).min(255) / 2;
            if veil > 0 {
                for (value, tint) in colour.iter_mut().zip(MASK_VEIL.map(u32::from)) {
                    *value = (tint * veil + *value * (255 - veil)) / 255;
                }
                alpha = veil + alpha * (255 - veil) / 255;
            }
            let [r, g, b] = colour.map(|value| value.min(255) as u8);
            pixels.push(premultiplied_colour([r, g, b, alpha.min(255) as u8]));
        }
    }
    ColorImage::new([side, side], pixels)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use atelier_engine::protocol::Size;

    use super::*;
    use crate::theme::pixel_colour;

    fn painted(size: u32) -> Document {
        let mut document = Document::new(Size { width_px: size, height_px: size }).unwrap();
        let id = document.add_layer("x", LayerKind::Raster).unwrap();
        let area = document.area();
        document.layer_mut(id).unwrap().pixels.fill(area, [40, 80, 120, 255]);
        document
    }

    #[test]
    fn a_frame_hands_over_only_what_changed() {
        let ctx = Context::default();
        let mut document = painted(512);
        let mut textures = CanvasTextures::default();
        let area = document.area();
        // A busy machine may need several frames.
        while textures.show(&ctx, &document, area, 1.0).is_late {}
        assert_eq!(textures.show(&ctx, &document, area, 1.0).parts.len(), 1);
        let before = textures.recipes.clone();
        let id = document.active.unwrap();
        document.layer_mut(id).unwrap().pixels.fill(Area::new(3, 3, 4, 4), [1, 2, 3, 255]);
        textures.show(&ctx, &document, area, 1.0);
        let changed = before.iter().filter(|(at, old)| !is_same(old, &textures.recipes[*at]));
        assert_eq!(changed.count(), 1);
    }

    #[test]
    fn a_large_document_comes_over_several_frames_and_small_from_afar() {
        let ctx = Context::default();
        let document = painted(4096);
        let mut textures = CanvasTextures::default();
        let area = document.area();
        let mut frames = 1;
        while textures.show(&ctx, &document, area, 0.25).is_late {
            frames += 1;
            assert!(frames < 2_000);
        }
        assert!(frames > 5, "{frames}");
        assert_eq!(textures.blocks.len(), 4);
    }

    #[test]
    fn colours_of_opaque_pixels_are_kept_and_masks_lie_as_a_veil_over_them() {
        let mut document = painted(128);
        let recipe = recipe_of(&document, [0, 0]);
        let image = shrunk(&document, [0, 0], &recipe, 1, 64);
        assert_eq!(image.pixels[0], pixel_colour([40, 80, 120]));
        let mask = document.add_layer("mask", LayerKind::Mask).unwrap();
        document.layer_mut(mask).unwrap().pixels.fill(Area::new(0, 0, 64, 64), [0, 0, 0, 255]);
        let recipe = recipe_of(&document, [0, 0]);
        let image = shrunk(&document, [0, 0], &recipe, 0, 128);
        assert_ne!(image.pixels[0], pixel_colour([40, 80, 120]));
        assert_eq!(image.pixels[127], pixel_colour([40, 80, 120]));
    }

    #[test]
    fn the_level_never_blurs_what_is_seen() {
        assert_eq!([2.0, 1.0, 0.7, 0.5, 0.3, 0.25, 0.001].map(level_of), [0, 0, 0, 1, 1, 2, 4]);
    }
}
