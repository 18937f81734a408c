//! The form of the index, version by version.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// The n-th entry takes an index from version n to n + 1; entries are only ever added.
pub(super) const MIGRATIONS: [&str; 3] = [
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
    // Recipes go into a table of their own, so that rows which are only counted or filtered stay
    // narrow; all that filters read stands in one index, which is the only thing they touch.
    "
    CREATE TABLE recipes (id INTEGER PRIMARY KEY, request TEXT NOT NULL);
    INSERT INTO recipes SELECT id, request FROM results;
    DROP INDEX results_by_place;
    DROP INDEX results_by_kind;
    ALTER TABLE results DROP COLUMN request;
    ALTER TABLE results ADD COLUMN rating INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE results ADD COLUMN bytes INTEGER;
    ALTER TABLE results ADD COLUMN sha256 TEXT;
    ALTER TABLE results ADD COLUMN colours INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE results ADD COLUMN todo INTEGER NOT NULL DEFAULT 7;
    ALTER TABLE results ADD COLUMN place INTEGER GENERATED ALWAYS AS
        (CASE WHEN is_missing THEN 2 WHEN trashed_ms IS NULL THEN 0 ELSE 1 END) VIRTUAL;
    CREATE INDEX results_facts ON results (place, id, kind, created_ms, rating, is_favourite,
        width_px, height_px, colours, model);
    CREATE INDEX results_by_content ON results (sha256);
    CREATE INDEX results_todo ON results (id) WHERE todo <> 0;
    CREATE VIRTUAL TABLE words USING fts5 (prompt, negative, content = '',
        contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3');
    CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE);
    CREATE TABLE result_tags (tag_id INTEGER NOT NULL, result_id INTEGER NOT NULL,
        PRIMARY KEY (tag_id, result_id)) WITHOUT ROWID;
    CREATE INDEX result_tags_by_result ON result_tags (result_id, tag_id);
    CREATE TABLE boards (id TEXT PRIMARY KEY, name TEXT NOT NULL, folded TEXT NOT NULL,
        position REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE board_results (board_id TEXT NOT NULL, result_id INTEGER NOT NULL,
        position REAL NOT NULL, PRIMARY KEY (board_id, result_id)) WITHOUT ROWID;
    CREATE INDEX board_results_by_result ON board_results (result_id, board_id, position);
    CREATE INDEX board_results_by_position ON board_results (board_id, position, result_id);
    CREATE TABLE journal (only INTEGER PRIMARY KEY CHECK (only = 1), generation TEXT NOT NULL,
        applied_bytes INTEGER NOT NULL);
    CREATE TABLE folders (folder TEXT PRIMARY KEY, modified_ns INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE exports (folder TEXT PRIMARY KEY) WITHOUT ROWID;
",
];

/// Reading one row of each table shows that the index has the form its version says.
const PROBES: [&str; 13] = [
    "SELECT id, file, created_ms, seed, width_px, height_px, model, is_favourite, trashed_ms,
        is_missing, kind, rating, bytes, sha256, colours, todo, place FROM results LIMIT 1",
    "SELECT id, request FROM recipes LIMIT 1",
    "SELECT id, session, added_ms, request FROM pending LIMIT 1",
    "SELECT key, seconds FROM step_times LIMIT 1",
    "SELECT key, value FROM settings LIMIT 1",
    "SELECT rowid FROM words LIMIT 1",
    "SELECT id, name, folded FROM tags LIMIT 1",
    "SELECT tag_id, result_id FROM result_tags LIMIT 1",
    "SELECT id, name, folded, position FROM boards LIMIT 1",
    "SELECT board_id, result_id, position FROM board_results LIMIT 1",
    "SELECT generation, applied_bytes FROM journal LIMIT 1",
    "SELECT folder, modified_ns FROM folders LIMIT 1",
    "SELECT folder FROM exports LIMIT 1",
];

/// Brings the index up to date and returns its version, which may be newer than ours.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<usize> {
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

/// Reads one row of each table.
pub(super) fn probe(connection: &Connection) -> rusqlite::Result<()> {
    for probe in PROBES {
        connection.query_row(probe, [], |_| Ok(())).optional()?;
    }
    Ok(())
}

/// Makes a library's index what an older program would have written.
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]
pub(in crate::store) fn make_old(folder: &std::path::Path, version: usize) {
    let path = folder.join("index.sqlite");
    let old = folder.join("old.sqlite");
    let connection = Connection::open(&old).unwrap();
    MIGRATIONS[..version].iter().for_each(|change| connection.execute_batch(change).unwrap());
    let new = path.to_str().unwrap();
    connection.execute("ATTACH ?1 AS new", [new]).unwrap();
    let kind = if version > 1 { ", kind" } else { "" };
    let columns = "file, created_ms, seed, width_px, height_px, model, is_favourite, trashed_ms";
    let copy = format!(
        "INSERT INTO results (id, {columns}, request{kind})
            SELECT results.id, {columns}, request{kind}
            FROM new.results JOIN new.recipes ON recipes.id = results.id;
        DETACH new; PRAGMA user_version = {version}"
    );
    connection.execute_batch(&copy).unwrap();
    drop(connection);
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("index.sqlite{suffix}")));
    }
    std::fs::rename(old, path).unwrap();
}
