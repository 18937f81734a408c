//! Tiles in the file, each once by the hash of its pixels.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::record::{DocumentRecord, LayerRecord, PlacedTile, deflate, inflate};
use crate::canvas::{Document, Layer, Tiles};
use crate::error::EngineError;

/// How many tiles are remembered before those that are gone are forgotten.
const REMEMBERED: usize = 1 << 14;

/// Remembers which tiles in memory are in the file, so that a node asks only for what is new, and
/// documents that are read share what they have in common.
#[derive(Debug, Default)]
pub(super) struct TileShelf {
    /// The address of a tile in memory → its number. The weak pointer keeps the address from being
    /// another tile's.
    numbers: HashMap<usize, (Weak<[u8]>, i64)>,
    /// The number of a tile → the tile, while somebody has it.
    tiles: HashMap<i64, Weak<[u8]>>,
}

impl TileShelf {
    /// Writes the tiles of a document that are not in the file yet and returns its record.
    pub(super) fn put(
        &mut self,
        connection: &Connection,
        document: &Document,
    ) -> Result<DocumentRecord, rusqlite::Error> {
        let mut layers = Vec::with_capacity(document.layers.len());
        for layer in &document.layers {
            layers.push(LayerRecord {
                id: layer.id,
                name: layer.name.clone(),
                kind: layer.kind,
                opacity: layer.opacity,
                blend: layer.blend,
                is_visible: layer.is_visible,
                guiding: layer.guiding.clone(),
                tiles: self.put_plane(connection, &layer.pixels)?,
            });
        }
        let selection = document.selection.as_ref();
        Ok(DocumentRecord {
            size: document.size,
            layers,
            selection: selection.map(|plane| self.put_plane(connection, plane)).transpose()?,
            active: document.active,
            next_layer: document.next_layer,
        })
    }

    fn put_plane<const N: usize>(
        &mut self,
        connection: &Connection,
        plane: &Tiles<N>,
    ) -> Result<Vec<PlacedTile>, rusqlite::Error> {
        plane
            .iter()
            .map(|([column, row], tile)| Ok((column, row, self.put_tile(connection, tile)?)))
            .collect()
    }

    fn put_tile(
        &mut self,
        connection: &Connection,
        tile: &Arc<[u8]>,
    ) -> Result<i64, rusqlite::Error> {
        let address = tile.as_ptr().addr();
        if let Some((known, number)) = self.numbers.get(&address)
            && known.strong_count() > 0
        {
            return Ok(*number);
        }
        let hash: [u8; 32] = Sha256::digest(tile).into();
        let found = connection
            .prepare_cached("SELECT id FROM tiles WHERE hash = ?")?
            .query_row([&hash[..]], |row| row.get(0))
            .optional()?;
        let number = match found {
            Some(number) => number,
            None => {
                connection
                    .prepare_cached("INSERT INTO tiles (hash, packed) VALUES (?, ?)")?
                    .execute(params![&hash[..], deflate(tile)])?;
                connection.last_insert_rowid()
            }
        };
        self.remember(tile, number);
        Ok(number)
    }

    fn remember(&mut self, tile: &Arc<[u8]>, number: i64) {
        if self.numbers.len() >= REMEMBERED {
            self.numbers.retain(|_, (tile, _)| tile.strong_count() > 0);
            self.tiles.retain(|_, tile| tile.strong_count() > 0);
        }
        self.numbers.insert(tile.as_ptr().addr(), (Arc::downgrade(tile), number));
        self.tiles.insert(number, Arc::downgrade(tile));
    }

    /// Reads a document by its record.
    pub(super) fn take(
        &mut self,
        connection: &Connection,
        record: &DocumentRecord,
        path: &Path,
    ) -> Result<Document, EngineError> {
        record.check(path)?;
        let mut layers = Vec::with_capacity(record.layers.len());
        for layer in &record.layers {
            layers.push(Layer {
                id: layer.id,
                name: layer.name.clone(),
                kind: layer.kind,
                opacity: layer.opacity,
                blend: layer.blend,
                is_visible: layer.is_visible,
                guiding: layer.guiding.clone(),
                pixels: self.take_plane(connection, &layer.tiles, path)?,
            });
        }
        let selection = record.selection.as_ref();
        let take = |tiles: &Vec<PlacedTile>| self.take_plane(connection, tiles, path);
        Ok(Document {
            size: record.size,
            layers,
            selection: selection.map(take).transpose()?,
            active: record.active,
            next_layer: record.next_layer,
        })
    }

    fn take_plane<const N: usize>(
        &mut self,
        connection: &Connection,
        tiles: &[PlacedTile],
        path: &Path,
    ) -> Result<Tiles<N>, EngineError> {
        let mut plane = Tiles::default();
        for (column, row, number) in tiles {
            let tile = match self.tiles.get(number).and_then(Weak::upgrade) {
                Some(tile) => tile,
                None => {
                    let tile = read_tile(connection, *number, Tiles::<N>::TILE_BYTES, path)?;
                    self.remember(&tile, *number);
                    tile
                }
            };
            if tile.len() != Tiles::<N>::TILE_BYTES {
                return Err(EngineError::damaged(path, "has a tile of the wrong length"));
            }
            plane.set_tile([*column, *row], tile);
        }
        Ok(plane)
    }
}

fn read_tile(
    connection: &Connection,
    number: i64,
    bytes: usize,
    path: &Path,
) -> Result<Arc<[u8]>, EngineError> {
    let wrong = |error: rusqlite::Error| super::failed(path, &error);
    let packed: Option<Vec<u8>> = connection
        .prepare_cached("SELECT packed FROM tiles WHERE id = ?")
        .map_err(wrong)?
        .query_row([number], |row| row.get(0))
        .optional()
        .map_err(wrong)?;
    let Some(packed) = packed else {
        return Err(EngineError::damaged(path, "lacks a tile of a picture"));
    };
    Ok(inflate(&packed, bytes as u64, path)?.into())
}
