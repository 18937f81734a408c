//! What the desktop does for us.

use std::path::Path;
use std::process::{Command, Stdio};

use atelier_engine::EngineError;

/// Opens a folder, or the folder of a file, in the system's file manager.
///
/// # Errors
/// [`EngineError::Io`] when there is no file manager.
pub fn open_folder(path: &Path) -> Result<(), EngineError> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let program = if cfg!(target_os = "windows") {
        "explorer"
    } else if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    Command::new(program)
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(|_child| ())
        .map_err(|error| EngineError::io("open the folder", folder, &error))
}
