//! Projects: documents with everything that was ever done to them.
//!
//! A project is one SQLite file. Each thing that a person does is a node with the whole document
//! after it; documents share their tiles, which are kept once by the hash of their pixels, so a node
//! costs what it changed. Undoing goes to the parent of the node one is at; doing something else from
//! there begins a branch, and no branch is ever dropped.
//!
//! A node is there when [`Project::add`] returns: SQLite's journal survives a killed process. One
//! process at a time writes; another that opens the project reads only and is told so.

pub mod archive;
mod record;
mod tiles;
mod trail;

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::canvas::Document;
use crate::error::EngineError;
use crate::protocol::{PictureRequest, Pixels};

use super::place::lock_patiently;
use super::recovery::now_ms;
use super::{files, png};
use tiles::TileShelf;
pub use trail::{NodeInfo, Trail};

/// The ending of a project's file.
pub const PROJECT_EXTENSION: &str = "atelier-project";

/// How long a statement waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The longer side of a node's small picture, in pixels.
pub const NODE_THUMBNAIL_PX: u32 = 96;

/// What `PRAGMA user_version` says of files that this version reads.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE tiles (
        id INTEGER PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,
        packed BLOB NOT NULL
    );
    CREATE TABLE nodes (
        id INTEGER PRIMARY KEY,
        parent INTEGER REFERENCES nodes (id),
        created_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL,
        document BLOB NOT NULL,
        thumbnail BLOB,
        recipe TEXT
    );
    CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
";

/// Names a node of a project; later ones have higher numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub i64);

/// Says what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EditKind {
    /// The document was begun.
    Begun,
    /// Something was painted with the brush.
    Painted,
    /// Something was rubbed out.
    Erased,
    /// An area was filled.
    Filled,
    /// A line, a rectangle or an ellipse was drawn.
    Drawn,
    /// The selection was changed.
    Selected,
    /// A layer was added.
    LayerAdded,
    /// A layer was removed.
    LayerRemoved,
    /// A layer was changed: its name, opacity, order, mode or whether it is seen.
    LayerChanged,
    /// Layers were merged.
    Merged,
    /// A picture was laid into the document.
    Placed,
    /// A picture was generated and waits to be taken; the person stays where they are.
    Candidate,
    /// A generated picture was taken.
    Generated,
    /// The document was cropped or extended.
    Cropped,
    /// The document or a layer was turned, mirrored, moved or scaled.
    Transformed,
    /// The subject was cut out.
    CutOut,
    /// The document was enlarged.
    Enlarged,
    /// The prompt or a setting was changed.
    Setting,
}

impl EditKind {
    /// Tells whether it stands beside the way: nobody goes to it by making it.
    pub fn is_aside(self) -> bool {
        self == Self::Candidate
    }

    /// Returns the name that stands in the file.
    fn id(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        }
    }

    /// Returns the kind of a name; what a newer version wrote counts as a change of a setting.
    fn of(name: &str) -> Self {
        let value = serde_json::Value::String(name.to_owned());
        serde_json::from_value(value).unwrap_or(Self::Setting)
    }
}

/// Holds what a new node says.
#[derive(Debug, Clone, PartialEq)]
pub struct NewNode {
    /// Its name: above those of all others ([`Trail::next_id`]).
    pub id: NodeId,
    /// The node from which it was done; `None` for the first.
    pub parent: Option<NodeId>,
    /// What was done.
    pub kind: EditKind,
    /// More about it: a prompt, the name of a layer.
    pub detail: String,
    /// The document after it.
    pub document: Document,
    /// The recipe, where something was generated.
    pub recipe: Option<PictureRequest>,
}

/// Holds an open project.
#[derive(Debug)]
pub struct Project {
    connection: Connection,
    path: PathBuf,
    shelf: TileShelf,
    /// Held as long as the project is open, where this process is the one that writes.
    lock: Option<File>,
}

impl Project {
    /// Makes a project in a folder, under a name that no other file there has.
    ///
    /// # Errors
    /// [`EngineError::Io`] or [`EngineError::DiskFull`] when the file cannot be made,
    /// [`EngineError::Index`] when SQLite refuses.
    pub fn create(folder: &Path, name: &str) -> Result<Self, EngineError> {
        files::make_folder(folder)?;
        let path = files::write_new(folder, name, PROJECT_EXTENSION, &[])?;
        Self::open(&path)
    }

    /// Opens a project. Another process that has it open keeps writing, and this one may only read.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the file is not there, [`EngineError::Damaged`] when it is not a
    /// project, [`EngineError::Index`] when a newer Atelier wrote it or SQLite refuses.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let metadata = std::fs::metadata(path)
            .map_err(|error| EngineError::io("open the project", path, &error))?;
        let lock = take_lock(path)?;
        let flags = match (&lock, metadata.permissions().readonly()) {
            (Some(_), false) => OpenFlags::SQLITE_OPEN_READ_WRITE,
            _ => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        let lock = lock.filter(|_| flags == OpenFlags::SQLITE_OPEN_READ_WRITE);
        let wrong = |error: rusqlite::Error| failed(path, &error);
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(wrong)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(wrong)?;
        let mut project =
            Self { connection, path: path.to_owned(), shelf: TileShelf::default(), lock };
        project.prepare()?;
        Ok(project)
    }

    fn prepare(&mut self) -> Result<(), EngineError> {
        let path = self.path.clone();
        let wrong = |error: rusqlite::Error| failed(&path, &error);
        if self.is_writable() {
            self.connection
                .query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
                .map_err(wrong)?;
            self.connection.execute_batch("PRAGMA synchronous = NORMAL").map_err(wrong)?;
        }
        let version: i64 = self
            .connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(wrong)?;
        let count: i64 = self
            .connection
            .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
            .map_err(wrong)?;
        match (version, count) {
            (VERSION, 3..) => Ok(()),
            (0, 0) if self.is_writable() => {
                let made = self.connection.transaction().map_err(wrong)?;
                made.execute_batch(TABLES).map_err(wrong)?;
                made.pragma_update(None, "user_version", VERSION).map_err(wrong)?;
                made.commit().map_err(wrong)
            }
            (newer, _) if newer > VERSION => Err(EngineError::Index {
                reason: format!("a newer Atelier wrote the project (version {newer})"),
            }),
            _ => Err(EngineError::damaged(&path, "is not a project of Atelier")),
        }
    }

    /// Tells whether this process may change it.
    pub fn is_writable(&self) -> bool {
        self.lock.is_some()
    }

    /// Returns its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its name: that of the file without its ending.
    pub fn name(&self) -> String {
        self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Adds a node and goes to it, unless it [stands aside](EditKind::is_aside). When this returns the node is on the disk; when it fails nothing
    /// has changed.
    ///
    /// # Errors
    /// [`EngineError::DiskFull`] or [`EngineError::Index`] when it cannot be written,
    /// [`EngineError::InvalidSetting`] when the project is open for reading only.
    pub fn add(&mut self, node: &NewNode) -> Result<NodeInfo, EngineError> {
        self.check_writable()?;
        let path = self.path.clone();
        let wrong = |error: rusqlite::Error| failed(&path, &error);
        let thumbnail = node.document.thumbnail(NODE_THUMBNAIL_PX);
        let thumbnail = thumbnail.as_ref().map(png::encode_plain).transpose()?;
        let recipe = node.recipe.as_ref().map(serde_json::to_string).transpose();
        let recipe = recipe.map_err(|error| EngineError::Index { reason: error.to_string() })?;
        let change = self.connection.transaction().map_err(wrong)?;
        let document = self.shelf.put(&change, &node.document).map_err(wrong)?;
        let document = record::pack(&document)?;
        let created_ms = now_ms();
        change
            .execute(
                "INSERT INTO nodes (id, parent, created_ms, kind, detail, document, thumbnail, recipe)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    node.id.0,
                    node.parent.map(|id| id.0),
                    created_ms,
                    node.kind.id(),
                    node.detail,
                    document,
                    thumbnail,
                    recipe
                ],
            )
            .map_err(wrong)?;
        let id = node.id;
        if !node.kind.is_aside() {
            set_fact(&change, "head", &id.0.to_string()).map_err(wrong)?;
        }
        let done = change.commit().map_err(wrong);
        if done.is_err() {
            // Tiles that were counted as kept are not.
            self.shelf = TileShelf::default();
        }
        done?;
        let has_recipe = node.recipe.is_some();
        let detail = node.detail.clone();
        Ok(NodeInfo { id, parent: node.parent, created_ms, kind: node.kind, detail, has_recipe })
    }

    /// Goes to a node, so that the next start finds the person there.
    ///
    /// # Errors
    /// As [`Project::add`].
    pub fn go_to(&mut self, id: NodeId) -> Result<(), EngineError> {
        self.check_writable()?;
        set_fact(&self.connection, "head", &id.0.to_string())
            .map_err(|error| failed(&self.path, &error))
    }

    /// Returns all nodes and the one that the person is at.
    ///
    /// # Errors
    /// [`EngineError::Index`] or [`EngineError::Damaged`] when the file cannot be read.
    pub fn trail(&self) -> Result<Trail, EngineError> {
        let wrong = |error: rusqlite::Error| failed(&self.path, &error);
        let mut statement = self
            .connection
            .prepare(
                "SELECT id, parent, created_ms, kind, detail, recipe IS NOT NULL FROM nodes
                 ORDER BY id",
            )
            .map_err(wrong)?;
        let rows = statement.query_map([], |row| {
            Ok(NodeInfo {
                id: NodeId(row.get(0)?),
                parent: row.get::<_, Option<i64>>(1)?.map(NodeId),
                created_ms: row.get(2)?,
                kind: EditKind::of(&row.get::<_, String>(3)?),
                detail: row.get(4)?,
                has_recipe: row.get(5)?,
            })
        });
        let nodes: Vec<NodeInfo> =
            rows.and_then(|rows| rows.collect::<Result<_, _>>()).map_err(wrong)?;
        let head = self
            .connection
            .query_row("SELECT value FROM facts WHERE key = 'head'", [], |row| {
                row.get::<_, String>(0)
            })
            .optional()
            .map_err(wrong)?;
        Ok(Trail::new(nodes, head.and_then(|text| text.parse().ok()).map(NodeId)))
    }

    /// Returns the document after a node. Tiles that are in memory already are shared.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] for a node that is not there, [`EngineError::Damaged`] when
    /// the document or one of its tiles cannot be read.
    pub fn document(&mut self, id: NodeId) -> Result<Document, EngineError> {
        let packed: Vec<u8> = self.column("document", id)?;
        let record = record::unpack(&packed, &self.path)?;
        self.shelf.take(&self.connection, &record, &self.path)
    }

    /// Returns the small picture of a node, where it has one.
    ///
    /// # Errors
    /// As [`Project::document`].
    pub fn thumbnail(&self, id: NodeId) -> Result<Option<Pixels>, EngineError> {
        let bytes: Option<Vec<u8>> = self.column("thumbnail", id)?;
        bytes.map(|bytes| png::decode(&bytes)).transpose()
    }

    /// Returns the recipe of a node, where something was generated.
    ///
    /// # Errors
    /// As [`Project::document`].
    pub fn recipe(&self, id: NodeId) -> Result<Option<PictureRequest>, EngineError> {
        let text: Option<String> = self.column("recipe", id)?;
        let read = text.map(|text| serde_json::from_str(&text)).transpose();
        read.map_err(|error| EngineError::damaged(&self.path, format!("has a recipe that {error}")))
    }

    fn column<T: rusqlite::types::FromSql>(
        &self,
        name: &'static str,
        id: NodeId,
    ) -> Result<T, EngineError> {
        self.connection
            .query_row(&format!("SELECT {name} FROM nodes WHERE id = ?"), [id.0], |row| row.get(0))
            .optional()
            .map_err(|error| failed(&self.path, &error))?
            .ok_or_else(|| EngineError::invalid("edit", format!("{} is not in the project", id.0)))
    }

    fn check_writable(&self) -> Result<(), EngineError> {
        if self.is_writable() {
            return Ok(());
        }
        let reason = "is open in another window and can only be looked at here";
        Err(EngineError::invalid("project", reason))
    }
}

/// Lists the project files of a folder, the latest changed first.
///
/// # Errors
/// [`EngineError::Io`] when the folder is there and cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(EngineError::io("list the projects", folder, &error)),
    };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == PROJECT_EXTENSION))
        .filter_map(|path| {
            // In WAL mode the newest pages are in the file beside it.
            let beside = PathBuf::from(format!("{}-wal", path.display()));
            let when = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
            Some((when(&path).max(when(&beside))?, path))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Takes the lock of a project; `None` while another process has it.
fn take_lock(path: &Path) -> Result<Option<File>, EngineError> {
    let place = PathBuf::from(format!("{}-lock", path.display()));
    let lock = match OpenOptions::new().create(true).truncate(false).write(true).open(&place) {
        Ok(lock) => lock,
        // In a folder that may only be read nobody writes.
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(EngineError::io("lock the project", &place, &error)),
    };
    match lock_patiently(&lock) {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(EngineError::io("lock the project", &place, &error)),
    }
}

fn set_fact(connection: &Connection, key: &str, value: &str) -> Result<(), rusqlite::Error> {
    connection
        .execute("INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)", [key, value])
        .map(|_| ())
}

/// Says what SQLite's error means for a person.
fn failed(path: &Path, error: &rusqlite::Error) -> EngineError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => EngineError::DiskFull { path: path.to_owned() },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            EngineError::damaged(path, "is not a project of Atelier, or is damaged")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => {
            EngineError::Io {
                action: "write the project".to_owned(),
                reason: error.to_string(),
                path: path.to_owned(),
            }
        }
        _ => EngineError::Index { reason: error.to_string() },
    }
}
