//! The user's work: pictures and sounds with their recipes, written so that nothing can be lost.
//!
//! ```text
//! <folder>/
//!   pictures/2026-11/2026-11-23-a-red-fox-42.png   each with its complete recipe
//!   pictures/imported-2023-05/…                    of other programs, as they were (see [`import`])
//!   sounds/2026-11/2026-11-23-a-calm-waltz-42.flac the same
//!   trash/2026-11/…                                the same, until the trash is emptied
//!   conversations/…                                see [`conversations`]
//!   latents/latents-a-red-fox-42.safetensors       of pictures that are not decoded yet
//!   thumbnails/7.png                               a cache, by the number of the result
//!   marks.jsonl                                    favourites, ratings, tags, boards: see [`Marks`]
//!   marks.jsonl.damaged-1                          one that was set aside
//!   copying-to-7-0.txt                             into which folder a copy is being written
//!   index.sqlite (-wal, -shm)                      made again from all that if need be
//!   index.sqlite.damaged-1                         an index that was set aside
//!   index.sqlite.suspect                           it was found damaged while it was in use
//!   lock                                           held by every process that has the library open
//!   moved-to                                       after a move: where everything is now
//! ```
//!
//! The folders and the marks are the truth. A result is on the disk before its row is in the index, and its row
//! is there before [`Store::save_picture`] or [`Store::save_sound`] returns; what a killed process left in between is put in
//! order by the next one that opens the library alone (see [`Opening`]).

pub mod boards;
pub mod check;
mod colours;
mod contents;
pub mod conversations;
mod copying;
pub mod export;
pub mod exports;
pub mod files;
pub mod foreign;
pub mod import;
mod index;
mod journal;
mod latents;
mod marks;
pub mod open_raster;
pub mod pictures;
mod place;
pub mod png;
pub mod projects;
mod recovery;
mod relocate;
pub mod search;
mod thumbnails;
mod trash;
mod upkeep;
mod words;
mod zipped;

#[cfg(test)]
mod library_tests;
#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod sound_tests;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use crate::audio::recipe::Tags;
use crate::audio::write::{SampleFormat, flac};
use crate::error::EngineError;
use crate::protocol::{EnlargeRequest, Pcm, PictureRequest, Pixels, Request, Score, SoundRequest};

pub use colours::{Colour, dominant};
use index::{Content, Index, IndexRow, Which};
pub use journal::Marks;
pub use place::default_folder;
use place::{PICTURES, Presence, SOUNDS, TRASH};
pub use recovery::Opening;
use recovery::now_ms;
use serde::{Deserialize, Serialize};
pub use thumbnails::THUMBNAIL_PX;
pub use upkeep::Upkeep;

/// How much the newest measurement counts for a learned time.
const LEARNING_RATE: f64 = 0.3;

/// Says what a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultKind {
    /// A picture, kept as PNG; an imported one as what it was.
    Picture,
    /// A piece of music, kept as FLAC.
    Sound,
}

impl ResultKind {
    /// Lists every kind.
    pub const ALL: [Self; 2] = [Self::Picture, Self::Sound];

    /// Returns the name that stands in the index.
    fn id(self) -> &'static str {
        match self {
            Self::Picture => "picture",
            Self::Sound => "sound",
        }
    }

    /// Returns the folder of the library in which results of this kind are.
    fn folder(self) -> &'static str {
        match self {
            Self::Picture => PICTURES,
            Self::Sound => SOUNDS,
        }
    }

    /// Returns the ending of files of this kind.
    fn extension(self) -> &'static str {
        match self {
            Self::Picture => "png",
            Self::Sound => "flac",
        }
    }

    /// Lists the endings that files of this kind may have.
    fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Picture => &["png", "jpg", "jpeg", "webp"],
            Self::Sound => &["flac"],
        }
    }

    /// Returns the kind of a file by its ending.
    fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?;
        let is_one =
            |kind: &Self| kind.extensions().iter().any(|known| ending.eq_ignore_ascii_case(known));
        Self::ALL.into_iter().find(is_one)
    }
}

/// Says where a saved result is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedResult {
    /// Its number in the library; never reused while the index lives.
    pub id: i64,
    /// Its file.
    pub file: PathBuf,
    /// When it was saved, in milliseconds since 1970.
    pub created_ms: i64,
}

/// Holds one result of the library.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultRow {
    /// Its number in the library.
    pub id: i64,
    /// Its file.
    pub file: PathBuf,
    /// When it was saved, in milliseconds since 1970.
    pub created_ms: i64,
    /// The request that makes it again: [`Request::Picture`], [`Request::Enlarge`] or
    /// [`Request::Sound`].
    pub request: Request,
    /// Whether the user marked it.
    pub is_favourite: bool,
    /// When it was trashed, in milliseconds since 1970.
    pub trashed_ms: Option<i64>,
    /// Stars that the user gave, 1 to 5; 0 for none.
    pub rating: u8,
    /// The user's tags, in alphabetical order.
    pub tags: Vec<String>,
    /// The size of its file; `None` until it was found out.
    pub file_bytes: Option<u64>,
}

/// Holds a job that an earlier session did not finish.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingJob {
    /// Its number, for [`Store::remove_pending`].
    pub id: i64,
    /// When it was submitted, in milliseconds since 1970.
    pub added_ms: i64,
    /// What was asked for.
    pub request: Request,
}

/// Keeps the user's results in one folder. May be shared between threads, and several processes may
/// have the same folder open.
#[derive(Debug)]
pub struct Store {
    home: RwLock<Home>,
    /// Tells this process's pending jobs from those of others.
    session: String,
    opening: Opening,
}

/// Everything that changes when the library moves.
#[derive(Debug)]
struct Home {
    folder: PathBuf,
    index: Mutex<Index>,
    presence: Presence,
}

impl Home {
    /// Checks that the folder is still where it was. On a drive that was taken away there may be an
    /// empty folder of its name: what was written there would be lost to sight when it comes back.
    fn check_here(&self) -> Result<(), EngineError> {
        if self.folder.join(place::LOCK).exists() {
            return Ok(());
        }
        Err(EngineError::Io {
            action: "use the library".to_owned(),
            reason: "its folder is not there now; is the drive plugged in?".to_owned(),
            path: self.folder.clone(),
        })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // SQLite rolls an unfinished change back, so a panic leaves nothing half done.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn row(&self, row: IndexRow) -> Option<ResultRow> {
        Some(ResultRow {
            id: row.id,
            file: self.folder.join(&row.file),
            created_ms: row.created_ms,
            request: index::read_request(&row.kind, &row.request)?,
            is_favourite: row.is_favourite,
            trashed_ms: row.trashed_ms,
            rating: row.rating,
            tags: row.tags,
            file_bytes: row.bytes,
        })
    }

    /// Moves a result's file into the trash, or back to its kind.
    fn move_result(&self, id: i64, to_trash: bool) -> Result<(), EngineError> {
        self.check_here()?;
        let index = self.index();
        let row = index.result(id)?.ok_or_else(|| unknown(id))?;
        let kind = ResultKind::of(Path::new(&row.file)).unwrap_or(ResultKind::Picture);
        let top = if to_trash { TRASH } else { kind.folder() };
        if row.file.split('/').next() == Some(top) {
            return Ok(());
        }
        let month = row.file.split('/').nth(1).unwrap_or_default();
        let folder = self.folder.join(top).join(month);
        files::make_folder(&folder)?;
        let moved = files::move_new(&self.folder.join(&row.file), &folder)?;
        let trashed_ms = to_trash.then(now_ms);
        index.set_place(id, &self.relative(&moved)?, trashed_ms)
    }

    /// Writes a result's file, then its row.
    fn save(
        &self,
        kind: ResultKind,
        (prompt, seed): (&str, u64),
        bytes: &[u8],
        colours: Option<u16>,
        request: &Request,
    ) -> Result<SavedResult, EngineError> {
        self.check_here()?;
        let content = Content { colours, ..contents::content_of_bytes(bytes) };
        let created_ms = now_ms();
        let date = self.index().local_date(created_ms)?;
        let month = self.folder.join(kind.folder()).join(date.get(..7).unwrap_or("undated"));
        files::make_folder(&month)?;
        let stem = files::picture_stem(&date, prompt, seed);
        let file = files::write_new(&month, &stem, kind.extension(), bytes)?;
        let id = self.index().add_result(&self.relative(&file)?, created_ms, request, &content)?;
        Ok(SavedResult { id, file, created_ms })
    }

    fn relative(&self, path: &Path) -> Result<String, EngineError> {
        recovery::relative(&self.folder, path)
            .ok_or_else(|| EngineError::invalid("file name", "is not Unicode"))
    }
}

impl Store {
    /// Opens the library in a folder, which is made if need be, and puts it in order. A folder whose
    /// library was moved leads to its new place.
    ///
    /// # Errors
    /// [`EngineError::Io`] or [`EngineError::DiskFull`] when the folder cannot be used,
    /// [`EngineError::Index`] when a newer Atelier wrote the index.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, EngineError> {
        let asked = std::path::absolute(folder.as_ref())
            .map_err(|error| EngineError::io("open the library", folder.as_ref(), &error))?;
        let folder = place::follow_moves(&asked)?;
        for top in [PICTURES, SOUNDS, TRASH, conversations::CONVERSATIONS, latents::LATENTS] {
            files::make_folder(&folder.join(top))?;
        }
        let (presence, is_alone) = Presence::enter(&folder)?;
        let mut opening = Opening { is_shared: !is_alone, ..Opening::default() };
        let index = recovery::open_index(&folder, is_alone, &mut opening)?;
        if is_alone {
            recovery::reconcile(&folder, &index, &mut opening)?;
            index.release_pending()?;
            presence.share()?;
        }
        let session = format!("{}-{}", std::process::id(), now_ms());
        let home = Home { folder, index: Mutex::new(index), presence };
        Ok(Self { home: RwLock::new(home), session, opening })
    }

    fn home(&self) -> RwLockReadGuard<'_, Home> {
        self.home.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the folder in use.
    pub fn folder(&self) -> PathBuf {
        self.home().folder.clone()
    }

    /// Returns what the check at start found and did.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Saves a picture with its recipe and its licence. When this returns `Ok`, the file and its
    /// row are written; a failure loses neither this picture's predecessors nor, once its file is
    /// on the disk, the picture itself: the next start adopts it.
    ///
    /// # Errors
    /// [`EngineError::DiskFull`], [`EngineError::Io`] or [`EngineError::Index`];
    /// [`EngineError::InvalidSetting`] as [`png::encode`].
    pub fn save_picture(
        &self,
        pixels: &Pixels,
        request: &PictureRequest,
        licence: &str,
    ) -> Result<SavedResult, EngineError> {
        let bytes = png::encode(pixels, request, licence)?;
        let home = self.home();
        let name = (request.prompt.text.as_str(), request.seed);
        let request = Request::Picture(Box::new(request.clone()));
        let small = thumbnails::shrink(pixels)?;
        let colours = colours::bits(&dominant(&small));
        let saved = home.save(ResultKind::Picture, name, &bytes, Some(colours), &request)?;
        // A thumbnail that could not be kept is made when it is asked for.
        let _ = thumbnails::keep_small(&home.folder, saved.id, &small);
        Ok(saved)
    }

    /// Saves an enlarged picture with its recipe and its licence, as safely as
    /// [`Store::save_picture`].
    ///
    /// # Errors
    /// As [`Store::save_picture`].
    pub fn save_enlarged(
        &self,
        pixels: &Pixels,
        request: &EnlargeRequest,
        licence: &str,
    ) -> Result<SavedResult, EngineError> {
        let bytes = png::encode_enlarged(pixels, request, licence)?;
        let home = self.home();
        let words = format!("{} x{}", request.title(), request.factor);
        let name = (words.as_str(), request.seed());
        let request = Request::Enlarge(Box::new(request.clone()));
        let small = thumbnails::shrink(pixels)?;
        let colours = colours::bits(&dominant(&small));
        let saved = home.save(ResultKind::Picture, name, &bytes, Some(colours), &request)?;
        let _ = thumbnails::keep_small(&home.folder, saved.id, &small);
        Ok(saved)
    }

    /// Saves a piece of music as FLAC of 16 bits with its notes, its recipe and its licence in the
    /// tags, as safely as [`Store::save_picture`].
    ///
    /// # Errors
    /// [`EngineError::DiskFull`], [`EngineError::Io`] or [`EngineError::Index`];
    /// [`EngineError::InvalidSetting`] as [`flac`].
    pub fn save_sound(
        &self,
        pcm: &Pcm,
        score: &Score,
        request: &SoundRequest,
        licence: &str,
    ) -> Result<SavedResult, EngineError> {
        let tags = Tags { score: Some(score.clone()), ..Tags::of(request, licence) };
        let bytes = flac(pcm, SampleFormat::Int16, &tags)?;
        let name = (request.prompt.as_str(), request.seed);
        let request = Request::Sound(Box::new(request.clone()));
        self.home().save(ResultKind::Sound, name, &bytes, None, &request)
    }

    /// Lists results of every kind from the newest, those with a number below `before` only.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn recent(&self, limit: usize, before: Option<i64>) -> Result<Vec<ResultRow>, EngineError> {
        self.list(None, limit, before)
    }

    /// Lists results of one kind, as [`Store::recent`] does.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn recent_of(
        &self,
        kind: ResultKind,
        limit: usize,
        before: Option<i64>,
    ) -> Result<Vec<ResultRow>, EngineError> {
        self.list(Some(kind), limit, before)
    }

    fn list(
        &self,
        kind: Option<ResultKind>,
        limit: usize,
        before: Option<i64>,
    ) -> Result<Vec<ResultRow>, EngineError> {
        let home = self.home();
        let rows = home.index().results(Which::Kept, kind, limit, before)?;
        Ok(rows.into_iter().filter_map(|row| home.row(row)).collect())
    }

    /// Lists what is in the trash, from the newest result.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn trashed(&self) -> Result<Vec<ResultRow>, EngineError> {
        let home = self.home();
        let rows = home.index().results(Which::Trashed, None, usize::MAX, None)?;
        Ok(rows.into_iter().filter_map(|row| home.row(row)).collect())
    }

    /// Returns one result, also a trashed one.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn result(&self, id: i64) -> Result<Option<ResultRow>, EngineError> {
        let home = self.home();
        let row = home.index().result(id)?;
        Ok(row.and_then(|row| home.row(row)))
    }

    /// Returns a picture's thumbnail, at most [`THUMBNAIL_PX`] wide and high; made again when it is
    /// missing or damaged.
    ///
    /// # Errors
    /// [`EngineError::Io`] or [`EngineError::Damaged`] when the picture itself cannot be read,
    /// [`EngineError::InvalidSetting`] when the result is none.
    pub fn thumbnail(&self, id: i64) -> Result<Pixels, EngineError> {
        let home = self.home();
        let row = home.index().result(id)?.ok_or_else(|| unknown(id))?;
        if row.kind != ResultKind::Picture.id() {
            return Err(EngineError::invalid("result", "is no picture and has no thumbnail"));
        }
        thumbnails::get(&home.folder, id, &home.folder.join(row.file))
    }

    /// Moves a result to the trash; its file is moved, not deleted.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the file cannot be moved, [`EngineError::InvalidSetting`] when there
    /// is no such result.
    pub fn trash(&self, id: i64) -> Result<(), EngineError> {
        self.home().move_result(id, true)
    }

    /// Takes a result back out of the trash.
    ///
    /// # Errors
    /// As [`Store::trash`].
    pub fn restore(&self, id: i64) -> Result<(), EngineError> {
        self.home().move_result(id, false)
    }

    /// Moves the whole library to an empty folder, which may be on another disk. Everything is
    /// copied and compared first; until then, and on any failure, the old folder stays as it is.
    /// The old folder keeps a note that leads [`Store::open`] to the new one.
    ///
    /// Saving waits meanwhile, so this belongs on a thread that may take its time.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the folder is not empty or lies within the old one,
    /// [`EngineError::Io`] when another process has the library open or a file cannot be copied,
    /// [`EngineError::DiskFull`].
    pub fn move_to(&self, new_folder: impl AsRef<Path>) -> Result<(), EngineError> {
        let mut home = self.home.write().unwrap_or_else(PoisonError::into_inner);
        let to = relocate::prepare(&home.folder, new_folder.as_ref())?;
        if !home.presence.exclude()? {
            return Err(EngineError::Io {
                action: "move the library".to_owned(),
                reason: "another Atelier has it open".to_owned(),
                path: home.folder.clone(),
            });
        }
        let moved = || {
            let (presence, _) = Presence::enter(&to)?;
            let index = relocate::copy(&home.folder, &home.index(), &to)?;
            relocate::switch(&home.folder, &to)?;
            Ok(Home { folder: to.clone(), index: Mutex::new(index), presence })
        };
        match moved() {
            Ok(new_home) => {
                let old = std::mem::replace(&mut *home, new_home);
                let from = old.folder.clone();
                // The index must be closed before its file can go on every system.
                drop(old);
                relocate::remove_moved(&from, &to);
                home.presence.share()
            }
            Err(error) => {
                home.presence.share()?;
                Err(error)
            }
        }
    }

    /// Notes a job before it runs, so that it is offered again should this process not live to
    /// finish it, and returns the note's number.
    ///
    /// # Errors
    /// [`EngineError::Index`] or [`EngineError::DiskFull`].
    pub fn add_pending(&self, request: &Request) -> Result<i64, EngineError> {
        self.home().index().add_pending(&self.session, now_ms(), request)
    }

    /// Forgets a noted job: it is done, or nobody wants it any more.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn remove_pending(&self, id: i64) -> Result<(), EngineError> {
        self.home().index().remove_pending(id)
    }

    /// Lists the jobs that earlier sessions did not finish, oldest first; never this session's own
    /// or those of another process that still runs.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn pending(&self) -> Result<Vec<PendingJob>, EngineError> {
        let rows = self.home().index().pending()?;
        let read = |(id, added_ms, json): (i64, i64, String)| {
            let request = serde_json::from_str(&json).ok()?;
            Some(PendingJob { id, added_ms, request })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Returns the seconds that a step of this kind takes here, as learned from earlier runs.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn step_seconds(&self, key: &str) -> Result<Option<f64>, EngineError> {
        self.home().index().step_seconds(key)
    }

    /// Learns from a run how many seconds a step of this kind takes. A time that makes no sense is
    /// passed over.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn learn_step_seconds(&self, key: &str, seconds: f64) -> Result<(), EngineError> {
        if !seconds.is_finite() || seconds <= 0.0 {
            return Ok(());
        }
        self.home().index().learn_step_seconds(key, seconds, LEARNING_RATE)
    }

    /// Returns a setting of this library.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn setting(&self, key: &str) -> Result<Option<String>, EngineError> {
        self.home().index().setting(key)
    }

    /// Changes a setting of this library.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn set_setting(&self, key: &str, value: &str) -> Result<(), EngineError> {
        self.home().index().set_setting(key, value)
    }
}

fn unknown(id: i64) -> EngineError {
    EngineError::invalid(format!("result {id}"), "is not in the library")
}
