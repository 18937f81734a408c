//! Pictures on the graphics card. Each is handed over once and forgotten when it is no longer
//! shown.

use std::collections::HashMap;
use std::sync::Arc;

use atelier_engine::protocol::Pixels;
use egui::{ColorImage, Context, TextureHandle, TextureId, TextureOptions};

/// How many pictures stay on the card although they are not shown.
const IDLE_MAX: usize = 96;

/// How many pictures are handed over in one frame, so that the frame stays short.
const UPLOADS_PER_FRAME: usize = 6;

struct Slot {
    /// Keeps the address, which is the key, from being used again.
    _pixels: Arc<Pixels>,
    handle: TextureHandle,
    used: u64,
}

/// Holds the pictures that are on the graphics card.
#[derive(Default)]
pub struct Textures {
    slots: HashMap<(usize, bool), Slot>,
    frame: u64,
    uploads: usize,
}

impl Textures {
    /// Begins a frame and forgets what was not shown for long.
    pub fn begin_frame(&mut self) {
        self.frame += 1;
        self.uploads = 0;
        if self.slots.len() > IDLE_MAX {
            let mut ages: Vec<u64> = self.slots.values().map(|slot| slot.used).collect();
            ages.sort_unstable();
            let oldest_kept = ages[ages.len() - IDLE_MAX];
            self.slots.retain(|_, slot| slot.used >= oldest_kept);
        }
    }

    /// Returns the texture of a picture, or `None` when its turn comes in a later frame.
    /// `crisp` shows the pixels as squares.
    pub fn get(&mut self, ctx: &Context, pixels: &Arc<Pixels>, crisp: bool) -> Option<TextureId> {
        let key = (Arc::as_ptr(pixels) as usize, crisp);
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.used = self.frame;
            return Some(slot.handle.id());
        }
        if self.uploads >= UPLOADS_PER_FRAME {
            ctx.request_repaint();
            return None;
        }
        self.uploads += 1;
        let options = if crisp { TextureOptions::NEAREST } else { TextureOptions::LINEAR };
        let handle = ctx.load_texture("picture", color_image(pixels), options);
        let id = handle.id();
        let slot = Slot { _pixels: pixels.clone(), handle, used: self.frame };
        self.slots.insert(key, slot);
        Some(id)
    }
}

/// Returns a picture as egui has it.
pub fn color_image(pixels: &Pixels) -> ColorImage {
    let size = [pixels.width_px as usize, pixels.height_px as usize];
    ColorImage::from_rgba_unmultiplied(size, &pixels.rgba)
}
