//! What the weights of a prompt do to its embeddings.

use candle_core::{DType, Tensor};

use crate::error::EngineError;

/// Says how weights are applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum EmphasisRule {
    /// Multiplies each token, then all so that their mean is what it was.
    ///
    /// # Source
    /// AUTOMATIC1111's web UI, emphasis mode “Original”.
    #[default]
    RestoreMean,
    /// Multiplies each token and leaves it at that: “No norm” there.
    Multiply,
    /// Moves each token away from what the empty prompt has at its place, or towards it: ComfyUI.
    FromEmpty,
    /// Does nothing.
    Ignore,
}

/// Applies weights, one per token, to embeddings `[tokens, width]`; the result is f32. `empty` is
/// what the empty prompt gives, of the same shape, which only [`EmphasisRule::FromEmpty`] needs.
///
/// # Errors
/// [`EngineError::Model`] when shapes and the number of weights do not fit, or `empty` is missing.
pub fn apply_emphasis(
    rule: EmphasisRule,
    embeddings: &Tensor,
    weights: &[f32],
    empty: Option<&Tensor>,
) -> Result<Tensor, EngineError> {
    let wrong = |reason: String| EngineError::Model { reason };
    let (tokens, width) = embeddings.dims2()?;
    if weights.len() != tokens {
        return Err(wrong(format!("{} weights for {tokens} tokens", weights.len())));
    }
    let embeddings = embeddings.to_dtype(DType::F32)?;
    if rule == EmphasisRule::Ignore || weights.iter().all(|weight| *weight == 1.0) {
        return Ok(embeddings);
    }
    let weights = Tensor::from_slice(weights, (tokens, 1), embeddings.device())?;
    if rule == EmphasisRule::FromEmpty {
        let empty = empty.ok_or_else(|| wrong("the empty prompt is missing".to_owned()))?;
        if empty.dims() != [tokens, width] {
            return Err(wrong(format!("the empty prompt has the shape {:?}", empty.dims())));
        }
        let empty = empty.to_dtype(DType::F32)?;
        return Ok(((embeddings - &empty)?.broadcast_mul(&weights)? + empty)?);
    }
    let weighted = embeddings.broadcast_mul(&weights)?; // [tokens, width]
    if rule == EmphasisRule::Multiply {
        return Ok(weighted);
    }
    let mean = |tensor: &Tensor| -> Result<f64, EngineError> {
        // One mean per token first: f32 sums of a whole prompt would lose digits.
        let rows: Vec<f32> = tensor.mean(1)?.to_vec1()?; // [tokens]
        Ok(rows.iter().map(|value| f64::from(*value)).sum::<f64>() / tokens as f64)
    };
    let (before, after) = (mean(&embeddings)?, mean(&weighted)?);
    // Weights of 0 throughout leave no mean to restore.
    let ratio = if after == 0.0 { 1.0 } else { before / after };
    Ok((weighted * ratio)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn tensor(values: [f32; 6]) -> Tensor {
        Tensor::from_slice(&values, (3, 2), &Device::Cpu).expect("a tensor")
    }

    fn applied(rule: EmphasisRule, weights: &[f32]) -> Vec<f32> {
        let (embeddings, empty) = (tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), tensor([1.0; 6]));
        let result = apply_emphasis(rule, &embeddings, weights, Some(&empty)).expect("embeddings");
        result.flatten_all().and_then(|flat| flat.to_vec1()).expect("values")
    }

    #[test]
    fn each_rule_moves_the_weighted_token_in_its_own_way() {
        let weights = [1.0, 2.0, 1.0];
        assert_eq!(applied(EmphasisRule::Ignore, &weights), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(applied(EmphasisRule::Multiply, &weights), [1.0, 2.0, 6.0, 8.0, 5.0, 6.0]);
        assert_eq!(applied(EmphasisRule::FromEmpty, &weights), [1.0, 2.0, 5.0, 7.0, 5.0, 6.0]);
        // The sum was 21 and is 28: all by ¾.
        let restored = applied(EmphasisRule::RestoreMean, &weights);
        for (found, wanted) in restored.iter().zip([0.75, 1.5, 4.5, 6.0, 3.75, 4.5]) {
            assert!((found - wanted).abs() < 1e-6, "{restored:?}");
        }
    }

    #[test]
    fn weights_of_one_change_no_bit_and_weights_of_zero_make_no_infinity() {
        for rule in [EmphasisRule::RestoreMean, EmphasisRule::Multiply, EmphasisRule::FromEmpty] {
            assert_eq!(applied(rule, &[1.0; 3]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            assert!(applied(rule, &[0.0; 3]).iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn weights_and_shapes_that_do_not_fit_are_refused() {
        let embeddings = tensor([0.0; 6]);
        assert!(apply_emphasis(EmphasisRule::Multiply, &embeddings, &[1.0; 2], None).is_err());
        let narrow = embeddings.narrow(1, 0, 1).expect("a tensor");
        for empty in [None, Some(&narrow)] {
            let rule = EmphasisRule::FromEmpty;
            assert!(apply_emphasis(rule, &embeddings, &[2.0; 3], empty).is_err());
        }
    }
}
