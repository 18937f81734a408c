//! A pickle's bytes in order, some at a time.

use crate::weights::source::ByteSource;

/// The result of reading, or the rest of a sentence that begins with “The file”.
pub(super) type Said<T> = Result<T, String>;

/// How much is read at once.
const WINDOW_BYTES: u64 = 64 << 10;
/// The longest line of the few instructions that are text.
const LINE_MAX_BYTES: usize = 4096;

const CUT: &str = "ends within its description";

/// Reads a part of a file from its beginning to its end.
pub(super) struct Input<'a> {
    source: &'a ByteSource,
    window: Vec<u8>,
    /// Where in the window the next byte stands.
    next: usize,
    /// Where in the file the window ends.
    at: u64,
    end: u64,
}

impl<'a> Input<'a> {
    /// Makes an input of the bytes from `at` to `end`.
    pub(super) fn new(source: &'a ByteSource, at: u64, end: u64) -> Self {
        Self { source, window: Vec::new(), next: 0, at, end: end.min(source.length()) }
    }

    /// Returns where in the file the next byte stands.
    pub(super) fn position(&self) -> u64 {
        self.at - (self.window.len() - self.next) as u64
    }

    /// Returns how many bytes are left.
    pub(super) fn left(&self) -> u64 {
        self.end.saturating_sub(self.position())
    }

    pub(super) fn byte(&mut self) -> Said<u8> {
        if self.next == self.window.len() {
            let count = WINDOW_BYTES.min(self.end.saturating_sub(self.at));
            if count == 0 {
                return Err(CUT.to_owned());
            }
            self.window = self.source.take(self.at, count).map_err(|error| unread(&error))?;
            self.at += count;
            self.next = 0;
        }
        let byte = self.window[self.next];
        self.next += 1;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Said<[u8; N]> {
        let mut out = [0; N];
        for place in &mut out {
            *place = self.byte()?;
        }
        Ok(out)
    }

    pub(super) fn u32(&mut self) -> Said<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Said<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Returns the next bytes; no memory is taken for more than there are.
    pub(super) fn take(&mut self, count: u64) -> Said<Vec<u8>> {
        if count > self.left() {
            return Err(CUT.to_owned());
        }
        let start = self.position();
        let here = (self.window.len() - self.next) as u64;
        if count <= here {
            let from = self.next;
            self.next += count as usize;
            return Ok(self.window[from..self.next].to_vec());
        }
        let out = self.source.take(start, count).map_err(|error| unread(&error))?;
        self.jump(start + count);
        Ok(out)
    }

    /// Goes on at another place.
    pub(super) fn jump(&mut self, to: u64) {
        self.window.clear();
        self.next = 0;
        self.at = to;
    }

    pub(super) fn text(&mut self, count: u64) -> Said<Box<str>> {
        let bytes = self.take(count)?;
        // Python's own strings may hold halves of characters; a name with one is shown mended.
        Ok(String::from_utf8_lossy(&bytes).into())
    }

    /// Returns the text up to the end of the line.
    pub(super) fn line(&mut self) -> Said<String> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                _ if line.len() == LINE_MAX_BYTES => {
                    return Err("has a name of impossible length in its description".to_owned());
                }
                byte => line.push(byte),
            }
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

/// Says that the system refused to read.
pub(super) fn unread(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "is cut short".to_owned(),
        _ => format!("could not be read ({error})"),
    }
}
