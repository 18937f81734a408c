//! Linear layers over rows.

use candle_core::{D, DType, Result, Tensor};

use super::compute::Compute;
use super::conv::apply;
use super::load::Load;
use super::map::{Output, f32s, narrow_or_wide, run1, run2, run3};
use super::norm::Spans;
use crate::error::EngineError;
use crate::kernels::{self, Activation, Epilogue, Modulation, Panels, paired_row};

/// A matrix in the form that its way of computing reads.
#[derive(Debug, Clone)]
enum Matrix {
    Packed(Panels),
    /// Transposed: `[inputs, outputs]`, in the numbers that products read.
    Tensor(Tensor),
}

impl Matrix {
    /// Takes a matrix `[outputs, inputs]`, row-major, whose rows are laid into panels in the order
    /// that `row` gives.
    fn new(
        [inputs, outputs]: [usize; 2],
        weight: Vec<f32>,
        compute: &Compute,
        row: impl Fn(usize, usize) -> usize + Sync,
    ) -> Result<Self> {
        Ok(match compute {
            Compute::Kernels(level, precision) => {
                let width = Panels::width_at(*level);
                let at = |output: usize, _, k: usize| weight[row(width, output) * inputs + k];
                let shape = [outputs, 1, inputs];
                Self::Packed(Panels::pack_as(*level, *precision, shape, at))
            }
            Compute::Candle(device, _) => {
                let weight = Tensor::from_vec(weight, (outputs, inputs), device)?;
                Self::Tensor(weight.to_dtype(compute.products())?.t()?.contiguous()?)
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
        linear.bias = Some(bias(outputs, load)?);
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
        Self::of_matrix([inputs, outputs], "weight", load)
    }

    /// Loads a matrix `[outputs, inputs]` of this name as a layer without bias.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn of_matrix(
        [inputs, outputs]: [usize; 2],
        name: &str,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let weight = load.values(name, &[outputs, inputs])?;
        let matrix = Matrix::new([inputs, outputs], weight, load.compute(), |_, output| output)?;
        Ok(Self { matrix, bias: None, outputs })
    }

    /// Loads several layers over the same inputs as one, whose outputs stand side by side; all have a
    /// bias or none has.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn joined(
        inputs: usize,
        outputs: usize,
        loads: &[Load<'_>],
        has_bias: bool,
    ) -> std::result::Result<Self, EngineError> {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for load in loads {
            weight.extend(load.values("weight", &[outputs, inputs])?);
            if has_bias {
                bias.extend(load.values("bias", &[outputs])?);
            }
        }
        let outputs = outputs * loads.len();
        let Some(compute) = loads.first().map(Load::compute) else {
            return Err(candle_core::Error::Msg("no layers to join".to_owned()).into());
        };
        let matrix = Matrix::new([inputs, outputs], weight, compute, |_, output| output)?;
        let bias = if has_bias {
            let tensor = Tensor::from_slice(&bias, outputs, compute.device())?;
            Some((bias, tensor))
        } else {
            None
        };
        Ok(Self { matrix, bias, outputs })
    }

    /// Loads a 1×1 convolution, whose weight is `[outputs, inputs, 1, 1]`, as a linear layer over the
    /// pixels; a weight `[outputs, inputs]` is taken too where `is_linear`.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn pointwise(
        inputs: usize,
        outputs: usize,
        is_linear: bool,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        if is_linear {
            return Self::new(inputs, outputs, load);
        }
        let weight = load.values("weight", &[outputs, inputs, 1, 1])?;
        let matrix = Matrix::new([inputs, outputs], weight, load.compute(), |_, output| output)?;
        Ok(Self { matrix, bias: Some(bias(outputs, load)?), outputs })
    }

    /// Computes `x · weightᵀ + bias` for rows `[rows, inputs]`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_activated(x, Activation::None)
    }

    /// Computes `silu(x · weightᵀ + bias)`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward_silu(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_activated(x, Activation::Silu)
    }

    /// Computes `activation(x · weightᵀ + bias)` as f32.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        self.run::<f32>(x, activation)
    }

    /// Computes `activation(x · weightᵀ + bias)` in the numbers that products read.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward_narrow(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        narrow_or_wide!(self.is_narrow(), O => self.run::<O>(x, activation))
    }

    fn is_narrow(&self) -> bool {
        match &self.matrix {
            Matrix::Packed(panels) => panels.kind() == kernels::Kind::Bf16,
            Matrix::Tensor(weight) => weight.dtype() == DType::BF16,
        }
    }

    fn run<O: Output>(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let rows = x.dim(0)?;
        match &self.matrix {
            Matrix::Packed(panels) => {
                self.check(x, panels)?;
                let bias = self.bias.as_ref().map(|(bias, _)| bias.as_slice());
                let epilogue = Epilogue { bias, activation, ..Epilogue::default() };
                run1("linear", x, (rows, self.outputs), |[x], out: &mut [O]| {
                    kernels::linear(x, rows, panels, epilogue, out);
                })
            }
            Matrix::Tensor(weight) => {
                let y = product(x, weight)?;
                let y = match &self.bias {
                    Some((_, bias)) => y.broadcast_add(bias)?,
                    None => y,
                };
                apply(activation, &y)?.to_dtype(O::DTYPE)
            }
        }
    }

    fn check(&self, x: &Tensor, panels: &Panels) -> Result<()> {
        if x.dims2()?.1 != panels.depth() {
            candle_core::bail!("a layer of {} inputs cannot read {:?}", panels.depth(), x.dims());
        }
        if x.dtype() == DType::BF16 && !self.is_narrow() {
            candle_core::bail!("a layer in f32 cannot read bf16");
        }
        Ok(())
    }

    /// Computes `residual + gate · (x · weightᵀ + bias)`.
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
        let Matrix::Packed(panels) = &self.matrix else {
            let y = self.forward(x)?;
            return match gate {
                None => residual + y,
                Some(Gate { modulation, part, spans }) => {
                    residual + (spans.spread(modulation, part, self.outputs)? * y)?
                }
            };
        };
        self.check(x, panels)?;
        let bias = self.bias.as_ref().map(|(bias, _)| bias.as_slice());
        match gate {
            None => {
                run2("linear_residual", [x, residual], shape, |[x, residual], out: &mut [f32]| {
                    let residual = Some(f32s(residual));
                    let epilogue = Epilogue { bias, residual, ..Epilogue::default() };
                    kernels::linear(x, rows, panels, epilogue, out);
                })
            }
            Some(Gate { modulation, part, spans }) => {
                let stride = modulation.dim(1)?;
                let inputs = [x, residual, modulation];
                run3("linear_gated", inputs, shape, |[x, residual, values], out: &mut [f32]| {
                    let (values, owners) = (f32s(values), spans.owners());
                    let gate = Some((Modulation { values, stride, owners }, part));
                    let residual = Some(f32s(residual));
                    let epilogue = Epilogue { bias, residual, gate, ..Epilogue::default() };
                    kernels::linear(x, rows, panels, epilogue, out);
                })
            }
        }
    }
}

/// Multiplies rows by a matrix in the numbers that it holds, by candle's operations: f32.
fn product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.to_dtype(weight.dtype())?.matmul(weight)?.to_dtype(DType::F32)
}

/// Reads a bias as numbers and as a tensor.
fn bias(outputs: usize, load: &Load<'_>) -> std::result::Result<(Vec<f32>, Tensor), EngineError> {
    let bias = load.values("bias", &[outputs])?;
    let tensor = Tensor::from_slice(&bias, outputs, load.compute().device())?;
    Ok((bias, tensor))
}

/// The first half of a gated MLP: `activation(gate) · value`.
#[derive(Debug, Clone)]
pub struct Gated {
    matrix: Matrix,
    bias: Option<(Vec<f32>, Tensor)>,
    activation: Activation,
    outputs: usize,
    /// Whether the file has all values before all gates.
    is_value_first: bool,
}

impl Gated {
    /// Loads `weight` `[2 · outputs, inputs]`: the rows of all gates, then of all values.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn swiglu(
        inputs: usize,
        outputs: usize,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        Self::load([inputs, outputs], Activation::Silu, false, load)
    }

    /// Loads `weight` `[2 · outputs, inputs]` and `bias`: the rows of all values, then of all gates.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn geglu(
        inputs: usize,
        outputs: usize,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        Self::load([inputs, outputs], Activation::Gelu, true, load)
    }

    fn load(
        [inputs, outputs]: [usize; 2],
        activation: Activation,
        is_value_first: bool,
        load: &Load<'_>,
    ) -> std::result::Result<Self, EngineError> {
        let weight = load.values("weight", &[2 * outputs, inputs])?;
        // The row of the file for a column of the panels; outputs that do not fill whole panels
        // could not be paired.
        let row = |width: usize, output: usize| {
            let row = paired_row(width, 2 * outputs, output);
            if is_value_first { (row + outputs) % (2 * outputs) } else { row }
        };
        if let Compute::Kernels(level, _) = load.compute() {
            let width = Panels::width_at(*level);
            if !(2 * outputs).is_multiple_of(width) {
                let text = format!("{outputs} gated outputs do not fill panels of {width}");
                return Err(candle_core::Error::Msg(text).into());
            }
        }
        let shape = [inputs, 2 * outputs];
        let matrix = Matrix::new(shape, weight, load.compute(), row)?;
        let bias = if is_value_first {
            let (plain, tensor) = bias(2 * outputs, load)?;
            let order = |column| match load.compute() {
                Compute::Kernels(level, _) => row(Panels::width_at(*level), column),
                Compute::Candle(..) => column,
            };
            Some(((0..2 * outputs).map(|column| plain[order(column)]).collect(), tensor))
        } else {
            None
        };
        Ok(Self { matrix, bias, activation, outputs, is_value_first })
    }

    /// Computes the gated values of rows `[rows, inputs]` in the numbers that products read.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.dim(0)?;
        match &self.matrix {
            Matrix::Packed(panels) => {
                let bias = self.bias.as_ref().map(|(bias, _)| bias.as_slice());
                let activation = self.activation;
                let epilogue =
                    Epilogue { bias, activation, is_paired: true, ..Epilogue::default() };
                let is_narrow = panels.kind() == kernels::Kind::Bf16;
                narrow_or_wide!(is_narrow, O => {
                    run1("gated", x, (rows, self.outputs), |[x], out: &mut [O]| {
                        kernels::linear(x, rows, panels, epilogue, out);
                    })
                })
            }
            Matrix::Tensor(weight) => {
                let mut both = product(x, weight)?; // [rows, 2 · outputs]
                if let Some((_, bias)) = &self.bias {
                    both = both.broadcast_add(bias)?;
                }
                let [gate, value] = if self.is_value_first { [1, 0] } else { [0, 1] }
                    .map(|half| both.narrow(D::Minus1, half * self.outputs, self.outputs));
                (apply(self.activation, &gate?.contiguous()?)? * value?)?.to_dtype(weight.dtype())
            }
        }
    }
}
