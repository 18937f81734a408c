//! Weighted sums of latents, which is all the arithmetic that samplers do.

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};

use crate::error::EngineError;

/// Returns `Σ weight·tensor` in f32; all tensors have one shape and stand on one device.
///
/// On the processor this is one pass: chained candle operations take one each, on one thread, with an
/// allocation in between.
pub(super) fn combine<const N: usize>(terms: [(f64, &Tensor); N]) -> Result<Tensor, EngineError> {
    combine_all(&terms)
}

/// Returns what [`combine`] does for as many terms as there are, at least one.
pub(super) fn combine_all(terms: &[(f64, &Tensor)]) -> Result<Tensor, EngineError> {
    let Some((_, first)) = terms.first() else {
        return Err(EngineError::Model { reason: "no latents are to be added".into() });
    };
    for (_, tensor) in &terms[1..] {
        if tensor.shape() != first.shape() {
            return Err(EngineError::Model {
                reason: format!(
                    "latents of shapes {:?} and {:?} do not fit",
                    first.dims(),
                    tensor.dims()
                ),
            });
        }
    }
    if !matches!(first.device(), Device::Cpu) {
        let mut sum = first.to_dtype(DType::F32)?.affine(terms[0].0, 0.0)?;
        for (weight, tensor) in &terms[1..] {
            sum = (sum + tensor.to_dtype(DType::F32)?.affine(*weight, 0.0)?)?;
        }
        return Ok(sum);
    }
    let mut sum = vec![0.0_f64; first.elem_count()];
    for (weight, tensor) in terms {
        with_values(tensor, |values| {
            for (sum, value) in sum.iter_mut().zip(values) {
                *sum += weight * f64::from(*value);
            }
        })?;
    }
    let sum: Vec<f32> = sum.into_iter().map(|value| value as f32).collect();
    Ok(Tensor::from_vec(sum, first.shape(), &Device::Cpu)?)
}

/// Tells whether every value is a number and finite.
pub(super) fn is_finite(tensor: &Tensor) -> Result<bool, EngineError> {
    if matches!(tensor.device(), Device::Cpu) {
        return with_values(tensor, |values| values.iter().all(|value| value.is_finite()));
    }
    // Zero times anything finite is 0, and one number is quicker fetched than all.
    let sum = tensor.to_dtype(DType::F32)?.affine(0.0, 0.0)?.sum_all()?.to_scalar::<f32>()?;
    Ok(sum == 0.0)
}

/// Reads a tensor on the processor as row-major f32, without a copy where it is that already.
fn with_values<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> R) -> Result<R, EngineError> {
    let tensor = tensor.to_dtype(DType::F32)?.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((from, to))) => Ok(read(&values[from..to])),
        _ => Err(EngineError::Model { reason: "latents are not where they should be".into() }),
    }
}
