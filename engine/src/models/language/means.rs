//! Where and how a decoder computes.

use candle_core::Device;

use crate::kernels::{Level, Precision};
use crate::nn::Compute;

/// Says where and how a decoder computes.
#[derive(Debug, Clone)]
pub struct Means {
    /// With the kernels of this crate or with candle's operations.
    pub compute: Compute,
    /// Whether matrices are kept as f32, whatever form the file has them in.
    pub widens: bool,
    /// The most threads that the kernels work with; without it as many as rayon's pool has.
    pub threads: Option<usize>,
}

impl Means {
    /// Chooses the fastest way for a device.
    pub fn on(device: &Device) -> Self {
        Self::by(Compute::with(device, Precision::Fast))
    }

    /// Chooses the kernels, on the processor.
    pub fn kernels(precision: Precision) -> Self {
        Self::by(Compute::Kernels(Level::best(), precision))
    }

    /// Chooses candle's operations on the processor.
    pub fn candle() -> Self {
        Self::by(Compute::Candle(Device::Cpu, Precision::Exact))
    }

    fn by(compute: Compute) -> Self {
        Self { compute, widens: false, threads: None }
    }
}
