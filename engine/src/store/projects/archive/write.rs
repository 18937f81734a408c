//! Writing a project into one file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::super::{Project, failed};
use super::{
    Edit, FORMAT, MANIFEST, MAX_SOURCE_BYTES, Manifest, PART_FILE_BYTES, PICTURE, PartKind,
    ProjectExport, SOURCE_ENDINGS, SOURCES, VERSION, locked, part_file,
};
use crate::error::EngineError;
use crate::library::hex;
use crate::protocol::{PictureFile, PictureRequest};
use crate::store::copying::Note;
use crate::store::{files, png};

impl Project {
    /// Writes the whole project with all its edits into one file; one of that name is replaced when
    /// the new one is whole.
    ///
    /// # Errors
    /// [`EngineError::Io`] or [`EngineError::DiskFull`] when it cannot be written,
    /// [`EngineError::Index`] or [`EngineError::Damaged`] when the project cannot be read.
    pub fn export(&mut self, to: &Path) -> Result<ProjectExport, EngineError> {
        let folder = self.path().parent().unwrap_or(Path::new(".")).to_owned();
        let _copying = locked(&folder)?;
        let _note = Note::leave(&folder, files::folder_of(to))?;
        let picture = match self.trail()?.head() {
            Some(head) => Some(png::encode_plain(&self.document(head)?.picture())?),
            None => None,
        };
        let mut made = Err(EngineError::invalid("file", "was not written"));
        // Nothing changes while it is read.
        let reading = self.connection.unchecked_transaction();
        let reading = reading.map_err(|error| failed(self.path(), &error))?;
        let written = files::write_by(to, |file| {
            let mut archive = Writing::new(file);
            made = archive.put_all(self, picture.as_deref()).map_err(Failed::into_engine);
            match &made {
                Ok(_) => archive.finish(),
                Err(_) => Err(std::io::Error::other("the project cannot be read")),
            }
        });
        drop(reading);
        let (edits, lost_sources) = match (made, written) {
            (Ok(made), Ok(())) => made,
            (Ok(_), Err(error)) => return Err(error),
            // What cannot be written is told as what the disk says.
            (Err(EngineError::Io { .. }), Err(error)) => return Err(error),
            (Err(error), _) => return Err(error),
        };
        Ok(ProjectExport { file: to.to_owned(), edits, lost_sources })
    }
}

/// Says why a project could not be written into a file.
enum Failed {
    Disk(std::io::Error),
    Project(EngineError),
}

impl Failed {
    fn into_engine(self) -> EngineError {
        match self {
            Self::Project(error) => error,
            Self::Disk(error) => EngineError::io("write the file", "", &error),
        }
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        Self::Project(error)
    }
}

/// Writes an archive.
struct Writing<'a> {
    zip: ZipWriter<BufWriter<&'a mut File>>,
    part: Vec<u8>,
    part_files: u32,
}

impl<'a> Writing<'a> {
    fn new(file: &'a mut File) -> Self {
        let zip = ZipWriter::new(BufWriter::with_capacity(1 << 18, file));
        Self { zip, part: Vec::new(), part_files: 0 }
    }

    /// Writes everything; returns how many edits there were and how many sources were lost.
    fn put_all(
        &mut self,
        project: &Project,
        picture: Option<&[u8]>,
    ) -> Result<(usize, usize), Failed> {
        let path = project.path();
        let wrong = |error: rusqlite::Error| Failed::Project(failed(path, &error));
        if let Some(picture) = picture {
            self.entry(PICTURE, picture)?;
        }
        let connection = &project.connection;
        let mut tiles =
            connection.prepare("SELECT id, packed FROM tiles ORDER BY id").map_err(wrong)?;
        let mut rows = tiles.query([]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            let packed = row.get_ref(1).and_then(|value| Ok(value.as_blob()?));
            self.part(PartKind::Tile, row.get(0).map_err(wrong)?, packed.map_err(wrong)?)?;
        }
        let sql = "SELECT id, document, thumbnail FROM nodes ORDER BY id";
        let mut nodes = connection.prepare(sql).map_err(wrong)?;
        let mut rows = nodes.query([]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            let id = row.get(0).map_err(wrong)?;
            let document = row.get_ref(1).and_then(|value| Ok(value.as_blob()?));
            self.part(PartKind::Document, id, document.map_err(wrong)?)?;
            let small = row.get_ref(2).and_then(|value| Ok(value.as_blob_or_null()?));
            if let Some(small) = small.map_err(wrong)? {
                self.part(PartKind::Thumbnail, id, small)?;
            }
        }
        self.end_part()?;
        let trail = project.trail()?;
        let mut edits = Vec::with_capacity(trail.len());
        for node in trail.iter() {
            let recipe = if node.has_recipe { project.recipe(node.id)? } else { None };
            edits.push(Edit {
                id: node.id,
                parent: node.parent,
                created_ms: node.created_ms,
                kind: node.kind.id(),
                detail: node.detail.clone(),
                recipe: recipe.map(Box::new),
            });
        }
        let (sources, lost) =
            self.sources(edits.iter().filter_map(|edit| edit.recipe.as_deref()))?;
        let count = edits.len();
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            name: project.name(),
            made_by: format!("Atelier {}", env!("CARGO_PKG_VERSION")),
            head: trail.head(),
            edits,
            part_files: self.part_files,
            sources,
        };
        let text = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::other)?;
        self.entry(MANIFEST, &text)?;
        Ok((count, lost))
    }

    /// Writes the pictures that recipes name, where they are still what they were; returns their
    /// names and how many are not.
    fn sources<'r>(
        &mut self,
        recipes: impl Iterator<Item = &'r PictureRequest>,
    ) -> Result<(Vec<String>, usize), Failed> {
        let mut wanted = BTreeMap::new();
        for file in recipes.flat_map(|recipe| recipe.extras.pictures()) {
            wanted.insert(source_name(file), file);
        }
        let (mut names, mut lost) = (Vec::new(), 0);
        for (name, file) in wanted {
            let bytes = std::fs::metadata(&file.path)
                .and_then(|found| match found.is_file() && found.len() <= MAX_SOURCE_BYTES {
                    true => std::fs::read(&file.path),
                    false => Err(std::io::ErrorKind::InvalidInput.into()),
                })
                .ok()
                .filter(|bytes| hex(&Sha256::digest(bytes)) == file.sha256);
            match (name, bytes) {
                (Some(name), Some(bytes)) => {
                    self.entry(&format!("{SOURCES}/{name}"), &bytes)?;
                    names.push(name);
                }
                _ => lost += 1,
            }
        }
        Ok((names, lost))
    }

    /// Writes an entry.
    fn entry(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failed> {
        // Everything large is packed already.
        let stored = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes.len() > 1 << 30);
        self.zip.start_file(name, stored).map_err(std::io::Error::other)?;
        self.zip.write_all(bytes)?;
        Ok(())
    }

    /// Adds a part: its kind, its number, its length, its hash, its bytes.
    fn part(&mut self, kind: PartKind, number: i64, bytes: &[u8]) -> Result<(), Failed> {
        let too_long = || std::io::Error::other("a part of the project is too long");
        let length = u32::try_from(bytes.len()).map_err(|_| too_long())?;
        self.part.push(kind.letter());
        self.part.extend(number.to_le_bytes());
        self.part.extend(length.to_le_bytes());
        self.part.extend(Sha256::digest(bytes));
        self.part.extend(bytes);
        if self.part.len() >= PART_FILE_BYTES { self.end_part() } else { Ok(()) }
    }

    fn end_part(&mut self) -> Result<(), Failed> {
        if self.part.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.part);
        self.entry(&part_file(self.part_files), &bytes)?;
        self.part_files += 1;
        self.part = bytes;
        self.part.clear();
        Ok(())
    }

    fn finish(self) -> std::io::Result<()> {
        self.zip.finish().map_err(std::io::Error::other)?.flush()
    }
}

/// Returns what a picture that jobs read is called in the archive; `None` where its hash is not known.
pub(super) fn source_name(file: &PictureFile) -> Option<String> {
    let is_hash = file.sha256.len() == 64 && file.sha256.bytes().all(|b| b.is_ascii_hexdigit());
    let ending = file.path.extension()?.to_str()?.to_ascii_lowercase();
    let is_known = SOURCE_ENDINGS.contains(&ending.as_str());
    (is_hash && is_known).then(|| format!("{}.{ending}", file.sha256.to_ascii_lowercase()))
}
