//! The tensors of a Segment Anything net in the form that the layers read.

use std::cell::Cell;

use crate::error::EngineError;
use crate::protocol::{JobContext, Live, Stage};
use crate::weights::Tensors;
use crate::weights::open::Checkpoint;

/// Added to variances by the norms of convolutions.
///
/// # Source
/// `torch.nn.BatchNorm2d`.
const BATCH_NORM_EPS: f32 = 1e-5;

/// Gives the tensors of the net, widened to f32, and reports each.
///
/// Beside those of the file there are:
/// - for a convolution `x.c` with its norm `x.bn`, one `x` with a bias in which both are folded;
/// - for an attention's `attn.qkv` in which each head has its query, key and value side by side, the
///   parts `attn.q`, `attn.k` and `attn.v` of all heads;
/// - for a convolution that doubles a picture, asked for as a 1×1 convolution to four times the outputs,
///   that one, whose outputs a pixel shuffle puts in their places.
pub struct SamWeights<'a> {
    file: &'a Checkpoint,
    job: &'a JobContext,
    read: Cell<u32>,
}

impl<'a> SamWeights<'a> {
    /// Reads from a file on behalf of a job.
    pub fn of(file: &'a Checkpoint, job: &'a JobContext) -> Self {
        Self { file, job, read: Cell::new(0) }
    }

    fn damaged(&self, reason: String) -> EngineError {
        EngineError::damaged(self.file.path(), reason)
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.file.tensors().get(name).map(|info| info.shape.as_slice())
    }

    /// Reads a tensor as it is in the file.
    fn plain(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        match self.shape(name) {
            Some(found) if found == shape => self.file.floats(name),
            Some(found) => Err(self
                .damaged(format!("holds the tensor “{name}” in shape {found:?}, not {shape:?}"))),
            None => Err(self.damaged(format!("lacks the tensor “{name}”"))),
        }
    }

    /// Folds a convolution and the norm behind it, whose numbers are one per output.
    fn folded(&self, stem: &str, kind: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        let outputs = shape.first().copied().unwrap_or_default();
        let norm = |name: &str| self.plain(&format!("{stem}.bn.{name}"), &[outputs]);
        let variances = norm("running_var")?;
        let mut factors = norm("weight")?;
        for (factor, variance) in factors.iter_mut().zip(variances) {
            *factor /= (variance.max(0.0) + BATCH_NORM_EPS).sqrt();
        }
        if kind == "bias" {
            let mut bias = norm("bias")?;
            let means = norm("running_mean")?;
            for ((bias, mean), factor) in bias.iter_mut().zip(means).zip(factors) {
                *bias -= mean * factor;
            }
            return Ok(bias);
        }
        let mut weight = self.plain(&format!("{stem}.c.weight"), shape)?;
        let each = weight.len() / outputs.max(1);
        for (weights, factor) in weight.chunks_exact_mut(each.max(1)).zip(factors) {
            weights.iter_mut().for_each(|weight| *weight *= factor);
        }
        Ok(weight)
    }

    /// Takes the queries, keys or values of all heads out of what holds them head by head.
    fn part(&self, name: QkvName<'_>, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        let QkvName { stem, part, kind } = name;
        let heads = match self.shape(&format!("{stem}.attention_biases")) {
            Some([heads, _]) if *heads > 0 && shape[0].is_multiple_of(*heads) => *heads,
            _ => return Err(self.damaged(format!("lacks the heads of “{stem}”"))),
        };
        let mut whole = shape.to_vec();
        whole[0] *= 3;
        let values = self.plain(&format!("{stem}.qkv.{kind}"), &whole)?;
        let each = values.len() / (3 * heads);
        let parts = values.chunks_exact(each.max(1)).skip(part).step_by(3);
        Ok(parts.flatten().copied().collect())
    }

    /// Turns a convolution that doubles a picture, `[inputs, outputs, 2, 2]`, into the 1×1 convolution
    /// to four times the outputs whose shuffle is the same.
    fn doubling(&self, name: &str, [rows, inputs]: [usize; 2]) -> Result<Vec<f32>, EngineError> {
        let values = self.plain(name, &[inputs, rows / 4, 2, 2])?;
        let turned = (0..rows).flat_map(|row| (0..inputs).map(move |input| input * rows + row));
        Ok(turned.map(|at| values[at]).collect())
    }
}

/// Names a part of an attention's queries, keys and values.
struct QkvName<'a> {
    stem: &'a str,
    part: usize,
    kind: &'a str,
}

impl<'a> QkvName<'a> {
    /// Reads names like `….attn.k.bias`.
    fn read(name: &'a str) -> Option<Self> {
        let (rest, kind) = name.rsplit_once('.')?;
        let (stem, part) = rest.rsplit_once('.')?;
        let part = ["q", "k", "v"].iter().position(|one| *one == part)?;
        stem.ends_with(".attn").then_some(Self { stem, part, kind })
    }
}

impl Tensors for SamWeights<'_> {
    fn has(&self, name: &str) -> bool {
        self.file.tensors().contains_key(name)
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        self.read.set(self.read.get() + 1);
        let total = u32::try_from(self.file.tensors().len()).unwrap_or(u32::MAX);
        let steps = Some([self.read.get().min(total), total]);
        self.job.report(Live { stage: Stage::Loading, steps, ..Live::default() })?;
        let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
        if !self.has(name) {
            if self.has(&format!("{stem}.c.weight")) {
                return self.folded(stem, kind, shape);
            }
            if let Some(name) = QkvName::read(name).filter(|_| !shape.is_empty()) {
                return self.part(name, shape);
            }
        }
        if name.starts_with("mask_decoder.output_upscaling.") {
            match (self.shape(name), shape) {
                (Some([_, _, 2, 2]), [rows, inputs, 1, 1]) => {
                    return self.doubling(name, [*rows, *inputs]);
                }
                (Some([outputs]), [rows]) if *rows == 4 * *outputs => {
                    let bias = self.plain(name, &[*outputs])?;
                    return Ok(bias.into_iter().flat_map(|value| [value; 4]).collect());
                }
                _ => {}
            }
        }
        self.plain(name, shape)
    }
}
