//! Pictures as tensors ↔ pixels to look at.

mod linear;

use candle_core::{DType, Tensor};

pub use linear::linear;

use crate::error::EngineError;
use crate::protocol::Pixels;

/// Turns a picture `[3, height, width]` in -1..=1 into 8-bit pixels; what lies beyond is cut off.
///
/// # Errors
/// [`EngineError::NotANumber`], naming `stage`, when a value is not finite; errors of the tensor
/// library.
pub fn to_pixels(picture: &Tensor, stage: &str) -> Result<Pixels, EngineError> {
    let (_, height, width) = picture.dims3()?;
    let values: Vec<f32> = picture.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    if !values.iter().all(|value| value.is_finite()) {
        return Err(EngineError::NotANumber { stage: stage.to_owned() });
    }
    let byte = |value: f32| ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
    let (red, rest) = values.split_at(height * width);
    let (green, blue) = rest.split_at(height * width);
    let mut rgba = Vec::with_capacity(4 * height * width);
    for ((red, green), blue) in red.iter().zip(green).zip(blue) {
        rgba.extend([byte(*red), byte(*green), byte(*blue), 255]);
    }
    let size = (u32::try_from(width), u32::try_from(height));
    match size {
        (Ok(width), Ok(height)) => Pixels::new(width, height, rgba),
        _ => None,
    }
    .ok_or_else(|| EngineError::Model { reason: "a picture has no pixels".into() })
}

/// Turns 8-bit pixels into a picture `[1, 3, height, width]` in -1..=1; alpha is left out.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn from_pixels(pixels: &Pixels) -> Result<Tensor, EngineError> {
    let (width, height) = (pixels.width_px as usize, pixels.height_px as usize);
    let channel = |c: usize| pixels.rgba.iter().skip(c).step_by(4);
    let values: Vec<f32> =
        (0..3).flat_map(channel).map(|byte| f32::from(*byte) / 127.5 - 1.0).collect();
    Ok(Tensor::from_vec(values, (1, 3, height, width), &candle_core::Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn pixels_survive_the_way_to_a_tensor_and_back() {
        let rgba: Vec<u8> =
            (0..6 * 4).map(|i| if i % 4 == 3 { 255 } else { (i * 11) as u8 }).collect();
        let pixels = Pixels::new(3, 2, rgba).unwrap();
        let tensor = from_pixels(&pixels).unwrap();
        assert_eq!(tensor.dims(), [1, 3, 2, 3]);
        assert_eq!(to_pixels(&tensor.squeeze(0).unwrap(), "x").unwrap(), pixels);
    }

    #[test]
    fn values_beyond_the_range_are_cut_off_and_nan_is_an_error() {
        let device = candle_core::Device::Cpu;
        let tensor = Tensor::from_slice(&[-3.0f32, 0.0, 7.5], (3, 1, 1), &device).unwrap();
        assert_eq!(to_pixels(&tensor, "x").unwrap().rgba, [0, 128, 255, 255]);
        let tensor = Tensor::from_slice(&[0.0, f32::NAN, 0.0], (3, 1, 1), &device).unwrap();
        let error = to_pixels(&tensor, "decoder").unwrap_err();
        assert_eq!(error, EngineError::NotANumber { stage: "decoder".into() });
    }
}
