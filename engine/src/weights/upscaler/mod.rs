//! Nets of the ESRGAN family as plain data: their sizes by the shapes of their tensors, and the tensors
//! under one set of names whatever the file calls them.
//!
//! # Source
//! BasicSR 1.4.2, `archs/rrdbnet_arch.py` and `archs/srvgg_arch.py`, whose names are the ones used here.

mod names;

use std::cell::Cell;
use std::collections::BTreeMap;

use super::Tensors;
use super::detect::detect;
use super::open::Checkpoint;
use crate::error::EngineError;
use crate::protocol::{JobContext, Live, Stage};

/// The most features, blocks or convolutions that a net is believed to have.
const MOST: usize = 1024;
/// The largest factor of a net.
const SCALE_MAX: usize = 16;

/// Holds the sizes of a net that enlarges pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpscalerConfig {
    /// `SRVGGNetCompact`.
    Compact(CompactConfig),
    /// `RRDBNet`.
    Rrdb(RrdbConfig),
}

/// Holds the sizes of `SRVGGNetCompact`: a stack of convolutions, then a pixel shuffle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactConfig {
    /// Channels between the convolutions.
    pub features: usize,
    /// Convolutions between the first and the last.
    pub convolutions: usize,
    /// How many times as wide and high the picture becomes.
    pub scale: usize,
}

/// Holds the sizes of `RRDBNet`: dense blocks within each other, then doublings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RrdbConfig {
    /// Channels between the blocks.
    pub features: usize,
    /// Channels that each convolution of a dense block adds.
    pub growth: usize,
    /// Blocks of three dense blocks.
    pub blocks: usize,
    /// How often the picture is doubled behind them.
    pub doublings: usize,
    /// How many pixels each way are folded into channels in front of them.
    pub fold: usize,
}

impl UpscalerConfig {
    /// Returns how many times as wide and high the picture becomes.
    pub fn scale(&self) -> usize {
        match self {
            Self::Compact(config) => config.scale,
            Self::Rrdb(config) => (1 << config.doublings) / config.fold,
        }
    }

    /// Returns what the sides of a picture must be multiples of.
    pub fn multiple(&self) -> usize {
        match self {
            Self::Compact(_) => 1,
            Self::Rrdb(config) => config.fold,
        }
    }

    /// Returns how many pixels of the picture away something can be and still have an influence on
    /// an output pixel.
    pub fn radius(&self) -> usize {
        match self {
            // One pixel for every 3×3 convolution.
            Self::Compact(config) => config.convolutions + 2,
            // The first, three dense blocks of five in each block, the one behind them; what stands
            // behind doublings reaches less than two more.
            Self::Rrdb(config) => (15 * config.blocks + 4) * config.fold,
        }
    }

    /// Returns the numbers that the net holds for each pixel that it sees, and for each pixel that is
    /// wanted of it, at the busiest moment.
    pub fn numbers_per_pixel(&self) -> [usize; 2] {
        match self {
            // A layer's input and output with the border's copy; the squares and the picture of them.
            Self::Compact(config) => {
                let squares = 3 * config.scale * config.scale;
                [3 * config.features + squares, 2 * squares]
            }
            // What is joined, beside what waits for its block's end; three layers at the full size.
            Self::Rrdb(config) => {
                let grown = config.features + 4 * config.growth;
                let tail = (3 * config.features) << (2 * config.doublings);
                [3 * grown + 4 * config.features, tail].map(|n| n / (config.fold * config.fold))
            }
        }
    }
}

/// Gives the tensors of an upscaler by BasicSR's names, widened to f32.
pub struct UpscalerWeights<'a> {
    file: &'a Checkpoint,
    job: &'a JobContext,
    /// What the file calls each tensor.
    stored: BTreeMap<String, String>,
    config: UpscalerConfig,
    read: Cell<u32>,
}

impl<'a> UpscalerWeights<'a> {
    /// Finds the tensors of an upscaler in a file and reads its sizes from their shapes.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the file is something else; [`EngineError::Damaged`] when
    /// its shapes do not fit each other.
    pub fn of(file: &'a Checkpoint, job: &'a JobContext) -> Result<Self, EngineError> {
        let stored = names::find(file.tensors());
        let shapes = Shapes { file, stored: &stored };
        let config = match (shapes.has("conv_first.weight"), shapes.has("body.0.weight")) {
            (true, _) => shapes.rrdb().map(UpscalerConfig::Rrdb),
            (_, true) => shapes.compact().map(UpscalerConfig::Compact),
            _ => {
                let reason = format!(
                    "must be one that enlarges pictures (Real-ESRGAN and its kin); this is {}: {}",
                    detect(file).family,
                    file.path().display()
                );
                return Err(EngineError::invalid("model", reason));
            }
        };
        let config = config.ok_or_else(|| {
            EngineError::damaged(file.path(), "is an upscaler of a shape that is not known")
        })?;
        Ok(Self { file, job, stored, config, read: Cell::new(0) })
    }

    /// Returns the sizes.
    pub fn config(&self) -> UpscalerConfig {
        self.config
    }

    fn damaged(&self, reason: String) -> EngineError {
        EngineError::damaged(self.file.path(), reason)
    }
}

impl Tensors for UpscalerWeights<'_> {
    fn has(&self, name: &str) -> bool {
        self.stored.contains_key(name)
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        self.read.set(self.read.get() + 1);
        let total = u32::try_from(self.stored.len()).unwrap_or(u32::MAX);
        let steps = Some([self.read.get().min(total), total]);
        self.job.report(Live { stage: Stage::Loading, steps, ..Live::default() })?;
        let stored = self.stored.get(name);
        let stored = stored.ok_or_else(|| self.damaged(format!("lacks the tensor “{name}”")))?;
        match self.file.tensors().get(stored) {
            Some(info) if info.shape == shape => self.file.floats(stored),
            info => {
                let found = info.map(|info| info.shape.as_slice()).unwrap_or_default();
                let reason =
                    format!("holds the tensor “{stored}” in shape {found:?}, not {shape:?}");
                Err(self.damaged(reason))
            }
        }
    }
}

/// Looks at shapes by BasicSR's names.
struct Shapes<'a> {
    file: &'a Checkpoint,
    stored: &'a BTreeMap<String, String>,
}

impl Shapes<'_> {
    fn has(&self, name: &str) -> bool {
        self.stored.contains_key(name)
    }

    fn shape<const N: usize>(&self, name: &str) -> Option<[usize; N]> {
        let info = self.file.tensors().get(self.stored.get(name)?)?;
        info.shape.as_slice().try_into().ok()
    }

    /// Returns the largest number that stands behind `body.`.
    fn last_of_body(&self) -> Option<usize> {
        let number = |name: &String| name.strip_prefix("body.")?.split('.').next()?.parse().ok();
        self.stored.keys().filter_map(number).max()
    }

    fn compact(&self) -> Option<CompactConfig> {
        let [features, 3, 3, 3] = self.shape("body.0.weight")? else { return None };
        // A convolution and its slopes take turns; the last has none.
        let last = self.last_of_body().filter(|last| last % 2 == 0 && *last >= 2)?;
        let [outputs, _, 3, 3] = self.shape(&format!("body.{last}.weight"))? else { return None };
        let scale = (outputs / 3).isqrt();
        let config = CompactConfig { features, convolutions: last / 2 - 1, scale };
        let is_sound = (1..=MOST).contains(&features)
            && config.convolutions <= MOST
            && (1..=SCALE_MAX).contains(&scale)
            && outputs == 3 * scale * scale;
        is_sound.then_some(config)
    }

    fn rrdb(&self) -> Option<RrdbConfig> {
        let [features, inputs, 3, 3] = self.shape("conv_first.weight")? else { return None };
        let [growth, _, 3, 3] = self.shape("body.0.rdb1.conv1.weight")? else { return None };
        let [3, _, 3, 3] = self.shape("conv_last.weight")? else { return None };
        let fold = match inputs {
            3 => 1,
            12 => 2,
            48 => 4,
            _ => return None,
        };
        let doublings = (1..=4).take_while(|n| self.has(&format!("conv_up{n}.weight"))).count();
        let blocks = self.last_of_body()? + 1;
        let is_sound = [features, growth, blocks].iter().all(|n| (1..=MOST).contains(n));
        let grows = (1 << doublings) >= fold;
        (is_sound && grows).then_some(RrdbConfig { features, growth, blocks, doublings, fold })
    }
}
