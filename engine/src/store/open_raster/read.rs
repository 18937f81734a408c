//! Reading OpenRaster files, whoever wrote them.

use std::io::Cursor;
use std::path::Path;

use super::tags::{Tag, tags};
use super::{MIMETYPE, OraLayer, OraPicture, check_size};
use crate::canvas::{MAX_LAYERS, MAX_PIXELS};
use crate::error::EngineError;
use crate::protocol::Pixels;
use crate::store::png;
use crate::store::zipped::Archive;

/// The most entries of an archive: Krita and others write a few beside the layers.
const MAX_ENTRIES: usize = 4096;
/// The most that the list of layers may take.
const MAX_STACK_BYTES: u64 = 4 << 20;
/// The most that the file of one layer may take.
const MAX_LAYER_BYTES: u64 = 512 << 20;
/// The farthest that a layer may lie from the picture's corner, in pixels.
const MAX_OFFSET_PX: i32 = 1 << 16;
/// The most pixels of all layers together; they take four times as many bytes.
const MAX_PIXELS_IN_ALL: u64 = 2 * MAX_PIXELS;
/// Stands for the path in an error about bytes that came without one.
const NO_PATH: &str = "picture without a file name";

/// Reads an OpenRaster file.
///
/// Nothing is written, names of entries are looked up and never used as paths, and every size is
/// checked before memory is taken for it. Groups are dissolved; see [`OraPicture`].
///
/// # Errors
/// [`EngineError::Damaged`] for everything that is not a whole OpenRaster file within the limits of a
/// document.
pub fn read(bytes: &[u8]) -> Result<OraPicture, EngineError> {
    read_checked(bytes).map_err(|reason| EngineError::damaged(NO_PATH, reason))
}

/// Reads an OpenRaster file, as [`read`] does.
///
/// # Errors
/// [`EngineError::Io`] when the file cannot be read, or [`EngineError::Damaged`].
pub fn read_file(path: &Path) -> Result<OraPicture, EngineError> {
    read_checked(&png::read_file(path)?).map_err(|reason| EngineError::damaged(path, reason))
}

fn read_checked(bytes: &[u8]) -> Result<OraPicture, String> {
    let mut archive = Archive::open(Cursor::new(bytes), MAX_ENTRIES)?;
    let kind = archive.entry("mimetype", MIMETYPE.len() as u64 + 2)?;
    if kind.trim_ascii() != MIMETYPE.as_bytes() {
        return Err("is not an OpenRaster file".to_owned());
    }
    let stack = archive.entry("stack.xml", MAX_STACK_BYTES)?;
    let stack = str::from_utf8(&stack).map_err(|_| "has a list of layers that is not text")?;
    let listed = listed(stack)?;
    let [width_px, height_px] = listed.size;
    let mut layers = Vec::new();
    let mut pixels_in_all = 0;
    for described in listed.layers.into_iter().rev() {
        let file = archive.entry(&described.source, MAX_LAYER_BYTES)?;
        pixels_in_all += claimed_pixels(&file)?;
        if pixels_in_all > MAX_PIXELS_IN_ALL {
            return Err("holds more pixels than fit into memory".to_owned());
        }
        let pixels = png::decode(&file).map_err(|error| match error {
            EngineError::Damaged { reason, .. } => format!("holds a layer that {reason}"),
            error => error.to_string(),
        })?;
        layers.push(described.with(pixels));
    }
    let Listed { dissolved_groups, left_out, .. } = listed;
    Ok(OraPicture { width_px, height_px, layers, dissolved_groups, left_out })
}

/// Returns how many pixels the header of a PNG file claims.
fn claimed_pixels(file: &[u8]) -> Result<u64, String> {
    let number = |at: usize| {
        let bytes = file.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_be_bytes(bytes)))
    };
    let pixels = number(16).zip(number(20)).map(|(width, height)| width.saturating_mul(height));
    pixels.ok_or_else(|| "holds a layer that is no picture".to_owned())
}

/// What `stack.xml` says.
struct Listed {
    size: [u32; 2],
    /// The uppermost first.
    layers: Vec<Described>,
    dissolved_groups: usize,
    left_out: usize,
}

/// A layer without its pixels.
struct Described {
    name: String,
    source: String,
    offset: [i32; 2],
    opacity: f32,
    is_visible: bool,
    operator: String,
}

impl Described {
    fn with(self, pixels: Pixels) -> OraLayer {
        let Self { name, offset: [x, y], opacity, is_visible, operator, .. } = self;
        OraLayer { name, pixels, x, y, opacity, is_visible, operator }
    }
}

/// What a layer inherits from the groups that it is in.
#[derive(Clone, Copy)]
struct Group {
    offset: [i32; 2],
    opacity: f32,
    is_visible: bool,
}

impl Group {
    /// Reads what a layer or a group says of itself, within another group.
    fn inner(self, tag: &Tag) -> Result<Self, String> {
        let offset = |name: &str, outer: i32| {
            let own = tag.attribute(name).map_or(Ok(0), |value| {
                // Some programs write fractions.
                let pixels = value.trim().parse::<f64>().ok().filter(|pixels| pixels.is_finite());
                pixels.map(|pixels| pixels.round() as i32).ok_or("has a layer at no place")
            })?;
            let place = outer.saturating_add(own);
            let is_near = (-MAX_OFFSET_PX..=MAX_OFFSET_PX).contains(&place);
            is_near.then_some(place).ok_or("has a layer far outside the picture")
        };
        let opacity = tag.attribute("opacity").and_then(|value| value.trim().parse::<f32>().ok());
        let opacity = opacity.filter(|value| !value.is_nan()).unwrap_or(1.0).clamp(0.0, 1.0);
        Ok(Self {
            offset: [offset("x", self.offset[0])?, offset("y", self.offset[1])?],
            opacity: self.opacity * opacity,
            is_visible: self.is_visible && tag.attribute("visibility") != Some("hidden"),
        })
    }
}

/// Reads `stack.xml`.
fn listed(text: &str) -> Result<Listed, String> {
    let tags = tags(text)?;
    let image = tags.first().filter(|tag| is_named(tag, "image"));
    let side = |name: &str| image?.attribute(name)?.trim().parse().ok();
    let size = [side("w"), side("h")].map(|side: Option<u32>| side.unwrap_or(0));
    check_size(size[0], size[1])?;
    let mut layers: Vec<Described> = Vec::new();
    let (mut stacks, mut left_out) = (0, 0_usize);
    let whole = Group { offset: [0; 2], opacity: 1.0, is_visible: true };
    // The elements that are open, and what is inherited in them.
    let mut open: Vec<Group> = Vec::new();
    for tag in &tags {
        let outer = open.last().copied().unwrap_or(whole);
        let Tag::Open { name, is_empty, .. } = tag else {
            open.pop().ok_or("has a list of layers that is not well formed")?;
            continue;
        };
        let mut inner = outer;
        match name.as_str() {
            "stack" => {
                stacks += 1;
                inner = outer.inner(tag)?;
            }
            "layer" => match tag.attribute("src") {
                Some(source) => {
                    let Group { offset, opacity, is_visible } = outer.inner(tag)?;
                    let text = |name: &str| tag.attribute(name).map(str::to_owned);
                    layers.push(Described {
                        name: text("name").unwrap_or_default().chars().take(256).collect(),
                        source: source.to_owned(),
                        offset,
                        opacity,
                        is_visible,
                        operator: text("composite-op").unwrap_or("svg:src-over".to_owned()),
                    });
                }
                None => left_out += 1,
            },
            "text" | "filter" => left_out += 1,
            _ => {}
        }
        if layers.len() > MAX_LAYERS {
            return Err(format!("has more than {MAX_LAYERS} layers"));
        }
        if !is_empty {
            open.push(inner);
        }
    }
    // The outermost stack is the picture itself.
    let dissolved_groups = usize::saturating_sub(stacks, 1);
    Ok(Listed { size, layers, dissolved_groups, left_out })
}

fn is_named(tag: &Tag, wanted: &str) -> bool {
    matches!(tag, Tag::Open { name, .. } if name == wanted)
}
