//! The rows of results: what stands in them, where their files are, what is still to be found out.

use rusqlite::{Row, params};

use crate::error::EngineError;
use crate::protocol::Request;

use super::super::ResultKind;
use super::super::words::spaced;
use super::Index;

/// What is still to be found out about a result, as bits of the column `todo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Todo {
    /// Its words are not in the full-text index.
    Words = 1,
    /// Size and hash of its file are not known.
    Content = 2,
    /// Its colours are not known.
    Colours = 4,
}

/// Says what is in a result's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Content {
    /// The size of the file.
    pub bytes: u64,
    /// The SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// The colours of the picture as bits; `None` when they were not looked for.
    pub colours: Option<u16>,
}

/// Holds what the check at start needs to know of a row.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Place {
    pub id: i64,
    pub is_missing: bool,
}

/// Holds a row for which something is still to be found out.
#[derive(Debug, Clone)]
pub(in crate::store) struct Unfinished {
    pub id: i64,
    pub file: String,
    pub todo: u8,
}

/// Holds what a row says about its file.
#[derive(Debug, Clone)]
pub(in crate::store) struct Recorded {
    pub id: i64,
    pub file: String,
    pub bytes: Option<u64>,
    pub sha256: Option<String>,
    pub is_missing: bool,
}

impl Index {
    /// Adds a result whose file is new; a row that an older file of this name left goes.
    pub(in crate::store) fn add_result(
        &self,
        file: &str,
        created_ms: i64,
        request: &Request,
        content: &Content,
    ) -> Result<i64, EngineError> {
        self.together(|index| {
            let sql = "SELECT id FROM results WHERE file = ?1";
            for old in index.rows(sql, [file], |row| row.get(0))? {
                index.remove_result(old)?;
            }
            let id = index.adopt(file, created_ms, None, request)?;
            index.set_content(id, content)?;
            Ok(id)
        })
    }

    /// Adds a result, kept or trashed.
    pub(in crate::store) fn adopt(
        &self,
        file: &str,
        created_ms: i64,
        trashed_ms: Option<i64>,
        request: &Request,
    ) -> Result<i64, EngineError> {
        let Columns { kind, json, seed, size_px, model, .. } = Columns::of(request)?;
        self.together(|index| {
            let todo = match kind {
                ResultKind::Picture => Todo::Content as u8 | Todo::Colours as u8,
                ResultKind::Sound => Todo::Content as u8,
            };
            index.execute(
                "INSERT INTO results
                    (file, created_ms, trashed_ms, seed, width_px, height_px, model, kind, todo)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    file,
                    created_ms,
                    trashed_ms,
                    seed.to_string(),
                    size_px[0],
                    size_px[1],
                    model,
                    kind.id(),
                    todo,
                ],
            )?;
            let id = index.connection.last_insert_rowid();
            index
                .execute("INSERT INTO recipes (id, request) VALUES (?1, ?2)", params![id, json])?;
            index.note_folder(file)?;
            index.add_words(id, request)?;
            Ok(id)
        })
    }

    /// Puts a result's words into the full-text index.
    fn add_words(&self, id: i64, request: &Request) -> Result<(), EngineError> {
        let Columns { prompt, negative, .. } = Columns::of(request)?;
        let sql = "INSERT INTO words (rowid, prompt, negative) VALUES (?1, ?2, ?3)";
        self.execute(sql, params![id, spaced(&prompt), spaced(&negative)]).map(drop)
    }

    /// Reads a result's words anew out of its recipe.
    pub(in crate::store) fn renew_words(&self, id: i64) -> Result<(), EngineError> {
        self.together(|index| {
            let sql = "SELECT kind, request FROM results JOIN recipes USING (id) WHERE id = ?1";
            let rows = index
                .rows(sql, [id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            index.execute("DELETE FROM words WHERE rowid = ?1", [id])?;
            // A recipe that cannot be read has no words; it is not shown either.
            for request in rows.iter().filter_map(|(kind, json)| read_request(kind, json)) {
                index.add_words(id, &request)?;
            }
            index.done(id, Todo::Words)
        })
    }

    /// Replaces a result's recipe: its file says something else now.
    pub(in crate::store) fn set_request(
        &self,
        id: i64,
        request: &Request,
    ) -> Result<(), EngineError> {
        let Columns { kind, json, seed, size_px, model, .. } = Columns::of(request)?;
        self.together(|index| {
            let sql = "UPDATE results SET seed = ?2, width_px = ?3, height_px = ?4, model = ?5,
                kind = ?6 WHERE id = ?1";
            let seed = seed.to_string();
            index.execute(sql, params![id, seed, size_px[0], size_px[1], model, kind.id()])?;
            index.execute("UPDATE recipes SET request = ?2 WHERE id = ?1", params![id, json])?;
            index.renew_words(id)
        })
    }

    /// Says what is in a result's file.
    pub(in crate::store) fn set_content(
        &self,
        id: i64,
        content: &Content,
    ) -> Result<(), EngineError> {
        let sql = "UPDATE results SET bytes = ?2, sha256 = ?3, todo = todo & ~?4 WHERE id = ?1";
        let Content { bytes, sha256, colours } = content;
        let bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
        self.execute(sql, params![id, bytes, sha256, Todo::Content as u8])?;
        colours.map_or(Ok(()), |colours| self.set_colours(id, colours))
    }

    /// Says which colours a picture has.
    pub(in crate::store) fn set_colours(&self, id: i64, colours: u16) -> Result<(), EngineError> {
        let sql = "UPDATE results SET colours = ?2, todo = todo & ~?3 WHERE id = ?1";
        self.execute(sql, params![id, colours, Todo::Colours as u8]).map(drop)
    }

    /// Says that a picture's file is another now: its colours are to be found again.
    pub(in crate::store) fn forget_colours(&self, id: i64) -> Result<(), EngineError> {
        let sql = "UPDATE results SET colours = 0, todo = todo | ?2 WHERE id = ?1";
        self.execute(sql, params![id, Todo::Colours as u8]).map(drop)
    }

    /// Says that something was found out, or cannot be.
    pub(in crate::store) fn done(&self, id: i64, what: Todo) -> Result<(), EngineError> {
        let sql = "UPDATE results SET todo = todo & ~?2 WHERE id = ?1";
        self.execute(sql, params![id, what as u8]).map(drop)
    }

    /// Lists results about which something is still to be found out, those with a number above
    /// `after` only.
    pub(in crate::store) fn unfinished(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Unfinished>, EngineError> {
        let sql = "SELECT id, file, todo FROM results
            WHERE todo <> 0 AND is_missing = 0 AND id > ?1 ORDER BY id LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.rows(sql, params![after, limit], |row| {
            Ok(Unfinished { id: row.get(0)?, file: row.get(1)?, todo: row.get(2)? })
        })
    }

    /// Counts results whose file is gone.
    pub(in crate::store) fn count_missing(&self) -> Result<usize, EngineError> {
        self.number("SELECT count(*) FROM results INDEXED BY results_facts WHERE place = 2")
    }

    /// Lists what rows say about their files, those with a number above `after` only.
    pub(in crate::store) fn recorded(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Recorded>, EngineError> {
        let sql = "SELECT id, file, bytes, sha256, is_missing FROM results
            WHERE id > ?1 ORDER BY id LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.rows(sql, params![after, limit], |row| {
            Ok(Recorded {
                id: row.get(0)?,
                file: row.get(1)?,
                bytes: super::bytes_of(row.get(2)?),
                sha256: row.get(3)?,
                is_missing: row.get(4)?,
            })
        })
    }

    /// Returns the number and the file of a result whose file is gone and had this content.
    pub(in crate::store) fn missing_with(
        &self,
        sha256: &str,
    ) -> Result<Option<(i64, String)>, EngineError> {
        let sql = "SELECT id, file FROM results WHERE sha256 = ?1 AND is_missing <> 0 ORDER BY id";
        let rows = self.rows(sql, [sha256], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.into_iter().next())
    }

    /// Returns the number of a result whose file has this content and is there.
    pub(in crate::store) fn result_with_hash(
        &self,
        sha256: &str,
    ) -> Result<Option<i64>, EngineError> {
        let sql = "SELECT id FROM results WHERE sha256 = ?1 AND is_missing = 0";
        Ok(self.rows(sql, [sha256], |row| row.get(0))?.pop())
    }

    /// Lists numbers and files of the pictures whose content is not known.
    pub(in crate::store) fn results_without_hash(&self) -> Result<Vec<(i64, String)>, EngineError> {
        let sql = "SELECT id, file FROM results
            WHERE sha256 IS NULL AND kind = ?1 AND is_missing = 0";
        self.rows(sql, [ResultKind::Picture.id()], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Lists the files of results that have the same content, kept or trashed.
    pub(in crate::store) fn duplicates(&self) -> Result<Vec<Vec<String>>, EngineError> {
        let sql = "SELECT sha256, file FROM results WHERE is_missing = 0 AND sha256 IN
            (SELECT sha256 FROM results WHERE is_missing = 0 AND sha256 IS NOT NULL
                GROUP BY sha256 HAVING count(*) > 1)
            ORDER BY sha256, id";
        let rows =
            self.rows(sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let groups = rows.chunk_by(|(one, _), (other, _)| one == other);
        Ok(groups.map(|group| group.iter().map(|(_, file)| file.clone()).collect()).collect())
    }

    /// Says that a result's file is here now.
    pub(in crate::store) fn set_place(
        &self,
        id: i64,
        file: &str,
        trashed_ms: Option<i64>,
    ) -> Result<(), EngineError> {
        self.together(|index| {
            let was = index.file_of(id)?;
            // A row that an older file of this name left goes.
            let sql = "SELECT id FROM results WHERE file = ?1 AND id <> ?2";
            for old in index.rows(sql, params![file, id], |row| row.get(0))? {
                index.remove_result(old)?;
            }
            let sql = "UPDATE results SET file = ?2, trashed_ms = ?3, is_missing = 0 WHERE id = ?1";
            index.execute(sql, params![id, file, trashed_ms])?;
            index.note_folder(file)?;
            match was {
                Some(was) if was != file => index.journal_move(id, &was),
                _ => Ok(()),
            }
        })
    }

    /// Says that a result's file is gone, or is back.
    pub(in crate::store) fn set_missing(
        &self,
        id: i64,
        is_missing: bool,
    ) -> Result<(), EngineError> {
        let sql = "UPDATE results SET is_missing = ?2 WHERE id = ?1";
        self.execute(sql, params![id, is_missing]).map(drop)
    }

    /// Forgets a result and what was said about it.
    pub(in crate::store) fn remove_result(&self, id: i64) -> Result<(), EngineError> {
        self.together(|index| {
            index.journal_gone(id)?;
            for sql in [
                "DELETE FROM result_tags WHERE result_id = ?1",
                "DELETE FROM board_results WHERE result_id = ?1",
                "DELETE FROM words WHERE rowid = ?1",
                "DELETE FROM recipes WHERE id = ?1",
                "DELETE FROM results WHERE id = ?1",
            ] {
                index.execute(sql, [id])?;
            }
            index.drop_unused_tags()
        })
    }

    /// Returns where a result's file is, also when it is gone.
    pub(in crate::store) fn file_of(&self, id: i64) -> Result<Option<String>, EngineError> {
        Ok(self.rows("SELECT file FROM results WHERE id = ?1", [id], |row| row.get(0))?.pop())
    }

    /// Tells whether there is a row for a file.
    pub(in crate::store) fn has_file(&self, file: &str) -> Result<bool, EngineError> {
        let rows = self.rows("SELECT 1 FROM results WHERE file = ?1", [file], |_| Ok(()))?;
        Ok(!rows.is_empty())
    }

    /// Returns the hash of a result's file when it was saved, if it is known.
    pub(in crate::store) fn sha256_of(&self, id: i64) -> Result<Option<String>, EngineError> {
        let sql = "SELECT sha256 FROM results WHERE id = ?1";
        Ok(self.rows(sql, [id], |row| row.get(0))?.pop().flatten())
    }

    fn number(&self, sql: &str) -> Result<usize, EngineError> {
        let found = self.rows(sql, [], |row: &Row<'_>| row.get::<_, i64>(0))?;
        Ok(found.first().and_then(|count| usize::try_from(*count).ok()).unwrap_or(0))
    }
}

/// Reads a request out of a row.
pub(in crate::store) fn read_request(kind: &str, json: &str) -> Option<Request> {
    match kind {
        // That of a painted picture stands there bare, that of an enlarged one with its name.
        "picture" => match serde_json::from_str::<Request>(json) {
            Ok(request @ Request::Enlarge(_)) => Some(request),
            _ => serde_json::from_str(json).ok().map(Request::Picture),
        },
        "sound" => serde_json::from_str(json).ok().map(Request::Sound),
        _ => None,
    }
}

/// Holds what of a request stands in columns of its own.
struct Columns<'a> {
    kind: ResultKind,
    json: String,
    seed: u64,
    size_px: [u32; 2],
    model: &'a str,
    prompt: String,
    negative: String,
}

impl<'a> Columns<'a> {
    fn of(request: &'a Request) -> Result<Self, EngineError> {
        match request {
            Request::Picture(request) => Ok(Self {
                kind: ResultKind::Picture,
                json: super::to_json(request)?,
                seed: request.seed,
                size_px: [request.size.width_px, request.size.height_px],
                model: &request.model.name,
                prompt: request.prompt.with_styles(),
                negative: request.prompt.negative.clone(),
            }),
            // The whole request: of the two kinds of recipes of pictures it is the one with a name.
            Request::Enlarge(enlarge) => Ok(Self {
                kind: ResultKind::Picture,
                json: super::to_json(request)?,
                seed: enlarge.seed(),
                size_px: [0, 0],
                model: &enlarge.model.name,
                prompt: enlarge.title(),
                negative: String::new(),
            }),
            Request::Sound(request) => Ok(Self {
                kind: ResultKind::Sound,
                json: super::to_json(request)?,
                seed: request.seed,
                size_px: [0, 0],
                model: &request.model.name,
                prompt: request.prompt.clone(),
                negative: String::new(),
            }),
            Request::Words(_) => Err(EngineError::invalid("text", "is not kept as a file")),
            Request::CutOut(_) => Err(EngineError::invalid("cut-out", "is not kept as a file")),
        }
    }
}
