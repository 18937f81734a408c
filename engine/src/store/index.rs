//! The SQLite index of the library: what SQL there is stands here and in the modules below.
//!
//! The folders and the journal are the truth and the index can be made again from them, so
//! `synchronous = NORMAL` is enough: a power cut may take the last rows, and the next start adopts
//! their pictures and reads the journal again.

mod contents;
mod folders;
mod marks;
mod schema;
mod search;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Row, params};

use crate::error::EngineError;
use crate::protocol::Request;

use super::ResultKind;
use super::journal::Journal;
pub(super) use contents::{Content, Place, Recorded, Todo, read_request};
pub(super) use marks::BoardRow;
#[cfg(test)]
pub(super) use schema::make_old;

/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of the index SQLite may keep in memory, in KiB.
const CACHE_KIB: u32 = 24 << 10;

/// What [`index_row`] reads; tags are parted by a character that no tag holds.
const COLUMNS: &str = "results.id, file, created_ms,
    (SELECT request FROM recipes WHERE recipes.id = results.id), is_favourite, trashed_ms, kind,
    rating, bytes, (SELECT group_concat(name, char(31)) FROM result_tags JOIN tags ON
        tags.id = tag_id WHERE result_id = results.id)";

/// A larger index is not read through at every start, but by [`Index::check_file`] later.
const CHECKED_AT_START_BYTES: u64 = 4 << 20;

/// The file beside the index that says that it was found damaged while it was in use.
const SUSPECT_SUFFIX: &str = ".suspect";

/// Says why an index could not be opened.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It can be set aside and made again.
    Damaged,
    /// It is sound, or something else is wrong.
    Other(EngineError),
}

/// Says which results are listed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    Kept,
    Trashed,
}

/// Holds one row of results, with its file relative to the library's folder.
#[derive(Debug, Clone)]
pub(super) struct IndexRow {
    pub id: i64,
    pub file: String,
    pub created_ms: i64,
    pub request: String,
    pub is_favourite: bool,
    pub trashed_ms: Option<i64>,
    pub kind: String,
    pub rating: u8,
    pub bytes: Option<u64>,
    pub tags: Vec<String>,
}

/// Holds the open index.
#[derive(Debug)]
pub(super) struct Index {
    connection: Connection,
    path: PathBuf,
    journal: Journal,
    /// Where the journal ended before the change that is being made, and where it ends now.
    journal_written: Cell<Option<[u64; 2]>>,
    is_changing: Cell<bool>,
}

/// Is a change that is taken back when it was not committed before this is dropped.
struct Change<'a>(&'a Index);

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if !self.0.is_changing.replace(false) {
            return;
        }
        let written = self.0.journal_written.take();
        let is_locked = !self.0.connection.is_autocommit();
        // A full disk may end a change by itself while it is committed; then the lock is taken again,
        // and lines that somebody has read meanwhile stay.
        if !is_locked && (written.is_none() || self.0.execute("BEGIN IMMEDIATE", []).is_err()) {
            return;
        }
        if let Some(written) = written {
            self.0.take_back(written, is_locked);
        }
        let _ = self.0.execute("ROLLBACK", []);
    }
}

impl Index {
    /// Opens the index or makes an empty one, brings it up to date and checks it.
    pub(super) fn open(path: &Path) -> Result<Self, Refusal> {
        let classify = |error: rusqlite::Error| match error.sqlite_error_code() {
            // `Unknown` is SQLITE_ERROR: a table or column that should be there is not.
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => {
                Refusal::Damaged
            }
            _ => Refusal::Other(index_error(path, &error)),
        };
        if suspect_note(path).exists() {
            return Err(Refusal::Damaged);
        }
        let mut connection = Connection::open(path).map_err(classify)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(classify)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
            .map_err(classify)?;
        let settings = format!("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -{CACHE_KIB}");
        connection.execute_batch(&settings).map_err(classify)?;
        let is_small =
            std::fs::metadata(path).is_ok_and(|found| found.len() <= CHECKED_AT_START_BYTES);
        if is_small && quick_check(&connection).map_err(classify)? != "ok" {
            return Err(Refusal::Damaged);
        }
        let version = schema::migrate(&mut connection).map_err(classify)?;
        if version > schema::MIGRATIONS.len() {
            let reason = format!(
                "a newer Atelier wrote it (version {version}, this one reads {})",
                schema::MIGRATIONS.len()
            );
            return Err(Refusal::Other(EngineError::Index { reason }));
        }
        schema::probe(&connection).map_err(classify)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Ok(Self {
            connection,
            path: path.to_owned(),
            journal: Journal::of(folder),
            journal_written: Cell::new(None),
            is_changing: Cell::new(false),
        })
    }

    /// Reads an index through that was too large for it at the start, over a connection of its own,
    /// so that nobody waits. A damaged one is noted and made again by the next start.
    pub(super) fn check_file(path: &Path) -> Result<(), EngineError> {
        let verdict = Connection::open(path).and_then(|connection| {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            quick_check(&connection)
        });
        let reason = match verdict {
            Ok(verdict) if verdict == "ok" => return Ok(()),
            Ok(verdict) => verdict,
            Err(error) if is_damage(&error) => error.to_string(),
            Err(error) => return Err(index_error(path, &error)),
        };
        note_damage(path);
        Err(EngineError::Index { reason: format!("it is damaged ({reason})") })
    }

    fn said(&self, error: rusqlite::Error) -> EngineError {
        index_error(&self.path, &error)
    }

    /// Runs several changes as one, also within such a change.
    pub(super) fn together<T>(
        &self,
        change: impl FnOnce(&Self) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        if self.is_changing.get() {
            return change(self);
        }
        self.execute("BEGIN IMMEDIATE", [])?;
        self.is_changing.set(true);
        // Also when the change panics, it is taken back here.
        let _change = Change(self);
        let value = change(self)?;
        self.execute("COMMIT", [])?;
        self.journal_written.set(None);
        self.is_changing.set(false);
        Ok(value)
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, EngineError> {
        let run = || self.connection.prepare_cached(sql)?.execute(values);
        run().map_err(|error| self.said(error))
    }

    fn rows<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, EngineError> {
        let run = || -> rusqlite::Result<Vec<T>> {
            self.connection.prepare_cached(sql)?.query_map(values, read)?.collect()
        };
        run().map_err(|error| self.said(error))
    }

    /// Returns the day of a moment where the user is, as `2026-11-23`.
    pub(super) fn local_date(&self, moment_ms: i64) -> Result<String, EngineError> {
        let sql = "SELECT strftime('%Y-%m-%d', ?1 / 1000, 'unixepoch', 'localtime')";
        self.connection
            .query_row(sql, [moment_ms], |row| row.get(0))
            .map_err(|error| self.said(error))
    }

    /// Lists results from the newest, those before `before` only.
    pub(super) fn results(
        &self,
        which: Which,
        kind: Option<ResultKind>,
        limit: usize,
        before: Option<i64>,
    ) -> Result<Vec<IndexRow>, EngineError> {
        let place = match which {
            Which::Kept => 0,
            Which::Trashed => 1,
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM results INDEXED BY results_facts
             WHERE place = {place} AND (?3 IS NULL OR kind = ?3) AND results.id < ?1
             ORDER BY results.id DESC LIMIT ?2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.rows(
            &sql,
            params![before.unwrap_or(i64::MAX), limit, kind.map(ResultKind::id)],
            index_row,
        )
    }

    /// Returns one result, also a trashed one.
    pub(super) fn result(&self, id: i64) -> Result<Option<IndexRow>, EngineError> {
        let sql = format!("SELECT {COLUMNS} FROM results WHERE results.id = ?1 AND is_missing = 0");
        Ok(self.rows(&sql, [id], index_row)?.pop())
    }

    /// Counts results, also trashed and missing ones.
    pub(super) fn count(&self) -> Result<usize, EngineError> {
        let ids = self.rows("SELECT count(*) FROM results", [], |row| row.get::<_, i64>(0))?;
        Ok(ids.first().and_then(|count| usize::try_from(*count).ok()).unwrap_or(0))
    }

    /// Notes a job of this session.
    pub(super) fn add_pending(
        &self,
        session: &str,
        added_ms: i64,
        request: &Request,
    ) -> Result<i64, EngineError> {
        let json = to_json(request)?;
        let sql = "INSERT INTO pending (session, added_ms, request) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![session, added_ms, json])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Makes every noted job one of an earlier session.
    pub(super) fn release_pending(&self) -> Result<(), EngineError> {
        self.execute("UPDATE pending SET session = NULL WHERE session IS NOT NULL", []).map(drop)
    }

    /// Lists the jobs of earlier sessions as `(id, added, request JSON)`, oldest first.
    pub(super) fn pending(&self) -> Result<Vec<(i64, i64, String)>, EngineError> {
        let sql = "SELECT id, added_ms, request FROM pending WHERE session IS NULL ORDER BY id";
        self.rows(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
    }

    /// Forgets a noted job.
    pub(super) fn remove_pending(&self, id: i64) -> Result<(), EngineError> {
        self.execute("DELETE FROM pending WHERE id = ?1", [id]).map(drop)
    }

    /// Returns the seconds learned for a key.
    pub(super) fn step_seconds(&self, key: &str) -> Result<Option<f64>, EngineError> {
        Ok(self
            .rows("SELECT seconds FROM step_times WHERE key = ?1", [key], |row| row.get(0))?
            .pop())
    }

    /// Learns seconds for a key: a measurement counts for `weight`, 0 to 1, what was known for the rest.
    pub(super) fn learn_step_seconds(
        &self,
        key: &str,
        seconds: f64,
        weight: f64,
    ) -> Result<(), EngineError> {
        let sql = "INSERT INTO step_times (key, seconds) VALUES (?1, ?2)
            ON CONFLICT (key) DO UPDATE SET seconds = seconds * (1 - ?3) + excluded.seconds * ?3";
        self.execute(sql, params![key, seconds, weight]).map(drop)
    }

    /// Returns a setting.
    pub(super) fn setting(&self, key: &str) -> Result<Option<String>, EngineError> {
        Ok(self.rows("SELECT value FROM settings WHERE key = ?1", [key], |row| row.get(0))?.pop())
    }

    /// Changes a setting.
    pub(super) fn set_setting(&self, key: &str, value: &str) -> Result<(), EngineError> {
        let sql = "INSERT INTO settings (key, value) VALUES (?1, ?2)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.execute(sql, [key, value]).map(drop)
    }

    /// Writes a whole copy of the index to a path where nothing is yet.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), EngineError> {
        let Some(text) = path.to_str() else {
            return Err(EngineError::invalid("folder", "has a name that is not Unicode"));
        };
        self.connection
            .execute("VACUUM INTO ?1", [text])
            .map(drop)
            .map_err(|error| index_error(path, &error))
    }
}

fn index_row(row: &Row<'_>) -> rusqlite::Result<IndexRow> {
    Ok(IndexRow {
        id: row.get(0)?,
        file: row.get(1)?,
        created_ms: row.get(2)?,
        request: row.get(3)?,
        is_favourite: row.get(4)?,
        trashed_ms: row.get(5)?,
        kind: row.get(6)?,
        rating: row.get(7)?,
        bytes: bytes_of(row.get(8)?),
        tags: tags_of(row.get(9)?),
    })
}

/// Returns a size as it stands in a column.
fn bytes_of(column: Option<i64>) -> Option<u64> {
    column.and_then(|bytes| u64::try_from(bytes).ok())
}

fn tags_of(joined: Option<String>) -> Vec<String> {
    let joined = joined.unwrap_or_default();
    let mut tags: Vec<String> =
        joined.split('\u{1f}').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    tags.sort_unstable();
    tags
}

fn quick_check(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
}

/// Returns where it is noted that an index was found damaged.
pub(super) fn suspect_note(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SUSPECT_SUFFIX);
    name.into()
}

fn note_damage(path: &Path) {
    // Where nothing can be written, the next start sees for itself.
    let _ = std::fs::write(suspect_note(path), b"");
}

fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn to_json(value: &impl serde::Serialize) -> Result<String, EngineError> {
    serde_json::to_string(value)
        .map_err(|error| EngineError::invalid("request", format!("cannot be written: {error}")))
}

fn index_error(path: &Path, error: &rusqlite::Error) -> EngineError {
    if is_damage(error) {
        note_damage(path);
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => EngineError::DiskFull { path: path.to_owned() },
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            EngineError::Io {
                action: "write the library's index".to_owned(),
                reason: error.to_string(),
                path: path.to_owned(),
            }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            EngineError::Index { reason: "another program keeps it busy".to_owned() }
        }
        _ => EngineError::Index { reason: error.to_string() },
    }
}
