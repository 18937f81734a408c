//! Pictures, enlarged: by a net in tiles, or by Lanczos's filter; any factor, transparency kept.

mod planes;
mod tiles;

use crate::error::EngineError;
use crate::math::lanczos::{LanczosRows, lanczos};
use crate::models::upscaler::Upscaler;
use crate::nn::Compute;
use crate::pipelines::open_device;
use crate::protocol::{
    DeviceChoice, EnlargeRequest, JobContext, Live, Pixels, Precision, Size, Stage,
};
use crate::weights::open::Checkpoint;
use crate::weights::upscaler::{UpscalerConfig, UpscalerWeights};

use planes::Planes;
pub use tiles::Tiling;

/// The largest factor.
pub const FACTOR_MAX: f32 = 16.0;
/// The most pixels that a picture may come to have: as many as the library opens.
pub const PIXELS_MAX: u64 = 1 << 26;
/// The longest side that a picture may come to have.
pub const SIDE_MAX_PX: u32 = 16_384;

/// Checks what can be checked without the picture.
///
/// # Errors
/// [`EngineError::InvalidSetting`].
pub fn validate(request: &EnlargeRequest) -> Result<(), EngineError> {
    if !(1.0..=FACTOR_MAX).contains(&request.factor) {
        let reason = format!("must be a number from 1 to {FACTOR_MAX}, not {}", request.factor);
        return Err(EngineError::invalid("factor", reason));
    }
    Ok(())
}

/// Returns how large a picture becomes.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when that is too large, naming the largest factor that is not.
pub fn target(size: Size, factor: f32) -> Result<Size, EngineError> {
    let grown = |px: u32| (f64::from(px) * f64::from(factor)).round().max(1.0);
    let [width, height] = [size.width_px, size.height_px].map(grown);
    if width.max(height) <= f64::from(SIDE_MAX_PX) && width * height <= PIXELS_MAX as f64 {
        return Ok(Size { width_px: width as u32, height_px: height as u32 });
    }
    let [w, h] = [size.width_px, size.height_px].map(f64::from);
    let most = (PIXELS_MAX as f64 / (w * h)).sqrt().min(f64::from(SIDE_MAX_PX) / w.max(h));
    let most = (most * 10.0).floor() / 10.0;
    let advice = if most > 1.0 {
        format!("this picture can become {most} times as wide and high")
    } else {
        "this picture cannot be enlarged".to_owned()
    };
    let reason = format!(
        "would make a picture of {width} × {height} pixels, and at most {} million are made, \
         {SIDE_MAX_PX} on a side; {advice}",
        PIXELS_MAX / 1_000_000
    );
    Err(EngineError::invalid("factor", reason))
}

/// Enlarges a picture by Lanczos's filter.
///
/// # Errors
/// Those of [`target`]; [`EngineError::Cancelled`].
pub fn by_lanczos(pixels: &Pixels, factor: f32, job: &JobContext) -> Result<Pixels, EngineError> {
    let to = sides(target(size_of(pixels), factor)?);
    report(job, [0, 1])?;
    let planes = Planes::of(pixels);
    let rgb = lanczos(&planes.rgb, planes.size, to, 3);
    job.check()?;
    let out = Planes::joined(planes.alpha.as_deref(), planes.size, &rgb, to)?;
    report(job, [1, 1])?;
    Ok(out)
}

/// Returns what enlarging takes in memory beside the net's weights, about.
pub fn memory_bytes(config: &UpscalerConfig, size: Size, factor: f32) -> u64 {
    let pixels = u64::from(size.width_px) * u64::from(size.height_px);
    let grown = (pixels as f64 * f64::from(factor).powi(2)) as u64;
    // The picture, its planes, what came of the pass before, and the result as colours and as pixels.
    Tiling::of(config).memory_bytes(config) as u64 + 11 * pixels + 10 * grown
}

/// Holds a net that enlarges.
#[derive(Debug, Clone)]
pub struct EnlargePipeline {
    model: Upscaler,
    tiling: Tiling,
}

impl EnlargePipeline {
    /// Loads a net from a file of weights.
    ///
    /// # Errors
    /// Those of [`UpscalerWeights::of`] and of reading; [`EngineError::Device`];
    /// [`EngineError::Cancelled`].
    pub fn load(
        file: &Checkpoint,
        (device, precision): (DeviceChoice, Precision),
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        Self::with_compute(file, &Compute::with(&open_device(device)?, precision), job)
    }

    /// Loads a net for a way of computing.
    ///
    /// # Errors
    /// As [`EnlargePipeline::load`].
    pub fn with_compute(
        file: &Checkpoint,
        compute: &Compute,
        job: &JobContext,
    ) -> Result<Self, EngineError> {
        let model = Upscaler::new(&UpscalerWeights::of(file, job)?, compute)?;
        Ok(Self { tiling: Tiling::of(&model.config()), model })
    }

    /// Divides pictures otherwise.
    #[must_use]
    pub fn with_tiling(self, tiling: Tiling) -> Self {
        Self { tiling, ..self }
    }

    /// Returns the net.
    pub fn model(&self) -> &Upscaler {
        &self.model
    }

    /// Enlarges a picture: as often by the net as is needed, then shrinks it where it is too large.
    ///
    /// # Errors
    /// Those of [`target`]; [`EngineError::NotANumber`]; [`EngineError::Cancelled`]; errors of the tensor
    /// library.
    pub fn enlarge(
        &self,
        pixels: &Pixels,
        factor: f32,
        job: &JobContext,
    ) -> Result<Pixels, EngineError> {
        let to = sides(target(size_of(pixels), factor)?);
        let Planes { size: from, mut rgb, alpha } = Planes::of(pixels);
        let scale = self.model.config().scale();
        let passes = passes(scale, factor);
        let mut sizes = vec![from];
        for pass in 0..passes {
            sizes.push(sizes[pass].map(|side| side * scale));
        }
        let total: usize = sizes[..passes].iter().map(|size| self.tiling.count(*size)).sum();
        let total = u32::try_from(total).unwrap_or(u32::MAX);
        report(job, [0, total])?;
        let mut done = 0;
        for (pass, size) in sizes[..passes].iter().enumerate() {
            let grown = sizes[pass + 1];
            let is_last = pass + 1 == passes;
            let mut shrinking = (is_last && grown != to).then(|| LanczosRows::new(grown, to, 3));
            let mut out = Vec::new();
            let mut give = |rows: &[u8]| match &mut shrinking {
                Some(shrinking) => out.extend(shrinking.push(rows)),
                None => out.extend_from_slice(rows),
            };
            let mut count = || {
                done += 1;
                report(job, [done, total])
            };
            let watch: (&dyn Fn() -> _, &mut dyn FnMut() -> _) = (&|| job.check(), &mut count);
            tiles::enlarge(&self.model, self.tiling, (&rgb, *size), watch, &mut give)?;
            rgb = out;
        }
        Planes::joined(alpha.as_deref(), from, &rgb, to)
    }
}

/// Returns how often a net that enlarges by `scale` is used for a factor.
fn passes(scale: usize, factor: f32) -> usize {
    let mut passes = 1;
    let mut grown = scale as f32;
    while scale > 1 && grown < factor {
        grown *= scale as f32;
        passes += 1;
    }
    passes
}

fn report(job: &JobContext, steps: [u32; 2]) -> Result<(), EngineError> {
    job.report(Live { stage: Stage::Enlarging, steps: Some(steps), ..Live::default() })
}

fn size_of(pixels: &Pixels) -> Size {
    Size { width_px: pixels.width_px, height_px: pixels.height_px }
}

fn sides(size: Size) -> [usize; 2] {
    [size.width_px as usize, size.height_px as usize]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_net_is_used_as_often_as_the_factor_needs() {
        let cases = [(4, 4.0, 1), (4, 2.0, 1), (2, 4.0, 2), (2, 4.1, 3), (4, 16.0, 2), (1, 3.0, 1)];
        for (scale, factor, expected) in cases {
            assert_eq!(passes(scale, factor), expected, "×{factor} by ×{scale}");
        }
    }

    #[test]
    fn sizes_that_nothing_could_open_are_refused_with_the_largest_factor() {
        let size = |width_px, height_px| Size { width_px, height_px };
        assert_eq!(target(size(513, 3), 2.5).unwrap(), size(1283, 8));
        assert_eq!(target(size(2048, 2048), 4.0).unwrap(), size(8192, 8192));
        let error = target(size(4000, 3000), 4.0).unwrap_err().to_string();
        assert!(error.contains("16000 × 12000") && error.contains("2.3 times"), "{error}");
        let error = target(size(16_384, 4096), 1.5).unwrap_err().to_string();
        assert!(error.contains("cannot be enlarged"), "{error}");
        for factor in [0.5, -2.0, 17.0, f32::NAN, f32::INFINITY] {
            assert!(validate(&EnlargeRequest::new("a.png", "x", factor)).is_err(), "{factor}");
        }
    }
}
