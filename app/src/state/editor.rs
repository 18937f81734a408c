//! The picture that is being edited: its document, its tree of edits and the tools.

use std::path::PathBuf;
use std::sync::Arc;

use atelier_engine::canvas::{Area, Brush, Combine, Document, LayerId, Shape, Stroke};
use atelier_engine::protocol::{PictureRequest, Refine, RegionMode, Size};
use atelier_engine::store::projects::{EditKind, NewNode, NodeId, NodeInfo, Trail};

use super::reshaping::Reshaping;
use super::{ObjectState, Thumbnail, View};
use crate::update::JobPurpose;

/// How many bytes of documents are kept at hand for undoing at once, beside the one in sight; older
/// ones are read again from the project's file.
const AT_HAND_BYTES: u64 = 512 << 20;

/// How many documents are kept at hand at most.
const AT_HAND_MAX: usize = 64;

/// Names a tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Tool {
    /// Moves the view.
    Hand,
    /// Moves the layer.
    Move,
    /// Moves, scales and turns the layer by a box around it.
    Transform,
    /// Paints.
    #[default]
    Brush,
    /// Rubs out.
    Eraser,
    /// Fills what is of one colour.
    Fill,
    /// Lays a colour that fades from place to place.
    Gradient,
    /// Draws a line.
    Line,
    /// Draws a rectangle.
    Rectangle,
    /// Draws an ellipse.
    Ellipse,
    /// Selects a rectangle.
    SelectRectangle,
    /// Selects an ellipse.
    SelectEllipse,
    /// Selects what is drawn around.
    Lasso,
    /// Selects by painting.
    SelectBrush,
    /// Selects what is of one colour.
    SelectColour,
    /// Selects what is pointed at.
    SelectObject,
    /// Takes a colour out of the picture.
    Eyedropper,
}

impl Tool {
    /// Lists every tool, in the order of the tool bar.
    pub const ALL: [Self; 17] = [
        Self::Hand,
        Self::Move,
        Self::Transform,
        Self::Brush,
        Self::Eraser,
        Self::Fill,
        Self::Gradient,
        Self::Line,
        Self::Rectangle,
        Self::Ellipse,
        Self::Eyedropper,
        Self::SelectBrush,
        Self::SelectRectangle,
        Self::SelectEllipse,
        Self::Lasso,
        Self::SelectColour,
        Self::SelectObject,
    ];

    /// Tells whether it makes a selection.
    pub fn selects(self) -> bool {
        matches!(
            self,
            Self::SelectBrush
                | Self::SelectRectangle
                | Self::SelectEllipse
                | Self::Lasso
                | Self::SelectColour
                | Self::SelectObject
        )
    }

    /// Tells whether it lays colour on a layer.
    pub fn paints(self) -> bool {
        matches!(
            self,
            Self::Brush
                | Self::Fill
                | Self::Gradient
                | Self::Line
                | Self::Rectangle
                | Self::Ellipse
        )
    }

    /// Tells whether it has the size of a brush.
    pub fn has_size(self) -> bool {
        matches!(
            self,
            Self::Brush
                | Self::Eraser
                | Self::SelectBrush
                | Self::Line
                | Self::Rectangle
                | Self::Ellipse
        )
    }
}

/// Holds the tool at hand and how the tools are set.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolState {
    /// The tool at hand.
    pub tool: Tool,
    /// Size, hardness, opacity and colour of what paints.
    pub brush: Brush,
    /// How a new selection joins the one that is there.
    pub combine: Combine,
    /// How far colours may differ that are filled or selected together, 0 to 255.
    pub tolerance: u8,
    /// Whether shapes are filled rather than outlined.
    pub fills_shapes: bool,
    /// How a generated picture joins what surrounds the selection.
    pub region_mode: RegionMode,
    /// How far a generated picture may leave the one below, 0 to 1.
    pub strength: f32,
    /// How far what is enlarged is painted over.
    pub refining: Refining,
    /// Where the keyboard's pen is, in pixels of the document.
    pub cursor: [f32; 2],
    /// What is pointed at.
    pub object: ObjectState,
}

impl Default for ToolState {
    fn default() -> Self {
        Self {
            tool: Tool::default(),
            brush: Brush { colour: [226, 72, 58, 255], ..Brush::default() },
            combine: Combine::Replace,
            tolerance: 32,
            fills_shapes: true,
            region_mode: RegionMode::default(),
            strength: 1.0,
            refining: Refining::default(),
            cursor: [0.0, 0.0],
            object: ObjectState::default(),
        }
    }
}

/// Says whether, and how far, what is enlarged is painted over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refining {
    /// Whether it is.
    pub is_on: bool,
    /// How far that may leave the enlarged picture, 0 to 1.
    pub strength: f32,
}

impl Default for Refining {
    fn default() -> Self {
        Self { is_on: false, strength: Refine::STRENGTH }
    }
}

/// Is what the pointer is doing while it is held down.
#[derive(Debug, Clone)]
pub enum Gesture {
    /// Paints on a layer or on the selection's own plane.
    Stroke {
        /// The layer; `None` for the selection.
        layer: Option<LayerId>,
        /// The stroke so far.
        stroke: Box<Stroke>,
        /// How it joins the selection.
        combine: Combine,
    },
    /// Draws a shape or selects one.
    Shape {
        /// Where it began.
        from: [f32; 2],
        /// Where the pointer is.
        to: [f32; 2],
        /// How it joins the selection.
        combine: Combine,
    },
    /// Draws around something.
    Lasso {
        /// The way so far.
        points: Vec<[f32; 2]>,
        /// How it joins the selection.
        combine: Combine,
    },
    /// Moves a layer.
    Move {
        /// Where it began.
        from: [f32; 2],
        /// How far it is moved, in pixels.
        by: [i32; 2],
    },
}

impl Gesture {
    /// Returns the shape that is being drawn with a tool.
    pub fn shape(&self, tool: Tool) -> Option<Shape> {
        match self {
            Self::Shape { from, to, .. } => Some(match tool {
                Tool::Line | Tool::Gradient => Shape::Line { from: *from, to: *to },
                Tool::Ellipse | Tool::SelectEllipse => Shape::Ellipse { from: *from, to: *to },
                _ => Shape::Rectangle { from: *from, to: *to },
            }),
            Self::Lasso { points, .. } => Some(Shape::Polygon(points.clone())),
            _ => None,
        }
    }
}

/// Holds a picture that was generated for the document and is not taken yet.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its recipe.
    pub recipe: PictureRequest,
    /// The node that it was made for.
    pub from: Option<NodeId>,
    /// The document with it as its uppermost layer.
    pub document: Document,
    /// What it covers.
    pub area: Area,
    /// How well it joins what surrounds it, where that could be measured.
    pub seam: Option<SeamNote>,
}

/// Says how well an edit joins what surrounds it: after against before, 1 is as before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeamNote {
    /// Of the gradient's jump across the seam.
    pub jump: f64,
    /// Of the difference of colours across the seam.
    pub delta_e: f64,
}

/// Says how a candidate is compared with the document.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Comparing {
    /// It is shown alone.
    #[default]
    Off,
    /// A slider parts both.
    Slider(f32),
    /// Both in turn.
    Blink,
    /// Beside each other.
    SideBySide,
}

/// Holds what was generated and waits for an answer.
#[derive(Debug, Clone, Default)]
pub struct Staging {
    /// The candidates, the first made first.
    pub candidates: Vec<Candidate>,
    /// Which one is shown.
    pub shown: usize,
    /// How it is compared.
    pub comparing: Comparing,
    /// The jobs that make more.
    pub jobs: Vec<StageJob>,
}

/// Holds a job that works for the document.
#[derive(Debug, Clone)]
pub struct StageJob {
    /// The window's number for it.
    pub ticket: u64,
    /// What it is for.
    pub purpose: JobPurpose,
    /// The node that it works for.
    pub from: Option<NodeId>,
    /// The document that it reads.
    pub base: Document,
    /// What of it is read; `None` for a picture from nothing.
    pub reads: Option<Area>,
    /// Where what is painted will lie, where that is known.
    pub place: Option<PaintPlace>,
}

/// Says where in the document what a model paints will lie, and how it fades into what is around it.
#[derive(Debug, Clone, PartialEq)]
pub struct PaintPlace {
    /// What of the document the model is shown; it may reach beyond it.
    pub area: Area,
    /// How far each pixel changes, 0 to 255, at the size of [`PaintPlace::grid`]; empty where all do
    /// altogether.
    pub alpha: Arc<[u8]>,
    /// The columns and rows of `alpha`.
    pub grid: [usize; 2],
}

/// Says which list is open beside the picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EditorTab {
    /// The layers.
    #[default]
    Layers,
    /// The tree of edits.
    Edits,
}

/// Holds what is known of the project's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectInfo {
    /// Its name.
    pub name: String,
    /// Its file, once it is there.
    pub path: Option<PathBuf>,
    /// Whether another window has it open, so that this one may only look.
    pub is_read_only: bool,
    /// How many edits the disk does not have yet.
    pub unsaved: usize,
}

/// Holds the picture that is being edited.
#[derive(Debug, Clone)]
pub struct Editor {
    /// The document as it is seen, with what the pointer is doing.
    pub document: Document,
    /// The tree of edits.
    pub trail: Trail,
    /// The project's file.
    pub project: ProjectInfo,
    /// The tools.
    pub tools: ToolState,
    /// How it is looked at.
    pub view: View,
    /// What the pointer is doing.
    pub gesture: Option<Gesture>,
    /// The layer that is being reshaped.
    pub reshaping: Option<Reshaping>,
    /// Whether the desk is making a change, for which the pen waits.
    pub is_changing: bool,
    /// What was generated and waits for an answer.
    pub staging: Staging,
    /// The edit that is compared with the picture, and its document.
    pub compared: Option<(NodeId, Document)>,
    /// The list that is open.
    pub tab: EditorTab,
    /// The prompt and the settings that the latest node of them holds, without a seed.
    pub noted: Option<Box<PictureRequest>>,
    /// The node whose document was asked for.
    pub awaited: Option<NodeId>,
    /// Small pictures of nodes.
    pub thumbnails: Vec<(NodeId, Thumbnail)>,
    /// The edge of the selection, as lines from place to place.
    pub outline: Arc<Vec<[[f32; 2]; 2]>>,
    /// Documents at hand, the latest used last.
    at_hand: Vec<(NodeId, Document)>,
}

impl Editor {
    /// Begins a project with a document; returns the first node, to be written down.
    pub fn begin(name: &str, document: Document, now_ms: i64) -> (Self, NewNode) {
        let mut editor = Self::around(document, Trail::default(), ProjectInfo::default());
        editor.project.name = name.to_owned();
        let node = editor.commit(EditKind::Begun, name, None, now_ms);
        (editor, node)
    }

    /// Opens a project at a document.
    pub fn around(document: Document, trail: Trail, project: ProjectInfo) -> Self {
        let mut editor = Self {
            document,
            trail,
            project,
            tools: ToolState::default(),
            view: View::Fit,
            gesture: None,
            reshaping: None,
            is_changing: false,
            staging: Staging::default(),
            compared: None,
            tab: EditorTab::default(),
            noted: None,
            awaited: None,
            thumbnails: Vec::new(),
            outline: Arc::default(),
            at_hand: Vec::new(),
        };
        if let Some(head) = editor.trail.head() {
            editor.keep(head, editor.document.clone());
        }
        editor
    }

    /// Makes a node of the document as it is, and goes to it; the node is to be written down.
    pub fn commit(
        &mut self,
        kind: EditKind,
        detail: &str,
        recipe: Option<PictureRequest>,
        now_ms: i64,
    ) -> NewNode {
        let (parent, document) = (self.trail.head(), self.document.clone());
        let node = self.note(parent, (kind, detail), document.clone(), recipe, now_ms);
        self.keep(node.id, document);
        self.awaited = None;
        node
    }

    /// Puts a node into the tree.
    fn note(
        &mut self,
        parent: Option<NodeId>,
        (kind, detail): (EditKind, &str),
        document: Document,
        recipe: Option<PictureRequest>,
        created_ms: i64,
    ) -> NewNode {
        let id = self.trail.next_id();
        let detail: String = detail.chars().take(400).collect();
        let (shown, has_recipe) = (detail.clone(), recipe.is_some());
        self.trail.add(NodeInfo { id, parent, created_ms, kind, detail: shown, has_recipe });
        self.project.unsaved += 1;
        NewNode { id, parent, kind, detail, document, recipe }
    }

    /// Makes a node of a candidate beside the way, from the node that it was made for; the node is to
    /// be written down.
    pub fn keep_candidate(&mut self, candidate: &Candidate, now_ms: i64) -> NewNode {
        let Candidate { recipe, from, document, .. } = candidate;
        let parent = from.filter(|from| self.trail.get(*from).is_some());
        let words = recipe.prompt.with_styles();
        let what = (EditKind::Candidate, words.as_str());
        self.note(parent, what, document.clone(), Some(recipe.clone()), now_ms)
    }

    /// Returns the document of a node, when it is at hand.
    pub fn at_hand(&self, id: NodeId) -> Option<&Document> {
        self.at_hand.iter().find(|(other, _)| *other == id).map(|(_, document)| document)
    }

    /// Keeps the document of a node at hand, and lets those go that were not needed for longest.
    pub fn keep(&mut self, id: NodeId, document: Document) {
        self.at_hand.retain(|(other, _)| *other != id);
        self.at_hand.push((id, document));
        // Documents share most of their tiles: each counts what it has beside the one kept after it.
        let newer = self.at_hand.iter().rev();
        let older = self.at_hand.iter().rev().skip(1);
        let mut bytes: u64 = 0;
        let kept = newer
            .zip(older)
            .take(AT_HAND_MAX - 1)
            .take_while(|((_, newer), (_, older))| {
                bytes = bytes.saturating_add(older.bytes_beside(newer));
                bytes <= AT_HAND_BYTES
            })
            .count();
        let gone = self.at_hand.len() - kept - 1;
        self.at_hand.drain(..gone);
    }

    /// Returns the document that is shown: with the candidate that is looked at.
    pub fn shown_document(&self) -> &Document {
        self.candidate().map_or(&self.document, |candidate| &candidate.document)
    }

    /// Returns the document that the shown one is compared with: the one before a candidate, or that
    /// of an edit.
    pub fn compared_document(&self) -> Option<&Document> {
        match self.candidate() {
            Some(_) => Some(&self.document),
            None => self.compared.as_ref().map(|(_, document)| document),
        }
    }

    /// Returns the candidate that is looked at.
    pub fn candidate(&self) -> Option<&Candidate> {
        self.staging.candidates.get(self.staging.shown)
    }

    /// Returns the job that paints for the document in sight, and where it does. Who looks at a candidate
    /// is not taken away from it.
    pub fn painting(&self, ticket: u64) -> Option<&PaintPlace> {
        if !self.staging.candidates.is_empty() {
            return None;
        }
        let job = self.staging.jobs.iter().find(|job| job.ticket == ticket)?;
        let place = job.place.as_ref()?;
        (job.base.size == self.document.size).then_some(place)
    }

    /// Returns the document's size as two numbers.
    pub fn size_px(&self) -> [f32; 2] {
        let Size { width_px, height_px } = self.document.size;
        [width_px as f32, height_px as f32]
    }

    /// Returns the small picture of a node.
    pub fn thumbnail(&self, id: NodeId) -> Option<&Thumbnail> {
        self.thumbnails.iter().find(|(other, _)| *other == id).map(|(_, thumbnail)| thumbnail)
    }

    /// Sets the small picture of a node.
    pub fn set_thumbnail(&mut self, id: NodeId, thumbnail: Thumbnail) {
        self.thumbnails.retain(|(other, _)| *other != id);
        self.thumbnails.push((id, thumbnail));
    }
}
