//! GGUF files, versions 2 and 3: metadata and quantized tensors.
//!
//! # Source
//! The format's description in the ggml project (docs/gguf.md).

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};

use super::element::{Element, TensorInfo};
use crate::error::EngineError;

const MAGIC: &[u8; 4] = b"GGUF";
/// Tensors begin at multiples of this unless the file says otherwise.
const DEFAULT_ALIGNMENT: u64 = 32;
/// The most dimensions of a tensor.
const DIMENSIONS_MAX: u32 = 4;

/// Holds one value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number of any width.
    Integer(i128),
    /// A floating point number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// Text.
    Text(String),
    /// Several texts.
    Texts(Vec<Box<str>>),
    /// Several numbers, as they stand in the file: a list takes no more memory than it has there.
    Numbers(NumberKind, Vec<u8>),
}

/// Names the form of the numbers of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum NumberKind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    U64,
    I64,
    F64,
}

impl NumberKind {
    /// Returns the kind of a number by its number in the format; truth values are bytes.
    fn of(kind: u32) -> Option<Self> {
        Some(match kind {
            0 | 7 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Returns the bytes of one number.
    fn bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Reads one number; `bytes` holds as many as [`NumberKind::bytes`] says.
    fn read(self, bytes: &[u8]) -> f64 {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let unsigned = u64::from_le_bytes(word);
        match self {
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => unsigned as f64,
            Self::I8 => f64::from(unsigned as u8 as i8),
            Self::I16 => f64::from(unsigned as u16 as i16),
            Self::I32 => f64::from(unsigned as u32 as i32),
            Self::I64 => unsigned as i64 as f64,
            Self::F32 => f64::from(f32::from_bits(unsigned as u32)),
            Self::F64 => f64::from_bits(unsigned),
        }
    }
}

/// Says where a tensor lies.
#[derive(Debug, Clone)]
struct Place {
    /// Outermost dimension first, as candle has it.
    shape: Vec<usize>,
    dtype: GgmlDType,
    /// From the beginning of the file.
    start: usize,
    bytes: usize,
}

/// Holds what a GGUF file says about itself; the tensors stay in the bytes that it was read from.
#[derive(Debug, Clone)]
pub struct Gguf {
    path: PathBuf,
    metadata: HashMap<String, Value>,
    places: HashMap<String, Place>,
}

impl Gguf {
    /// Reads the header of a whole file; `path` only names the file in errors. Every count and
    /// length is checked against the bytes before memory is taken, and every tensor lies within
    /// them.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] with what is wrong.
    pub fn read(bytes: &[u8], path: &Path) -> Result<Self, EngineError> {
        Self::read_beginning(bytes, bytes.len() as u64, path)
    }

    /// Reads the header from the beginning of a file of `length` bytes.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] with what is wrong, also when the header goes on behind `bytes`.
    pub fn read_beginning(bytes: &[u8], length: u64, path: &Path) -> Result<Self, EngineError> {
        let mut reader = Reader { bytes, at: 0 };
        reader.file(path, length).map_err(|reason| EngineError::damaged(path, reason))
    }

    /// Returns a value of the metadata.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// Returns a text of the metadata.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a whole number of the metadata that is not negative.
    pub fn whole(&self, key: &str) -> Option<usize> {
        match self.get(key)? {
            Value::Integer(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Returns a number of the metadata.
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.get(key)? {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns a yes or no of the metadata.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// Returns a list of texts.
    pub fn texts(&self, key: &str) -> Option<&[Box<str>]> {
        match self.get(key)? {
            Value::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    /// Returns a list of numbers; truth values are 0 and 1.
    pub fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        let Value::Numbers(kind, bytes) = self.get(key)? else { return None };
        Some(bytes.chunks_exact(kind.bytes() as usize).map(|one| kind.read(one)).collect())
    }

    /// Returns numbers and texts of the metadata by name, without lists.
    pub fn scalars(&self) -> Vec<(String, String)> {
        let told = |(key, value): (&String, &Value)| {
            let value = match value {
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Text(text) => text.clone(),
                Value::Texts(_) | Value::Numbers(..) => return None,
            };
            Some((key.clone(), value))
        };
        let mut all: Vec<_> = self.metadata.iter().filter_map(told).collect();
        all.sort();
        all
    }

    /// Describes all tensors, with the first byte of each in the file.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, TensorInfo, u64)> {
        self.places.iter().map(|(name, place)| {
            let element = match place.dtype {
                GgmlDType::F32 => Element::F32,
                GgmlDType::F16 => Element::F16,
                GgmlDType::BF16 => Element::BF16,
                packed => Element::Ggml(packed),
            };
            let info = TensorInfo { shape: place.shape.clone(), element };
            (name.as_str(), info, place.start as u64)
        })
    }

    /// Tells whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Returns a tensor's shape, outermost dimension first.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.places.get(name).map(|place| place.shape.as_slice())
    }

    /// Returns how many bytes a tensor has in the file.
    pub fn tensor_bytes(&self, name: &str) -> u64 {
        self.places.get(name).map_or(0, |place| place.bytes as u64)
    }

    /// Returns how many bytes all tensors have together.
    pub fn all_bytes(&self) -> u64 {
        self.places.values().map(|place| place.bytes as u64).sum()
    }

    /// Returns how many bytes all tensors have together once they are loaded: vectors and matrices
    /// of 16 bits are widened to 32, the table of tokens and packed matrices stay as they are.
    pub fn held_bytes(&self) -> u64 {
        let held = |(name, place): (&String, &Place)| {
            let values: u64 = place.shape.iter().map(|side| *side as u64).product();
            let is_half = matches!(place.dtype, GgmlDType::F16 | GgmlDType::BF16);
            let is_vector = place.shape.len() == 1;
            if is_vector || (is_half && name != "token_embd.weight") {
                values.saturating_mul(4)
            } else {
                place.bytes as u64
            }
        };
        self.places.iter().map(held).fold(0, u64::saturating_add)
    }

    /// Takes a tensor of this shape out of the bytes that the header was read from.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is missing or of another shape; [`EngineError::Model`] when
    /// the device refuses it.
    pub fn tensor(
        &self,
        bytes: &[u8],
        name: &str,
        shape: &[usize],
        device: &Device,
    ) -> Result<QTensor, EngineError> {
        self.raw(bytes, name, shape)?.tensor(shape, device)
    }

    /// Finds the bytes of a tensor of this shape in those that the header was read from.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when it is missing or of another shape.
    pub fn raw<'a>(
        &self,
        bytes: &'a [u8],
        name: &str,
        shape: &[usize],
    ) -> Result<Raw<'a>, EngineError> {
        let place = self.places.get(name).ok_or_else(|| {
            EngineError::damaged(&self.path, format!("lacks the tensor “{name}”"))
        })?;
        if place.shape != shape {
            let reason =
                format!("holds the tensor “{name}” in shape {:?}, not {shape:?}", place.shape);
            return Err(EngineError::damaged(&self.path, reason));
        }
        let data = bytes.get(place.start..place.start + place.bytes).ok_or_else(|| {
            EngineError::damaged(&self.path, format!("ends within the tensor “{name}”"))
        })?;
        Ok(Raw { dtype: place.dtype, bytes: data })
    }

    /// Lists the forms of all tensors with more than one dimension.
    pub fn matrix_forms(&self) -> impl Iterator<Item = GgmlDType> {
        self.places.values().filter(|place| place.shape.len() > 1).map(|place| place.dtype)
    }

    /// Makes an error about this file.
    pub fn damaged(&self, reason: impl Into<String>) -> EngineError {
        EngineError::damaged(&self.path, reason)
    }
}

/// Copies a tensor to a device.
///
/// candle wants the bytes to stand where its numbers may stand, which those of a file may not.
pub(super) fn storage(
    data: &[u8],
    device: &Device,
    dtype: GgmlDType,
) -> candle_core::Result<QStorage> {
    const ALIGNMENT: usize = 16;
    if data.as_ptr().align_offset(ALIGNMENT) == 0 {
        return QStorage::from_data(Cow::Borrowed(data), device, dtype);
    }
    let mut room = vec![0; data.len() + ALIGNMENT];
    let start = room.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    let aligned = &mut room[start..start + data.len()];
    aligned.copy_from_slice(data);
    QStorage::from_data(Cow::Borrowed(aligned), device, dtype)
}

/// Is a tensor's part of a file.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a> {
    /// The form of its numbers.
    pub dtype: GgmlDType,
    /// Its bytes, row after row.
    pub bytes: &'a [u8],
}

impl Raw<'_> {
    /// Copies it to a device; `bytes` is as long as `shape` says.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the device refuses it.
    pub fn tensor(&self, shape: &[usize], device: &Device) -> Result<QTensor, EngineError> {
        Ok(QTensor::new(storage(self.bytes, device, self.dtype)?, shape)?)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Said<T> = Result<T, String>;

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Said<&'a [u8]> {
        let count = usize::try_from(count).map_err(|_| "ends before its header does")?;
        let end = self.at.checked_add(count).ok_or("ends before its header does")?;
        let part = self.bytes.get(self.at..end).ok_or("ends before its header does")?;
        self.at = end;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Said<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64)?);
        Ok(out)
    }

    fn u32(&mut self) -> Said<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Said<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a count of things that each need at least `least` bytes.
    fn count(&mut self, least: u64) -> Said<usize> {
        let count = self.u64()?;
        let left = (self.bytes.len() - self.at) as u64;
        if count.checked_mul(least).is_none_or(|bytes| bytes > left) {
            return Err("says that it holds more than its length allows".to_owned());
        }
        usize::try_from(count).map_err(|_| "is larger than this machine's memory".to_owned())
    }

    fn text(&mut self) -> Said<String> {
        let length = self.count(1)?;
        let bytes = self.take(length as u64)?;
        // Vocabularies hold pieces of characters; nothing else here may be lost for that.
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn value(&mut self, kind: u32) -> Said<Value> {
        Ok(match kind {
            0 => Value::Integer(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Integer(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Integer(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Integer(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Integer(self.u32()?.into()),
            5 => Value::Integer(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Bool(self.array::<1>()? != [0]),
            8 => Value::Text(self.text()?),
            9 => self.list()?,
            10 => Value::Integer(self.u64()?.into()),
            11 => Value::Integer(i64::from_le_bytes(self.array()?).into()),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(format!("holds metadata of the unknown type {other}")),
        })
    }

    fn list(&mut self) -> Said<Value> {
        let kind = self.u32()?;
        if kind == 8 {
            let count = self.count(8)?;
            let mut texts = Vec::new();
            for _ in 0..count {
                texts.push(self.text()?.into_boxed_str());
            }
            return Ok(Value::Texts(texts));
        }
        let kind = NumberKind::of(kind)
            .ok_or_else(|| format!("holds a list of the unknown type {kind}"))?;
        let count = self.count(kind.bytes())?;
        Ok(Value::Numbers(kind, self.take(count as u64 * kind.bytes())?.to_vec()))
    }

    fn file(&mut self, path: &Path, length: u64) -> Said<Gguf> {
        if self.bytes.len() < 4 || self.bytes[..4] != *MAGIC {
            return Err("does not begin as a GGUF file does".to_owned());
        }
        self.at = 4;
        match self.u32()? {
            2 | 3 => {}
            1 => return Err("is GGUF of version 1, which is no longer read".to_owned()),
            other if other.swap_bytes() <= 3 => {
                return Err("is GGUF for big-endian machines".to_owned());
            }
            other => return Err(format!("says that it is GGUF of version {other}")),
        }
        let tensors = self.count(24)?;
        let entries = self.count(12)?;
        let mut metadata = HashMap::new();
        for _ in 0..entries {
            let key = self.text()?;
            let kind = self.u32()?;
            metadata.insert(key, self.value(kind)?);
        }
        let mut found = Vec::new();
        for _ in 0..tensors {
            found.push(self.place()?);
        }
        let alignment = match metadata.get("general.alignment") {
            Some(Value::Integer(number)) => u64::try_from(*number).unwrap_or(0),
            _ => DEFAULT_ALIGNMENT,
        };
        if !alignment.is_power_of_two() {
            return Err("says that tensors are aligned in an impossible way".to_owned());
        }
        let first = (self.at as u64).next_multiple_of(alignment);
        let mut places = HashMap::new();
        for (name, mut place, offset) in found {
            let start = first.checked_add(offset).and_then(|start| usize::try_from(start).ok());
            let end = start.and_then(|start| start.checked_add(place.bytes));
            let (Some(start), Some(end)) = (start, end) else {
                return Err(format!("has the tensor “{name}” in an impossible place"));
            };
            if end as u64 > length {
                return Err(format!("is cut short: the tensor “{name}” is not whole"));
            }
            place.start = start;
            if let Some(twice) = places.insert(name, place) {
                let shape = twice.shape;
                return Err(format!("holds a tensor of shape {shape:?} twice under one name"));
            }
        }
        let mut spans: Vec<_> =
            places.values().map(|place: &Place| [place.start, place.start + place.bytes]).collect();
        spans.sort_unstable();
        if spans.windows(2).any(|pair| pair[0][1] > pair[1][0]) {
            return Err("has tensors that overlap".to_owned());
        }
        Ok(Gguf { path: path.to_owned(), metadata, places })
    }

    /// Reads the entry of one tensor: its name, place and offset.
    fn place(&mut self) -> Said<(String, Place, u64)> {
        let name = self.text()?;
        let rank = self.u32()?;
        if rank == 0 || rank > DIMENSIONS_MAX {
            return Err(format!("has the tensor “{name}” with {rank} dimensions"));
        }
        let mut shape = Vec::new();
        let mut elements = 1_usize;
        for _ in 0..rank {
            let side = usize::try_from(self.u64()?).unwrap_or(usize::MAX);
            elements = elements.saturating_mul(side);
            shape.push(side);
        }
        let kind = self.u32()?;
        let dtype = dtype_of(kind)
            .ok_or_else(|| format!("holds the tensor “{name}” in the unknown form {kind}"))?;
        let row = shape[0];
        let bytes = (elements / dtype.block_size()).checked_mul(dtype.type_size());
        let (Some(bytes), true) = (bytes, row.is_multiple_of(dtype.block_size())) else {
            return Err(format!("has the tensor “{name}” in an impossible size"));
        };
        // The file counts from the innermost dimension.
        shape.reverse();
        let offset = self.u64()?;
        Ok((name, Place { shape, dtype, start: 0, bytes }, offset))
    }
}

/// Returns the form of a tensor's numbers by its number in the format.
fn dtype_of(kind: u32) -> Option<GgmlDType> {
    Some(match kind {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        9 => GgmlDType::Q8_1,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        15 => GgmlDType::Q8K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn text(out: &mut Vec<u8>, value: &str) {
        out.extend((value.len() as u64).to_le_bytes());
        out.extend(value.as_bytes());
    }

    /// Makes a file with three entries of metadata and one tensor `[2, 3]`.
    fn file() -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend(1_u64.to_le_bytes());
        out.extend(3_u64.to_le_bytes());
        text(&mut out, "general.name");
        out.extend(8_u32.to_le_bytes());
        text(&mut out, "tiny");
        text(&mut out, "numbers");
        out.extend(9_u32.to_le_bytes());
        out.extend(5_u32.to_le_bytes());
        out.extend(2_u64.to_le_bytes());
        out.extend((-1_i32).to_le_bytes());
        out.extend(7_i32.to_le_bytes());
        text(&mut out, "half");
        out.extend(6_u32.to_le_bytes());
        out.extend(0.5_f32.to_le_bytes());
        text(&mut out, "w");
        out.extend(2_u32.to_le_bytes());
        out.extend(3_u64.to_le_bytes());
        out.extend(2_u64.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(0_u64.to_le_bytes());
        out.resize(out.len().next_multiple_of(32), 0);
        for value in 0..6 {
            out.extend((value as f32).to_le_bytes());
        }
        out
    }

    #[test]
    fn metadata_and_tensors_are_read() {
        let bytes = file();
        let gguf = Gguf::read(&bytes, Path::new("t.gguf")).unwrap();
        assert_eq!(gguf.text("general.name"), Some("tiny"));
        assert_eq!(gguf.numbers("numbers"), Some(vec![-1.0, 7.0]));
        assert_eq!(gguf.number("half"), Some(0.5));
        assert_eq!(gguf.whole("numbers"), None);
        let tensor = gguf.tensor(&bytes, "w", &[2, 3], &Device::Cpu).unwrap();
        let values = tensor.dequantize(&Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(values, [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
        let error = gguf.tensor(&bytes, "w", &[3, 2], &Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("in shape [2, 3], not [3, 2]"));
        assert!(gguf.tensor(&bytes, "v", &[1], &Device::Cpu).is_err());
    }

    #[test]
    fn every_cut_is_refused_and_no_changed_byte_panics() {
        let bytes = file();
        for end in 0..bytes.len() {
            assert!(Gguf::read(&bytes[..end], Path::new("t")).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut wrong = bytes.clone();
                wrong[at] = value;
                if let Ok(gguf) = Gguf::read(&wrong, Path::new("t")) {
                    let _ = gguf.tensor(&wrong, "w", &[2, 3], &Device::Cpu);
                }
            }
        }
    }

    #[test]
    fn real_damaged_files_are_refused_with_a_sentence() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/damaged");
        for (name, said) in
            [("version-1.gguf", "is GGUF of version 1"), ("reencoded-as-text.gguf", "")]
        {
            let Ok(bytes) = std::fs::read(folder.join(name)) else {
                println!("skipped: no {name}");
                continue;
            };
            let error = Gguf::read(&bytes, Path::new(name)).unwrap_err().to_string();
            assert!(error.starts_with("The file ") && error.contains(said), "{error}");
        }
    }
}
