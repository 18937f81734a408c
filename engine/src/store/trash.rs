//! Deleting for good: only what is in the trash can be deleted, and nothing else ever is.

use std::io::ErrorKind;
use std::path::Path;

use super::index::{Index, IndexRow, Which};
use super::{Home, Store, thumbnails, unknown};
use crate::error::EngineError;

impl Home {
    /// Deletes a trashed result's file, then its row. A file that somebody else deleted is gone
    /// just as well.
    fn delete_row(&self, index: &Index, row: &IndexRow) -> Result<(), EngineError> {
        remove(&self.folder.join(&row.file))?;
        let _ = std::fs::remove_file(thumbnails::path(&self.folder, row.id));
        index.remove_result(row.id)
    }
}

impl Store {
    /// Deletes one result that is in the trash for good.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when it is not in the trash, [`EngineError::Io`] when its file
    /// cannot be deleted; it is then still there.
    pub fn delete_for_good(&self, id: i64) -> Result<(), EngineError> {
        let home = self.home();
        let index = home.index();
        let row = index.result(id)?.ok_or_else(|| unknown(id))?;
        if row.trashed_ms.is_none() {
            return Err(EngineError::invalid(format!("result {id}"), "is not in the trash"));
        }
        home.delete_row(&index, &row)
    }

    /// Deletes what is in the trash for good and returns how many results went.
    ///
    /// # Errors
    /// [`EngineError::Io`] when a file cannot be deleted; it and those after it are still there.
    pub fn empty_trash(&self) -> Result<usize, EngineError> {
        let home = self.home();
        let index = home.index();
        let rows = index.results(Which::Trashed, None, usize::MAX, None)?;
        for row in &rows {
            home.delete_row(&index, row)?;
        }
        Ok(rows.len())
    }
}

/// Deletes a file; one that is not there is no error.
pub(super) fn remove(file: &Path) -> Result<(), EngineError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(EngineError::io("delete the file", file, &error))
        }
        _ => Ok(()),
    }
}
