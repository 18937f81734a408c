//! Gives layers their weights by name.

use candle_core::Tensor;

use super::compute::Compute;
use crate::error::EngineError;
use crate::weights::Tensors;

/// Names a place in a file of weights, and says for which way of computing layers are loaded.
#[derive(Clone)]
pub struct Load<'a> {
    tensors: &'a dyn Tensors,
    compute: Compute,
    prefix: String,
    factor: f32,
    is_lean: bool,
}

impl<'a> Load<'a> {
    /// Begins at the root of a file.
    pub fn new(tensors: &'a dyn Tensors, compute: Compute) -> Self {
        Self { tensors, compute, prefix: String::new(), factor: 1.0, is_lean: false }
    }

    /// Goes one name deeper.
    #[must_use]
    pub fn pp(&self, name: impl std::fmt::Display) -> Self {
        Self {
            tensors: self.tensors,
            compute: self.compute.clone(),
            prefix: format!("{}{name}.", self.prefix),
            factor: self.factor,
            is_lean: self.is_lean,
        }
    }

    /// Multiplies all numbers that are read from here on: a layer's output is then so many times as
    /// large, which costs nothing while it runs.
    #[must_use]
    pub fn times(&self, factor: f32) -> Self {
        Self { factor: self.factor * factor, ..self.clone() }
    }

    /// Has weights packed so that they take little memory, where they could be larger and faster.
    #[must_use]
    pub fn lean(self, is_lean: bool) -> Self {
        Self { is_lean, ..self }
    }

    /// Tells whether weights are to take little memory.
    pub fn is_lean(&self) -> bool {
        self.is_lean
    }

    /// Returns the way of computing.
    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// Tells whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.has(&format!("{}{name}", self.prefix))
    }

    /// Reads the numbers of a tensor.
    ///
    /// # Errors
    /// As [`Tensors::read`].
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        let mut values = self.tensors.read(&format!("{}{name}", self.prefix), shape)?;
        if self.factor != 1.0 {
            values.iter_mut().for_each(|value| *value *= self.factor);
        }
        Ok(values)
    }

    /// Reads a tensor onto the device.
    ///
    /// # Errors
    /// As [`Tensors::read`], and errors of the device.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, EngineError> {
        let values = self.values(name, shape)?;
        Ok(Tensor::from_vec(values, shape, self.compute.device())?)
    }
}
