//! Where and how a network computes.

use candle_core::{DType, Device, Result, Tensor};

use crate::kernels::{Kind, Level, Precision};

/// Says where and how a network computes.
#[derive(Debug, Clone)]
pub enum Compute {
    /// On the processor, with the kernels of this crate.
    Kernels(Level, Precision),
    /// On this device, with candle's operations.
    Candle(Device, Precision),
}

impl Compute {
    /// Chooses the fastest way for a device, in f32 throughout on the processor.
    pub fn on(device: &Device) -> Self {
        Self::with(device, Precision::Exact)
    }

    /// Chooses the fastest way for a device at this precision. Devices that cannot multiply bf16 numbers
    /// compute in f32 at both.
    pub fn with(device: &Device, precision: Precision) -> Self {
        match device {
            Device::Cpu => Self::Kernels(Level::best(), precision),
            _ if precision == Precision::Fast && !multiplies_bf16(device) => {
                Self::Candle(device.clone(), Precision::Exact)
            }
            _ => Self::Candle(device.clone(), precision),
        }
    }

    /// Returns the device that tensors must be on.
    pub fn device(&self) -> &Device {
        match self {
            Self::Kernels(..) => &Device::Cpu,
            Self::Candle(device, _) => device,
        }
    }

    /// Tells whether products read bf16, so that what only they read is kept so.
    pub fn is_narrow(&self) -> bool {
        match self {
            Self::Kernels(level, precision) => Kind::of(*level, *precision) == Kind::Bf16,
            Self::Candle(_, precision) => *precision == Precision::Fast,
        }
    }

    /// Returns the numbers that products read.
    pub fn products(&self) -> DType {
        if self.is_narrow() { DType::BF16 } else { DType::F32 }
    }

    /// Lays pictures `[batch, channels, height, width]` out as the convolutions want them.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn lay_out(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Kernels(..) => x.permute((0, 2, 3, 1))?.contiguous(), // [b, h, w, c]
            Self::Candle(..) => x.contiguous(),
        }
    }

    /// Undoes [`Compute::lay_out`].
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn lay_back(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Kernels(..) => x.permute((0, 3, 1, 2))?.contiguous(), // [b, c, h, w]
            Self::Candle(..) => x.contiguous(),
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
            Self::Candle(..) => [a, c, d, b],
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
            Self::Candle(..) => x.permute((0, 2, 3, 1))?.contiguous()?.reshape(rows),
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
            Self::Candle(..) => x.permute((0, 3, 1, 2))?.contiguous(),
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
            Self::Candle(..) => Tensor::cat(&[a, b], 1),
        }
    }
}

/// Tells whether a device has all that is done with bf16 numbers there: it is tried, because neither the
/// kind of device nor its age says so alone (a card before compute capability 8.0, kernels built for one,
/// a Mac without bf16).
fn multiplies_bf16(device: &Device) -> bool {
    let attempt = || -> Result<f32> {
        let ones = Tensor::ones((2, 3), DType::F32, device)?.to_dtype(DType::BF16)?;
        let product = ones.matmul(&ones.t()?.contiguous()?)?; // 2 × 2 threes
        let picture = product.reshape((1, 1, 2, 2))?;
        let sums = picture.conv2d(&picture, 0, 1, 1, 1)?; // 4 · 3 · 3
        sums.to_dtype(DType::F32)?.sum_all()?.to_scalar()
    };
    attempt().is_ok_and(|sum| sum == 36.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_does_with_bf16_is_tried() {
        assert!(!multiplies_bf16(&Device::Cpu), "candle has no convolution of bf16 there");
    }

    #[test]
    fn candles_operations_multiply_bf16_where_they_are_to_be_fast() {
        let fast = Compute::Candle(Device::Cpu, Precision::Fast);
        assert!(fast.is_narrow() && fast.products() == DType::BF16);
        let exact = Compute::Candle(Device::Cpu, Precision::Exact);
        assert!(!exact.is_narrow() && exact.products() == DType::F32);
    }
}
