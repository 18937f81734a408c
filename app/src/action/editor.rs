//! What a person can do with the picture that is being edited.

use std::path::PathBuf;

use egui::{Key, KeyboardShortcut, Modifiers};

use atelier_engine::canvas::{Blend, Combine, Document, Grip, Guiding, LayerId, LayerKind};
use atelier_engine::protocol::{RegionMode, Size};
use atelier_engine::store::projects::NodeId;

use super::{Action, Command, Reach, keys};
use crate::i18n::Text;
use crate::state::editor::{Comparing, EditorTab, Tool};
use crate::state::{ResultId, View};

/// Does something with the picture that is being edited.
#[derive(Debug, Clone, PartialEq)]
pub enum EditorAction {
    /// Begins to edit the shown picture.
    EditShown,
    /// Begins an empty picture of the size that is chosen.
    New,
    /// Begins with a document that is at hand, under a name.
    BeginWith(String, Box<Document>),
    /// Asks for a picture file.
    PickFile,
    /// Opens a picture file: as layers of the picture that is edited, or to be edited.
    OpenFile(PathBuf),
    /// Goes on with a project.
    Open(PathBuf),
    /// Goes on with the latest project.
    OpenLatest,
    /// Closes the picture; everything is on the disk.
    Close,
    /// Takes the last edit back.
    Undo,
    /// Does the edit that was taken back.
    Redo,
    /// Goes to an edit.
    GoTo(NodeId),
    /// Runs what was generated at an edit once more, from where it was, with another seed.
    RunAgain(NodeId),
    /// Compares the picture with an edit; with the one before where none is named.
    CompareWith(Option<NodeId>),
    /// Ends comparing with an edit.
    EndComparing,
    /// Takes prompt and settings of what was generated at an edit.
    TakeSettings(NodeId),
    /// Asks for the small picture of an edit that has come into sight.
    WantThumbnail(NodeId),
    /// Opens a list.
    ShowTab(EditorTab),
    /// Looks in another way.
    SetView(View),
    /// Sets a tool.
    Tool(ToolAction),
    /// Moves the pen.
    Pen(Pen),
    /// Reshapes the layer by its box.
    Reshape(ReshapeAction),
    /// Changes a layer.
    Layer(LayerAction),
    /// Changes the selection.
    Select(SelectAction),
    /// Changes the whole document.
    Document(DocumentAction),
    /// Answers what was generated.
    Staging(StagingAction),
    /// Says more of what is pointed at.
    Object(ObjectAction),
}

/// Says more of what is pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectAction {
    /// Wants another of the masks, from part (0) to whole (2); `None` for the one that fits best.
    Mask(Option<u8>),
    /// Forgets all places and lets the selection go.
    StartOver,
}

/// Sets a tool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ToolAction {
    /// Takes a tool.
    Take(Tool),
    /// Sets the brush's diameter in pixels.
    Size(f32),
    /// Makes the brush larger or smaller by a factor.
    SizeBy(f32),
    /// Sets how hard the brush is, 0 to 1.
    Hardness(f32),
    /// Sets how much a stroke covers, 0 to 1.
    Opacity(f32),
    /// Sets the colour: red, green, blue.
    Colour([u8; 3]),
    /// Sets how a new selection joins the one that is there.
    Combine(Combine),
    /// Sets how far colours may differ.
    Tolerance(u8),
    /// Fills shapes, or outlines them.
    FillShapes(bool),
    /// Sets how a generated picture joins what surrounds the selection.
    Mode(RegionMode),
    /// Sets how far a generated picture may leave the one below, 0 to 1.
    Strength(f32),
    /// Sets whether what is enlarged is painted over.
    Refines(bool),
    /// Sets how far painting over may leave the enlarged picture, 0 to 1.
    RefineStrength(f32),
    /// Puts the keyboard's pen somewhere, in pixels of the document.
    Cursor([f32; 2]),
}

/// Moves the pen, in pixels of the document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pen {
    /// Puts it down.
    Down {
        /// Where.
        at: [f32; 2],
        /// How strongly, 0 to 1.
        pressure: f32,
        /// How a selection joins the one that is there; `None` as the tool is set.
        combine: Option<Combine>,
    },
    /// Moves it.
    To {
        /// Where.
        at: [f32; 2],
        /// How strongly, 0 to 1.
        pressure: f32,
    },
    /// Lifts it.
    Up,
    /// Takes back what it did since it was put down.
    Cancel,
}

/// Reshapes the active layer by a box around it; places are in pixels of the document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ReshapeAction {
    /// Takes a grip of the box, at a place.
    Hold(Grip, [f32; 2]),
    /// Draws the grip.
    DrawTo {
        /// Where.
        at: [f32; 2],
        /// Whether corners keep the shape, and turning goes by 15°.
        plain: bool,
    },
    /// Lets the grip go.
    LetGo,
    /// Sets how much wider and taller the box is.
    Scale([f32; 2]),
    /// Sets how far the box is turned, in degrees.
    Turn(f32),
    /// Makes it so.
    Apply,
    /// Puts the box back around the layer as it was.
    Cancel,
}

/// Changes a layer.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerAction {
    /// Adds one above the active one.
    Add(LayerKind),
    /// Adds a picture of the library as one.
    Place(ResultId),
    /// Works on one.
    Activate(LayerId),
    /// Removes the active one.
    Remove,
    /// Doubles the active one.
    Duplicate,
    /// Moves the active one by places: 1 is up.
    Shift(i32),
    /// Merges the active one into the one below.
    MergeDown,
    /// Shows or hides one.
    Show(LayerId, bool),
    /// Sets how strongly the active one is seen, 0 to 255. `true` when the slider was let go.
    Opacity(u8, bool),
    /// Sets how the active one's colours meet those below.
    Blend(Blend),
    /// Sets how the active one guides what is painted. `true` when the slider was let go.
    Guide(Guiding, bool),
    /// Gives one another name.
    Rename(LayerId, String),
    /// Clears the selected part of the active one.
    Clear,
    /// Makes a mask layer of the selection.
    MaskOfSelection,
}

/// Changes the selection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SelectAction {
    /// Selects everything.
    All,
    /// Selects nothing.
    Nothing,
    /// Selects what was not selected.
    Invert,
    /// Makes it larger by pixels; smaller where they are negative.
    Grow(i32),
    /// Softens its edge over pixels.
    Feather(u32),
    /// Selects what the active layer covers.
    Layer,
}

/// Names a side of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The left.
    Left,
    /// The right.
    Right,
    /// The top.
    Top,
    /// The bottom.
    Bottom,
}

impl Side {
    /// Lists every side.
    pub const ALL: [Self; 4] = [Self::Left, Self::Right, Self::Top, Self::Bottom];
}

/// Changes the whole document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentAction {
    /// Extends it by a quarter on a side and selects what is new.
    Extend(Side),
    /// Crops it to the selection.
    Crop,
    /// Mirrors it left to right, or top to bottom.
    Flip {
        /// Top to bottom rather than left to right.
        upright: bool,
    },
    /// Turns it by a quarter, clockwise.
    Turn,
    /// Scales it to a size.
    Resize(Size),
    /// Enlarges it so many times.
    Enlarge(u32),
    /// Cuts the subject out into a layer of its own.
    CutOut,
    /// Cuts what is selected out into a layer of its own.
    CutSelection,
    /// Copies what is seen of the selection to the clipboard.
    Copy,
    /// Saves the picture elsewhere.
    Export,
}

/// Answers what was generated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StagingAction {
    /// Looks at the next (1) or the previous (−1).
    Step(i32),
    /// Takes the one that is looked at as a layer.
    Accept,
    /// Takes the one that is looked at, enlarges the picture and paints over it.
    Refine,
    /// Throws the one that is looked at away.
    Discard,
    /// Throws all away.
    DiscardAll,
    /// Compares with the document.
    Compare(Comparing),
}

/// Returns the commands for the picture that is being edited, in the order of the palette.
pub(super) fn editor_commands() -> Vec<Command> {
    const PLAIN: Modifiers = Modifiers::NONE;
    const SHIFT: Modifiers = Modifiers::SHIFT;
    const COMMAND: Modifiers = Modifiers::COMMAND;
    const COMMAND_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);
    let command = |name, action, keys: &'static [KeyboardShortcut]| Command {
        name,
        action: Action::Editor(action),
        keys,
        reach: Reach::OutsideText,
    };
    let take = |tool| EditorAction::Tool(ToolAction::Take(tool));
    let (layer, select) = (EditorAction::Layer, EditorAction::Select);
    let document = EditorAction::Document;
    let extend = |side| document(DocumentAction::Extend(side));
    vec![
        command(Text::EditPicture, EditorAction::EditShown, const { &[keys(PLAIN, Key::E)] }),
        command(Text::OpenLatest, EditorAction::OpenLatest, const { &[keys(COMMAND, Key::O)] }),
        command(Text::OpenPicture, EditorAction::PickFile, &[]),
        command(Text::CloseEditor, EditorAction::Close, const { &[keys(COMMAND, Key::W)] }),
        command(
            Text::RedoEdit,
            EditorAction::Redo,
            const { &[keys(COMMAND_SHIFT, Key::Z), keys(COMMAND, Key::Y)] },
        ),
        // After redo: its keys with Shift would be taken for these.
        command(Text::UndoEdit, EditorAction::Undo, const { &[keys(COMMAND, Key::Z)] }),
        command(
            Text::CompareBefore,
            EditorAction::CompareWith(None),
            const { &[keys(PLAIN, Key::C)] },
        ),
        command(Text::ToolHand, take(Tool::Hand), const { &[keys(PLAIN, Key::H)] }),
        command(Text::ToolMove, take(Tool::Move), const { &[keys(PLAIN, Key::V)] }),
        command(Text::ToolTransform, take(Tool::Transform), const { &[keys(COMMAND, Key::T)] }),
        command(Text::ToolBrush, take(Tool::Brush), const { &[keys(PLAIN, Key::B)] }),
        command(Text::ToolEraser, take(Tool::Eraser), const { &[keys(PLAIN, Key::E)] }),
        command(Text::ToolGradient, take(Tool::Gradient), const { &[keys(SHIFT, Key::G)] }),
        // After what has the same key with Shift.
        command(Text::ToolFill, take(Tool::Fill), const { &[keys(PLAIN, Key::G)] }),
        command(Text::ToolLine, take(Tool::Line), const { &[keys(PLAIN, Key::U)] }),
        command(Text::ToolRectangle, take(Tool::Rectangle), &[]),
        command(Text::ToolEllipse, take(Tool::Ellipse), &[]),
        command(Text::ToolEyedropper, take(Tool::Eyedropper), const { &[keys(PLAIN, Key::I)] }),
        command(Text::ToolSelectBrush, take(Tool::SelectBrush), const { &[keys(PLAIN, Key::Q)] }),
        command(
            Text::ToolSelectRectangle,
            take(Tool::SelectRectangle),
            const { &[keys(PLAIN, Key::M)] },
        ),
        command(Text::ToolSelectEllipse, take(Tool::SelectEllipse), &[]),
        command(Text::ToolLasso, take(Tool::Lasso), const { &[keys(PLAIN, Key::L)] }),
        command(Text::ToolSelectColour, take(Tool::SelectColour), const { &[keys(PLAIN, Key::W)] }),
        command(Text::ToolSelectObject, take(Tool::SelectObject), const { &[keys(PLAIN, Key::O)] }),
        command(
            Text::LargerBrush,
            EditorAction::Tool(ToolAction::SizeBy(1.25)),
            const { &[keys(PLAIN, Key::CloseBracket)] },
        ),
        command(
            Text::SmallerBrush,
            EditorAction::Tool(ToolAction::SizeBy(0.8)),
            const { &[keys(PLAIN, Key::OpenBracket)] },
        ),
        command(
            Text::InvertSelection,
            select(SelectAction::Invert),
            const { &[keys(COMMAND_SHIFT, Key::I)] },
        ),
        command(Text::SelectAll, select(SelectAction::All), const { &[keys(COMMAND, Key::A)] }),
        command(
            Text::SelectNothing,
            select(SelectAction::Nothing),
            const { &[keys(COMMAND, Key::D)] },
        ),
        command(Text::GrowSelection, select(SelectAction::Grow(8)), &[]),
        command(Text::ShrinkSelection, select(SelectAction::Grow(-8)), &[]),
        command(Text::FeatherSelection, select(SelectAction::Feather(8)), &[]),
        command(Text::SelectLayer, select(SelectAction::Layer), &[]),
        command(
            Text::ClearSelected,
            layer(LayerAction::Clear),
            const { &[keys(PLAIN, Key::Delete), keys(PLAIN, Key::Backspace)] },
        ),
        command(
            Text::AddLayer,
            layer(LayerAction::Add(LayerKind::Raster)),
            const { &[keys(COMMAND_SHIFT, Key::N)] },
        ),
        command(Text::NewCanvas, EditorAction::New, const { &[keys(COMMAND, Key::N)] }),
        command(Text::AddMask, layer(LayerAction::Add(LayerKind::Mask)), &[]),
        command(
            Text::DuplicateLayer,
            layer(LayerAction::Duplicate),
            const { &[keys(COMMAND, Key::J)] },
        ),
        command(Text::LayerUp, layer(LayerAction::Shift(1)), &[]),
        command(Text::LayerDown, layer(LayerAction::Shift(-1)), &[]),
        command(Text::MergeDown, layer(LayerAction::MergeDown), &[]),
        command(Text::RemoveLayer, layer(LayerAction::Remove), &[]),
        command(Text::ExtendLeft, extend(Side::Left), &[]),
        command(Text::ExtendRight, extend(Side::Right), &[]),
        command(Text::ExtendTop, extend(Side::Top), &[]),
        command(Text::ExtendBottom, extend(Side::Bottom), &[]),
        command(Text::CropToSelection, document(DocumentAction::Crop), &[]),
        command(Text::FlipSideways, document(DocumentAction::Flip { upright: false }), &[]),
        command(Text::FlipUpright, document(DocumentAction::Flip { upright: true }), &[]),
        command(
            Text::CopySelected,
            document(DocumentAction::Copy),
            const { &[keys(COMMAND_SHIFT, Key::C)] },
        ),
        command(Text::TurnQuarter, document(DocumentAction::Turn), &[]),
        command(Text::EnlargeTwice, document(DocumentAction::Enlarge(2)), &[]),
        command(Text::EnlargeFourfold, document(DocumentAction::Enlarge(4)), &[]),
        command(Text::CutOut, document(DocumentAction::CutOut), &[]),
        command(Text::CutSelection, document(DocumentAction::CutSelection), &[]),
        command(Text::SelectionToMask, layer(LayerAction::MaskOfSelection), &[]),
        command(Text::RefineCandidate, EditorAction::Staging(StagingAction::Refine), &[]),
        command(Text::AddControl, layer(LayerAction::Add(LayerKind::Control)), &[]),
        command(Text::DiscardCandidates, EditorAction::Staging(StagingAction::DiscardAll), &[]),
        command(
            Text::ExportPicture,
            document(DocumentAction::Export),
            const { &[keys(COMMAND_SHIFT, Key::S)] },
        ),
    ]
}
