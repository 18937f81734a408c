//! Zip archives of strangers, read within limits.

use std::io::{Read, Seek};

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

/// Reads entries of an archive within limits.
///
/// Nothing is written, names of entries are looked up and never used as paths, and every size is
/// checked before memory is taken for it.
pub(super) struct Archive<R: Read + Seek> {
    zip: ZipArchive<R>,
}

impl<R: Read + Seek> Archive<R> {
    /// Opens an archive of at most `most` entries; refuses one with an entry that stands there twice
    /// or that shares its bytes with another.
    pub(super) fn open(reader: R, most: usize) -> Result<Self, String> {
        let broken = |_| "is a zip archive that is cut short or broken".to_owned();
        let mut zip = ZipArchive::new(reader).map_err(broken)?;
        if zip.len() > most {
            return Err("is a zip archive with more entries than it can have".to_owned());
        }
        if zip.has_duplicate_names() {
            return Err("is a zip archive that holds an entry twice".to_owned());
        }
        if zip.has_overlapping_files().map_err(broken)? {
            return Err("is a zip archive whose entries overlap".to_owned());
        }
        Ok(Self { zip })
    }

    /// Tells whether there is an entry of a name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    /// Returns an entry's bytes, `most` at most.
    pub(super) fn entry(&mut self, name: &str, most: u64) -> Result<Vec<u8>, String> {
        let index = self.zip.index_for_name(name).ok_or_else(|| format!("lacks its {name}"))?;
        let broken = |_| format!("holds a broken {name}");
        let entry = self.zip.by_index_raw(index).map_err(broken)?;
        if entry.encrypted() {
            return Err("is a zip archive with a password".to_owned());
        }
        let (size, method) = (entry.size(), entry.compression());
        if size > most {
            return Err(format!("holds a {name} that is too large"));
        }
        let mut bytes = Vec::new();
        // One byte more than it claims shows that the claim is false. Memory grows with what comes.
        let result = match method {
            CompressionMethod::Stored => entry.take(size + 1).read_to_end(&mut bytes),
            // Without its own inflater the library knows the method by number only.
            method if method == CompressionMethod::DEFLATE => {
                DeflateDecoder::new(entry).take(size + 1).read_to_end(&mut bytes)
            }
            _ => return Err(format!("holds a {name} packed in a way that is not read")),
        };
        result.map_err(|_| format!("holds a broken {name}"))?;
        if bytes.len() as u64 != size {
            return Err(format!("holds a {name} that is not as long as it says"));
        }
        Ok(bytes)
    }
}
