//! `atelier project`: projects of edited pictures, listed and handed on.

use std::path::{Path, PathBuf};

use atelier_engine::EngineError;
use atelier_engine::store::Store;
use atelier_engine::store::projects::archive::{ARCHIVE_EXTENSION, import};
use atelier_engine::store::projects::{Project, list};
use clap::{Args, Subcommand};
use serde_json::json;

use super::library::harmless;
use super::{Console, Voice};
use crate::services::places::{self, PROJECTS, SOURCES};

/// Holds the arguments of `atelier project`.
#[derive(Debug, Clone, Args)]
pub struct ProjectArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Lists the projects, the latest changed first
    List {
        /// Prints one JSON object for each project
        #[arg(long)]
        json: bool,
    },
    /// Writes a project with all its edits into one file
    Export {
        /// Name of the project, as the list shows it, or its file
        #[arg(value_name = "NAME")]
        project: String,
        /// File to write; .atelier is added where it has no ending
        file: PathBuf,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Takes a project in from one file, beside those that are there
    Import {
        /// A .atelier file
        file: PathBuf,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
}

impl ProjectArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        let (What::List { json } | What::Export { json, .. } | What::Import { json, .. }) =
            self.what;
        Voice::of(json, false)
    }
}

/// Does what the arguments say.
///
/// # Errors
/// Those of opening the library, and of [`Project::export`] and [`import`].
pub fn project(arguments: &ProjectArgs, console: &mut Console) -> Result<(), EngineError> {
    let home = Store::open(places::data_folder()?)?.folder();
    let projects = home.join(PROJECTS);
    match &arguments.what {
        What::List { .. } => {
            for path in list(&projects)? {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                console.event(&json!({ "event": "project", "name": name, "file": path }));
                console.line(&harmless(&name));
            }
            Ok(())
        }
        What::Export { project, file, .. } => {
            let mut found = Project::open(&find(project, &projects)?)?;
            let mut to = file.clone();
            if to.extension().is_none() {
                to.set_extension(ARCHIVE_EXTENSION);
            }
            let made = found.export(&to)?;
            console.event(&json!({ "event": "exported", "file": made.file, "edits": made.edits,
                "lost_sources": made.lost_sources }));
            console.line(&made.file.display().to_string());
            if made.lost_sources > 0 {
                let count = made.lost_sources;
                console
                    .note(&format!("{count} pictures that jobs had read are not there any more"));
            }
            Ok(())
        }
        What::Import { file, .. } => {
            let made = import(file, &projects, &home.join(SOURCES))?;
            console.event(&json!({ "event": "imported", "file": made.file, "edits": made.edits,
                "forgotten": made.forgotten }));
            console.line(&made.file.display().to_string());
            for place in &made.forgotten {
                console.note(&format!(
                    "Not taken over, a place on another computer: {}",
                    harmless(place)
                ));
            }
            Ok(())
        }
    }
}

/// Returns the file of a project by its name, or by its path.
fn find(name: &str, projects: &Path) -> Result<PathBuf, EngineError> {
    let all = list(projects)?;
    let is_named = |path: &&PathBuf| path.file_stem().is_some_and(|stem| stem == name);
    if let Some(found) = all.iter().find(is_named) {
        return Ok(found.clone());
    }
    if Path::new(name).is_file() {
        return Ok(PathBuf::from(name));
    }
    let reason = match all.len() {
        0 => "is not there: no picture has been edited yet".to_owned(),
        _ => "is not there: atelier project list shows what is".to_owned(),
    };
    Err(EngineError::invalid(format!("project “{}”", harmless(name)), reason))
}
