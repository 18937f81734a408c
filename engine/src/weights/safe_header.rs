//! The header of a safetensors file, read without the rest of it.
//!
//! # Source
//! The format's description in the safetensors project: 8 bytes of length, JSON, then the numbers.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error, MapAccess, Visitor};

use super::element::{Element, TensorInfo};
use super::source::ByteSource;

/// The longest header, as in the format's own library.
const HEADER_MAX_BYTES: u64 = 100_000_000;

/// Says where tensors stand in a safetensors file.
#[derive(Debug, Default)]
pub(super) struct SafeHeader {
    pub(super) tensors: BTreeMap<String, (TensorInfo, u64)>,
    pub(super) metadata: BTreeMap<String, String>,
    /// What is unusual but does no harm.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// Holds the entries as they stand in the file: a map would lose those that stand there twice.
#[derive(Debug, Default)]
struct Entries {
    tensors: Vec<(String, Entry)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the tensors of a safetensors file")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entries, M::Error> {
                let mut entries = Entries::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        if !entries.metadata.is_empty() {
                            return Err(M::Error::custom("metadata twice"));
                        }
                        entries.metadata = map.next_value()?;
                    } else {
                        entries.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Reading)
    }
}

/// Tells whether bytes begin as a safetensors file does.
pub(super) fn begins(head: &[u8]) -> bool {
    head.len() > 8 && head[8] == b'{'
}

/// Reads the header and checks every place against the file.
///
/// # Errors
/// The rest of a sentence that begins with “The file”.
pub(super) fn read(source: &ByteSource) -> Result<SafeHeader, String> {
    let mut length = [0; 8];
    source.read_at(0, &mut length).map_err(|_| "is too short for a safetensors file")?;
    let length = u64::from_le_bytes(length);
    let room = source.length() - 8;
    if length > room {
        return Err("ends before its header does".to_owned());
    }
    if length > HEADER_MAX_BYTES {
        return Err("has a header that is longer than any checkpoint's".to_owned());
    }
    let header = source.take(8, length).map_err(|error| format!("could not be read ({error})"))?;
    let entries: Entries = serde_json::from_slice(&header)
        .map_err(|_| "does not begin with a safetensors header".to_owned())?;
    drop(header);
    let (first, room) = (8 + length, room - length);
    let mut out = SafeHeader { metadata: entries.metadata, ..SafeHeader::default() };
    let mut spans = Vec::new();
    for (name, entry) in entries.tensors {
        let [start, end] = entry.data_offsets;
        let element = Element::of_safetensors(&entry.dtype)
            .ok_or_else(|| format!("holds “{name}” in the unknown form {}", entry.dtype))?;
        let shape: Result<Vec<usize>, _> =
            entry.shape.iter().map(|n| usize::try_from(*n)).collect();
        let shape = shape.map_err(|_| format!("has the tensor “{name}” in an impossible size"))?;
        let bytes = element.bytes_of(&shape);
        if end > room {
            return Err(format!("is cut short: the tensor “{name}” is not whole"));
        }
        if start > end || bytes != Some(end - start) {
            return Err(format!("has the tensor “{name}” in a place that does not fit its shape"));
        }
        if start < end {
            spans.push([start, end]);
        }
        let place = (TensorInfo { shape, element }, first + start);
        if out.tensors.insert(name.clone(), place).is_some() {
            return Err(format!("holds the tensor “{name}” twice"));
        }
    }
    spans.sort_unstable();
    if spans.windows(2).any(|pair| pair[0][1] > pair[1][0]) {
        return Err("has tensors that overlap".to_owned());
    }
    let told: u64 = spans.iter().map(|[start, end]| end - start).sum();
    if told < room {
        out.notes.push(format!("{} bytes belong to no tensor", room - told));
    }
    Ok(out)
}
