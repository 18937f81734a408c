//! Packed matrices from files.

use candle_core::Device;
use candle_core::quantized::GgmlDType;

use super::super::load::Source;
use crate::error::EngineError;
use crate::kernels::quantized::{Form, Packed, Shelf, Weights};
use crate::weights::gguf::Raw;

/// Returns the form that the kernels read such numbers in, where they do.
pub(in super::super) fn form_of(dtype: GgmlDType) -> Option<Form> {
    Some(match dtype {
        GgmlDType::F32 => Form::F32,
        GgmlDType::F16 => Form::F16,
        GgmlDType::BF16 => Form::BF16,
        GgmlDType::Q8_0 => Form::Q8_0,
        GgmlDType::Q4_0 => Form::Q4_0,
        GgmlDType::Q4_1 => Form::Q4_1,
        GgmlDType::Q5_0 => Form::Q5_0,
        GgmlDType::Q5_1 => Form::Q5_1,
        GgmlDType::Q4K => Form::Q4K,
        GgmlDType::Q5K => Form::Q5K,
        GgmlDType::Q6K => Form::Q6K,
        _ => return None,
    })
}

/// Packs matrices, close together in memory.
pub(super) struct Packer<'a> {
    pub(super) source: &'a mut dyn Source,
    pub(super) shelf: Shelf,
    /// Whether matrices are kept as f32, whatever form the file has them in.
    pub(super) widens: bool,
}

impl Packer<'_> {
    /// Packs a matrix `[rows, columns]`.
    pub(super) fn matrix(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Weights, EngineError> {
        let [weights] = self.split(name, [rows], columns)?;
        Ok(weights)
    }

    /// Packs the matrix `name.weight`, whose rows are those of several, each alone, with its part of
    /// `name.bias` where the file has one.
    pub(super) fn split<const N: usize>(
        &mut self,
        name: &str,
        rows: [usize; N],
        columns: usize,
    ) -> Result<[Weights; N], EngineError> {
        let all: usize = rows.iter().sum();
        let bias_name = format!("{name}.bias");
        let has_bias = self.source.has(&bias_name);
        let bias = has_bias.then(|| self.source.vector(&bias_name, all)).transpose()?;
        let raw = self.source.raw(&format!("{name}.weight"), &[all, columns])?;
        let mut first = 0;
        let mut packed = Vec::with_capacity(N);
        for count in rows {
            let matrix = pack(raw, [all, columns], first, count, self.widens, &mut self.shelf)?;
            let bias = bias.as_ref().map(|bias| bias[first..first + count].to_vec());
            packed.push(Weights { matrix, bias });
            first += count;
        }
        packed.try_into().map_err(|_| EngineError::Model {
            reason: format!("the matrix {name} was not divided"),
        })
    }
}

/// Packs `count` rows of a matrix from row `first` on.
fn pack(
    raw: Raw<'_>,
    [rows, columns]: [usize; 2],
    first: usize,
    count: usize,
    widens: bool,
    shelf: &mut Shelf,
) -> Result<Packed, EngineError> {
    let row_bytes = raw.bytes.len() / rows;
    let bytes = &raw.bytes[first * row_bytes..(first + count) * row_bytes];
    match form_of(raw.dtype) {
        Some(form) if !widens => Packed::new(form, count, columns, bytes, shelf),
        _ => {
            let part = Raw { dtype: raw.dtype, bytes };
            let tensor = part.tensor(&[count, columns], &Device::Cpu)?;
            let values = tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Packed::new(Form::F32, count, columns, &bytes, shelf)
        }
    }
}
