//! Pictures of latents by a matrix: one pixel per latent, in about the right colours.

use candle_core::{DType, Tensor};

use crate::error::EngineError;
use crate::protocol::Pixels;

use super::to_pixels;

/// What each of four channels adds to red, green and blue, and what is there without any.
struct Colours {
    channels: [[f64; 3]; 4],
    base: [f64; 3],
}

/// # Source
/// ComfyUI `latent_formats.py`, `SD15.latent_rgb_factors`.
const STABLE_DIFFUSION: Colours = Colours {
    channels: [
        [0.3512, 0.2297, 0.3227],
        [0.3250, 0.4974, 0.2350],
        [-0.2829, 0.1762, 0.2721],
        [-0.2120, -0.2616, -0.7177],
    ],
    base: [0.0; 3],
};

/// # Source
/// ComfyUI `latent_formats.py`, `SDXL.latent_rgb_factors` and `latent_rgb_factors_bias`.
const STABLE_DIFFUSION_XL: Colours = Colours {
    channels: [
        [0.3651, 0.4232, 0.4341],
        [-0.2533, -0.0042, 0.1068],
        [0.1076, 0.1111, -0.0362],
        [-0.3165, -0.2492, -0.2188],
    ],
    base: [0.1084, -0.0175, -0.0011],
};

/// Draws latents `[4, h, w]` of Stable Diffusion, or of XL, at one pixel each.
///
/// # Errors
/// [`EngineError::NotANumber`] when a value is not finite; [`EngineError::Model`] for another number
/// of channels.
pub fn linear(latents: &Tensor, is_xl: bool) -> Result<Pixels, EngineError> {
    let (channels, height, width) = latents.dims3()?;
    let colours = if is_xl { &STABLE_DIFFUSION_XL } else { &STABLE_DIFFUSION };
    let values: Vec<f32> = latents.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    if channels != colours.channels.len() {
        let reason = format!("no colours are known for latents of {channels} channels");
        return Err(EngineError::Model { reason });
    }
    let area = height * width;
    let mut picture = vec![0f32; 3 * area];
    for (colour, plane) in picture.chunks_exact_mut(area.max(1)).enumerate() {
        for (at, out) in plane.iter_mut().enumerate() {
            let mixed =
                colours.channels.iter().enumerate().map(|(channel, weights)| {
                    weights[colour] * f64::from(values[channel * area + at])
                });
            *out = (colours.base[colour] + mixed.sum::<f64>()) as f32;
        }
    }
    let picture = Tensor::from_vec(picture, (3, height, width), &candle_core::Device::Cpu)?;
    to_pixels(&picture, "preview")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use candle_core::Device;

    use super::*;

    #[test]
    fn each_latent_is_one_pixel_of_its_own_colour() {
        let values = [1.0f32, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let latents = Tensor::from_slice(&values, (4, 1, 2), &Device::Cpu).unwrap();
        let pixels = linear(&latents, false).unwrap();
        assert_eq!((pixels.width_px, pixels.height_px), (2, 1));
        assert_eq!(pixels.rgba, [172, 157, 169, 255, 100, 94, 36, 255]);
        let grey = Tensor::zeros((4, 1, 1), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(linear(&grey, true).unwrap().rgba, [141, 125, 127, 255]);
        assert!(linear(&grey.narrow(0, 0, 3).unwrap(), true).is_err());
    }
}
