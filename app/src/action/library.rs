//! What a person can do in the library room.

use std::path::PathBuf;

use atelier_engine::store::boards::BoardId;
use atelier_engine::store::search::{Day, SearchOrder, Shape, Span};
use atelier_engine::store::{Colour, ResultKind};
use egui::{Key, Modifiers};

use super::{Action, Command, Reach, keys};
use crate::i18n::Text;
use crate::state::ResultId;
use crate::state::library::{BoardEdit, Shelf};

/// Does something in the library room.
#[derive(Debug, Clone, PartialEq)]
pub enum LibraryAction {
    /// Writes what is looked for.
    SetText(String),
    /// Changes what is looked for by a menu.
    Filter(FilterAction),
    /// Shows a board or another part of the library.
    Show(Shelf),
    /// Puts the cursor into the search field.
    Focus,
    /// Says which places of the grid are in sight: from, to below, columns, rows.
    See([usize; 4]),
    /// Chooses how large thumbnails are, in points.
    SetSide(f32),
    /// Makes thumbnails larger or smaller.
    ScaleSide(f32),
    /// Chooses results.
    Pick(PickAction),
    /// Does something with the chosen results.
    Picked(PickedAction),
    /// Does something with a board.
    Board(BoardAction),
    /// Begins or ends what takes its time.
    Work(WorkAction),
    /// Brings back what was deleted last.
    UndoDelete,
}

/// Changes what is looked for; writes into the text of the search field.
#[derive(Debug, Clone, PartialEq)]
pub enum FilterAction {
    /// Pictures or sounds only, or both.
    Kind(Option<ResultKind>),
    /// At least so many stars; 0 for all.
    Rating(u8),
    /// Favourites only, or all.
    Favourites(bool),
    /// A model, or all.
    Model(Option<String>),
    /// A tag, or none asked for.
    Tag(String, bool),
    /// What has no tag, or all.
    Untagged(bool),
    /// A colour, or none asked for.
    Colour(Colour, bool),
    /// A shape, or all.
    Shape(Option<Shape>),
    /// At least so many pixels on each side, or all.
    Side(Option<u32>),
    /// Days.
    Days(Span<Day>),
    /// An order.
    Order(SearchOrder),
    /// Takes all but the words and the board away.
    Clear,
}

/// Says how a result is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickMode {
    /// Alone.
    Only,
    /// Beside the others, or no longer.
    Toggle,
    /// With all between it and the first.
    Stretch,
}

/// Says where the keyboard goes in the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// One to the left.
    Left,
    /// One to the right.
    Right,
    /// One up.
    Up,
    /// One down.
    Down,
    /// As many rows up as are in sight.
    PageUp,
    /// As many rows down as are in sight.
    PageDown,
    /// To the first.
    First,
    /// To the last.
    Last,
}

/// Chooses results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickAction {
    /// One result.
    One(ResultId, PickMode),
    /// The one beside the latest; `true` chooses all on the way.
    Step(Step, bool),
    /// Everything that was found.
    All,
    /// Nothing.
    Nothing,
}

/// Does something with the chosen results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PickedAction {
    /// Opens the latest one in its room.
    Open,
    /// Opens the latest one to edit it.
    Edit,
    /// Takes the settings of the latest one.
    Reuse,
    /// Copies the latest one to the clipboard.
    Copy,
    /// Opens the folder of the latest one.
    OpenFolder,
    /// Makes favourites of them, or none any more.
    ToggleFavourite,
    /// Gives stars.
    Rate(u8),
    /// Writes a tag.
    SetTagDraft(String),
    /// Gives a tag.
    AddTag(String),
    /// Takes a tag away.
    RemoveTag(String),
    /// Moves them to the trash.
    Delete,
    /// Brings them back from the trash.
    Restore,
}

/// Does something with a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoardAction {
    /// Begins, goes on with or leaves what is done with a board.
    Edit(Option<BoardEdit>),
    /// Begins a new board for the chosen results.
    NewForPicked,
    /// Does it.
    Confirm,
    /// Puts results on a board; without any, the chosen ones.
    Add(BoardId, Vec<ResultId>),
    /// Takes the chosen results off a board.
    Remove(BoardId),
}

/// Begins or ends what takes its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkAction {
    /// Asks which folder is to be imported.
    PickImport,
    /// Takes in folders and pictures.
    Import(Vec<PathBuf>),
    /// Asks where the chosen results are to be copied.
    PickExport,
    /// Copies results into a folder.
    Export(Vec<ResultId>, PathBuf),
    /// Compares every file; `true` also puts things in order.
    Check(bool),
    /// Breaks it off.
    Stop,
    /// Closes the report.
    CloseReport,
}

/// Returns the commands of the library room, in the order of the palette.
pub(super) fn library_commands() -> Vec<Command> {
    const PLAIN: Modifiers = Modifiers::NONE;
    const COMMAND: Modifiers = Modifiers::COMMAND;
    let command =
        |name, action, keys, reach| Command { name, action: Action::Library(action), keys, reach };
    let picked =
        |name, action, keys| command(name, LibraryAction::Picked(action), keys, Reach::OutsideText);
    let rate = |name, stars, keys| picked(name, PickedAction::Rate(stars), keys);
    let work = |name, action| command(name, LibraryAction::Work(action), &[], Reach::OutsideText);
    vec![
        command(
            Text::FindInLibrary,
            LibraryAction::Focus,
            const { &[keys(COMMAND, Key::F), keys(COMMAND, Key::L), keys(PLAIN, Key::Slash)] },
            Reach::Everywhere,
        ),
        command(
            Text::PickAll,
            LibraryAction::Pick(PickAction::All),
            const { &[keys(COMMAND, Key::A)] },
            Reach::OutsideText,
        ),
        command(
            Text::PickNothing,
            LibraryAction::Pick(PickAction::Nothing),
            const { &[keys(COMMAND, Key::D)] },
            Reach::OutsideText,
        ),
        picked(Text::OpenInStudio, PickedAction::Open, const { &[keys(PLAIN, Key::Enter)] }),
        picked(Text::EditPicture, PickedAction::Edit, const { &[keys(PLAIN, Key::E)] }),
        picked(Text::Reuse, PickedAction::Reuse, const { &[keys(PLAIN, Key::R)] }),
        picked(
            Text::ToggleFavourite,
            PickedAction::ToggleFavourite,
            const { &[keys(PLAIN, Key::F), keys(PLAIN, Key::Space)] },
        ),
        rate(Text::RateNone, 0, const { &[keys(PLAIN, Key::Num0)] }),
        rate(Text::RateOne, 1, const { &[keys(PLAIN, Key::Num1)] }),
        rate(Text::RateTwo, 2, const { &[keys(PLAIN, Key::Num2)] }),
        rate(Text::RateThree, 3, const { &[keys(PLAIN, Key::Num3)] }),
        rate(Text::RateFour, 4, const { &[keys(PLAIN, Key::Num4)] }),
        rate(Text::RateFive, 5, const { &[keys(PLAIN, Key::Num5)] }),
        picked(
            Text::Delete,
            PickedAction::Delete,
            const { &[keys(PLAIN, Key::Delete), keys(PLAIN, Key::Backspace)] },
        ),
        command(
            Text::UndoDelete,
            LibraryAction::UndoDelete,
            const { &[keys(COMMAND, Key::Z)] },
            Reach::OutsideText,
        ),
        picked(
            Text::CopyPicture,
            PickedAction::Copy,
            const { &[keys(COMMAND.plus(Modifiers::SHIFT), Key::C)] },
        ),
        picked(Text::OpenFolder, PickedAction::OpenFolder, const { &[keys(COMMAND, Key::E)] }),
        command(
            Text::NewBoard,
            LibraryAction::Board(BoardAction::NewForPicked),
            const { &[keys(COMMAND, Key::N)] },
            Reach::OutsideText,
        ),
        command(
            Text::LargerThumbnails,
            LibraryAction::ScaleSide(1.25),
            const { &[keys(PLAIN, Key::Plus), keys(PLAIN, Key::Equals)] },
            Reach::OutsideText,
        ),
        command(
            Text::SmallerThumbnails,
            LibraryAction::ScaleSide(0.8),
            const { &[keys(PLAIN, Key::Minus)] },
            Reach::OutsideText,
        ),
        command(
            Text::ExportCopies,
            LibraryAction::Work(WorkAction::PickExport),
            const { &[keys(COMMAND, Key::S)] },
            Reach::Everywhere,
        ),
        command(
            Text::ImportFolder,
            LibraryAction::Work(WorkAction::PickImport),
            const { &[keys(COMMAND, Key::O)] },
            Reach::Everywhere,
        ),
        work(Text::CheckLibrary, WorkAction::Check(false)),
    ]
}
