//! Old pictures: a folder of what other programs made, copied into the library with what the pictures
//! say about how they were made.
//!
//! The bytes of a picture stay as they are, and so does its time. It is kept apart from what was made
//! here, in `pictures/imported-2023-05/`, by which the check at start knows that its recipe is another
//! program's. A picture whose bytes the library has already is not taken again.

mod walk;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::EngineError;
use crate::protocol::{PictureRequest, Pixels, Request};

use super::contents::content_of_bytes;
use super::foreign::{self, PictureFormat, Program};
use super::index::Content;
use super::place::PICTURES;
use super::recovery::to_ms;
use super::{Home, SavedResult, Store, files, pictures, png, thumbnails};

/// Begins the name of a month's folder whose pictures were imported.
const FOLDER_PREFIX: &str = "imported-";

/// Says what is done with pictures that do not say how they were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SilentPictures {
    /// They are taken, without a recipe.
    #[default]
    Take,
    /// They stay where they are.
    Leave,
}

/// Says how far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportProgress<'a> {
    /// How many files are done.
    pub done: usize,
    /// How many files there are.
    pub total: usize,
    /// The file that comes next; `None` at the end.
    pub file: Option<&'a Path>,
}

/// Says who wrote the recipe of an imported picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecipeOrigin {
    /// This program.
    Atelier,
    /// Another program.
    Other(Program),
    /// Nobody: the picture says nothing.
    Nobody,
}

impl RecipeOrigin {
    /// Returns the program's name; `nothing` for none.
    pub fn label(self) -> &'static str {
        match self {
            Self::Atelier => "Atelier",
            Self::Other(program) => program.label(),
            Self::Nobody => "nothing",
        }
    }
}

/// Holds a picture that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Where it came from.
    pub from: PathBuf,
    /// Its number in the library.
    pub id: i64,
    /// Its file in the library.
    pub file: PathBuf,
    /// Who wrote its recipe.
    pub origin: RecipeOrigin,
    /// What of its recipe cannot be honoured, in one sentence each.
    pub unhonoured: Vec<String>,
}

/// Holds a picture that the library had already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlreadyThere {
    /// The file that was not taken.
    pub from: PathBuf,
    /// The number of the same picture in the library, perhaps in its trash.
    pub id: i64,
}

/// Holds a picture that says nothing about how it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silent {
    /// The file.
    pub from: PathBuf,
    /// Why texts about its making could not be read, in one sentence each; empty when there are none.
    pub unread: Vec<String>,
}

/// Holds a file that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The file or folder.
    pub from: PathBuf,
    /// Why.
    pub error: EngineError,
}

/// Says how an import ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ImportEnd {
    /// Every file was looked at.
    #[default]
    Complete,
    /// It was cancelled; what was taken stays.
    Cancelled,
    /// The library took nothing more; what was taken stays.
    Failed(EngineError),
}

/// Says what came of an import.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportReport {
    /// Pictures that were taken.
    pub imported: Vec<Imported>,
    /// Pictures that were there already.
    pub already_there: Vec<AlreadyThere>,
    /// Pictures that do not say how they were made, taken or left as was asked for.
    pub silent: Vec<Silent>,
    /// Files and folders that could not be read.
    pub refused: Vec<Refused>,
    /// How many files were passed over because they are no pictures by their names.
    pub passed_over: usize,
    /// How it ended.
    pub end: ImportEnd,
}

impl ImportReport {
    /// Counts by sentence what could not be honoured, the most frequent first.
    pub fn unhonoured(&self) -> Vec<(String, usize)> {
        let mut counts = BTreeMap::new();
        for sentence in self.imported.iter().flat_map(|picture| &picture.unhonoured) {
            *counts.entry(sentence).or_insert(0) += 1;
        }
        let mut counts: Vec<(String, usize)> =
            counts.into_iter().map(|(sentence, count)| (sentence.clone(), count)).collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }
}

/// Holds what is known of a picture before it is taken.
struct Reading {
    format: PictureFormat,
    request: PictureRequest,
    origin: RecipeOrigin,
    unhonoured: Vec<String>,
    unread: Vec<String>,
}

impl Reading {
    /// Reads the recipe of a picture, whoever wrote it.
    fn of(bytes: &[u8], pixels: &Pixels, path: &Path) -> Result<Self, EngineError> {
        let named = |error| match error {
            EngineError::Damaged { reason, .. } => EngineError::damaged(path, reason),
            error => error,
        };
        let found = foreign::read_with(bytes, Some(pixels)).map_err(named)?;
        let mut reading = Self {
            format: found.format,
            request: foreign::bare_request(found.size),
            origin: RecipeOrigin::Nobody,
            unhonoured: Vec::new(),
            unread: found.unread,
        };
        // What is broken in a recipe of another program is told by the reader for it.
        let own = png::read_recipe(bytes).ok().and_then(|found| found.request);
        if let Some(request) = own {
            (reading.request, reading.origin) = (request, RecipeOrigin::Atelier);
        } else if let Some(settings) = found.settings {
            reading.request = settings.request(found.size);
            reading.origin = RecipeOrigin::Other(settings.program);
            reading.unhonoured = settings.unhonoured;
        }
        Ok(reading)
    }
}

/// Tells whether a folder of a month is one of imported pictures.
pub(super) fn is_imported(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    folder.to_string_lossy().starts_with(FOLDER_PREFIX)
}

/// Reads the request of a picture that was imported, as the import did.
pub(super) fn request_of(path: &Path) -> Result<Request, EngineError> {
    let bytes = png::read_file(path)?;
    let pixels = pictures::decode_of(&bytes, path)?;
    Ok(Request::Picture(Box::new(Reading::of(&bytes, &pixels, path)?.request)))
}

impl Store {
    /// Copies the pictures below a folder, or one picture, (PNG, JPEG and WebP) into the library with
    /// their recipes, oldest first. Links are followed once; what is hidden is passed over.
    ///
    /// `report` is told about each file before its turn and breaks off the import; what was taken by
    /// then stays, and the report that is returned lists it.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the folder cannot be read, [`EngineError::InvalidSetting`] when it is
    /// part of the library. Later failures are in the report.
    pub fn import_folder(
        &self,
        folder: &Path,
        silent: SilentPictures,
        report: &mut dyn FnMut(ImportProgress<'_>) -> ControlFlow<()>,
    ) -> Result<ImportReport, EngineError> {
        let mut out = ImportReport::default();
        let looking = ImportProgress { done: 0, total: 0, file: None };
        let mut go_on = || report(looking).is_continue();
        let Some(found) = walk::pictures(folder, &self.folder(), &mut out, &mut go_on)? else {
            out.end = ImportEnd::Cancelled;
            return Ok(out);
        };
        let total = found.len();
        let mut unhashed = Unhashed::of(&self.home())?;
        for (done, (modified, path)) in found.iter().enumerate() {
            if report(ImportProgress { done, total, file: Some(path) }).is_break() {
                out.end = ImportEnd::Cancelled;
                return Ok(out);
            }
            if let Err(error) = self.import(path, *modified, silent, &mut unhashed, &mut out) {
                out.end = ImportEnd::Failed(error);
                return Ok(out);
            }
        }
        // Everything is done; an answer would come too late.
        let _ = report(ImportProgress { done: total, total, file: None });
        Ok(out)
    }

    /// Takes one picture, or says in the report why not; an error is one of the library.
    fn import(
        &self,
        path: &Path,
        modified: SystemTime,
        silent: SilentPictures,
        unhashed: &mut Unhashed,
        out: &mut ImportReport,
    ) -> Result<(), EngineError> {
        let from = path.to_owned();
        let bytes = match png::read_file(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                out.refused.push(Refused { from, error });
                return Ok(());
            }
        };
        let home = self.home();
        let content = content_of_bytes(&bytes);
        if let Some(id) = unhashed.same(&home, &content)? {
            out.already_there.push(AlreadyThere { from, id });
            return Ok(());
        }
        let read = pictures::decode_of(&bytes, path)
            .and_then(|pixels| Ok((Reading::of(&bytes, &pixels, path)?, pixels)));
        let (reading, pixels) = match read {
            Ok(read) => read,
            Err(error) => {
                out.refused.push(Refused { from, error });
                return Ok(());
            }
        };
        let Reading { format, request, origin, unhonoured, unread } = reading;
        if origin == RecipeOrigin::Nobody {
            out.silent.push(Silent { from: from.clone(), unread });
            if silent == SilentPictures::Leave {
                return Ok(());
            }
        }
        // Without words the old name is the best there is.
        let words = match request.prompt.text.trim() {
            "" => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            words => words.to_owned(),
        };
        let name = (words.as_str(), request.seed);
        let request = Request::Picture(Box::new(request));
        let kept = home.keep_imported(name, (&bytes, &content), format, modified, &request)?;
        // A thumbnail that could not be kept is made when it is asked for.
        let _ = thumbnails::keep(&home.folder, kept.id, &pixels);
        let SavedResult { id, file, .. } = kept;
        out.imported.push(Imported { from, id, file, origin, unhonoured });
        Ok(())
    }
}

impl Home {
    /// Writes a picture's file as it is, then its row.
    fn keep_imported(
        &self,
        (words, seed): (&str, u64),
        (bytes, content): (&[u8], &Content),
        format: PictureFormat,
        modified: SystemTime,
        request: &Request,
    ) -> Result<SavedResult, EngineError> {
        let created_ms = to_ms(modified);
        let date = self.index().local_date(created_ms)?;
        let month = format!("{FOLDER_PREFIX}{}", date.get(..7).unwrap_or("undated"));
        let folder = self.folder.join(PICTURES).join(month);
        files::make_folder(&folder)?;
        let stem = files::picture_stem(&date, words, seed);
        let file = files::write_new_dated(&folder, &stem, format.extension(), bytes, modified)?;
        let place = self.relative(&file)?;
        let id = self.index().add_result(&place, created_ms, request, content)?;
        Ok(SavedResult { id, file, created_ms })
    }
}

/// Holds the pictures of the library whose hash is not known, by length: only those of the same length
/// have to be read to be told apart.
struct Unhashed(HashMap<u64, Vec<(i64, String)>>);

impl Unhashed {
    fn of(home: &Home) -> Result<Self, EngineError> {
        let mut by_length: HashMap<u64, Vec<(i64, String)>> = HashMap::new();
        for (id, file) in home.index().results_without_hash()? {
            if let Ok(about) = std::fs::metadata(home.folder.join(&file)) {
                by_length.entry(about.len()).or_default().push((id, file));
            }
        }
        Ok(Self(by_length))
    }

    /// Finds a picture with these bytes in the library, also in its trash.
    fn same(&mut self, home: &Home, content: &Content) -> Result<Option<i64>, EngineError> {
        for (id, file) in self.0.remove(&content.bytes).unwrap_or_default() {
            if let Ok(bytes) = png::read_file(&home.folder.join(file)) {
                home.index().set_content(id, &content_of_bytes(&bytes))?;
            }
        }
        home.index().result_with_hash(&content.sha256)
    }
}
