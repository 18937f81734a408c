//! The SQLite index of the library: what SQL there is stands here.
//!
//! The folders are the truth and the index can be made again from them, so `synchronous = NORMAL`
//! is enough: a power cut may take the last rows, and the next start adopts their pictures.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior, params};

use crate::error::EngineError;
use crate::protocol::Request;

use super::ResultKind;

/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The n-th entry takes an index from version n to n + 1; entries are only ever added.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE results (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        file TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL,
        request TEXT NOT NULL,
        seed TEXT NOT NULL,
        width_px INTEGER NOT NULL,
        height_px INTEGER NOT NULL,
        model TEXT NOT NULL,
        is_favourite INTEGER NOT NULL DEFAULT 0,
        trashed_ms INTEGER,
        is_missing INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX results_by_place ON results (is_missing, trashed_ms, id);
    CREATE TABLE pending (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT,
        added_ms INTEGER NOT NULL,
        request TEXT NOT NULL
    );
    CREATE TABLE step_times (key TEXT PRIMARY KEY, seconds REAL NOT NULL);
    CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
",
    "
    ALTER TABLE results ADD COLUMN kind TEXT NOT NULL DEFAULT 'picture';
    CREATE INDEX results_by_kind ON results (kind, is_missing, trashed_ms, id);
",
];

/// Reading one row of each table shows that the index has the form its version says.
const PROBES: [&str; 4] = [
    "SELECT id, file, created_ms, request, seed, width_px, height_px, model, is_favourite,
        trashed_ms, is_missing, kind FROM results LIMIT 1",
    "SELECT id, session, added_ms, request FROM pending LIMIT 1",
    "SELECT key, seconds FROM step_times LIMIT 1",
    "SELECT key, value FROM settings LIMIT 1",
];

const COLUMNS: &str = "id, file, created_ms, request, is_favourite, trashed_ms, kind";

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
}

/// Holds what the check at start needs to know of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub id: i64,
    pub is_missing: bool,
}

/// Holds the open index.
#[derive(Debug)]
pub(super) struct Index {
    connection: Connection,
    path: PathBuf,
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
        let mut connection = Connection::open(path).map_err(classify)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(classify)?;
        connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
            .map_err(classify)?;
        connection.execute_batch("PRAGMA synchronous = NORMAL").map_err(classify)?;
        let verdict: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(classify)?;
        if verdict != "ok" {
            return Err(Refusal::Damaged);
        }
        let version = migrate(&mut connection).map_err(classify)?;
        if version > MIGRATIONS.len() {
            let reason = format!(
                "a newer Atelier wrote it (version {version}, this one reads {})",
                MIGRATIONS.len()
            );
            return Err(Refusal::Other(EngineError::Index { reason }));
        }
        for probe in PROBES {
            connection.query_row(probe, [], |_| Ok(())).optional().map_err(classify)?;
        }
        Ok(Self { connection, path: path.to_owned() })
    }

    fn said(&self, error: rusqlite::Error) -> EngineError {
        index_error(&self.path, &error)
    }

    /// Runs several changes as one.
    pub(super) fn together<T>(
        &mut self,
        change: impl FnOnce(&Self) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        self.execute("BEGIN IMMEDIATE", [])?;
        let result = change(self);
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.execute(end, []);
        result.and_then(|value| ended.map(|_| value))
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

    /// Adds a result whose file is new; a row that an older file of this name left goes.
    pub(super) fn add_result(
        &mut self,
        file: &str,
        created_ms: i64,
        request: &Request,
    ) -> Result<i64, EngineError> {
        self.together(|index| {
            index.execute("DELETE FROM results WHERE file = ?1", [file])?;
            index.adopt(file, created_ms, None, request)
        })
    }

    /// Adds a result, kept or trashed.
    pub(super) fn adopt(
        &self,
        file: &str,
        created_ms: i64,
        trashed_ms: Option<i64>,
        request: &Request,
    ) -> Result<i64, EngineError> {
        let Columns { kind, json, seed, size_px, model } = Columns::of(request)?;
        self.execute(
            "INSERT INTO results
                (file, created_ms, trashed_ms, request, seed, width_px, height_px, model, kind)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                file,
                created_ms,
                trashed_ms,
                json,
                seed.to_string(),
                size_px[0],
                size_px[1],
                model,
                kind.id(),
            ],
        )?;
        Ok(self.connection.last_insert_rowid())
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
            Which::Kept => "trashed_ms IS NULL",
            Which::Trashed => "trashed_ms IS NOT NULL",
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM results
             WHERE is_missing = 0 AND {place} AND (?3 IS NULL OR kind = ?3) AND id < ?1
             ORDER BY id DESC LIMIT ?2"
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
        let sql = format!("SELECT {COLUMNS} FROM results WHERE id = ?1 AND is_missing = 0");
        Ok(self.rows(&sql, [id], index_row)?.pop())
    }

    /// Counts results, also trashed and missing ones.
    pub(super) fn count(&self) -> Result<usize, EngineError> {
        let ids = self.rows("SELECT count(*) FROM results", [], |row| row.get::<_, i64>(0))?;
        Ok(ids.first().and_then(|count| usize::try_from(*count).ok()).unwrap_or(0))
    }

    /// Returns where every row says its file is.
    pub(super) fn places(&self) -> Result<HashMap<String, Place>, EngineError> {
        let read =
            |row: &Row<'_>| Ok((row.get(0)?, Place { id: row.get(1)?, is_missing: row.get(2)? }));
        let rows = self.rows("SELECT file, id, is_missing FROM results", [], read)?;
        Ok(rows.into_iter().collect())
    }

    /// Says that a result's file is here now.
    pub(super) fn set_place(
        &self,
        id: i64,
        file: &str,
        trashed_ms: Option<i64>,
    ) -> Result<(), EngineError> {
        let sql = "UPDATE results SET file = ?2, trashed_ms = ?3, is_missing = 0 WHERE id = ?1";
        self.execute(sql, params![id, file, trashed_ms]).map(drop)
    }

    /// Says that a result's file is gone, or is back.
    pub(super) fn set_missing(&self, id: i64, is_missing: bool) -> Result<(), EngineError> {
        let sql = "UPDATE results SET is_missing = ?2 WHERE id = ?1";
        self.execute(sql, params![id, is_missing]).map(drop)
    }

    /// Forgets a result.
    pub(super) fn remove_result(&self, id: i64) -> Result<(), EngineError> {
        self.execute("DELETE FROM results WHERE id = ?1", [id]).map(drop)
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

/// Holds what of a request stands in columns of its own.
struct Columns<'a> {
    kind: ResultKind,
    json: String,
    seed: u64,
    size_px: [u32; 2],
    model: &'a str,
}

impl<'a> Columns<'a> {
    fn of(request: &'a Request) -> Result<Self, EngineError> {
        match request {
            Request::Picture(request) => Ok(Self {
                kind: ResultKind::Picture,
                json: to_json(request)?,
                seed: request.seed,
                size_px: [request.size.width_px, request.size.height_px],
                model: &request.model.name,
            }),
            // The whole request: of the two kinds of recipes of pictures it is the one with a name.
            Request::Enlarge(enlarge) => Ok(Self {
                kind: ResultKind::Picture,
                json: to_json(request)?,
                seed: enlarge.seed(),
                size_px: [0, 0],
                model: &enlarge.model.name,
            }),
            Request::Sound(request) => Ok(Self {
                kind: ResultKind::Sound,
                json: to_json(request)?,
                seed: request.seed,
                size_px: [0, 0],
                model: &request.model.name,
            }),
            Request::Words(_) => Err(EngineError::invalid("text", "is not kept as a file")),
            Request::CutOut(_) => Err(EngineError::invalid("cut-out", "is not kept as a file")),
        }
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
    })
}

fn to_json(value: &impl serde::Serialize) -> Result<String, EngineError> {
    serde_json::to_string(value)
        .map_err(|error| EngineError::invalid("request", format!("cannot be written: {error}")))
}

/// Brings the index up to date and returns its version, which may be newer than ours.
fn migrate(connection: &mut Connection) -> rusqlite::Result<usize> {
    let version_of = |connection: &Connection| {
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0))
    };
    if version_of(connection)? as usize >= MIGRATIONS.len() {
        return version_of(connection).map(|version| version as usize);
    }
    // Another process may be at the same; who comes second finds the work done.
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version_of(&change)? as usize;
    for migration in MIGRATIONS.iter().skip(version) {
        change.execute_batch(migration)?;
    }
    change.pragma_update(None, "user_version", MIGRATIONS.len().max(version) as u32)?;
    change.commit()?;
    Ok(MIGRATIONS.len().max(version))
}

fn index_error(path: &Path, error: &rusqlite::Error) -> EngineError {
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
