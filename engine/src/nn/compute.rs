//! Where and how a network computes.

use candle_core::{Device, Result, Tensor};

use crate::kernels::{Kind, Level, Precision};

/// Says where and how a network computes.
#[derive(Debug, Clone)]
pub enum Compute {
    /// On the processor, with the kernels of this crate.
    Kernels(Level, Precision),
    /// On this device, with candle's operations.
    Candle(Device),
}

impl Compute {
    /// Chooses the fastest way for a device, in f32 throughout on the processor.
    pub fn on(device: &Device) -> Self {
        Self::with(device, Precision::Exact)
    }

    /// Chooses the fastest way for a device at this precision.
    pub fn with(device: &Device, precision: Precision) -> Self {
        match device {
            Device::Cpu => Self::Kernels(Level::best(), precision),
            _ => Self::Candle(device.clone()),
        }
    }

    /// Returns the device that tensors must be on.
    pub fn device(&self) -> &Device {
        match self {
            Self::Kernels(..) => &Device::Cpu,
            Self::Candle(device) => device,
        }
    }

    /// Tells whether products read bf16, so that what only they read is kept so.
    pub fn is_narrow(&self) -> bool {
        match self {
            Self::Kernels(level, precision) => Kind::of(*level, *precision) == Kind::Bf16,
            Self::Candle(_) => false,
        }
    }

    /// Lays pictures `[batch, channels, height, width]` out as the convolutions want them.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn lay_out(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Kernels(..) => x.permute((0, 2, 3, 1))?.contiguous(), // [b, h, w, c]
            Self::Candle(_) => x.contiguous(),
        }
    }

    /// Undoes [`Compute::lay_out`].
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn lay_back(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Kernels(..) => x.permute((0, 3, 1, 2))?.contiguous(), // [b, c, h, w]
            Self::Candle(_) => x.contiguous(),
        }
    }

    /// Returns `[batch, height, width, channels]` of laid-out pictures.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn sizes(&self, x: &Tensor) -> Result<[usize; 4]> {
        let (a, b, c, d) = x.dims4()?;
        Ok(match self {
            Self::Kernels(..) => [a, b, c, d],
            Self::Candle(_) => [a, c, d, b],
        })
    }

    /// Turns laid-out pictures into rows `[batch · height · width, channels]`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn rows(&self, x: &Tensor) -> Result<Tensor> {
        let [batch, height, width, channels] = self.sizes(x)?;
        let rows = (batch * height * width, channels);
        match self {
            Self::Kernels(..) => x.reshape(rows),
            Self::Candle(_) => x.permute((0, 2, 3, 1))?.contiguous()?.reshape(rows),
        }
    }

    /// Turns rows back into laid-out pictures of these sizes.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn pictures(&self, x: &Tensor, [batch, height, width]: [usize; 3]) -> Result<Tensor> {
        let x = x.reshape((batch, height, width, ()))?;
        match self {
            Self::Kernels(..) => Ok(x),
            Self::Candle(_) => x.permute((0, 3, 1, 2))?.contiguous(),
        }
    }

    /// Joins the channels of laid-out pictures.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn join(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        match self {
            Self::Kernels(..) => {
                let [n, h, w, first] = self.sizes(a)?;
                let second = b.dim(3)?;
                super::map::map2("join", [a, b], (n, h, w, first + second), |[a, b], out| {
                    crate::kernels::join_rows(a, first, b, second, out);
                })
            }
            Self::Candle(_) => Tensor::cat(&[a, b], 1),
        }
    }
}
