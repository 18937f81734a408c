//! Where a decoder's weights come from.

use candle_core::Device;

use crate::error::EngineError;
use crate::protocol::{JobContext, Live, Stage};
use crate::weights::gguf::{Gguf, Raw};

/// Gives the weights of a decoder by the names that GGUF files have.
pub(super) trait Source {
    /// Tells whether there is a tensor of this name.
    fn has(&self, name: &str) -> bool;

    /// Finds a tensor of this shape.
    fn raw(&mut self, name: &str, shape: &[usize]) -> Result<Raw<'_>, EngineError>;

    /// Takes a vector as f32.
    fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, EngineError> {
        let tensor = self.raw(name, &[length])?.tensor(&[length], &Device::Cpu)?;
        Ok(tensor.dequantize(&Device::Cpu)?.to_vec1()?)
    }
}

/// Takes weights from a GGUF file and reports how many bytes are read.
pub(super) struct FromGguf<'a> {
    pub(super) gguf: &'a Gguf,
    pub(super) bytes: &'a [u8],
    pub(super) job: &'a JobContext,
    pub(super) read: u64,
}

impl Source for FromGguf<'_> {
    fn has(&self, name: &str) -> bool {
        self.gguf.has(name)
    }

    fn raw(&mut self, name: &str, shape: &[usize]) -> Result<Raw<'_>, EngineError> {
        let bytes = Some([self.read, self.gguf.all_bytes()]);
        self.job.report(Live { stage: Stage::Loading, bytes, ..Live::default() })?;
        let raw = self.gguf.raw(self.bytes, name, shape)?;
        self.read += self.gguf.tensor_bytes(name);
        Ok(raw)
    }
}
