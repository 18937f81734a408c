//! Which folders were listed when, so that a start lists only those in which something changed.

use std::collections::HashMap;

use rusqlite::params;

use crate::error::EngineError;

use super::Index;
use super::contents::Place;

impl Index {
    /// Returns the folders that hold results, relative to the library's, with the time of their last
    /// change when they were last listed, in nanoseconds since 1970; 0 when they must be listed again.
    pub(in crate::store) fn folder_times(&self) -> Result<HashMap<String, i64>, EngineError> {
        let sql = "SELECT folder, modified_ns FROM folders";
        Ok(self.rows(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect())
    }

    /// Says that a folder was listed.
    pub(in crate::store) fn set_folder_time(
        &self,
        folder: &str,
        modified_ns: i64,
    ) -> Result<(), EngineError> {
        let sql = "INSERT INTO folders (folder, modified_ns) VALUES (?1, ?2)
            ON CONFLICT (folder) DO UPDATE SET modified_ns = excluded.modified_ns";
        self.execute(sql, params![folder, modified_ns]).map(drop)
    }

    /// Says that a folder is not there any more.
    pub(in crate::store) fn forget_folder(&self, folder: &str) -> Result<(), EngineError> {
        self.execute("DELETE FROM folders WHERE folder = ?1", [folder]).map(drop)
    }

    /// Sees to it that the folder of a result's file is known.
    pub(super) fn note_folder(&self, file: &str) -> Result<(), EngineError> {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.execute("INSERT OR IGNORE INTO folders VALUES (?1, 0)", [folder]).map(drop)
    }

    /// Returns where every row says its file is; with a folder, only those in it.
    pub(in crate::store) fn places(
        &self,
        folder: Option<&str>,
    ) -> Result<HashMap<String, Place>, EngineError> {
        let (from, to) = match folder {
            Some(folder) => (format!("{folder}/"), format!("{folder}0")),
            // No path begins with such a character.
            None => (String::new(), "\u{10ffff}".to_owned()),
        };
        // `0` follows `/`, so this is all that begins with the folder.
        let sql = "SELECT file, id, is_missing FROM results WHERE file >= ?1 AND file < ?2";
        let rows = self.rows(sql, [from, to], |row| {
            Ok((row.get(0)?, Place { id: row.get(1)?, is_missing: row.get(2)? }))
        })?;
        Ok(rows.into_iter().collect())
    }
}
