//! A document as it stands in a node: its layers, with the numbers of their tiles.

use std::io::{Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use crate::canvas::{Blend, Guiding, LayerId, LayerKind, MAX_LAYERS, check_size};
use crate::error::EngineError;
use crate::protocol::Size;

/// The longest record that is read, unpacked: that of the largest document with all its layers is
/// shorter.
const MAX_BYTES: u64 = 256 << 20;

/// Places a tile: its column, its row and its number in the file.
pub(super) type PlacedTile = (i32, i32, i64);

/// Holds a document.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DocumentRecord {
    pub size: Size,
    pub layers: Vec<LayerRecord>,
    pub selection: Option<Vec<PlacedTile>>,
    pub active: Option<LayerId>,
    pub next_layer: u32,
}

/// Holds a layer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LayerRecord {
    pub id: LayerId,
    pub name: String,
    pub kind: LayerKind,
    pub opacity: u8,
    pub blend: Blend,
    pub is_visible: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guiding: Option<Guiding>,
    pub tiles: Vec<PlacedTile>,
}

impl DocumentRecord {
    /// Checks what a file of somebody else may say: size, number of layers, and their names, which no
    /// two share and no later one takes again.
    pub(super) fn check(&self, path: &Path) -> Result<(), EngineError> {
        check_size(self.size)?;
        if self.layers.len() > MAX_LAYERS {
            return Err(EngineError::damaged(path, "has more layers than a document can have"));
        }
        let mut ids: Vec<u32> = self.layers.iter().map(|layer| layer.id.0).collect();
        ids.sort_unstable();
        let are_apart = ids.windows(2).all(|pair| pair[0] < pair[1]);
        if !are_apart || ids.last().is_some_and(|last| *last >= self.next_layer) {
            return Err(EngineError::damaged(path, "has two layers that are one"));
        }
        Ok(())
    }
}

/// Packs a record.
pub(super) fn pack(record: &DocumentRecord) -> Result<Vec<u8>, EngineError> {
    let text = serde_json::to_vec(record)
        .map_err(|error| EngineError::Index { reason: error.to_string() })?;
    Ok(deflate(&text))
}

/// Unpacks a record.
pub(super) fn unpack(packed: &[u8], path: &Path) -> Result<DocumentRecord, EngineError> {
    let text = inflate(packed, MAX_BYTES, path)?;
    serde_json::from_slice(&text).map_err(|error| {
        EngineError::damaged(path, format!("has an edit that cannot be read ({error})"))
    })
}

/// Packs bytes, fast rather than small.
pub(super) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory does not fail.
    let _written = packer.write_all(bytes);
    packer.finish().unwrap_or_default()
}

/// Unpacks bytes, at most `limit` of them.
pub(super) fn inflate(packed: &[u8], limit: u64, path: &Path) -> Result<Vec<u8>, EngineError> {
    let mut bytes = Vec::new();
    let read = DeflateDecoder::new(packed).take(limit + 1).read_to_end(&mut bytes);
    if read.is_err() || bytes.len() as u64 > limit {
        return Err(EngineError::damaged(path, "has a part that cannot be unpacked"));
    }
    Ok(bytes)
}
