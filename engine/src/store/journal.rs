//! What a person said about results (favourites, ratings, tags, boards), written down beside the
//! index, so that it outlives it.
//!
//! `marks.jsonl` has one JSON object a line and is only ever appended to. Each line about a result
//! says all that holds of it from then on, so the last line counts and reading twice does no harm.
//! A line is on the disk before the index says the same; the index notes how far it has read, and
//! reads the rest when it is behind. What cannot be read is passed over, line by line.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::files;
use super::recovery::now_ms;
use crate::error::EngineError;

/// The journal's file in the library's folder.
pub(super) const JOURNAL: &str = "marks.jsonl";

const VERSION: u32 = 1;

/// A header is at most this long; more is no journal.
const MOST_HEADER_BYTES: usize = 1 << 12;

/// A journal is made short when it is longer than this and twice what it says.
const LONG_BYTES: u64 = 1 << 20;

/// Holds what a person said about one result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Marks {
    /// Whether it is a favourite.
    #[serde(rename = "favourite", skip_serializing_if = "std::ops::Not::not")]
    pub is_favourite: bool,
    /// Stars, 0 (none) to 5.
    #[serde(skip_serializing_if = "is_zero")]
    pub rating: u8,
    /// Tags, in alphabetical order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Boards on which it is, by their id, and its position on each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub boards: BTreeMap<String, f64>,
}

impl Marks {
    /// Tells whether nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(rating: &u8) -> bool {
    *rating == 0
}

/// Is one line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Entry {
    /// The first line.
    Journal { version: u32, generation: String },
    /// What holds of a result from here on.
    Result {
        /// Its file, relative to the library's folder.
        file: String,
        /// Its content, by which it is found when it was renamed by hand; empty when not known.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        sha256: String,
        /// Its file until now, when it moved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<String>,
        #[serde(flatten)]
        marks: Marks,
    },
    /// A result was deleted for good.
    Gone { file: String },
    /// A board is there, has another name or another place among the boards.
    Board { board: String, name: String, position: f64 },
    /// A board was removed.
    NoBoard { board: String },
}

/// Holds what a journal says in the end.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// By file: content and marks.
    pub results: BTreeMap<String, (String, Marks)>,
    /// By id: name and position.
    pub boards: BTreeMap<String, (String, f64)>,
}

impl Said {
    /// Takes a line in.
    pub(super) fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Journal { .. } => {}
            Entry::Result { file, sha256, was, marks } => {
                if let Some(was) = was {
                    self.results.remove(&was);
                }
                if marks.is_empty() {
                    self.results.remove(&file);
                } else {
                    self.results.insert(file, (sha256, marks));
                }
            }
            Entry::Gone { file } => drop(self.results.remove(&file)),
            Entry::Board { board, name, position } => {
                self.boards.insert(board, (name, position));
            }
            Entry::NoBoard { board } => {
                self.boards.remove(&board);
                for (_, marks) in self.results.values_mut() {
                    marks.boards.remove(&board);
                }
            }
        }
    }

    /// Returns the lines that say the same from the start.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let boards = self.boards.iter().map(|(board, (name, position))| Entry::Board {
            board: board.clone(),
            name: name.clone(),
            position: *position,
        });
        let results = self.results.iter().map(|(file, (sha256, marks))| Entry::Result {
            file: file.clone(),
            sha256: sha256.clone(),
            was: None,
            marks: marks.clone(),
        });
        boards.chain(results).collect()
    }
}

/// Says in which state a journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// There is none.
    Absent,
    /// Its first line is not that of a journal of ours.
    Broken,
    /// It can be read and appended to.
    Sound { generation: String, bytes: u64 },
}

/// Holds lines that were read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub entries: Vec<Entry>,
    /// Where the last whole line ends, in bytes from the start.
    pub end_bytes: u64,
    /// Lines that could not be read.
    pub unreadable: usize,
}

/// Reads and writes one journal. Whoever writes must hold the index's lock for writing.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    path: PathBuf,
}

impl Journal {
    /// Names the journal of a library.
    pub(super) fn of(folder: &Path) -> Self {
        Self { path: folder.join(JOURNAL) }
    }

    fn refused(&self, action: &str) -> impl Fn(io::Error) -> EngineError {
        let (action, path) = (action.to_owned(), self.path.clone());
        move |error| EngineError::io(action.clone(), path.clone(), &error)
    }

    /// Looks at the length and the first line.
    pub(super) fn state(&self) -> Result<State, EngineError> {
        let refused = self.refused("read the journal");
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Absent),
            opened => opened.map_err(&refused)?,
        };
        let bytes = file.metadata().map_err(&refused)?.len();
        let mut head = Vec::new();
        (&mut file).take(MOST_HEADER_BYTES as u64).read_to_end(&mut head).map_err(&refused)?;
        let line = head.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(match serde_json::from_slice(line) {
            Ok(Entry::Journal { version, .. }) if version > VERSION => {
                let reason = format!("a newer Atelier wrote {JOURNAL} (version {version})");
                return Err(EngineError::Index { reason });
            }
            Ok(Entry::Journal { generation, .. }) if line.ends_with(b"\n") => {
                State::Sound { generation, bytes }
            }
            _ => State::Broken,
        })
    }

    /// Reads the whole lines from an offset on. A line that is no line of ours, or of a newer
    /// program, is passed over.
    pub(super) fn read_from(&self, offset_bytes: u64) -> Result<Reading, EngineError> {
        let refused = self.refused("read the journal");
        let mut bytes = Vec::new();
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Reading { end_bytes: offset_bytes, ..Reading::default() });
            }
            opened => opened.map_err(&refused)?,
        };
        file.seek(SeekFrom::Start(offset_bytes)).map_err(&refused)?;
        file.read_to_end(&mut bytes).map_err(&refused)?;
        let mut reading = Reading { end_bytes: offset_bytes, ..Reading::default() };
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            // What a killed process or a power cut left of a line was never confirmed.
            if !line.ends_with(b"\n") {
                break;
            }
            reading.end_bytes += line.len() as u64;
            match serde_json::from_slice(line) {
                Ok(entry) => reading.entries.push(entry),
                Err(_) => reading.unreadable += 1,
            }
        }
        Ok(reading)
    }

    /// Appends lines after `end_bytes`, where the last whole line ends, and returns the new end.
    /// They are on the disk when this returns; on failure the journal is as before.
    pub(super) fn append(&self, end_bytes: u64, entries: &[Entry]) -> Result<u64, EngineError> {
        let lines = lines(entries)?;
        let mut file = File::options()
            .write(true)
            .open(&self.path)
            .map_err(self.refused("write the journal"))?;
        let mut write = || {
            file.set_len(end_bytes)?;
            file.seek(SeekFrom::Start(end_bytes))?;
            file.write_all(&lines)?;
            file.sync_data()
        };
        let written = write();
        if written.is_err() {
            let _ = file.set_len(end_bytes);
        }
        written.map_err(self.refused("write the journal"))?;
        Ok(end_bytes + lines.len() as u64)
    }

    /// Takes lines back that [`Journal::append`] wrote.
    pub(super) fn take_back(&self, end_bytes: u64) {
        if let Ok(file) = File::options().write(true).open(&self.path) {
            let _ = file.set_len(end_bytes);
        }
    }

    /// Replaces the journal in one step by one that says this and returns its generation and
    /// length.
    pub(super) fn write_anew(&self, said: &Said) -> Result<(String, u64), EngineError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let generation = format!("{:x}-{:x}-{count:x}", now_ms(), std::process::id());
        let header = Entry::Journal { version: VERSION, generation: generation.clone() };
        let mut bytes = lines(&[header])?;
        bytes.extend(lines(&said.entries())?);
        files::write_atomic(&self.path, &bytes)?;
        Ok((generation, bytes.len() as u64))
    }

    /// Renames a journal whose start is broken, out of the way of a new one.
    pub(super) fn set_aside(&self) -> Result<(), EngineError> {
        let aside = (1_u32..)
            .map(|number| self.path.with_file_name(format!("{JOURNAL}.damaged-{number}")))
            .find(|path| !path.exists())
            .unwrap_or_default();
        fs::rename(&self.path, aside).map_err(self.refused("set the journal aside"))
    }

    /// Tells whether so many bytes are far more than what they say needs.
    pub(super) fn is_long(bytes: u64, said: &Said) -> bool {
        // A line has some 200 bytes.
        let needed = (said.results.len() + said.boards.len()) as u64 * 200;
        bytes > LONG_BYTES && bytes > 2 * needed
    }
}

fn lines(entries: &[Entry]) -> Result<Vec<u8>, EngineError> {
    let mut bytes = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut bytes, entry)
            .map_err(|error| EngineError::invalid("mark", format!("cannot be written: {error}")))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

    use super::*;

    fn rated(file: &str, rating: u8) -> Entry {
        let marks = Marks { rating, ..Marks::default() };
        Entry::Result { file: file.to_owned(), sha256: String::new(), was: None, marks }
    }

    fn bytes_of(journal: &Journal) -> u64 {
        match journal.state().unwrap() {
            State::Sound { bytes, .. } => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_torn_last_line_is_passed_over_and_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::of(folder.path());
        assert_eq!(journal.state().unwrap(), State::Absent);
        journal.write_anew(&Said::default()).unwrap();
        let end = journal.append(bytes_of(&journal), &[rated("a", 3)]).unwrap();
        let mut torn = fs::read(&journal.path).unwrap();
        torn.extend_from_slice(br#"{"what":"result","file":"b","ra"#);
        fs::write(&journal.path, torn).unwrap();
        let reading = journal.read_from(0).unwrap();
        assert_eq!((reading.entries.len(), reading.end_bytes, reading.unreadable), (2, end, 0));
        let end = journal.append(end, &[rated("c", 1)]).unwrap();
        assert_eq!(bytes_of(&journal), end);
        assert_eq!(journal.read_from(0).unwrap().entries[2], rated("c", 1));
    }

    #[test]
    fn damaged_lines_cost_themselves_only() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::of(folder.path());
        journal.write_anew(&Said::default()).unwrap();
        let end = journal.append(bytes_of(&journal), &[rated("a", 3)]).unwrap();
        let mut bytes = fs::read(&journal.path).unwrap();
        bytes.extend_from_slice(b"\0\0\0\0\n{\"what\":\"of a newer program\"}\n\xff\xfe\n");
        fs::write(&journal.path, &bytes).unwrap();
        journal.append(bytes.len() as u64, &[rated("b", 2)]).unwrap();
        let reading = journal.read_from(end).unwrap();
        assert_eq!((reading.entries, reading.unreadable), (vec![rated("b", 2)], 3));
    }

    #[test]
    fn the_last_line_about_a_result_counts() {
        let mut said = Said::default();
        for entry in [rated("a", 3), rated("b", 1), rated("a", 5), rated("b", 0)] {
            said.take(entry);
        }
        assert_eq!(said.results.len(), 1);
        assert_eq!(said.results["a"].1.rating, 5);
        let Entry::Result { marks, .. } = rated("", 5) else { panic!() };
        let was = Some("a".to_owned());
        said.take(Entry::Result { file: "c".to_owned(), sha256: String::new(), was, marks });
        assert_eq!(said.results.keys().collect::<Vec<_>>(), ["c"]);
        let mut again = Said::default();
        said.entries().into_iter().for_each(|entry| again.take(entry));
        assert_eq!(again.results, said.results);
        said.take(Entry::Gone { file: "c".to_owned() });
        assert!(said.results.is_empty());
    }
}
