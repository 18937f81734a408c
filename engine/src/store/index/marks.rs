//! Favourites, ratings, tags and boards. Every change is a line of the journal first.

use rusqlite::{Row, params};

use crate::error::EngineError;

use super::super::journal::{Entry, Journal, Marks, Said, State};
use super::super::words::folded;
use super::Index;

/// Holds a board as it stands in the index.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct BoardRow {
    pub id: String,
    pub name: String,
    pub position: f64,
    /// Results on it that are kept.
    pub count: usize,
}

impl Index {
    /// Returns what was said about a result.
    pub(in crate::store) fn marks(&self, id: i64) -> Result<Marks, EngineError> {
        let sql = "SELECT is_favourite, rating FROM results WHERE id = ?1";
        let said = self.rows(sql, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (is_favourite, rating) = said.first().copied().unwrap_or_default();
        let sql = "SELECT name FROM tags JOIN result_tags ON tag_id = tags.id
            WHERE result_id = ?1 ORDER BY name";
        let tags = self.rows(sql, [id], |row| row.get(0))?;
        let sql = "SELECT board_id, position FROM board_results WHERE result_id = ?1";
        let boards = self.rows(sql, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Marks { is_favourite, rating, tags, boards: boards.into_iter().collect() })
    }

    /// Changes what is said about results, in the journal and then in the index, and returns how
    /// many it changed.
    pub(in crate::store) fn change_marks(
        &self,
        ids: &[i64],
        change: impl Fn(i64, &mut Marks),
    ) -> Result<usize, EngineError> {
        self.together(|index| {
            index.catch_up_with_journal()?;
            let mut entries = Vec::new();
            for &id in ids {
                let before = index.marks(id)?;
                let mut marks = before.clone();
                change(id, &mut marks);
                index.use_known_names(&mut marks)?;
                if marks != before {
                    index.put_marks(id, &marks)?;
                    entries.extend(index.entry(id, None, marks)?);
                }
            }
            index.drop_unused_tags()?;
            index.write_journal(&entries)?;
            Ok(entries.len())
        })
    }

    /// Writes tags as they are known, sorted and each once.
    fn use_known_names(&self, marks: &mut Marks) -> Result<(), EngineError> {
        for tag in &mut marks.tags {
            let sql = "SELECT name FROM tags WHERE folded = ?1";
            if let Some(known) = self.rows(sql, [folded(tag)], |row| row.get(0))?.pop() {
                *tag = known;
            }
        }
        marks.tags.sort_unstable();
        marks.tags.dedup_by(|one, other| folded(one) == folded(other));
        Ok(())
    }

    /// Makes the line about a result.
    fn entry(
        &self,
        id: i64,
        was: Option<&str>,
        marks: Marks,
    ) -> Result<Option<Entry>, EngineError> {
        let sql = "SELECT file, sha256 FROM results WHERE id = ?1";
        let rows = self.rows(sql, [id], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
        })?;
        Ok(rows.into_iter().next().map(|(file, sha256)| Entry::Result {
            file,
            sha256: sha256.unwrap_or_default(),
            was: was.map(str::to_owned),
            marks,
        }))
    }

    /// Says in the journal that a result has another file now, if it says anything of it.
    pub(super) fn journal_move(&self, id: i64, was: &str) -> Result<(), EngineError> {
        let marks = self.marks(id)?;
        if marks.is_empty() {
            return Ok(());
        }
        let entry = self.entry(id, Some(was), marks)?;
        self.write_journal(entry.as_slice())
    }

    /// Says in the journal that a result is gone, if it says anything of it.
    pub(super) fn journal_gone(&self, id: i64) -> Result<(), EngineError> {
        match self.file_of(id)? {
            Some(file) if !self.marks(id)?.is_empty() => {
                self.write_journal(&[Entry::Gone { file }])
            }
            _ => Ok(()),
        }
    }

    /// Appends lines to the journal; within a change, which takes them back when it fails.
    fn write_journal(&self, entries: &[Entry]) -> Result<(), EngineError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.together(|index| {
            let before = index.catch_up_with_journal()?;
            let after = index.journal.append(before, entries)?;
            let first = index.journal_written.get().map_or(before, |[first, _]| first);
            index.journal_written.set(Some([first, after]));
            index.set_applied(None, after)
        })
    }

    /// Takes lines out of the journal again, from its end before to that after them, because their
    /// change did not come about. Unless the lock was held all the time, others come first.
    pub(super) fn take_back(&self, [before, after]: [u64; 2], was_locked: bool) {
        let is_unread = || {
            matches!(self.journal.state(), Ok(State::Sound { bytes, .. }) if bytes == after)
                && matches!(self.applied(), Ok(Some((_, applied))) if applied == before)
        };
        if was_locked || is_unread() {
            self.journal.take_back(before);
        }
    }

    fn set_applied(&self, generation: Option<&str>, bytes: u64) -> Result<(), EngineError> {
        let sql = "INSERT INTO journal (only, generation, applied_bytes)
            VALUES (1, coalesce(?1, ''), ?2) ON CONFLICT (only) DO UPDATE
            SET generation = coalesce(?1, generation), applied_bytes = ?2";
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.execute(sql, params![generation, bytes]).map(drop)
    }

    fn applied(&self) -> Result<Option<(String, u64)>, EngineError> {
        let sql = "SELECT generation, applied_bytes FROM journal";
        let rows = self.rows(sql, [], |row| Ok((row.get(0)?, super::bytes_of(row.get(1)?))))?;
        Ok(rows.into_iter().next().map(|(generation, bytes)| (generation, bytes.unwrap_or(0))))
    }

    /// Takes in what the journal says and the index does not, and returns where the journal ends.
    /// A journal that is lost is written again from the index.
    pub(in crate::store) fn catch_up_with_journal(&self) -> Result<u64, EngineError> {
        self.together(|index| {
            let applied = index.applied()?;
            let state = index.journal.state()?;
            match (state, applied) {
                (State::Sound { generation, bytes }, Some((known, applied)))
                    if generation == known && bytes >= applied =>
                {
                    if bytes == applied {
                        return Ok(applied);
                    }
                    let reading = index.journal.read_from(applied)?;
                    for entry in reading.entries {
                        index.take_in(entry)?;
                    }
                    index.set_applied(None, reading.end_bytes)?;
                    Ok(reading.end_bytes)
                }
                (State::Sound { generation, .. }, Some((known, _))) if generation == known => {
                    // It lost its end, and the index has read it.
                    index.rewrite_journal(true)
                }
                (State::Sound { generation, .. }, _) => index.read_whole_journal(&generation),
                (State::Absent, _) => index.rewrite_journal(true),
                (State::Broken, known) => {
                    let mut said = index.said_in_journal()?.0;
                    index.journal.set_aside()?;
                    if known.is_none() {
                        index.put_all(&mut said)?;
                    }
                    index.add_said(&mut said)?;
                    index.write_anew(&said)
                }
            }
        })
    }

    /// Makes the journal as short as it can be when it grew long, or in any case.
    pub(in crate::store) fn shorten_journal(&self) -> Result<(), EngineError> {
        self.together(|index| {
            let bytes = index.catch_up_with_journal()?;
            let (said, unreadable) = index.said_in_journal()?;
            // What a newer program or a broken disk left is kept.
            if unreadable == 0 && Journal::is_long(bytes, &said) {
                index.write_anew(&said)?;
            }
            Ok(())
        })
    }

    fn rewrite_journal(&self, with_index: bool) -> Result<u64, EngineError> {
        let (mut said, _) = self.said_in_journal()?;
        if with_index {
            self.add_said(&mut said)?;
        }
        self.write_anew(&said)
    }

    fn write_anew(&self, said: &Said) -> Result<u64, EngineError> {
        let (generation, bytes) = self.journal.write_anew(said)?;
        self.set_applied(Some(&generation), bytes)?;
        Ok(bytes)
    }

    fn said_in_journal(&self) -> Result<(Said, usize), EngineError> {
        let reading = self.journal.read_from(0)?;
        let mut said = Said::default();
        for entry in reading.entries {
            said.take(entry);
        }
        Ok((said, reading.unreadable))
    }

    /// Adds what the index says to what a journal said.
    fn add_said(&self, said: &mut Said) -> Result<(), EngineError> {
        for BoardRow { id, name, position, .. } in self.boards()? {
            said.boards.insert(id, (name, position));
        }
        let sql = "SELECT id FROM results WHERE is_favourite <> 0 OR rating <> 0
            UNION SELECT result_id FROM result_tags UNION SELECT result_id FROM board_results";
        for id in self.rows(sql, [], |row: &Row<'_>| row.get::<_, i64>(0))? {
            let marks = self.marks(id)?;
            if let Some(entry) = self.entry(id, None, marks)? {
                said.take(entry);
            }
        }
        Ok(())
    }

    /// Forgets all that the index says and reads the journal from its start.
    fn read_whole_journal(&self, generation: &str) -> Result<u64, EngineError> {
        let reading = self.journal.read_from(0)?;
        let mut said = Said::default();
        for entry in reading.entries {
            said.take(entry);
        }
        for sql in [
            "UPDATE results SET is_favourite = 0, rating = 0 WHERE is_favourite <> 0 OR rating <> 0",
            "DELETE FROM result_tags",
            "DELETE FROM tags",
            "DELETE FROM boards",
            "DELETE FROM board_results",
        ] {
            self.execute(sql, [])?;
        }
        self.set_applied(Some(generation), reading.end_bytes)?;
        let moved = self.put_all(&mut said)?;
        self.write_journal(&moved)?;
        self.applied().map(|applied| applied.map_or(0, |(_, bytes)| bytes))
    }

    /// Puts what a journal said into the index. Returns lines for results that have another file
    /// than it says, found by their content.
    fn put_all(&self, said: &mut Said) -> Result<Vec<Entry>, EngineError> {
        for (id, (name, position)) in &said.boards {
            self.put_board(id, name, *position)?;
        }
        let mut homeless = Vec::new();
        for (file, (sha256, marks)) in &said.results {
            match self.id_of(file)? {
                Some(id) => self.put_marks(id, marks)?,
                None if !sha256.is_empty() => homeless.push((file.clone(), sha256.clone())),
                None => {}
            }
        }
        let mut moved = Vec::new();
        for (was, sha256) in homeless {
            let sql = "SELECT id, file FROM results WHERE sha256 = ?1 AND is_missing = 0";
            let same = self.rows(sql, [&sha256], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })?;
            let free = same.into_iter().find(|(_, file)| !said.results.contains_key(file));
            if let (Some((id, file)), Some((_, marks))) = (free, said.results.remove(&was)) {
                self.put_marks(id, &marks)?;
                moved.extend(self.entry(id, Some(&was), marks.clone())?);
                said.results.insert(file, (sha256, marks));
            }
        }
        Ok(moved)
    }

    /// Gives results that were just adopted what the journal says of them, by their files or by
    /// their contents when the journal's file is nowhere.
    pub(in crate::store) fn remember(&self, adopted: &[i64]) -> Result<(), EngineError> {
        if adopted.is_empty() || self.applied()?.is_none() {
            // The journal will be read whole.
            return Ok(());
        }
        let (said, _) = self.said_in_journal()?;
        let mut homeless: Vec<(&String, &String, &Marks)> = Vec::new();
        for (file, (sha256, marks)) in &said.results {
            if !sha256.is_empty() && self.id_of(file)?.is_none() {
                homeless.push((file, sha256, marks));
            }
        }
        for &id in adopted {
            let sql = "SELECT file, sha256 FROM results WHERE id = ?1";
            let rows = self.rows(sql, [id], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
            })?;
            for (file, sha256) in rows {
                if let Some((_, marks)) = said.results.get(&file) {
                    self.put_marks(id, marks)?;
                    continue;
                }
                let same = |(_, other, _): &(_, &String, _)| Some(*other) == sha256.as_ref();
                if let Some(at) = homeless.iter().position(same) {
                    let (was, _, marks) = homeless.swap_remove(at);
                    self.put_marks(id, marks)?;
                    let entry = self.entry(id, Some(was), marks.clone())?;
                    self.write_journal(entry.as_slice())?;
                }
            }
        }
        Ok(())
    }

    fn take_in(&self, entry: Entry) -> Result<(), EngineError> {
        match entry {
            Entry::Result { file, was, marks, .. } => {
                let id = match self.id_of(&file)? {
                    None => was.map_or(Ok(None), |was| self.id_of(&was))?,
                    found => found,
                };
                id.map_or(Ok(()), |id| self.put_marks(id, &marks))
            }
            Entry::Board { board, name, position } => self.put_board(&board, &name, position),
            Entry::NoBoard { board } => self.drop_board(&board),
            Entry::Journal { .. } | Entry::Gone { .. } => Ok(()),
        }
    }

    fn id_of(&self, file: &str) -> Result<Option<i64>, EngineError> {
        Ok(self.rows("SELECT id FROM results WHERE file = ?1", [file], |row| row.get(0))?.pop())
    }

    fn put_marks(&self, id: i64, marks: &Marks) -> Result<(), EngineError> {
        let sql = "UPDATE results SET is_favourite = ?2, rating = ?3 WHERE id = ?1";
        self.execute(sql, params![id, marks.is_favourite, marks.rating.min(5)])?;
        self.execute("DELETE FROM result_tags WHERE result_id = ?1", [id])?;
        for tag in &marks.tags {
            let folded = folded(tag);
            let sql = "INSERT OR IGNORE INTO tags (name, folded) VALUES (?1, ?2)";
            self.execute(sql, [tag, &folded])?;
            let sql = "INSERT OR IGNORE INTO result_tags (tag_id, result_id)
                SELECT id, ?2 FROM tags WHERE folded = ?1";
            self.execute(sql, params![folded, id])?;
        }
        self.execute("DELETE FROM board_results WHERE result_id = ?1", [id])?;
        for (board, position) in &marks.boards {
            let sql = "INSERT INTO board_results (board_id, result_id, position)
                VALUES (?1, ?2, ?3)";
            self.execute(sql, params![board, id, position])?;
        }
        Ok(())
    }

    /// Lists tags that kept results have, with their number, in alphabetical order.
    pub(in crate::store) fn tags(&self) -> Result<Vec<(String, usize)>, EngineError> {
        let sql = "SELECT name, count(*) FROM tags JOIN result_tags ON tag_id = tags.id
            JOIN results ON results.id = result_id AND place = 0 GROUP BY tags.id ORDER BY folded";
        self.rows(sql, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)))
    }

    /// Lists the results that have a tag, also trashed and missing ones.
    pub(in crate::store) fn tagged(&self, tag: &str) -> Result<Vec<i64>, EngineError> {
        let sql = "SELECT result_id FROM result_tags JOIN tags ON tags.id = tag_id
            WHERE folded = ?1 ORDER BY result_id";
        self.rows(sql, [folded(tag)], |row| row.get(0))
    }

    pub(super) fn drop_unused_tags(&self) -> Result<(), EngineError> {
        let sql = "DELETE FROM tags WHERE NOT EXISTS
            (SELECT 1 FROM result_tags WHERE tag_id = tags.id)";
        self.execute(sql, []).map(drop)
    }

    /// Lists boards in their order.
    pub(in crate::store) fn boards(&self) -> Result<Vec<BoardRow>, EngineError> {
        let sql = "SELECT id, name, position, (SELECT count(*) FROM board_results
                JOIN results ON results.id = result_id WHERE board_id = boards.id AND place = 0)
            FROM boards ORDER BY position, id";
        self.rows(sql, [], |row| {
            Ok(BoardRow {
                id: row.get(0)?,
                name: row.get(1)?,
                position: row.get(2)?,
                count: row.get::<_, i64>(3)? as usize,
            })
        })
    }

    /// Lists the results on a board in their order, also trashed and missing ones, with positions.
    pub(in crate::store) fn on_board(&self, board: &str) -> Result<Vec<(i64, f64)>, EngineError> {
        let sql = "SELECT result_id, position FROM board_results WHERE board_id = ?1
            ORDER BY position, result_id";
        self.rows(sql, [board], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Adds boards, or gives them other names or positions, in the journal and then in the index.
    pub(in crate::store) fn set_boards(&self, boards: &[BoardRow]) -> Result<(), EngineError> {
        self.together(|index| {
            let entries: Vec<Entry> = boards
                .iter()
                .map(|board| Entry::Board {
                    board: board.id.clone(),
                    name: board.name.clone(),
                    position: board.position,
                })
                .collect();
            index.write_journal(&entries)?;
            for board in boards {
                index.put_board(&board.id, &board.name, board.position)?;
            }
            Ok(())
        })
    }

    /// Removes a board; what was on it stays.
    pub(in crate::store) fn remove_board(&self, board: &str) -> Result<(), EngineError> {
        self.together(|index| {
            index.write_journal(&[Entry::NoBoard { board: board.to_owned() }])?;
            index.drop_board(board)
        })
    }

    fn put_board(&self, id: &str, name: &str, position: f64) -> Result<(), EngineError> {
        let sql = "INSERT INTO boards (id, name, folded, position) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (id) DO UPDATE SET name = ?2, folded = ?3, position = ?4";
        self.execute(sql, params![id, name, folded(name), position]).map(drop)
    }

    fn drop_board(&self, id: &str) -> Result<(), EngineError> {
        self.execute("DELETE FROM board_results WHERE board_id = ?1", [id])?;
        self.execute("DELETE FROM boards WHERE id = ?1", [id]).map(drop)
    }
}
