//! safetensors files, also with 8-bit matrices.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use crate::error::EngineError;
use crate::protocol::{JobContext, Live, Stage};

/// What is appended to a tensor's name for the scales of its rows.
const SCALE: &str = ".scale";

/// Gives the tensors of a safetensors file as f32.
///
/// A tensor of dtype U8 beside a tensor `<name>.scale` (one number per index of the first axis) is
/// an 8-bit matrix: its weights are `(byte - 128) · scale`. The header is checked against the
/// file's length before anything is taken; nothing is taken for a tensor whose shape is not the one
/// that is asked for.
pub struct Weights<'a> {
    tensors: SafeTensors<'a>,
    path: PathBuf,
    job: &'a JobContext,
    read: Cell<u32>,
    total: u32,
}

impl<'a> Weights<'a> {
    /// Checks a file's header; `path` only names the file in errors.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when the header does not fit the file.
    pub fn open(bytes: &'a [u8], path: &Path, job: &'a JobContext) -> Result<Self, EngineError> {
        let tensors = parse(bytes, path)?;
        let total = tensors.names().iter().filter(|name| !name.ends_with(SCALE)).count();
        let total = u32::try_from(total).unwrap_or(u32::MAX);
        Ok(Self { tensors, path: path.to_owned(), job, read: Cell::new(0), total })
    }

    /// Reads a tensor of this shape, row-major, and reports that one more is loaded.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is missing, of another shape or of a dtype that holds no
    /// weights; [`EngineError::Cancelled`] when the job was cancelled.
    pub fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        self.read.set(self.read.get() + 1);
        let steps = Some([self.read.get().min(self.total), self.total]);
        self.job.report(Live { stage: Stage::Loading, steps, ..Live::default() })?;
        let view = self.view(name, shape)?;
        if view.dtype() != Dtype::U8 {
            return floats(&view).ok_or_else(|| self.bad_dtype(name, view.dtype()));
        }
        let rows = shape.first().copied().unwrap_or(1);
        let scale_name = format!("{name}{SCALE}");
        let scales = self.view(&scale_name, &[rows])?;
        let scales = floats(&scales).ok_or_else(|| self.bad_dtype(&scale_name, scales.dtype()))?;
        let data = view.data();
        let mut out = Vec::with_capacity(data.len());
        if let Some(width) = data.len().checked_div(rows) {
            for (row, scale) in data.chunks_exact(width.max(1)).zip(scales) {
                out.extend(row.iter().map(|byte| (f32::from(*byte) - 128.0) * scale));
            }
        }
        Ok(out)
    }

    fn view(&self, name: &str, shape: &[usize]) -> Result<TensorView<'_>, EngineError> {
        let view = self
            .tensors
            .tensor(name)
            .map_err(|_| EngineError::damaged(&self.path, format!("lacks the tensor “{name}”")))?;
        if view.shape() != shape {
            let found = view.shape();
            let reason = format!("holds the tensor “{name}” in shape {found:?}, not {shape:?}");
            return Err(EngineError::damaged(&self.path, reason));
        }
        Ok(view)
    }

    fn bad_dtype(&self, name: &str, dtype: Dtype) -> EngineError {
        let reason = format!("holds the tensor “{name}” as {dtype:?}, which is no weight");
        EngineError::damaged(&self.path, reason)
    }
}

impl super::Tensors for Weights<'_> {
    fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        Self::read(self, name, shape)
    }
}

/// Reads one tensor of a safetensors file as f32, with its shape.
///
/// # Errors
/// [`EngineError::Damaged`] when the header does not fit the file, or the tensor is missing or not
/// of floating point.
pub fn read_tensor(
    bytes: &[u8],
    name: &str,
    path: &Path,
) -> Result<(Vec<usize>, Vec<f32>), EngineError> {
    let tensors = parse(bytes, path)?;
    let view = tensors
        .tensor(name)
        .map_err(|_| EngineError::damaged(path, format!("lacks the tensor “{name}”")))?;
    let values = floats(&view).ok_or_else(|| {
        let reason = format!("holds the tensor “{name}” as {:?}, not as F32", view.dtype());
        EngineError::damaged(path, reason)
    })?;
    Ok((view.shape().to_vec(), values))
}

fn parse<'a>(bytes: &'a [u8], path: &Path) -> Result<SafeTensors<'a>, EngineError> {
    SafeTensors::deserialize(bytes).map_err(|error| {
        let reason = match error {
            SafeTensorError::HeaderTooSmall => "is too short for a safetensors file".to_owned(),
            SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
                "ends before its header does".to_owned()
            }
            SafeTensorError::MetadataIncompleteBuffer | SafeTensorError::InvalidOffset(_) => {
                "is cut short or longer than its header says".to_owned()
            }
            SafeTensorError::InvalidHeader(_)
            | SafeTensorError::InvalidHeaderDeserialization(_)
            | SafeTensorError::JsonError(_) => {
                "does not begin with a safetensors header".to_owned()
            }
            other => format!("has an inconsistent header ({other})"),
        };
        EngineError::damaged(path, reason)
    })
}

/// Widens floating point numbers; `None` for another dtype.
fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => {
            data.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;

    use super::*;

    fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
        let views: BTreeMap<&str, TensorView<'_>> = tensors
            .iter()
            .map(|(name, dtype, shape, data)| {
                (*name, TensorView::new(*dtype, shape.to_vec(), data).unwrap())
            })
            .collect();
        safetensors::serialize(views, None).unwrap()
    }

    fn f16_bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()
    }

    #[test]
    fn an_8_bit_matrix_is_widened_by_the_scales_of_its_rows() {
        let bytes = file(&[
            ("m", Dtype::U8, &[2, 3], vec![128, 129, 127, 1, 255, 128]),
            ("m.scale", Dtype::F16, &[2], f16_bytes(&[0.5, 2.0])),
            ("half", Dtype::F16, &[2], f16_bytes(&[1.5, -2.0])),
        ]);
        let job = JobContext::detached();
        let weights = Weights::open(&bytes, Path::new("m"), &job).unwrap();
        assert_eq!(weights.read("m", &[2, 3]).unwrap(), [0.0, 0.5, -0.5, -254.0, 254.0, 0.0]);
        assert_eq!(weights.read("half", &[2]).unwrap(), [1.5, -2.0]);
    }

    #[test]
    fn a_tensor_that_is_missing_or_of_another_shape_or_dtype_is_named() {
        let bytes =
            file(&[("m", Dtype::U8, &[2, 1], vec![1, 2]), ("n", Dtype::I64, &[1], vec![0; 8])]);
        let job = JobContext::detached();
        let weights = Weights::open(&bytes, Path::new("x.safetensors"), &job).unwrap();
        let said = |name, shape: &[usize]| weights.read(name, shape).unwrap_err().to_string();
        assert_eq!(said("k", &[1]), "The file lacks the tensor “k”: x.safetensors");
        assert_eq!(said("m", &[2, 1]), "The file lacks the tensor “m.scale”: x.safetensors");
        assert!(said("m", &[9, 9]).contains("in shape [2, 1], not [9, 9]"));
        assert!(said("n", &[1]).contains("as I64"));
    }

    #[test]
    fn every_cut_and_every_wrong_header_length_is_refused() {
        let bytes = file(&[("m", Dtype::F16, &[4], f16_bytes(&[1.0; 4]))]);
        let job = JobContext::detached();
        for end in 0..bytes.len() {
            let cut = Weights::open(&bytes[..end], Path::new("m"), &job);
            assert!(matches!(cut.err(), Some(EngineError::Damaged { .. })), "cut at {end}");
        }
        for length in [0, 1, 9, u64::MAX, u64::MAX - 7, 1 << 62, bytes.len() as u64] {
            let mut wrong = bytes.clone();
            wrong[..8].copy_from_slice(&length.to_le_bytes());
            let opened = Weights::open(&wrong, Path::new("m"), &job);
            assert!(matches!(opened.err(), Some(EngineError::Damaged { .. })), "length {length}");
        }
    }

    #[test]
    fn a_real_damaged_file_is_refused_with_a_sentence() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../shared/fixtures/damaged/broken-length.safetensors");
        let Ok(bytes) = std::fs::read(&path) else {
            println!("skipped: no {}", path.display());
            return;
        };
        let error = read_tensor(&bytes, "data", Path::new("b.safetensors")).unwrap_err();
        assert_eq!(error.to_string(), "The file ends before its header does: b.safetensors");
    }

    #[test]
    fn loading_stops_at_the_next_tensor_after_a_cancel() {
        let bytes = file(&[("half", Dtype::F16, &[2], f16_bytes(&[1.5, -2.0]))]);
        let shared = std::sync::Arc::<crate::protocol::JobShared>::default();
        let quiet = (std::sync::Arc::new(|_| ()), std::sync::Arc::new(|| ()));
        let id = JobContext::detached().id();
        let job = JobContext::new(id, shared.clone(), quiet.0, quiet.1);
        let weights = Weights::open(&bytes, Path::new("m"), &job).unwrap();
        assert!(weights.read("half", &[2]).is_ok());
        shared.cancel();
        assert_eq!(weights.read("half", &[2]), Err(EngineError::Cancelled));
    }
}
