//! Classifier-free guidance.

use candle_core::{DType, Tensor};

use super::combine::combine;
use crate::error::EngineError;

/// Returns `uncond + scale·(cond − uncond)`: what the model says with the prompt, pushed away from
/// what it says without (or with the negative prompt). A scale of 1 gives `cond`, 0 gives `uncond`.
///
/// It may be applied to a model's output or to x0, which gives the same, because each is an affine
/// function of the other.
///
/// # Errors
/// [`EngineError::Model`] when the shapes differ.
///
/// # Source
/// Ho, Salimans: Classifier-free diffusion guidance, equation 6, with `scale = 1 + w`.
pub fn guide(cond: &Tensor, uncond: &Tensor, scale: f64) -> Result<Tensor, EngineError> {
    combine([(scale, cond), (1.0 - scale, uncond)])
}

/// Returns the guided output with its contrast held to that of `cond`, each picture of the batch for
/// itself: `phi` of the way from `guided` to `guided·std(cond)/std(guided)`. 0 changes nothing. Strong
/// guidance otherwise burns colours, above all with v models.
///
/// Both are what the model says (epsilon or v), `[batch, …]`, of one shape.
///
/// # Errors
/// [`EngineError::InvalidSetting`] unless `phi` is 0 to 1; [`EngineError::Model`] when the shapes
/// differ.
///
/// # Source
/// Lin, Liu, Li, Yang: Common diffusion noise schedules and sample steps are flawed, section 3.4;
/// diffusers `rescale_noise_cfg`.
pub fn rescale_guidance(guided: &Tensor, cond: &Tensor, phi: f64) -> Result<Tensor, EngineError> {
    if !(0.0..=1.0).contains(&phi) {
        let reason = format!("must be a number from 0 to 1, not {phi}");
        return Err(EngineError::invalid("guidance rescale", reason));
    }
    if guided.shape() != cond.shape() || guided.rank() == 0 {
        let reason = format!("outputs of shapes {:?} and {:?}", guided.dims(), cond.dims());
        return Err(EngineError::Model { reason: format!("{reason} do not fit") });
    }
    if phi == 0.0 {
        return combine([(1.0, guided)]);
    }
    let (wanted, found) = (deviations(cond)?, deviations(guided)?);
    let mut pictures = Vec::with_capacity(found.len());
    for (index, (wanted, found)) in wanted.into_iter().zip(found).enumerate() {
        // A picture without any contrast has none to hold.
        let ratio = if found > 0.0 { wanted / found } else { 1.0 };
        let picture = guided.narrow(0, index, 1)?;
        pictures.push(combine([(1.0 - phi + phi * ratio, &picture)])?);
    }
    Ok(Tensor::cat(&pictures, 0)?)
}

/// Returns the standard deviation of each picture of a batch, with `n − 1` as torch has it.
fn deviations(batch: &Tensor) -> Result<Vec<f64>, EngineError> {
    let rows: Vec<Vec<f32>> = match batch.rank() {
        1 => batch.unsqueeze(1)?,
        _ => batch.flatten_from(1)?, // [batch, values]
    }
    .to_dtype(DType::F32)?
    .to_vec2()?;
    let deviation = |row: Vec<f32>| {
        let count = row.len().max(1) as f64;
        let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let squares = row.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>();
        (squares / (count - 1.0).max(1.0)).sqrt()
    };
    Ok(rows.into_iter().map(deviation).collect())
}
