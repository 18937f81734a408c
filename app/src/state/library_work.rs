//! What takes its time in the library: an import, copies, a check; and what came of it.

use std::path::PathBuf;

use atelier_engine::EngineError;
use atelier_engine::store::check::CheckReport;
use atelier_engine::store::import::ImportReport;

/// Says what takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkKind {
    /// Pictures are taken into the library.
    Import,
    /// Results are copied to a folder.
    Export,
    /// Every file is compared with what is known of it.
    Check,
}

/// Says how far the work is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkProgress {
    /// What it is.
    pub kind: WorkKind,
    /// How many files are done.
    pub done: usize,
    /// How many there are; 0 while nobody knows.
    pub total: usize,
    /// The name of the file that comes next.
    pub file: String,
    /// Whether it was told to stop.
    pub is_stopping: bool,
}

/// Says what came of copying results to a folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExportReport {
    /// The folder.
    pub folder: PathBuf,
    /// How many were copied.
    pub copied: usize,
    /// The size of the copies together.
    pub bytes: u64,
    /// How many of them are not what was saved.
    pub changed: usize,
    /// Why others were not copied.
    pub refused: Vec<EngineError>,
    /// Whether it was broken off.
    pub is_stopped: bool,
}

/// Says what came of the work.
#[derive(Debug, Clone, PartialEq)]
pub enum WorkReport {
    /// Of an import.
    Import(Box<ImportReport>),
    /// Of copying.
    Export(Box<ExportReport>),
    /// Of a check, and whether it also put things in order.
    Check(Box<CheckReport>, bool),
    /// It could not be done.
    Failed(WorkKind, EngineError),
}

/// Holds what takes its time in the library.
#[derive(Debug, Clone, Default)]
pub struct WorkState {
    /// What runs.
    pub running: Option<WorkProgress>,
    /// What came of the latest, until the person has read it.
    pub report: Option<WorkReport>,
}
