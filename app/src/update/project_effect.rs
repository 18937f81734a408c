//! What is asked of the desk that keeps projects, and what it answers.

use std::path::PathBuf;
use std::sync::Arc;

use atelier_engine::EngineError;
use atelier_engine::canvas::{Area, Document, Gradient, LayerId, Reshape, Tiles};
use atelier_engine::protocol::{PictureRequest, Pixels, Request, Size};
use atelier_engine::store::projects::{EditKind, NewNode, NodeId, Trail};

use egui::ColorImage;

use crate::state::ProjectEntry;
use crate::state::editor::{Candidate, PaintPlace};

/// Asks the desk that keeps projects, which works on a thread of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum ProjectTask {
    /// Says where the data folder is.
    Home(PathBuf),
    /// Makes a project with its first edit.
    Create {
        /// What it is called.
        name: String,
        /// The first edit.
        first: Box<NewNode>,
    },
    /// Opens a project.
    Open(PathBuf),
    /// Takes a project in from one file, and opens it.
    Import(PathBuf),
    /// Opens the project that was changed last.
    OpenLatest,
    /// Reads a picture file with its layers.
    ReadFile(PathBuf),
    /// Closes the project.
    Close,
    /// Writes an edit down.
    Add(Box<NewNode>),
    /// Notes which edit the person is at.
    GoTo(NodeId),
    /// Reads the document of an edit.
    ReadDocument(NodeId),
    /// Reads the small picture of an edit.
    ReadThumbnail(NodeId),
    /// Reads the recipe of an edit, with the document from which it was made.
    ReadRecipe {
        /// The edit.
        node: NodeId,
        /// The one before it.
        parent: NodeId,
    },
    /// Reads the prompt and the settings of an edit.
    ReadSetting {
        /// The edit.
        node: NodeId,
        /// Whether the person asked for it, rather than for going there.
        by_hand: bool,
    },
    /// Reads the document of an edit that is to be compared.
    ReadCompared(NodeId),
    /// Writes what a job reads of a document into files, and completes its request.
    Prepare(Box<Preparation>),
    /// Makes a candidate of what a job made.
    Stage(Box<Made>),
    /// Makes a selection of what was found where somebody pointed.
    TakeMask(FoundMask),
    /// Changes a document in a way that takes long.
    Change {
        /// The edit that it is of.
        from: Option<NodeId>,
        /// The document.
        document: Box<Document>,
        /// What is done to it.
        change: Change,
    },
    /// Makes a picture of what is seen of the selection.
    Copy(Box<Document>),
    /// Makes a document of a picture from the clipboard.
    Paste(Arc<ColorImage>),
    /// Writes the picture, or the whole project, elsewhere.
    Export {
        /// The document.
        document: Box<Document>,
        /// The file, whose ending says the form.
        to: PathBuf,
    },
}

/// Says what is done to a document that takes too long for a frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// All of it is scaled to a size.
    Resize(Size),
    /// A layer is moved, scaled and turned.
    Reshape(LayerId, Reshape),
    /// A gradient is laid on a layer, within the selection.
    Gradient(LayerId, Gradient),
    /// What is selected is cut out into a layer of this name, and all else hidden.
    CutSelection(String),
}

/// Says what a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobPurpose {
    /// Paints into the document; the result is a candidate.
    Paint,
    /// Enlarges the document.
    Enlarge,
    /// Cuts the subject out.
    CutOut,
    /// Finds what is pointed at.
    FindObject,
}

/// Holds a mask that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundMask {
    /// The job that found it.
    pub ticket: u64,
    /// The document that it is of.
    pub area: Area,
    /// A byte a pixel, rows from the top.
    pub mask: Arc<Vec<u8>>,
}

/// Holds a selection that was made of a mask.
#[derive(Debug, Clone, PartialEq)]
pub struct Selected {
    /// The job that found the mask.
    pub ticket: u64,
    /// The document that it is of.
    pub area: Area,
    /// The selection.
    pub selection: Tiles<1>,
    /// Its edge, as lines from place to place.
    pub outline: Arc<Vec<[[f32; 2]; 2]>>,
}

/// Holds what a job needs of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// What the job is for.
    pub purpose: JobPurpose,
    /// The edit at which it is asked for.
    pub from: Option<NodeId>,
    /// The document.
    pub document: Document,
    /// The request without the files.
    pub request: Request,
    /// What of the document the job reads; `None` for a picture from nothing.
    pub reads: Option<Area>,
    /// The layers whose pictures the last ControlNets of the request are shown, in their order.
    pub guides: Vec<LayerId>,
    /// Where what is painted will lie; the desk finds it.
    pub place: Option<PaintPlace>,
}

/// Holds what a job made of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// What the job was for.
    pub purpose: JobPurpose,
    /// The edit at which it was asked for.
    pub from: Option<NodeId>,
    /// The document before.
    pub base: Document,
    /// What of the document the job read; `None` for a picture from nothing.
    pub reads: Option<Area>,
    /// What it made.
    pub picture: Arc<Pixels>,
    /// Its recipe, where it has one.
    pub recipe: Option<PictureRequest>,
    /// What the new layer is called.
    pub name: String,
}

/// Is what the desk that keeps projects answers.
#[derive(Debug, Clone)]
pub enum ProjectNews {
    /// A project was made in this file.
    Created(PathBuf),
    /// A project is open.
    Opened(Box<OpenedProject>),
    /// The project cannot be opened.
    NotOpened(EngineError),
    /// A picture file was read: its name and its layers.
    File(String, Box<Document>),
    /// A project was taken in that named these places on another computer.
    Forgotten(Vec<String>),
    /// The projects there are, the latest changed first.
    Listed(Vec<ProjectEntry>),
    /// An edit is on the disk.
    Saved(NodeId),
    /// An edit could not be written yet; it is tried again with the next one.
    Unsaved(EngineError),
    /// The document of an edit.
    Document(NodeId, Box<Document>),
    /// The small picture of an edit; `None` where it has none.
    Thumbnail(NodeId, Option<Arc<Pixels>>),
    /// The recipe of an edit with the document before it.
    Recipe(Box<PictureRequest>, Box<Document>),
    /// The prompt and the settings of an edit.
    Setting {
        /// The recipe.
        recipe: Box<PictureRequest>,
        /// Whether the person asked for it.
        by_hand: bool,
    },
    /// The document of an edit that is to be compared.
    Compared(NodeId, Box<Document>),
    /// A request is complete.
    Prepared(Box<Preparation>),
    /// A candidate was made.
    Candidate(Box<Candidate>),
    /// A document was made that takes the place of the one before.
    Remade(JobPurpose, Box<Document>),
    /// A mask became a selection.
    Selected(Box<Selected>),
    /// What is seen of the selection, for the clipboard.
    Copied(Arc<Pixels>),
    /// A picture from the clipboard as a document.
    Pasted(Box<Document>),
    /// A document was changed.
    Changed {
        /// The edit that it was of.
        from: Option<NodeId>,
        /// What was done.
        kind: EditKind,
        /// The document.
        document: Box<Document>,
    },
    /// The picture was written elsewhere.
    Exported(PathBuf),
    /// Something went wrong.
    Failed(EngineError),
}

/// Holds a project that was opened.
#[derive(Debug, Clone)]
pub struct OpenedProject {
    /// Its file.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// Whether another window has it open.
    pub is_read_only: bool,
    /// The tree of edits.
    pub trail: Trail,
    /// The document at which the person was.
    pub document: Document,
}
