//! Where and how a network computes.

use candle_core::{Device, Result, Tensor};

use crate::kernels::Level;

/// Says where and how a network computes.
#[derive(Debug, Clone)]
pub enum Compute {
    /// On the processor, with the kernels of this crate.
    Kernels(Level),
    /// On this device, with candle's operations.
    Candle(Device),
}

impl Compute {
    /// Chooses the fastest way for a device.
    pub fn on(device: &Device) -> Self {
        if device.is_cpu() { Self::Kernels(Level::best()) } else { Self::Candle(device.clone()) }
    }

    /// Returns the device that tensors must be on.
    pub fn device(&self) -> &Device {
        match self {
            Self::Kernels(_) => &Device::Cpu,
            Self::Candle(device) => device,
        }
    }

    /// Lays pictures `[batch, channels, height, width]` out as the convolutions want them.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn lay_out(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Kernels(_) => x.permute((0, 2, 3, 1))?.contiguous(), // [b, h, w, c]
            Self::Candle(_) => x.contiguous(),
        }
    }

    /// Undoes [`Compute::lay_out`].
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn lay_back(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Kernels(_) => x.permute((0, 3, 1, 2))?.contiguous(), // [b, c, h, w]
            Self::Candle(_) => x.contiguous(),
        }
    }
}
