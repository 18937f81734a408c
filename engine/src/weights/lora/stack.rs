//! Several LoRAs with their strengths, and weights that they change while they are read.

use super::Lora;
use crate::error::EngineError;
use crate::weights::names::{Named, Part};

/// The largest strength, either way.
const STRENGTH_MAX: f32 = 100.0;

/// Says how strongly a LoRA changes a model; 1 is as it was trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strength {
    /// For the denoising net.
    pub unet: f32,
    /// For the text encoders.
    pub text: f32,
}

impl Strength {
    /// Makes the same strength for all parts.
    pub fn both(strength: f32) -> Self {
        Self { unet: strength, text: strength }
    }
}

/// Holds the LoRAs that change a model together. Their changes are summed; each DoRA is reckoned
/// against the weight as the model has it.
#[derive(Debug, Default)]
pub struct Stack<'a> {
    loras: Vec<(&'a Lora, Strength)>,
}

impl<'a> Stack<'a> {
    /// Adds a LoRA.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when a strength is not from -100 to 100.
    pub fn push(&mut self, lora: &'a Lora, strength: Strength) -> Result<(), EngineError> {
        for value in [strength.unet, strength.text] {
            if !(-STRENGTH_MAX..=STRENGTH_MAX).contains(&value) {
                let reason = format!("must be from -{STRENGTH_MAX} to {STRENGTH_MAX}, not {value}");
                return Err(EngineError::invalid("strength of the LoRA", reason));
            }
        }
        self.loras.push((lora, strength));
        Ok(())
    }

    /// Tells whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.loras.is_empty()
    }

    /// Computes what is added to a weight, row-major; `None` where nothing is. `base` are the
    /// numbers of the weight itself.
    ///
    /// # Errors
    /// As [`Lora::delta`].
    pub fn delta(
        &self,
        part: Part,
        tensor: &str,
        base: &[f32],
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let mut sum: Option<Vec<f32>> = None;
        for (lora, strength) in &self.loras {
            let strength = match part {
                Part::TextEncoder | Part::TextEncoder2 => strength.text,
                _ => strength.unet,
            };
            if strength == 0.0 {
                continue;
            }
            let Some(mut delta) = lora.delta(part, tensor, base)? else { continue };
            delta.iter_mut().for_each(|value| *value *= strength);
            match &mut sum {
                Some(sum) => sum.iter_mut().zip(delta).for_each(|(sum, value)| *sum += value),
                None => sum = Some(delta),
            }
        }
        Ok(sum)
    }

    /// Adds to a weight what changes it.
    ///
    /// # Errors
    /// As [`Lora::delta`].
    pub fn apply(&self, part: Part, tensor: &str, weight: &mut [f32]) -> Result<(), EngineError> {
        if let Some(delta) = self.delta(part, tensor, weight)? {
            weight.iter_mut().zip(delta).for_each(|(weight, delta)| *weight += delta);
        }
        Ok(())
    }
}

/// Gives the tensors of a part as LoRAs change them.
pub struct Patched<'a> {
    base: &'a Named<'a>,
    stack: &'a Stack<'a>,
}

impl<'a> Patched<'a> {
    /// Puts LoRAs over a part.
    pub fn new(base: &'a Named<'a>, stack: &'a Stack<'a>) -> Self {
        Self { base, stack }
    }

    /// Tells whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.base.has(name)
    }

    /// Reads a tensor of this shape, row-major, with what is added to it.
    ///
    /// # Errors
    /// As [`Named::read`] and [`Lora::delta`].
    pub fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        let mut values = self.base.read(name, shape)?;
        self.stack.apply(self.base.part(), name, &mut values)?;
        Ok(values)
    }
}
