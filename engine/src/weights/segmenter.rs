//! The house's net that tells a subject from its background, as plain data: its sizes by its
//! configuration, and its tensors, widened.

use std::cell::Cell;
use std::path::Path;

use serde::Deserialize;

use super::Tensors;
use super::open::Checkpoint;
use crate::error::EngineError;
use crate::protocol::{JobContext, Live, Stage};

/// The most levels and channels that a net is believed to have.
const MOST: [usize; 2] = [8, 1024];
/// The longest side that a net is believed to see.
const SIDE_MAX: usize = 2048;

/// Holds the sizes of the net.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SegmenterConfig {
    /// Channels of each level, the finest first; every level has half the side of the one before.
    pub channels: Vec<usize>,
    /// The side of the square that it was trained to see.
    pub side: usize,
}

impl SegmenterConfig {
    /// Reads a `config.json`; `path` names the model in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is none, or its sizes do not fit each other.
    pub fn from_json(json: &str, path: &Path) -> Result<Self, EngineError> {
        let config: Self = serde_json::from_str(json).map_err(|error| {
            EngineError::damaged(path, format!("has a configuration that is none ({error})"))
        })?;
        let [levels, channels] = MOST;
        let is_sound = (1..=levels).contains(&config.channels.len())
            && config.channels.iter().all(|n| (1..=channels).contains(n))
            && (1..=SIDE_MAX).contains(&config.side)
            && config.side.is_multiple_of(config.multiple());
        if is_sound {
            Ok(config)
        } else {
            Err(EngineError::damaged(path, "has a configuration whose sizes do not fit each other"))
        }
    }

    /// Returns what the sides of a picture must be multiples of.
    pub fn multiple(&self) -> usize {
        1 << (self.channels.len() - 1)
    }
}

/// Gives the tensors of the net, widened to f32, and reports each.
pub struct SegmenterWeights<'a> {
    file: &'a Checkpoint,
    job: &'a JobContext,
    read: Cell<u32>,
}

impl<'a> SegmenterWeights<'a> {
    /// Reads from a file on behalf of a job.
    pub fn of(file: &'a Checkpoint, job: &'a JobContext) -> Self {
        Self { file, job, read: Cell::new(0) }
    }
}

impl Tensors for SegmenterWeights<'_> {
    fn has(&self, name: &str) -> bool {
        self.file.tensors().contains_key(name)
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        self.read.set(self.read.get() + 1);
        let total = u32::try_from(self.file.tensors().len()).unwrap_or(u32::MAX);
        let steps = Some([self.read.get().min(total), total]);
        self.job.report(Live { stage: Stage::Loading, steps, ..Live::default() })?;
        let damaged = |reason| Err(EngineError::damaged(self.file.path(), reason));
        match self.file.tensors().get(name) {
            Some(info) if info.shape == shape => self.file.floats(name),
            Some(info) => damaged(format!(
                "holds the tensor “{name}” in shape {:?}, not {shape:?}",
                info.shape
            )),
            None => damaged(format!("lacks the tensor “{name}”")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn sizes_that_do_not_fit_each_other_are_refused() {
        let read = |json: &str| SegmenterConfig::from_json(json, Path::new("config.json"));
        let config = read(r#"{"channels": [16, 32, 48], "side": 64, "more": 1}"#).unwrap();
        assert_eq!((config.multiple(), config.side), (4, 64));
        for json in [
            "",
            "{}",
            r#"{"channels": [], "side": 64}"#,
            r#"{"channels": [16, 0], "side": 64}"#,
            r#"{"channels": [16, 16], "side": 63}"#,
            r#"{"channels": [16], "side": 0}"#,
            r#"{"channels": [16], "side": 1000000}"#,
            r#"{"channels": [1,1,1,1,1,1,1,1,1], "side": 256}"#,
        ] {
            assert!(matches!(read(json), Err(EngineError::Damaged { .. })), "{json}");
        }
    }
}
