//! The forms that the numbers of a tensor have in a file.

use std::fmt;

use candle_core::quantized::GgmlDType;

/// Names the form of the numbers of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Element {
    F64,
    F32,
    F16,
    BF16,
    F8E4M3,
    F8E5M2,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
    Complex64,
    Complex128,
    /// Numbers of a GGUF file, packed in blocks or not.
    Ggml(GgmlDType),
}

impl Element {
    /// Returns the bytes of one block of numbers, and how many numbers a block has.
    pub fn block(self) -> (u64, u64) {
        match self {
            Self::Complex128 => (16, 1),
            Self::F64 | Self::I64 | Self::U64 | Self::Complex64 => (8, 1),
            Self::F32 | Self::I32 | Self::U32 => (4, 1),
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => (2, 1),
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 | Self::Bool => (1, 1),
            Self::Ggml(kind) => (kind.type_size() as u64, kind.block_size() as u64),
        }
    }

    /// Returns the bytes of a tensor of this shape; `None` where that is more than can be counted,
    /// or blocks are not whole.
    pub fn bytes_of(self, shape: &[usize]) -> Option<u64> {
        let (bytes, numbers) = self.block();
        let count = count_of(shape)?;
        count.is_multiple_of(numbers).then_some(())?;
        (count / numbers).checked_mul(bytes)
    }

    /// Tells whether its numbers can be widened to f32 without a change of their meaning: floating
    /// point, also in the blocks of GGUF.
    pub fn is_float(self) -> bool {
        let is_plain = matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16);
        is_plain || matches!(self, Self::F8E4M3 | Self::F8E5M2 | Self::Ggml(_))
    }

    /// Returns the form that a safetensors file calls by this name.
    ///
    /// # Source
    /// The format's description in the safetensors project.
    pub fn of_safetensors(name: &str) -> Option<Self> {
        Some(match name {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::BF16,
            "F8_E4M3" => Self::F8E4M3,
            "F8_E5M2" => Self::F8E5M2,
            "I64" => Self::I64,
            "I32" => Self::I32,
            "I16" => Self::I16,
            "I8" => Self::I8,
            "U64" => Self::U64,
            "U32" => Self::U32,
            "U16" => Self::U16,
            "U8" => Self::U8,
            "BOOL" => Self::Bool,
            "C64" => Self::Complex64,
            _ => return None,
        })
    }

    /// Returns the form that PyTorch calls by this name, for instance `bfloat16`.
    pub fn of_torch(name: &str) -> Option<Self> {
        Some(match name {
            "float64" | "double" => Self::F64,
            "float32" | "float" => Self::F32,
            "float16" | "half" => Self::F16,
            "bfloat16" => Self::BF16,
            "float8_e4m3fn" => Self::F8E4M3,
            "float8_e5m2" => Self::F8E5M2,
            "int64" | "long" => Self::I64,
            "int32" | "int" => Self::I32,
            "int16" | "short" => Self::I16,
            "int8" => Self::I8,
            "uint64" => Self::U64,
            "uint32" => Self::U32,
            "uint16" => Self::U16,
            "uint8" => Self::U8,
            "bool" => Self::Bool,
            "complex64" => Self::Complex64,
            "complex128" => Self::Complex128,
            _ => return None,
        })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ggml(kind) => write!(f, "{kind:?}"),
            Self::F8E4M3 => f.write_str("F8_E4M3"),
            Self::F8E5M2 => f.write_str("F8_E5M2"),
            Self::Bool => f.write_str("BOOL"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Returns how many numbers a tensor of this shape has; `None` where that cannot be counted.
pub fn count_of(shape: &[usize]) -> Option<u64> {
    // A side of nothing makes the rest harmless, however long it says it is.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1_u64, |count, side| count.checked_mul(*side as u64))
}

/// Describes a tensor in a file without holding its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Outermost dimension first; nothing for a single number.
    pub shape: Vec<usize>,
    /// The form of its numbers.
    pub element: Element,
}

impl TensorInfo {
    /// Returns how many numbers it has.
    pub fn count(&self) -> u64 {
        count_of(&self.shape).unwrap_or(u64::MAX)
    }

    /// Returns how many bytes it takes when its numbers stand in one row.
    pub fn bytes(&self) -> u64 {
        self.element.bytes_of(&self.shape).unwrap_or(u64::MAX)
    }
}
