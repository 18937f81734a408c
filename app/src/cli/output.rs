//! Where pictures go: checked before the work begins, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use atelier_engine::EngineError;
use atelier_engine::store::files;

/// Endings that promise something other than a PNG picture.
const OTHER_ENDINGS: [&str; 8] = ["jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif"];

/// Says where pictures go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Into the current folder under free names; never replaces a file.
    Free,
    /// To this file, replaced in one step.
    File(PathBuf),
    /// To this file's name with the picture's number before the ending.
    Numbered(PathBuf),
    /// To a device or a pipe, as it is.
    Device(PathBuf),
    /// To standard output.
    Standard,
}

impl Place {
    /// Finds out where `count` pictures go, and that they can go there.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] or [`EngineError::Io`] when they cannot.
    pub fn resolve(output: Option<&Path>, count: u32) -> Result<Self, EngineError> {
        let Some(path) = output else {
            probe(Path::new("."))?;
            return Ok(Self::Free);
        };
        if path.as_os_str() == "-" {
            return match count {
                1 => Ok(Self::Standard),
                _ => Err(EngineError::invalid("output", "takes one picture only when it is `-`")),
            };
        }
        check_name(path)?;
        if count > 1 {
            probe(folder_of(path))?;
            return Ok(Self::Numbered(path.to_owned()));
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                let reason = format!("must be a file, not the folder {}", path.display());
                return Err(EngineError::invalid("output", reason));
            }
            Ok(found) if !found.is_file() => return Ok(Self::Device(path.to_owned())),
            _ => probe(folder_of(path))?,
        }
        Ok(Self::File(path.to_owned()))
    }

    /// Writes the picture with this number, counted from 1; returns its file, if it has one. `stem` is
    /// what it is called where no name was chosen.
    /// [`Place::Standard`] is left to the caller and has none.
    ///
    /// # Errors
    /// [`EngineError::DiskFull`] or [`EngineError::Io`]; nothing half-written stays behind.
    pub fn write(
        &self,
        number: usize,
        stem: &str,
        bytes: &[u8],
    ) -> Result<Option<PathBuf>, EngineError> {
        match self {
            Self::Free => {
                let file = files::write_new(Path::new("."), stem, "png", bytes)?;
                Ok(Some(file.strip_prefix(".").map_or_else(|_| file.clone(), Path::to_owned)))
            }
            Self::File(path) => {
                files::write_atomic(path, bytes)?;
                Ok(Some(path.clone()))
            }
            Self::Numbered(path) => {
                let path = numbered(path, number);
                files::write_atomic(&path, bytes)?;
                Ok(Some(path))
            }
            Self::Device(path) => {
                write_device(path, bytes)?;
                Ok(Some(path.clone()))
            }
            Self::Standard => Ok(None),
        }
    }
}

/// Checks that a file other than a picture can be written to a place.
///
/// # Errors
/// [`EngineError::InvalidSetting`] or [`EngineError::Io`] when it cannot.
pub fn check_file(setting: &str, path: &Path) -> Result<(), EngineError> {
    if path.is_dir() {
        let reason = format!("must be a file, not the folder {}", path.display());
        return Err(EngineError::invalid(setting, reason));
    }
    probe(folder_of(path))
}

fn check_name(path: &Path) -> Result<(), EngineError> {
    if path.file_name().is_none() {
        return Err(EngineError::invalid("output", "must be a file"));
    }
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if OTHER_ENDINGS.contains(&ending.as_str()) {
        return Err(EngineError::invalid("output", format!("must end in .png, not .{ending}")));
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Finds out by trying whether files can be made in a folder: permissions alone do not tell on
/// a read-only disk.
fn probe(folder: &Path) -> Result<(), EngineError> {
    let refused = |error: std::io::Error| EngineError::io("write to the folder", folder, &error);
    let path = folder.join(format!(".atelier-{}-probe.part", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&path).map_err(refused)?;
    fs::remove_file(&path).map_err(refused)
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(ending) => format!("{stem}-{number}.{}", ending.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}

fn write_device(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let refused = |error: std::io::Error| EngineError::io("write the picture", path, &error);
    let mut device = File::options().write(true).open(path).map_err(refused)?;
    device.write_all(bytes).and_then(|()| device.flush()).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_a_batch_are_numbered_before_the_ending() {
        assert_eq!(numbered(Path::new("a/fox.png"), 2), Path::new("a/fox-2.png"));
        assert_eq!(numbered(Path::new("fox"), 10), Path::new("fox-10"));
        assert_eq!(numbered(Path::new("a.b.PNG"), 1), Path::new("a.b-1.PNG"));
    }

    #[test]
    fn places_that_cannot_take_a_picture_are_found_before_the_work() {
        let refused = |path: &str, count| Place::resolve(Some(Path::new(path)), count).is_err();
        assert!(refused("no/such/folder/fox.png", 1));
        assert!(refused("no/such/folder/fox.png", 2));
        assert!(refused("fox.jpg", 1));
        assert!(refused(".", 1));
        assert!(refused("..", 2));
        assert!(refused("-", 2));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_a_full_disk() {
        let place = Place::resolve(Some(Path::new("/dev/full")), 1);
        assert_eq!(place, Ok(Place::Device("/dev/full".into())));
        let error = write_device(Path::new("/dev/full"), b"x").expect_err("it is full");
        assert!(matches!(error, EngineError::DiskFull { .. }), "{error}");
    }
}
