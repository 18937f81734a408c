//! Linear layers over rows.

use candle_core::{D, Result, Tensor};

use super::compute::Compute;
use super::load::Load;
use super::map::{map1, map2, map3};
use super::norm::Spans;
use crate::error::EngineError;
use crate::kernels::{self, Epilogue, Level, Modulation, Panels, swiglu_row};

/// A matrix in the form that its way of computing reads.
#[derive(Debug, Clone)]
enum Matrix {
    Packed(Panels),
    /// Transposed: `[inputs, outputs]`.
    Tensor(Tensor),
}

impl Matrix {
    fn new(
        inputs: usize,
        outputs: usize,
        load: &Load<'_>,
        pack: impl FnOnce(Level, &[f32]) -> Panels,
    ) -> std::result::Result<Self, EngineError> {
        Ok(match load.compute() {
            Compute::Kernels(level) => {
                Self::Packed(pack(*level, &load.values("weight", &[outputs, inputs])?))
            }
            Compute::Candle(_) => {
                Self::Tensor(load.tensor("weight", &[outputs, inputs])?.t()?.contiguous()?)
            }
        })
    }
}

/// A linear layer.
#[derive(Debug, Clone)]
pub struct Linear {
    matrix: Matrix,
    bias: Option<(Vec<f32>, Tensor)>,
    outputs: usize,
}

/// Names a gate: the part with this index of a modulation `[sequences, parts · width]`.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    /// The modulation.
    pub modulation: &'a Tensor,
    /// Which part of it.
    pub part: usize,
    /// Which rows belong to which sequence.
    pub spans: &'a Spans,
}

impl Linear {
    /// Loads `weight` `[outputs, inputs]` and `bias` `[outputs]`.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(
        inputs: usize,
        outputs: usize,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let mut linear = Self::without_bias(inputs, outputs, load)?;
        let bias = load.values("bias", &[outputs])?;
        let tensor = Tensor::from_slice(&bias, outputs, load.compute().device())?;
        linear.bias = Some((bias, tensor));
        Ok(linear)
    }

    /// Loads `weight` `[outputs, inputs]` only.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn without_bias(
        inputs: usize,
        outputs: usize,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let matrix = Matrix::new(inputs, outputs, load, |level, weight| {
            Panels::linear(level, outputs, inputs, weight)
        })?;
        Ok(Self { matrix, bias: None, outputs })
    }

    /// Computes `x · weightᵀ + bias` for rows `[rows, inputs]`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.dim(0)?;
        match &self.matrix {
            Matrix::Packed(panels) => map1("linear", x, (rows, self.outputs), |x, out| {
                let bias = self.bias.as_ref().map(|(bias, _)| bias.as_slice());
                kernels::linear(x, rows, panels, Epilogue::Bias(bias), out);
            }),
            Matrix::Tensor(weight) => {
                let y = x.matmul(weight)?;
                match &self.bias {
                    Some((_, bias)) => y.broadcast_add(bias),
                    None => Ok(y),
                }
            }
        }
    }

    /// Computes `silu(x · weightᵀ + bias)`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward_silu(&self, x: &Tensor) -> Result<Tensor> {
        match (&self.matrix, &self.bias) {
            (Matrix::Packed(panels), Some((bias, _))) => {
                let rows = x.dim(0)?;
                map1("linear_silu", x, (rows, self.outputs), |x, out| {
                    kernels::linear(x, rows, panels, Epilogue::BiasSilu(bias), out);
                })
            }
            _ => self.forward(x)?.silu(),
        }
    }

    /// Computes `residual + gate · (x · weightᵀ)`; a layer used so has no bias.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward_residual(
        &self,
        x: &Tensor,
        residual: &Tensor,
        gate: Option<Gate<'_>>,
    ) -> Result<Tensor> {
        let rows = x.dim(0)?;
        let shape = (rows, self.outputs);
        match (&self.matrix, gate) {
            (Matrix::Packed(panels), None) => {
                map2("linear_residual", [x, residual], shape, |[x, residual], out| {
                    let epilogue = Epilogue::GatedResidual { residual, gate: None };
                    kernels::linear(x, rows, panels, epilogue, out);
                })
            }
            (Matrix::Packed(panels), Some(Gate { modulation, part, spans })) => {
                let stride = modulation.dim(1)?;
                let inputs = [x, residual, modulation];
                map3("linear_gated", inputs, shape, |[x, residual, values], out| {
                    let owners = spans.owners();
                    let gate = Some((Modulation { values, stride, owners }, part));
                    let epilogue = Epilogue::GatedResidual { residual, gate };
                    kernels::linear(x, rows, panels, epilogue, out);
                })
            }
            (Matrix::Tensor(_), None) => residual + self.forward(x)?,
            (Matrix::Tensor(_), Some(Gate { modulation, part, spans })) => {
                residual + (spans.spread(modulation, part, self.outputs)? * self.forward(x)?)?
            }
        }
    }
}

/// The first half of a gated MLP: `silu(gate) · value`.
#[derive(Debug, Clone)]
pub struct SwiGlu {
    matrix: Matrix,
    outputs: usize,
}

impl SwiGlu {
    /// Loads `weight` `[2 · outputs, inputs]`: the rows of all gates, then of all values.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(
        inputs: usize,
        outputs: usize,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let matrix = Matrix::new(inputs, 2 * outputs, load, |level, weight| {
            Panels::pack(level, 2 * outputs, 1, inputs, |output, _, k| {
                weight[swiglu_row(level, 2 * outputs, output) * inputs + k]
            })
        })?;
        Ok(Self { matrix, outputs })
    }

    /// Computes the gated values of rows `[rows, inputs]`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.dim(0)?;
        match &self.matrix {
            Matrix::Packed(panels) => map1("swiglu", x, (rows, self.outputs), |x, out| {
                kernels::linear(x, rows, panels, Epilogue::SwiGlu, out);
            }),
            Matrix::Tensor(weight) => {
                let both = x.matmul(weight)?; // [rows, 2 · outputs]
                let gate = both.narrow(D::Minus1, 0, self.outputs)?.silu()?;
                gate * both.narrow(D::Minus1, self.outputs, self.outputs)?
            }
        }
    }
}
