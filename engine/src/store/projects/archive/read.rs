//! Building a project from one file of whoever made it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use super::super::record::{self, DocumentRecord, PlacedTile};
use super::super::{PROJECT_EXTENSION, TABLES, VERSION as TABLES_VERSION, failed, set_fact};
use super::write::source_name;
use super::{
    Edit, FORMAT, MANIFEST, MAX_ENTRIES, MAX_MANIFEST_BYTES, MAX_PART_FILE_BYTES, MAX_SOURCE_BYTES,
    Manifest, PartKind, ProjectImport, SOURCES, VERSION, locked, part_file,
};
use crate::canvas::Tiles;
use crate::error::EngineError;
use crate::library::hex;
use crate::protocol::PictureFile;
use crate::store::zipped::Archive;
use crate::store::{files, png};

/// The longest small picture of an edit.
const MAX_THUMBNAIL_BYTES: usize = 1 << 20;
/// How long an edit's detail may be, in characters.
const MAX_DETAIL_CHARS: usize = 400;

/// Builds a project from a file into the folder of the projects, under a name that no other has; the
/// pictures that its jobs had read go to `sources`.
///
/// Nothing of it is there before all of it was checked: every part against its hash, every document
/// against its tiles. Memory stays below the longest part, and no more is written than the file holds.
///
/// # Errors
/// [`EngineError::Damaged`] when the file is not a whole project, [`EngineError::Index`] when a newer
/// Atelier made it, [`EngineError::Io`] or [`EngineError::DiskFull`].
pub fn import(from: &Path, projects: &Path, sources: &Path) -> Result<ProjectImport, EngineError> {
    let file = File::open(from).map_err(|error| EngineError::io("open the file", from, &error))?;
    let damaged = |reason: String| EngineError::damaged(from, reason);
    let mut archive = Archive::open(BufReader::new(file), MAX_ENTRIES).map_err(damaged)?;
    let mut manifest = manifest(&mut archive, from)?;
    let _copying = locked(projects)?;
    files::make_folder(sources)?;
    let known = take_sources(&mut archive, &manifest.sources, sources)
        .map_err(|error| error.unwrap_or_else(|reason| EngineError::damaged(from, reason)))?;
    let mut forgotten: Vec<String> = Vec::new();
    for edit in &mut manifest.edits {
        edit.detail = edit.detail.chars().take(MAX_DETAIL_CHARS).collect();
        let Some(recipe) = &mut edit.recipe else { continue };
        png::check(recipe)
            .map_err(|(what, reason)| damaged(format!("holds a recipe whose {what} {reason}")))?;
        let keep = |file: &PictureFile| {
            source_name(file).filter(|name| known.contains(name)).map(|name| sources.join(name))
        };
        forgotten.extend(recipe.forget_places(keep));
    }
    forgotten.sort();
    forgotten.dedup();
    let name = safe_name(&manifest.name);
    let (file, ()) = files::make_new_by(projects, &name, PROJECT_EXTENSION, |path| {
        build(&mut archive, &manifest, from, path)
    })?;
    Ok(ProjectImport { file, edits: manifest.edits.len(), forgotten })
}

type Opened = Archive<BufReader<File>>;

fn manifest(archive: &mut Opened, from: &Path) -> Result<Manifest, EngineError> {
    let damaged = |reason: String| EngineError::damaged(from, reason);
    if !archive.has(MANIFEST) {
        return Err(damaged("is not a project of Atelier".to_owned()));
    }
    let text = archive.entry(MANIFEST, MAX_MANIFEST_BYTES).map_err(damaged)?;
    /// What every version says.
    #[derive(serde::Deserialize)]
    struct Head {
        format: String,
        version: u32,
    }
    let unreadable = |error: serde_json::Error| {
        let said: String = error.to_string().chars().take(120).collect();
        damaged(format!("has a manifest that cannot be read ({said})"))
    };
    let head: Head = serde_json::from_slice(&text).map_err(unreadable)?;
    if head.format != FORMAT {
        return Err(damaged("is not a project of Atelier".to_owned()));
    }
    if head.version > VERSION {
        return Err(EngineError::Index {
            reason: format!("a newer Atelier made the project (version {})", head.version),
        });
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(unreadable)?;
    if manifest.edits.is_empty() {
        return Err(damaged("has no edits".to_owned()));
    }
    let mut last = 0;
    for Edit { id, parent, .. } in &manifest.edits {
        if id.0 <= last || parent.is_some_and(|parent| parent >= *id) {
            return Err(damaged("has edits that are out of order".to_owned()));
        }
        last = id.0;
    }
    Ok(manifest)
}

/// Copies the pictures that jobs had read, and returns their names.
fn take_sources(
    archive: &mut Opened,
    names: &[String],
    folder: &Path,
) -> Result<HashSet<String>, Result<EngineError, String>> {
    let mut known = HashSet::new();
    for name in names {
        let (hash, ending) = name.split_once('.').unwrap_or((name, ""));
        let asked = PictureFile { path: format!("x.{ending}").into(), sha256: hash.to_owned() };
        if source_name(&asked).as_ref() != Some(name) {
            return Err(Err("names a picture that has no such name".to_owned()));
        }
        let entry = format!("{SOURCES}/{name}");
        let bytes = archive.entry(&entry, MAX_SOURCE_BYTES).map_err(Err)?;
        if hex(&Sha256::digest(&bytes)) != hash {
            return Err(Err("holds a picture that is not what its name says".to_owned()));
        }
        let path = folder.join(name);
        if !std::fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64) {
            files::write_atomic(&path, &bytes).map_err(Ok)?;
        }
        known.insert(name.clone());
    }
    Ok(known)
}

/// Builds the project's file.
fn build(
    archive: &mut Opened,
    manifest: &Manifest,
    from: &Path,
    path: &Path,
) -> Result<(), EngineError> {
    let wrong = |error: rusqlite::Error| failed(path, &error);
    let damaged = |reason: String| EngineError::damaged(from, reason);
    let mut connection = Connection::open(path).map_err(wrong)?;
    // Nobody sees the file before it is whole, and it is made durable as a whole.
    connection
        .execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
        .map_err(wrong)?;
    let change = connection.transaction().map_err(wrong)?;
    change.execute_batch(TABLES).map_err(wrong)?;
    for edit in &manifest.edits {
        let recipe = edit.recipe.as_ref().map(serde_json::to_string).transpose();
        let recipe = recipe.map_err(|error| damaged(error.to_string()))?;
        change
            .prepare_cached(
                "INSERT INTO nodes (id, parent, created_ms, kind, detail, document, recipe)
                 VALUES (?, ?, ?, ?, ?, x'', ?)",
            )
            .and_then(|mut insert| {
                let parent = edit.parent.map(|id| id.0);
                let Edit { id, created_ms, kind, detail, .. } = edit;
                insert.execute(params![id.0, parent, created_ms, kind, detail, recipe])
            })
            .map_err(wrong)?;
    }
    let mut tiles = HashMap::new();
    for number in 0..manifest.part_files {
        let bytes = archive.entry(&part_file(number), MAX_PART_FILE_BYTES).map_err(damaged)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (part, after) = Part::read(rest).ok_or_else(|| {
                damaged("has a part that is cut short or is not what it was".to_owned())
            })?;
            part.take(&change, &mut tiles, from, wrong)?;
            rest = after;
        }
    }
    check_documents(&change, &tiles, from, wrong)?;
    if let Some(head) = manifest.head {
        set_fact(&change, "head", &head.0.to_string()).map_err(wrong)?;
    }
    change.pragma_update(None, "user_version", TABLES_VERSION).map_err(wrong)?;
    change.commit().map_err(wrong)?;
    connection.close().map_err(|(_, error)| wrong(error))
}

/// A part that has the hash that it says.
struct Part<'a> {
    kind: PartKind,
    number: i64,
    bytes: &'a [u8],
}

impl<'a> Part<'a> {
    /// Reads the first part of a file, and returns what follows.
    fn read(rest: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (letter, rest) = rest.split_first()?;
        let kind = PartKind::ALL.into_iter().find(|kind| kind.letter() == *letter)?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (hash, rest) = rest.split_first_chunk::<32>()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let is_whole = <[u8; 32]>::from(Sha256::digest(bytes)) == *hash;
        is_whole.then_some((Self { kind, number: i64::from_le_bytes(*number), bytes }, rest))
    }

    /// Puts the part into the project.
    fn take(
        &self,
        change: &Connection,
        tiles: &mut HashMap<i64, usize>,
        from: &Path,
        wrong: impl Fn(rusqlite::Error) -> EngineError,
    ) -> Result<(), EngineError> {
        let Self { kind, number, bytes } = *self;
        let damaged = |reason: &str| EngineError::damaged(from, reason);
        let changed = match kind {
            PartKind::Tile => {
                let pixels = record::inflate(bytes, Tiles::<4>::TILE_BYTES as u64, from)?;
                if ![Tiles::<4>::TILE_BYTES, Tiles::<1>::TILE_BYTES].contains(&pixels.len()) {
                    return Err(damaged("has a tile of the wrong length"));
                }
                tiles.insert(number, pixels.len());
                let sql = "INSERT OR IGNORE INTO tiles (id, hash, packed) VALUES (?, ?, ?)";
                let hash = Sha256::digest(&pixels);
                change
                    .prepare_cached(sql)
                    .and_then(|mut insert| insert.execute(params![number, &hash[..], bytes]))
            }
            PartKind::Document => {
                let sql = "UPDATE nodes SET document = ? WHERE id = ? AND length(document) = 0";
                change
                    .prepare_cached(sql)
                    .and_then(|mut update| update.execute(params![bytes, number]))
            }
            PartKind::Thumbnail => {
                if bytes.len() > MAX_THUMBNAIL_BYTES {
                    return Err(damaged("has a small picture that is too large"));
                }
                let sql = "UPDATE nodes SET thumbnail = ? WHERE id = ? AND thumbnail IS NULL";
                change
                    .prepare_cached(sql)
                    .and_then(|mut update| update.execute(params![bytes, number]))
            }
        };
        match changed.map_err(wrong)? {
            1 => Ok(()),
            _ => Err(damaged("has a part that stands there twice or belongs to no edit")),
        }
    }
}

/// Checks that every document can be read and has all its tiles, which have these lengths by their
/// numbers.
fn check_documents(
    change: &Connection,
    tiles: &HashMap<i64, usize>,
    from: &Path,
    wrong: impl Fn(rusqlite::Error) -> EngineError + Copy,
) -> Result<(), EngineError> {
    let mut nodes = change.prepare("SELECT document FROM nodes").map_err(wrong)?;
    let mut rows = nodes.query([]).map_err(wrong)?;
    while let Some(row) = rows.next().map_err(wrong)? {
        let packed: Vec<u8> = row.get(0).map_err(wrong)?;
        if packed.is_empty() {
            return Err(EngineError::damaged(from, "lacks the picture of an edit"));
        }
        let record: DocumentRecord = record::unpack(&packed, from)?;
        record.check(from)?;
        let has = |length: usize| {
            move |(_, _, tile): &PlacedTile| tiles.get(tile).is_some_and(|known| *known == length)
        };
        let mut layers = record.layers.iter().flat_map(|layer| &layer.tiles);
        let mut selection = record.selection.iter().flatten();
        if !layers.all(has(Tiles::<4>::TILE_BYTES)) || !selection.all(has(Tiles::<1>::TILE_BYTES)) {
            return Err(EngineError::damaged(from, "lacks a tile of a picture"));
        }
    }
    Ok(())
}

/// Makes of a stranger's name one that a file can have.
fn safe_name(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '(' | ')' | ',');
    let name: String = name.chars().filter(|c| is_plain(*c)).take(60).collect();
    let end = name.floor_char_boundary(120);
    match name[..end].trim() {
        "" => "project".to_owned(),
        name => name.to_owned(),
    }
}
