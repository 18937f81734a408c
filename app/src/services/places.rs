//! Where settings and data are kept on this system.

use std::env;
use std::path::PathBuf;

use atelier_engine::EngineError;

/// The environment variable that puts settings and data elsewhere, for tests and for a program
/// on a stick.
pub const HOME_VARIABLE: &str = "ATELIER_HOME";

/// The file in the data folder that keeps the hashes of models.
pub const HASHES_FILE: &str = "model-hashes.json";

/// The folder of the projects within the data folder.
pub const PROJECTS: &str = "projects";

/// The folder of what jobs read, by the hash of their bytes, within the data folder.
pub const SOURCES: &str = "sources";

fn home(variable: &str, below_home: &str) -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set(variable)
        .or_else(|| Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(below_home)))
        .unwrap_or_else(env::temp_dir)
}

/// Returns the file of the settings.
pub fn settings_file() -> PathBuf {
    if let Some(own) = env::var_os(HOME_VARIABLE) {
        return PathBuf::from(own).join("settings.json");
    }
    let folder = if cfg!(target_os = "windows") {
        home("APPDATA", "AppData/Roaming").join("Atelier")
    } else if cfg!(target_os = "macos") {
        home("ATELIER_NO_VARIABLE", "Library/Application Support").join("Atelier")
    } else {
        home("XDG_CONFIG_HOME", ".config").join("atelier")
    };
    folder.join("settings.json")
}

/// Returns the folder of pictures and recipes.
///
/// # Errors
/// [`EngineError::Io`] when the system names no such place.
pub fn data_folder() -> Result<PathBuf, EngineError> {
    match env::var_os(HOME_VARIABLE) {
        Some(own) => Ok(PathBuf::from(own).join("library")),
        None => atelier_engine::store::default_folder(),
    }
}
