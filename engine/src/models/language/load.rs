//! Where a decoder's weights come from.

use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor};

use crate::error::EngineError;
use crate::protocol::{JobContext, Live, Stage};
use crate::weights::gguf::Gguf;

/// Gives the weights of a decoder by the names that GGUF files have.
pub(super) trait Source {
    /// Tells whether there is a tensor of this name.
    fn has(&self, name: &str) -> bool;

    /// Takes a tensor of this shape.
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<QTensor, EngineError>;

    /// Tells whether matrices are kept as f32, whatever form the file has them in.
    fn widens(&self) -> bool {
        false
    }

    /// Returns the device that the weights go to.
    fn device(&self) -> &Device;

    /// Takes a vector as f32.
    fn vector(&mut self, name: &str, length: usize) -> Result<Tensor, EngineError> {
        let tensor = self.tensor(name, &[length])?;
        Ok(tensor.dequantize(self.device())?)
    }
}

/// Takes weights from a GGUF file and reports how many bytes are read.
pub(super) struct FromGguf<'a> {
    pub(super) gguf: &'a Gguf,
    pub(super) bytes: &'a [u8],
    pub(super) device: &'a Device,
    pub(super) job: &'a JobContext,
    pub(super) widens: bool,
    pub(super) read: u64,
}

impl Source for FromGguf<'_> {
    fn has(&self, name: &str) -> bool {
        self.gguf.has(name)
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<QTensor, EngineError> {
        let bytes = Some([self.read, self.gguf.all_bytes()]);
        self.job.report(Live { stage: Stage::Loading, bytes, ..Live::default() })?;
        let tensor = self.gguf.tensor(self.bytes, name, shape, self.device)?;
        self.read += self.gguf.tensor_bytes(name);
        Ok(tensor)
    }

    fn widens(&self) -> bool {
        self.widens
    }

    fn device(&self) -> &Device {
        self.device
    }
}
