//! What is in a result's file: its size, its hash, a picture's colours.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::index::Content;
use crate::error::EngineError;
use crate::library::hex;

/// Describes bytes that are a result's file.
pub(super) fn content_of_bytes(bytes: &[u8]) -> Content {
    let sha256 = hex(&Sha256::digest(bytes));
    Content { bytes: bytes.len() as u64, sha256, colours: None }
}

/// Describes a result's file; it is read piece by piece.
pub(super) fn content_of(path: &Path) -> Result<Content, EngineError> {
    let read = || copy_hashed(&mut File::open(path)?, &mut io::sink());
    read().map_err(|error| EngineError::io("read the file", path, &error))
}

/// Copies and describes what was read.
pub(super) fn copy_hashed(from: &mut impl Read, to: &mut impl Write) -> io::Result<Content> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                digest.update(&buffer[..read]);
                to.write_all(&buffer[..read])?;
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Content { bytes, sha256: hex(&digest.finalize()), colours: None })
}
