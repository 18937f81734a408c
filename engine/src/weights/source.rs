//! The bytes of a file, read where they are wanted.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::EngineError;

/// Gives any part of a file, or of bytes in memory, without reading the rest.
#[derive(Debug)]
pub struct ByteSource {
    inner: Inner,
    length: u64,
}

#[derive(Debug)]
enum Inner {
    /// One at a time: reading moves the file's only position.
    File(Mutex<File>),
    Memory(Vec<u8>),
}

impl ByteSource {
    /// Opens a file.
    ///
    /// # Errors
    /// [`EngineError::Io`] when it cannot be opened; [`EngineError::Damaged`] when it is a folder.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let refused = |error: io::Error| EngineError::io("open the file", path, &error);
        // A pipe would wait for somebody who writes, and a device has no length.
        let about = std::fs::metadata(path).map_err(refused)?;
        if !about.is_file() {
            return Err(EngineError::damaged(path, "is no regular file"));
        }
        let file = File::open(path).map_err(refused)?;
        Ok(Self { inner: Inner::File(Mutex::new(file)), length: about.len() })
    }

    /// Takes bytes that are in memory.
    pub fn memory(bytes: Vec<u8>) -> Self {
        Self { length: bytes.len() as u64, inner: Inner::Memory(bytes) }
    }

    /// Returns how many bytes there are.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Fills `out` with the bytes at `at`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when there are not as many.
    pub fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let end = at.checked_add(out.len() as u64).filter(|end| *end <= self.length);
        let Some(end) = end else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        match &self.inner {
            Inner::Memory(bytes) => {
                out.copy_from_slice(&bytes[at as usize..end as usize]);
                Ok(())
            }
            Inner::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(out)
            }
        }
    }

    /// Returns `count` bytes at `at`; no memory is taken for bytes that are not there.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when there are not as many.
    pub fn take(&self, at: u64, count: u64) -> io::Result<Vec<u8>> {
        if at.checked_add(count).is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = usize::try_from(count).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut out = vec![0; count];
        self.read_at(at, &mut out)?;
        Ok(out)
    }

    /// Returns a reader with a position of its own.
    pub fn reader(&self) -> SourceReader<'_> {
        SourceReader { source: self, at: 0 }
    }
}

/// Reads a [`ByteSource`] in order.
#[derive(Debug, Clone)]
pub struct SourceReader<'a> {
    source: &'a ByteSource,
    at: u64,
}

impl Read for SourceReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.source.length.saturating_sub(self.at);
        let count = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.source.read_at(self.at, &mut out[..count])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for SourceReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.source.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_file_and_memory_give_the_same_parts_and_nothing_beyond_their_end() {
        let bytes: Vec<u8> = (0..100).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        for source in [ByteSource::open(file.path()).unwrap(), ByteSource::memory(bytes.clone())] {
            assert_eq!(source.take(10, 5).unwrap(), [10, 11, 12, 13, 14]);
            assert_eq!(source.take(100, 0).unwrap().len(), 0);
            for (at, count) in [(100, 1), (0, 101), (u64::MAX, 1), (1, u64::MAX), (1 << 63, 1)] {
                let error = source.take(at, count).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{at}, {count}");
            }
            let mut reader = source.reader();
            reader.seek(SeekFrom::End(-3)).unwrap();
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, [97, 98, 99]);
        }
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = ByteSource::open(folder.path()).unwrap_err();
        assert!(matches!(error, EngineError::Damaged { .. }), "{error}");
    }
}
