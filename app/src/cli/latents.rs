//! Latents as a safetensors file, to be compared with another implementation.

use std::collections::HashMap;

use atelier_engine::EngineError;
use atelier_engine::protocol::{Latents, Logits};
use safetensors::tensor::{Dtype, TensorView};

/// Encodes latents as the tensor `latents`, `[batch, c, h, w]` f32.
///
/// # Errors
/// [`EngineError::Model`] when the values do not fit their shape.
pub fn encode(latents: &Latents) -> Result<Vec<u8>, EngineError> {
    let failed = |error: safetensors::SafeTensorError| EngineError::Model {
        reason: format!("the latents cannot be written: {error}"),
    };
    let bytes: Vec<u8> = latents.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, latents.shape.to_vec(), &bytes).map_err(failed)?;
    safetensors::serialize(HashMap::from([("latents", view)]), None).map_err(failed)
}

/// Encodes logits as the tensors `logits`, `[tokens, vocabulary]` f32, and `tokens`, `[tokens]`
/// i64: the tokens that were chosen by them.
///
/// # Errors
/// [`EngineError::Model`] when the values do not fit their shape.
pub fn encode_logits(logits: &Logits) -> Result<Vec<u8>, EngineError> {
    let failed = |error: safetensors::SafeTensorError| EngineError::Model {
        reason: format!("the logits cannot be written: {error}"),
    };
    let values: Vec<u8> = logits.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tokens: Vec<u8> =
        logits.tokens.iter().flat_map(|token| i64::from(*token).to_le_bytes()).collect();
    let values = TensorView::new(Dtype::F32, logits.shape.to_vec(), &values).map_err(failed)?;
    let tokens = TensorView::new(Dtype::I64, vec![logits.tokens.len()], &tokens).map_err(failed)?;
    let tensors = HashMap::from([("logits", values), ("tokens", tokens)]);
    safetensors::serialize(tensors, None).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latents_are_read_back_as_they_were() {
        let values = vec![0.5, -1.0, f32::MIN_POSITIVE, 3.25];
        let latents = Latents { shape: [1, 2, 1, 2], values };
        let bytes = encode(&latents).expect("the shape fits");
        let file = safetensors::SafeTensors::deserialize(&bytes).expect("it was just written");
        let tensor = file.tensor("latents").expect("the tensor is there");
        assert_eq!(tensor.shape(), [1, 2, 1, 2]);
        let read: Vec<u8> = latents.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(tensor.data(), read);
    }

    #[test]
    fn values_that_do_not_fit_their_shape_are_an_error() {
        assert!(encode(&Latents { shape: [1, 1, 1, 2], values: vec![0.0] }).is_err());
    }
}
