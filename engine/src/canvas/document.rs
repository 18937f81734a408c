//! A document: its size, its layers from below and what is selected.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::composite::lay_over;
use super::{Area, Blend, Filter, Tiles, crop, scale, shift};
use crate::error::EngineError;
use crate::protocol::{HintKind, Pixels, Size};

/// The longest side of a document, in pixels.
pub const MAX_SIDE_PX: u32 = 16_384;
/// The most pixels of a document: a quarter of a billion, 1 GB a layer.
pub const MAX_PIXELS: u64 = 1 << 28;
/// The most layers of a document.
pub const MAX_LAYERS: usize = 200;

/// Names a layer; never used again in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerId(pub u32);

/// Says what a layer is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    /// Is seen.
    #[default]
    Raster,
    /// Says by its alpha what is generated where nothing is selected; shown as a veil.
    Mask,
    /// Keeps what a ControlNet is shown; not part of the picture.
    Control,
    /// Is looked at; not part of the picture, and no model reads it yet.
    Reference,
}

impl LayerKind {
    /// Lists every kind, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Raster, Self::Mask, Self::Control, Self::Reference];
}

/// Says how a layer guides what is painted, through a ControlNet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guiding {
    /// The name or path of the ControlNet; `None` until one is chosen.
    pub model: Option<String>,
    /// What is drawn from the layer before the net reads it; of an empty layer, from the picture.
    pub hint: HintKind,
    /// How strongly it guides, 0 to 200; 100 is as the net was trained.
    pub percent: u8,
    /// The share of the steps at which it begins and ends, 0 to 100.
    pub between_percent: [u8; 2],
}

impl Default for Guiding {
    fn default() -> Self {
        Self { model: None, hint: HintKind::None, percent: 100, between_percent: [0, 100] }
    }
}

/// Holds a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its name in the document.
    pub id: LayerId,
    /// What the person calls it.
    pub name: String,
    /// What it is for.
    pub kind: LayerKind,
    /// How strongly it is seen, 0 to 255.
    pub opacity: u8,
    /// How its colours meet those below.
    pub blend: Blend,
    /// Whether it is seen at all.
    pub is_visible: bool,
    /// How it guides what is painted, where it is a control layer.
    pub guiding: Option<Guiding>,
    /// Straight RGBA.
    pub pixels: Tiles<4>,
}

impl Layer {
    /// Tells whether it is part of the picture.
    pub fn shows(&self) -> bool {
        self.is_visible && self.kind == LayerKind::Raster && self.opacity > 0
    }
}

/// Holds a document. A clone shares all pixels with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its size in pixels.
    pub size: Size,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    /// How strongly each pixel is selected, 0 to 255; `None` while nothing is, which means all.
    pub selection: Option<Tiles<1>>,
    /// The layer that is worked on.
    pub active: Option<LayerId>,
    /// The name of the next layer.
    pub next_layer: u32,
}

impl Document {
    /// Makes an empty document.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the size is 0 or too large.
    pub fn new(size: Size) -> Result<Self, EngineError> {
        check_size(size)?;
        Ok(Self { size, layers: Vec::new(), selection: None, active: None, next_layer: 1 })
    }

    /// Makes a document of the size of a picture, with the picture as its lowest layer.
    ///
    /// # Errors
    /// As [`Document::new`].
    pub fn of_picture(picture: &Pixels, name: impl Into<String>) -> Result<Self, EngineError> {
        let size = Size { width_px: picture.width_px, height_px: picture.height_px };
        let mut document = Self::new(size)?;
        let id = document.add_layer(name, LayerKind::Raster)?;
        let area = document.area();
        if let Some(layer) = document.layer_mut(id) {
            layer.pixels = Tiles::from_bytes(area, &picture.rgba);
        }
        Ok(document)
    }

    /// Returns the area of the document.
    pub fn area(&self) -> Area {
        Area::new(0, 0, self.size.width_px, self.size.height_px)
    }

    /// Returns a layer.
    pub fn layer(&self, id: LayerId) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.id == id)
    }

    /// Returns a layer to be changed.
    pub fn layer_mut(&mut self, id: LayerId) -> Option<&mut Layer> {
        self.layers.iter_mut().find(|layer| layer.id == id)
    }

    /// Returns the control layers that are visible, the lowest first.
    pub fn controls(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().filter(|layer| layer.kind == LayerKind::Control && layer.is_visible)
    }

    /// Returns the layer that is worked on.
    pub fn active_layer(&self) -> Option<&Layer> {
        self.active.and_then(|id| self.layer(id))
    }

    /// Returns the place of a layer, 0 for the lowest.
    pub fn position(&self, id: LayerId) -> Option<usize> {
        self.layers.iter().position(|layer| layer.id == id)
    }

    /// Adds an empty layer above the active one and makes it the active one.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when there are too many layers.
    pub fn add_layer(
        &mut self,
        name: impl Into<String>,
        kind: LayerKind,
    ) -> Result<LayerId, EngineError> {
        if self.layers.len() >= MAX_LAYERS {
            let reason = format!("are at most {MAX_LAYERS}; merge or remove some first");
            return Err(EngineError::invalid("layers of a document", reason));
        }
        let id = LayerId(self.next_layer);
        self.next_layer = self.next_layer.saturating_add(1);
        let place =
            self.active.and_then(|id| self.position(id)).map_or(self.layers.len(), |n| n + 1);
        let layer = Layer {
            id,
            name: name.into(),
            kind,
            opacity: 255,
            blend: Blend::Normal,
            is_visible: true,
            guiding: (kind == LayerKind::Control).then(Guiding::default),
            pixels: Tiles::default(),
        };
        self.layers.insert(place, layer);
        self.active = Some(id);
        Ok(id)
    }

    /// Removes a layer; the one below it becomes the active one. Returns whether it was there.
    pub fn remove_layer(&mut self, id: LayerId) -> bool {
        let Some(place) = self.position(id) else {
            return false;
        };
        self.layers.remove(place);
        if self.active == Some(id) {
            let next = place.saturating_sub(1).min(self.layers.len().saturating_sub(1));
            self.active = self.layers.get(next).map(|layer| layer.id);
        }
        true
    }

    /// Adds a copy of a layer above it and makes the copy the active one; `name` is the copy's.
    ///
    /// # Errors
    /// As [`Document::add_layer`].
    pub fn duplicate_layer(
        &mut self,
        id: LayerId,
        name: impl Into<String>,
    ) -> Result<Option<LayerId>, EngineError> {
        let Some(source) = self.layer(id).cloned() else {
            return Ok(None);
        };
        self.active = Some(id);
        let copy = self.add_layer(name, source.kind)?;
        if let Some(layer) = self.layer_mut(copy) {
            *layer = Layer { id: copy, name: std::mem::take(&mut layer.name), ..source };
        }
        Ok(Some(copy))
    }

    /// Moves a layer to a place, 0 for the lowest.
    pub fn move_layer(&mut self, id: LayerId, to: usize) {
        if let Some(place) = self.position(id) {
            let layer = self.layers.remove(place);
            self.layers.insert(to.min(self.layers.len()), layer);
        }
    }

    /// Merges a layer into the one below it, as the two look together. Returns whether there was one
    /// to merge into.
    pub fn merge_down(&mut self, id: LayerId) -> bool {
        let Some(place) = self.position(id).filter(|place| *place > 0) else {
            return false;
        };
        let upper = self.layers.remove(place);
        let lower = &mut self.layers[place - 1];
        // The lower layer's own opacity is worked in, since the upper one does not have it.
        let worked_in = std::mem::replace(&mut lower.opacity, 255);
        if worked_in < 255 {
            let mut faded = Tiles::default();
            for (at, tile) in lower.pixels.iter() {
                let mut bytes = vec![0; tile.len()];
                lay_over(&mut bytes, tile, worked_in, Blend::Normal);
                faded.set_tile(at, bytes.into());
            }
            lower.pixels = faded;
        }
        if upper.shows() {
            for (at, tile) in upper.pixels.iter() {
                let area = Tiles::<4>::tile_area(at);
                let mut bytes = lower.pixels.read(area);
                lay_over(&mut bytes, tile, upper.opacity, upper.blend);
                lower.pixels.set_tile(at, bytes.into());
            }
        }
        self.active = Some(lower.id);
        true
    }

    /// Lays a picture into the document as a new layer above the active one, its upper left corner at
    /// `at`.
    ///
    /// # Errors
    /// As [`Document::add_layer`].
    pub fn place(
        &mut self,
        picture: &Pixels,
        at: [i32; 2],
        name: impl Into<String>,
    ) -> Result<LayerId, EngineError> {
        let id = self.add_layer(name, LayerKind::Raster)?;
        let area = Area::new(at[0], at[1], picture.width_px, picture.height_px);
        if let Some(layer) = self.layer_mut(id) {
            layer.pixels = Tiles::from_bytes(area, &picture.rgba);
        }
        Ok(id)
    }

    /// Makes an area of the plane the document: crops it, extends it, or both. What is outside is
    /// cut off.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the size is 0 or too large.
    pub fn set_area(&mut self, area: Area) -> Result<(), EngineError> {
        let size = Size { width_px: area.width_px, height_px: area.height_px };
        check_size(size)?;
        let by = [area.x.saturating_neg(), area.y.saturating_neg()];
        let to = Area::new(0, 0, size.width_px, size.height_px);
        for layer in &mut self.layers {
            layer.pixels = crop(&shift(&layer.pixels, by), to);
        }
        self.selection = self.selection.take().map(|one| crop(&shift(&one, by), to));
        self.size = size;
        Ok(())
    }

    /// Scales everything to another size.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the size is 0 or too large.
    pub fn set_size(&mut self, size: Size, filter: Filter) -> Result<(), EngineError> {
        check_size(size)?;
        let (from, to) = (self.area(), Area::new(0, 0, size.width_px, size.height_px));
        for layer in &mut self.layers {
            layer.pixels = scale(&layer.pixels, from, to, filter, to);
        }
        self.selection = self.selection.take().map(|one| scale(&one, from, to, filter, to));
        self.size = size;
        Ok(())
    }

    /// Returns what is seen of the selection, as strongly as it is selected; everything where nothing
    /// is selected, and `None` where the selection lies outside.
    pub fn selected_picture(&self) -> Option<Pixels> {
        let Some(selection) = &self.selection else { return Some(self.picture()) };
        let area = selection.bounds()?.intersect(self.area());
        if area.is_empty() {
            return None;
        }
        let mut rgba = self.composite(area);
        for (pixel, value) in rgba.chunks_exact_mut(4).zip(selection.read(area)) {
            pixel[3] = ((u32::from(pixel[3]) * u32::from(value) + 127) / 255) as u8;
            if pixel[3] == 0 {
                pixel.fill(0);
            }
        }
        Pixels::new(area.width_px, area.height_px, rgba)
    }

    /// Returns the picture that the visible layers make.
    pub fn picture(&self) -> Pixels {
        let rgba = self.composite(self.area());
        Pixels { width_px: self.size.width_px, height_px: self.size.height_px, rgba }
    }

    /// Tells whether another document looks the same; quick where both share their pixels.
    pub fn looks_like(&self, other: &Self) -> bool {
        let same = |(one, other): (&Layer, &Layer)| {
            let attributes = |layer: &Layer| (layer.shows(), layer.opacity, layer.blend);
            attributes(one) == attributes(other)
                && (!one.shows() || one.pixels.differing(&other.pixels).is_empty())
        };
        self.size == other.size
            && self.layers.len() == other.layers.len()
            && self.layers.iter().zip(&other.layers).all(same)
    }

    /// Returns how many bytes its pixels take beside those that it shares with another document, tile by
    /// tile in their places.
    pub fn bytes_beside(&self, other: &Self) -> u64 {
        let mut bytes = 0;
        for layer in &self.layers {
            let known = other.layer(layer.id).map(|layer| &layer.pixels);
            for (at, tile) in layer.pixels.iter() {
                let same = known.and_then(|known| known.tile(at));
                if !same.is_some_and(|same| Arc::ptr_eq(same, tile)) {
                    bytes += tile.len() as u64;
                }
            }
        }
        bytes
    }

    /// Returns how many bytes its pixels take, those that it shares counted once.
    pub fn memory_bytes(&self) -> u64 {
        let mut seen = std::collections::BTreeSet::new();
        let mut bytes = 0;
        let layers = self.layers.iter().flat_map(|layer| layer.pixels.iter());
        for (_, tile) in layers.chain(self.selection.iter().flat_map(Tiles::iter)) {
            if seen.insert(tile.as_ptr()) {
                bytes += tile.len() as u64;
            }
        }
        bytes
    }
}

/// Checks the size of a document.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when it is 0 or too large.
pub fn check_size(size: Size) -> Result<(), EngineError> {
    let sides = [size.width_px, size.height_px];
    let pixels = u64::from(size.width_px) * u64::from(size.height_px);
    if sides.contains(&0) || sides.iter().any(|side| *side > MAX_SIDE_PX) || pixels > MAX_PIXELS {
        let reason = format!(
            "must be 1 to {MAX_SIDE_PX} pixels each way and at most {} million in all, not {} × {}",
            MAX_PIXELS / 1_000_000,
            size.width_px,
            size.height_px
        );
        return Err(EngineError::invalid("size of a document", reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn two_layers() -> (Document, LayerId, LayerId) {
        let picture = Pixels::new(200, 150, [10, 20, 30, 255].repeat(200 * 150)).unwrap();
        let mut document = Document::of_picture(&picture, "Picture").unwrap();
        let low = document.active.unwrap();
        let spot = Pixels::new(20, 20, [200, 100, 50, 128].repeat(400)).unwrap();
        let high = document.place(&spot, [190, 140], "Spot").unwrap();
        (document, low, high)
    }

    #[test]
    fn a_picture_comes_out_of_a_document_with_its_bits() {
        let rgba: Vec<u8> = (0..300 * 131 * 4).map(|at| (at * 31 % 256) as u8).collect();
        let picture = Pixels::new(300, 131, rgba).unwrap();
        let document = Document::of_picture(&picture, "Picture").unwrap();
        assert_eq!(document.picture(), picture);
    }

    #[test]
    fn merging_down_changes_nothing_that_is_seen() {
        let (mut document, low, high) = two_layers();
        document.layer_mut(low).unwrap().opacity = 180;
        document.layer_mut(high).unwrap().blend = Blend::Multiply;
        document.layer_mut(high).unwrap().opacity = 99;
        let before = document.picture();
        assert!(document.merge_down(high));
        assert_eq!(document.layers.len(), 1);
        assert_eq!(document.picture(), before);
        assert!(!document.merge_down(low));
    }

    #[test]
    fn cropping_and_extending_move_everything_together() {
        let (mut document, ..) = two_layers();
        document.selection = Some(Tiles::from_bytes(Area::new(100, 100, 1, 1), &[255]));
        document.set_area(Area::new(-10, -20, 210, 170)).unwrap();
        assert_eq!(document.size, Size { width_px: 210, height_px: 170 });
        assert_eq!(document.composite(Area::new(0, 0, 1, 1)), [0; 4]);
        assert_eq!(document.composite(Area::new(10, 20, 1, 1)), [10, 20, 30, 255]);
        assert_eq!(document.selection.as_ref().unwrap().get([110, 120]), [255]);
        document.set_area(Area::new(200, 160, 10, 10)).unwrap();
        assert!(document.layers.iter().all(|layer| layer.pixels.bounds().is_some()));
        assert!(document.set_area(Area::new(0, 0, 0, 10)).is_err());
    }

    #[test]
    fn a_removed_layer_leaves_the_one_below_active_and_its_name_is_not_used_again() {
        let (mut document, low, high) = two_layers();
        assert!(document.remove_layer(high));
        assert_eq!(document.active, Some(low));
        let new = document.add_layer("New", LayerKind::Raster).unwrap();
        assert_ne!(new, high);
        assert!(document.remove_layer(low) && document.remove_layer(new));
        assert_eq!(document.active, None);
    }

    #[test]
    fn a_changed_document_takes_only_the_tiles_that_it_changed_beside_the_old_one() {
        let (old, low, _) = two_layers();
        let mut new = old.clone();
        assert_eq!(new.bytes_beside(&old), 0);
        new.layer_mut(low).unwrap().pixels.fill(Area::new(1, 1, 2, 2), [1, 2, 3, 255]);
        assert_eq!(new.bytes_beside(&old), Tiles::<4>::TILE_BYTES as u64);
        new.add_layer("Empty", LayerKind::Raster).unwrap();
        assert_eq!(new.bytes_beside(&old), Tiles::<4>::TILE_BYTES as u64);
    }

    #[test]
    fn masks_and_references_are_no_part_of_the_picture() {
        let (mut document, _, high) = two_layers();
        let seen = document.picture();
        document.layer_mut(high).unwrap().kind = LayerKind::Mask;
        let hidden = document.picture();
        assert_ne!(seen, hidden);
        document.layer_mut(high).unwrap().is_visible = false;
        assert_eq!(document.picture(), hidden);
    }

    #[test]
    fn sizes_that_no_memory_holds_are_refused() {
        for (width_px, height_px) in [(0, 5), (60_000, 60_000), (16_385, 1), (u32::MAX, u32::MAX)] {
            assert!(Document::new(Size { width_px, height_px }).is_err());
        }
        assert!(Document::new(Size { width_px: 16_384, height_px: 16_384 }).is_ok());
    }

    #[test]
    fn a_copy_is_what_is_seen_as_strongly_as_it_is_selected() {
        let (mut document, ..) = two_layers();
        let whole = document.selected_picture().unwrap();
        assert_eq!((whole.width_px, whole.height_px), (200, 150));
        let mut selection = Tiles::default();
        selection.fill(Area::new(188, 138, 6, 6), [255]);
        selection.fill(Area::new(188, 138, 1, 6), [128]);
        selection.fill(Area::new(198, 148, 9, 9), [255]);
        document.selection = Some(selection);
        let copy = document.selected_picture().unwrap();
        // The selection ends at the document's edge.
        assert_eq!((copy.width_px, copy.height_px), (12, 12));
        assert_eq!(copy.rgba[..8], [10, 20, 30, 128, 10, 20, 30, 255]);
        let inside = (2 * 12 + 2) * 4;
        assert_eq!(copy.rgba[inside..inside + 4], whole.rgba[(140 * 200 + 190) * 4..][..4]);
        assert_eq!(copy.rgba[8 * 4..8 * 4 + 4], [0; 4], "what is not selected is clear");
        let mut outside = Tiles::default();
        outside.fill(Area::new(500, 500, 5, 5), [255]);
        document.selection = Some(outside);
        assert!(document.selected_picture().is_none());
    }

    #[test]
    fn another_size_scales_layers_and_selection_alike() {
        let (mut document, ..) = two_layers();
        let mut selection = Tiles::default();
        selection.fill(Area::new(0, 0, 100, 150), [255]);
        document.selection = Some(selection);
        document.set_size(Size { width_px: 100, height_px: 300 }, Filter::Lanczos).unwrap();
        assert_eq!(document.picture().rgba.len(), 100 * 300 * 4);
        let selection = document.selection.clone().unwrap();
        assert_eq!([selection.get([40, 290]), selection.get([60, 10])], [[255], [0]]);
        assert!(document.set_size(Size { width_px: 0, height_px: 9 }, Filter::Lanczos).is_err());
    }
}
