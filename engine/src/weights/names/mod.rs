//! Tensors of Stable Diffusion's parts under diffusers' names, whatever the file calls them.
//!
//! A file may hold a part under diffusers' names of today or of 2022, under those of CompVis and
//! Stability (with their text encoders as transformers or as OpenCLIP has them), or as
//! stable-diffusion.cpp writes them into GGUF. The blocks are counted in the file itself, so nets of
//! other depths and widths are read too.
//!
//! # Source
//! diffusers 0.42, `loaders/single_file_utils.py`; stable-diffusion.cpp, `name_conversion.cpp`;
//! ComfyUI's `scaled_fp8` for the scales of 8-bit floats.

mod blocks;
mod text;
mod tiny;
mod vae;

use std::cell::Cell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

pub(super) use self::blocks::Blocks;
use super::element::{Element, TensorInfo};
use super::open::{Checkpoint, Container};
use super::sd_config::{Shapes, read_json};
use crate::error::EngineError;
use crate::protocol::{JobContext, Live, Stage};

/// The most tensors of a file.
const TENSORS_MAX: usize = 100_000;
/// How many missing tensors an error names.
const NAMED_MAX: usize = 3;

/// Names a part of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The denoising net.
    Unet,
    /// The autoencoder.
    Vae,
    /// The only text encoder, or the first of SDXL.
    TextEncoder,
    /// The second text encoder of SDXL, the only one of its refiner.
    TextEncoder2,
    /// A ControlNet.
    ControlNet,
    /// A tiny autoencoder, under its author's names (`decoder.1.weight`).
    TinyVae,
}

impl Part {
    /// Returns the folder that diffusers keeps the part in.
    fn folder(self) -> &'static str {
        match self {
            Self::Unet => "unet",
            Self::Vae => "vae",
            Self::TextEncoder => "text_encoder",
            Self::TextEncoder2 => "text_encoder_2",
            Self::ControlNet => "controlnet",
            Self::TinyVae => "vae",
        }
    }

    /// Tells whether a `config.json` that names this class describes the part.
    fn is_class(self, class: &str) -> bool {
        match self {
            Self::Unet => class == "UNet2DConditionModel",
            Self::Vae => class == "AutoencoderKL",
            Self::TextEncoder | Self::TextEncoder2 => class.starts_with("CLIP"),
            Self::ControlNet => class == "ControlNetModel",
            Self::TinyVae => class == "AutoencoderTiny",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unet => "UNet",
            Self::Vae => "VAE",
            Self::TextEncoder => "text encoder",
            Self::TextEncoder2 => "second text encoder",
            Self::ControlNet => "ControlNet",
            Self::TinyVae => "tiny autoencoder",
        })
    }
}

/// Says how a tensor follows from what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    AsIs,
    /// A matrix that the file has the other way round.
    Transposed,
    /// This third of the rows.
    Third(usize),
}

/// Says where a tensor comes from.
#[derive(Debug, Clone)]
struct Origin {
    stored: String,
    how: How,
}

/// Gathers where tensors come from.
#[derive(Debug, Default)]
struct Found {
    origins: BTreeMap<String, Origin>,
    surplus: Vec<String>,
}

impl Found {
    fn add(&mut self, name: String, stored: &str, how: How) {
        // A name of today and an old one may stand beside each other; the first wins.
        match self.origins.entry(name) {
            Entry::Vacant(place) => {
                place.insert(Origin { stored: stored.to_owned(), how });
            }
            Entry::Occupied(_) => self.surplus.push(stored.to_owned()),
        }
    }
}

/// Gives the tensors of one part as f32 under diffusers' names, one at a time.
pub struct Named<'a> {
    file: &'a Checkpoint,
    job: &'a JobContext,
    part: Part,
    origins: BTreeMap<String, Origin>,
    shapes: Shapes,
    surplus: Vec<String>,
    settings: Option<Value>,
    /// How much was read of all that is to be read, in bytes.
    progress: Option<(&'a Cell<u64>, u64)>,
}

impl<'a> Named<'a> {
    /// Finds a part in an open checkpoint.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when the part is not there.
    pub fn of(file: &'a Checkpoint, part: Part, job: &'a JobContext) -> Result<Self, EngineError> {
        if file.tensors().len() > TENSORS_MAX {
            let reason = "holds more tensors than any model";
            return Err(EngineError::damaged(file.path(), reason));
        }
        let names = Names { file };
        let found = match part {
            Part::Unet => blocks::unet(&names),
            Part::ControlNet => blocks::control_net(&names),
            Part::Vae => vae::vae(&names),
            Part::TinyVae => tiny::tiny_vae(&names),
            Part::TextEncoder => text::text_encoder(&names, text::FIRST),
            Part::TextEncoder2 => text::text_encoder(&names, text::SECOND),
        };
        let lacks = || EngineError::damaged(file.path(), format!("holds no {part}"));
        let Found { origins, mut surplus } = found.ok_or_else(lacks)?;
        let mut shapes = Shapes::new();
        for (name, Origin { stored, how }) in &origins {
            let shape = &file.tensors().get(stored).ok_or_else(lacks)?.shape;
            let Some(shape) = how.shape(shape) else {
                let reason = format!("holds the tensor “{stored}” in the shape {shape:?}");
                return Err(EngineError::damaged(file.path(), reason));
            };
            shapes.insert(name.clone(), shape);
        }
        surplus.sort_unstable();
        let settings = settings(file, part)?;
        Ok(Self { file, job, part, origins, shapes, surplus, settings, progress: None })
    }

    /// Counts the bytes of each tensor that is read, and reports them as a share of `total`.
    #[must_use]
    pub fn counting(self, done: &'a Cell<u64>, total: u64) -> Self {
        Self { progress: Some((done, total)), ..self }
    }

    /// Returns the part.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Returns the names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.origins.keys().map(String::as_str)
    }

    /// Tells whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.origins.contains_key(name)
    }

    /// Returns the shapes of all tensors as the file has them: a 1×1 convolution may stand for a
    /// matrix and the other way round.
    pub fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    /// Returns the part's `config.json`, where there is one.
    pub fn settings(&self) -> Option<&Value> {
        self.settings.as_ref()
    }

    /// Returns the stored names that belong to the part and mean nothing, in order.
    pub fn surplus(&self) -> &[String] {
        &self.surplus
    }

    /// Checks that a model finds all tensors that it needs; returns the names of those that it does
    /// not.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] with the first of those that are missing or of another shape.
    pub fn check(&self, needed: &[(String, Vec<usize>)]) -> Result<Vec<String>, EngineError> {
        let missing = needed.iter().filter(|(name, _)| !self.origins.contains_key(name));
        let missing: Vec<&str> = missing.map(|(name, _)| name.as_str()).collect();
        if !missing.is_empty() {
            let count = missing.len();
            let first: Vec<String> =
                missing.iter().take(NAMED_MAX).map(|name| format!("“{name}”")).collect();
            let more = if count > NAMED_MAX { " and more" } else { "" };
            let reason =
                format!("lacks {count} tensors of the {}: {}{more}", self.part, first.join(", "));
            return Err(EngineError::damaged(self.file.path(), reason));
        }
        for (name, shape) in needed {
            self.origin(name, shape)?;
        }
        let needed: BTreeSet<&str> = needed.iter().map(|(name, _)| name.as_str()).collect();
        let unneeded = self.names().filter(|name| !needed.contains(name)).map(str::to_owned);
        Ok(unneeded.chain(self.surplus.iter().cloned()).collect())
    }

    /// Reads a tensor of this shape, row-major, and reports how much is loaded.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is missing, of another shape or of a dtype that holds no
    /// weights; [`EngineError::Cancelled`] when the job was cancelled.
    pub fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        let Origin { stored, how } = self.origin(name, shape)?;
        let length = self.file.tensors().get(stored).map_or(0, TensorInfo::bytes);
        let bytes = self.progress.map(|(done, total)| {
            // Thirds of a matrix are read one after the other, each with all of it.
            let length = if matches!(how, How::Third(_)) { length / 3 } else { length };
            done.set(done.get().saturating_add(length));
            [done.get().min(total), total]
        });
        self.job.report(Live { stage: Stage::Loading, bytes, ..Live::default() })?;
        let mut values = self.file.floats(stored)?;
        self.scale(stored, &mut values)?;
        Ok(match how {
            How::AsIs => values,
            How::Third(index) => {
                let third = values.len() / 3;
                values.drain(..index * third);
                values.truncate(third);
                values
            }
            How::Transposed => {
                transposed(&values, self.shapes.get(name).map_or(shape, Vec::as_slice))
            }
        })
    }

    /// Returns where a tensor comes from, when it has this shape.
    fn origin(&self, name: &str, shape: &[usize]) -> Result<&Origin, EngineError> {
        let damaged = |reason: String| EngineError::damaged(self.file.path(), reason);
        let (origin, found) =
            self.origins.get(name).zip(self.shapes.get(name)).ok_or_else(|| {
                damaged(format!("lacks the tensor “{name}” of the {}", self.part))
            })?;
        if !is_same_but_for_ones(found, shape) {
            let reason = format!("holds the tensor “{name}” in shape {found:?}, not {shape:?}");
            return Err(damaged(reason));
        }
        Ok(origin)
    }

    /// Multiplies 8-bit floats by the scale that stands beside them.
    fn scale(&self, stored: &str, values: &mut [f32]) -> Result<(), EngineError> {
        let element = self.file.tensors().get(stored).map(|info| info.element);
        if !matches!(element, Some(Element::F8E4M3 | Element::F8E5M2)) {
            return Ok(());
        }
        let module = stored.strip_suffix(".weight").unwrap_or(stored);
        let names = [format!("{module}.scale_weight"), format!("{module}.weight_scale")];
        let Some(name) = names.iter().find(|name| self.file.tensors().contains_key(*name)) else {
            return Ok(());
        };
        let scales = self.file.floats(name)?;
        let rows = values
            .len()
            .checked_div(scales.len())
            .filter(|_| values.len().is_multiple_of(scales.len()));
        let Some(width) = rows else {
            let reason = format!("holds {} scales as “{name}”, which fit no rows", scales.len());
            return Err(EngineError::damaged(self.file.path(), reason));
        };
        for (row, scale) in values.chunks_mut(width.max(1)).zip(scales) {
            row.iter_mut().for_each(|value| *value *= scale);
        }
        Ok(())
    }
}

impl How {
    /// Returns the shape that follows from the stored one.
    fn shape(self, stored: &[usize]) -> Option<Vec<usize>> {
        match (self, stored) {
            (Self::AsIs, _) => Some(stored.to_vec()),
            (Self::Transposed, [rows, columns]) => Some(vec![*columns, *rows]),
            (Self::Third(_), [rows, rest @ ..]) if rows.is_multiple_of(3) => {
                let mut shape = vec![rows / 3];
                shape.extend_from_slice(rest);
                Some(shape)
            }
            _ => None,
        }
    }
}

/// Tells whether shapes are the same when sides of one are passed over: a 1×1 convolution is a
/// matrix, and GGUF drops outermost sides of one.
fn is_same_but_for_ones(a: &[usize], b: &[usize]) -> bool {
    let sides = |shape: &[usize]| -> Vec<usize> {
        shape.iter().copied().filter(|side| *side != 1).collect()
    };
    sides(a) == sides(b)
}

/// Turns the stored matrix round; `shape` is that of the result.
fn transposed(stored: &[f32], shape: &[usize]) -> Vec<f32> {
    let [rows, columns] = *shape else { return stored.to_vec() };
    let mut out = Vec::with_capacity(stored.len());
    for row in 0..rows {
        out.extend((0..columns).map(|column| stored[column * rows + row]));
    }
    out
}

/// Shows the names of a file to those who look for a part.
struct Names<'a> {
    file: &'a Checkpoint,
}

impl<'a> Names<'a> {
    fn has(&self, name: &str) -> bool {
        self.file.tensors().contains_key(name)
    }

    /// Returns the names below a prefix, without it.
    fn below(&self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let from = self.file.tensors().range(prefix.to_owned()..).map(|(name, _)| name);
        from.map_while(move |name| name.strip_prefix(prefix))
    }

    /// Returns a side of a stored tensor.
    fn side(&self, name: &str, axis: usize) -> Option<usize> {
        self.file.tensors().get(name)?.shape.get(axis).copied()
    }

    /// Returns a prefix below which there is a tensor of this name.
    fn prefix_of(&self, prefixes: &[&'static str], name: &str) -> Option<&'static str> {
        prefixes.iter().copied().find(|prefix| self.has(&format!("{prefix}{name}")))
    }
}

/// Tells whether a tensor is no weight: positions that are counted, marks and scales of 8-bit
/// floats, the temperature of CLIP.
fn is_no_weight(name: &str) -> bool {
    const ENDS: [&str; 8] = [
        "position_ids",
        "scale_weight",
        "weight_scale",
        "scale_input",
        "input_scale",
        "scaled_fp8",
        "logit_scale",
        "num_batches_tracked",
    ];
    ENDS.iter().any(|end| name.ends_with(end))
}

/// Reads the `config.json` of a part, if it stands where diffusers puts it.
fn settings(file: &Checkpoint, part: Part) -> Result<Option<Value>, EngineError> {
    let path = file.path();
    let place = match file.container() {
        Container::Diffusers => path.join(part.folder()).join("config.json"),
        _ if path.is_dir() => path.join("config.json"),
        // Beside a file of any other name, settings may be those of something else.
        _ if is_named_by_library(path.file_name().and_then(|name| name.to_str())) => {
            path.with_file_name("config.json")
        }
        _ => return Ok(None),
    };
    read_settings(place, part)
}

fn is_named_by_library(name: Option<&str>) -> bool {
    let starts = ["diffusion_pytorch_model.", "pytorch_model.", "model."];
    name.is_some_and(|name| starts.iter().any(|start| name.starts_with(start)))
}

fn read_settings(place: PathBuf, part: Part) -> Result<Option<Value>, EngineError> {
    if !place.is_file() {
        return Ok(None);
    }
    let settings = read_json(&place)?;
    let class = settings["_class_name"].as_str().or(settings["architectures"][0].as_str());
    // Old settings of text encoders name no class; those of another part are not meant.
    let is_meant = class.is_none_or(|class| part.is_class(class));
    Ok(is_meant.then_some(settings))
}
