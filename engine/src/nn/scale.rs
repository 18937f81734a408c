//! Half and double the size, in the layout that [`Compute::lay_out`] gives.

use candle_core::{Result, Tensor};

use super::compute::Compute;
use super::map::map1;
use crate::kernels::{self, ConvShape};

/// Halves pictures each way: every pixel becomes the mean of four. Sides must be even.
///
/// # Errors
/// Passes on errors of the tensor library; one where a side is odd.
pub fn halve(compute: &Compute, x: &Tensor) -> Result<Tensor> {
    let [images, height, width, channels] = compute.sizes(x)?;
    if height % 2 + width % 2 > 0 {
        candle_core::bail!("a picture of {width} × {height} has no half");
    }
    match compute {
        Compute::Kernels(..) => {
            let shape = ConvShape { images, height, width, channels };
            let half = (images, height / 2, width / 2, channels);
            map1("halve", x, half, |x, out: &mut [f32]| kernels::halve(x, shape, out))
        }
        Compute::Candle(..) => x.avg_pool2d(2),
    }
}

/// Doubles pictures each way, every pixel repeated.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn double(compute: &Compute, x: &Tensor) -> Result<Tensor> {
    let [images, height, width, channels] = compute.sizes(x)?;
    match compute {
        Compute::Kernels(..) => {
            let shape = ConvShape { images, height, width, channels };
            let twice = (images, 2 * height, 2 * width, channels);
            map1("double", x, twice, |x, out: &mut [f32]| kernels::double(x, shape, out))
        }
        Compute::Candle(..) => x.upsample_nearest2d(2 * height, 2 * width),
    }
}
