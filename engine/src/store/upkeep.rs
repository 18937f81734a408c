//! Work that a start leaves for later: hashes, colours and words of results that an older program
//! or a person's own hand brought, the journal's length, the check of a large index.

use crate::error::EngineError;

use super::contents::content_of;
use super::index::{Index, Todo};
use super::{Home, Store, colours, dominant, thumbnails};

/// Says how far the work is that a start left for later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Results that were looked at.
    pub done: usize,
    /// Whether others wait.
    pub has_more: bool,
}

impl Store {
    /// Does a part of the work that a start left for later: looks at `limit` results at most whose
    /// size, hash, colours or words are not known. Belongs on a thread that may read files; call it
    /// again while there are more.
    ///
    /// A file that cannot be read is passed over and not tried again.
    ///
    /// # Errors
    /// [`EngineError::Index`] or [`EngineError::DiskFull`].
    pub fn upkeep(&self, limit: usize) -> Result<Upkeep, EngineError> {
        let home = self.home();
        let rows = home.index().unfinished(0, limit)?;
        for row in &rows {
            if row.todo & Todo::Words as u8 != 0 {
                home.index().renew_words(row.id)?;
            }
            home.find_content(row.id, &row.file, row.todo)?;
        }
        let last = rows.last().map_or(0, |row| row.id);
        let has_more = !home.index().unfinished(last, 1)?.is_empty();
        Ok(Upkeep { done: rows.len(), has_more })
    }

    /// Does what a session should do once, when it has nothing else to do: reads a large index
    /// through and shortens a long journal.
    ///
    /// # Errors
    /// [`EngineError::Index`] when the index is damaged: the next start makes it again, and nothing
    /// is lost; [`EngineError::Io`] or [`EngineError::DiskFull`] when the journal cannot be written.
    pub fn tidy(&self) -> Result<(), EngineError> {
        let home = self.home();
        Index::check_file(&home.folder.join(super::place::INDEX))?;
        home.index().shorten_journal()
    }
}

impl Home {
    /// Finds out what is not known about a result's file. The index is free while files are read.
    fn find_content(&self, id: i64, file: &str, todo: u8) -> Result<(), EngineError> {
        let path = self.folder.join(file);
        if todo & Todo::Content as u8 != 0 {
            match content_of(&path) {
                Ok(content) => self.index().set_content(id, &content)?,
                Err(_) => self.index().done(id, Todo::Content)?,
            }
        }
        if todo & Todo::Colours as u8 != 0 {
            let small = thumbnails::get(&self.folder, id, &path);
            match small {
                Ok(small) => {
                    self.index().set_colours(id, colours::bits(&dominant(&small)))?;
                }
                Err(_) => self.index().done(id, Todo::Colours)?,
            }
        }
        Ok(())
    }
}
