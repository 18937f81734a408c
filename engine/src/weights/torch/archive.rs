//! Where the numbers of a torch file stand: in a zip archive, or one behind the other.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::input::{Input, Said, unread};
use super::machine::{self, Described, PICKLE_MAX_BYTES};
use super::node::{Node, Storage};
use crate::weights::source::ByteSource;

/// The most entries of an archive.
const ENTRIES_MAX: usize = 100_000;
/// How many times larger than the file its contents may be, when they are packed: weights do not
/// pack well, a bomb does.
const PACKED_RATIO_MAX: u64 = 20;
/// What contents may take whatever the size of the file.
const PACKED_ROOM_BYTES: u64 = 1 << 20;

/// The bytes `0x1950a86a20f9469cfc6c` that begin a file of torch before 1.6.
///
/// # Source
/// `MAGIC_NUMBER` in `torch/serialization.py`.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// `PROTOCOL_VERSION` in the same file.
const PROTOCOL: i64 = 1001;

/// Says where a storage stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u64,
    /// In the file.
    stored: u64,
    /// Unpacked.
    bytes: u64,
    is_packed: bool,
}

/// Knows where each storage stands.
#[derive(Debug)]
pub(super) struct Archive {
    places: HashMap<String, Place>,
}

/// Tells whether bytes begin as a zip archive does.
pub(super) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

/// Opens a zip archive and runs its description.
pub(super) fn open_zip(source: &ByteSource) -> Said<(Archive, Described)> {
    let broken = |error: zip::result::ZipError| match error {
        zip::result::ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            format!("could not be read ({error})")
        }
        _ => "is a zip archive that is cut short or broken".to_owned(),
    };
    let mut archive = ZipArchive::new(source.reader()).map_err(broken)?;
    if archive.len() > ENTRIES_MAX {
        return Err("is a zip archive with more entries than any checkpoint".to_owned());
    }
    if archive.has_duplicate_names() {
        return Err("is a zip archive that holds an entry twice".to_owned());
    }
    if archive.has_overlapping_files().map_err(broken)? {
        return Err("is a zip archive whose entries overlap".to_owned());
    }
    let mut places = HashMap::new();
    let mut packed = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        if entry.is_dir() {
            continue;
        }
        let is_packed = match entry.compression() {
            _ if entry.encrypted() => return Err("is a zip archive with a password".to_owned()),
            CompressionMethod::Stored => false,
            // Without its own inflater the library knows the method by number only.
            method if method == CompressionMethod::DEFLATE => true,
            other => return Err(format!("is a zip archive packed by an unknown method ({other})")),
        };
        let (stored, bytes) = (entry.compressed_size(), entry.size());
        let start = entry.data_start().ok_or("is a zip archive that is broken")?;
        if start.checked_add(stored).is_none_or(|end| end > source.length())
            || (!is_packed && stored != bytes)
        {
            return Err("is a zip archive that is cut short or broken".to_owned());
        }
        if is_packed {
            packed = packed.saturating_add(bytes);
        }
        places.insert(name, Place { start, stored, bytes, is_packed });
    }
    if packed > source.length().saturating_mul(PACKED_RATIO_MAX).max(PACKED_ROOM_BYTES) {
        return Err("unpacks to far more than a checkpoint of its size".to_owned());
    }
    read_zip(source, places)
}

/// Finds the description among the entries, and the storages beside it.
fn read_zip(source: &ByteSource, places: HashMap<String, Place>) -> Said<(Archive, Described)> {
    let description = |name: &&String| *name == "data.pkl" || name.ends_with("/data.pkl");
    let mut names = places.keys().filter(description);
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err("is a zip archive, but none that torch wrote: it has no data.pkl".to_owned());
    };
    let folder = name[..name.len() - "data.pkl".len()].to_owned();
    let place = places[name];
    if place.bytes > PICKLE_MAX_BYTES {
        return Err("has a description that is longer than any checkpoint's".to_owned());
    }
    if let Some(order) = places.get(&format!("{folder}byteorder"))
        && order.bytes <= 16
        && read_place(source, *order, 0, order.bytes)? == b"big"
    {
        return Err("was written on a big-endian machine, which is not read".to_owned());
    }
    let pickle = ByteSource::memory(read_place(source, place, 0, place.bytes)?);
    let described = machine::run(&mut Input::new(&pickle, 0, pickle.length()))?;
    let prefix = format!("{folder}data/");
    let places = places
        .into_iter()
        .filter_map(|(name, place)| Some((name.strip_prefix(&prefix)?.to_owned(), place)))
        .collect();
    Ok((Archive { places }, described))
}

/// Tells whether bytes begin as a binary pickle does.
pub(super) fn is_pickle(head: &[u8]) -> bool {
    matches!(head, [0x80, 2..=5, ..])
}

/// Opens a file of torch before 1.6: pickles, then all storages one behind the other.
pub(super) fn open_legacy(source: &ByteSource) -> Said<(Archive, Described)> {
    let mut input = Input::new(source, 0, source.length());
    let first = machine::run(&mut input)?;
    if !matches!(first.node(first.root), Node::Long(bytes) if **bytes == MAGIC) {
        return Err("is a pickle, but none that torch wrote".to_owned());
    }
    let version = machine::run(&mut input)?;
    if !matches!(version.node(version.root), Node::Int(PROTOCOL)) {
        return Err("is a torch file of an unknown version".to_owned());
    }
    let system = machine::run(&mut input)?;
    if is_big_endian(&system) {
        return Err("was written on a big-endian machine, which is not read".to_owned());
    }
    let described = machine::run(&mut input)?;
    let keys = machine::run(&mut input)?;
    let places = legacy_places(&mut input, &described, &keys)?;
    Ok((Archive { places }, described))
}

fn is_big_endian(system: &Described) -> bool {
    let Node::Dict(entries) = system.node(system.root) else { return false };
    entries.iter().any(|(key, value)| {
        let is_key = matches!(system.node(*key), Node::Text(key) if **key == *"little_endian");
        is_key && matches!(system.node(*value), Node::Bool(false))
    })
}

/// Walks over the storages: each says how many elements it has, and the description says how long
/// those are.
fn legacy_places(
    input: &mut Input<'_>,
    described: &Described,
    keys: &Described,
) -> Said<HashMap<String, Place>> {
    let Node::List(order) = keys.node(keys.root) else {
        return Err("does not list its numbers".to_owned());
    };
    let mut sizes: HashMap<&str, u64> = HashMap::new();
    for node in &described.nodes {
        let Node::Storage(storage) = node else { continue };
        let size = storage.element.block().0;
        if sizes.insert(&storage.key, size).is_some_and(|before| before != size) {
            return Err("names the same numbers in two forms".to_owned());
        }
    }
    let mut places = HashMap::new();
    for key in order {
        let key = match keys.node(*key) {
            Node::Text(key) => key.to_string(),
            Node::Int(key) => key.to_string(),
            _ => return Err("does not list its numbers".to_owned()),
        };
        let size = sizes.get(key.as_str()).ok_or("lists numbers that nothing is made of")?;
        let bytes = input.u64()?.checked_mul(*size).filter(|bytes| *bytes <= input.left());
        let Some(bytes) = bytes else { return Err("is cut short".to_owned()) };
        let start = input.position();
        input.jump(start + bytes);
        let place = Place { start, stored: bytes, bytes, is_packed: false };
        if places.insert(key, place).is_some() {
            return Err("lists the same numbers twice".to_owned());
        }
    }
    Ok(places)
}

impl Archive {
    /// Checks that a storage is here and as long as it says.
    pub(super) fn check(&self, storage: &Storage, whole: u64) -> Said<()> {
        let Some(place) = self.places.get(&*storage.key) else {
            return Err(format!("lacks the numbers “{}”", storage.key));
        };
        match whole <= place.bytes {
            true => Ok(()),
            false => Err("is cut short, or its description is of another file".to_owned()),
        }
    }

    /// Reads a part of a storage, which [`Archive::check`] found whole.
    pub(super) fn read(
        &self,
        source: &ByteSource,
        key: &str,
        at: u64,
        count: u64,
    ) -> Said<Vec<u8>> {
        let place = self.places.get(key).ok_or_else(|| format!("lacks the numbers “{key}”"))?;
        read_place(source, *place, at, count)
    }
}

/// Reads a part of an entry; a packed one is unpacked up to there.
fn read_place(source: &ByteSource, place: Place, at: u64, count: u64) -> Said<Vec<u8>> {
    if at.checked_add(count).is_none_or(|end| end > place.bytes) {
        return Err("is cut short".to_owned());
    }
    if !place.is_packed {
        return source.take(place.start + at, count).map_err(|error| unread(&error));
    }
    let mut packed = source.reader();
    packed.seek(SeekFrom::Start(place.start)).map_err(|error| unread(&error))?;
    let mut unpacked = DeflateDecoder::new(packed.take(place.stored));
    let skipped = io::copy(&mut unpacked.by_ref().take(at), &mut io::sink());
    let mut out = Vec::new();
    // Grown as it is read: a file that says too much costs no more than it holds.
    let read = unpacked.take(count).read_to_end(&mut out);
    match (skipped, read) {
        (Ok(skipped), Ok(_)) if skipped == at && out.len() as u64 == count => Ok(out),
        _ => Err("holds packed numbers that cannot be unpacked".to_owned()),
    }
}
