//! Everything a person can do in the window, with the shortcuts and the command palette from one
//! table.

mod editor;
mod library;
mod models;
mod sound;
mod trash;
mod words;

use std::path::PathBuf;
use std::sync::Arc;

use atelier_engine::protocol::{DeviceChoice, SamplerKind, Size};
use egui::{ColorImage, Key, KeyboardShortcut, Modifiers};

use crate::i18n::{Language, Text};
use crate::state::{Remedy, ResultId, Room, ThemeChoice, View};

pub use editor::{
    DocumentAction, EditorAction, LayerAction, ObjectAction, Pen, ReshapeAction, SelectAction,
    Side, StagingAction, ToolAction,
};
pub use library::{
    BoardAction, FilterAction, LibraryAction, PickAction, PickMode, PickedAction, Step, WorkAction,
};
pub use models::ModelsAction;
pub use sound::{LookAction, MusicAction, PlayAction, SoundAction};
pub use trash::TrashAction;
pub use words::{HelpAction, MessageAction, WordsAction};

/// Is one thing that a person did.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Changed the request that is being written.
    Prompt(PromptAction),
    /// Changed what runs or waits.
    Job(JobAction),
    /// Changed how the picture is looked at.
    Canvas(CanvasAction),
    /// Did something with a result.
    History(HistoryAction),
    /// Changed a setting.
    Settings(SettingsAction),
    /// Answered a message or an offer.
    Offer(OfferAction),
    /// Used the command palette.
    Palette(PaletteAction),
    /// Went into a room.
    Enter(Room),
    /// Had the house writer help with the picture prompt.
    Help(HelpAction),
    /// Did something in the words room.
    Words(WordsAction),
    /// Did something in the sound room.
    Sound(SoundAction),
    /// Did something with a picture model or what stands beside it.
    Models(ModelsAction),
    /// Did something with the trash.
    Trash(TrashAction),
    /// Did something with the picture that is being edited.
    Editor(EditorAction),
    /// Did something in the library room.
    Library(LibraryAction),
    /// Closes the window.
    Quit,
}

/// Changes the request that is being written.
#[derive(Debug, Clone, PartialEq)]
pub enum PromptAction {
    /// Changes the prompt.
    SetText(String),
    /// Changes the negative prompt.
    SetNegative(String),
    /// Chooses a style, or lets it go.
    ToggleStyle(String),
    /// Chooses a size.
    SetSize(Size),
    /// Chooses how many pictures.
    SetCount(u32),
    /// Writes a seed.
    SetSeed(String),
    /// Keeps the seed, or lets it change.
    SetSeedLocked(bool),
    /// Rolls a new seed.
    RollSeed,
    /// Shows or hides the advanced settings.
    ToggleAdvanced,
    /// Chooses how many steps.
    SetSteps(u32),
    /// Chooses the strength of the guidance.
    SetGuidance(f32),
    /// Chooses the sampler.
    SetSampler(SamplerKind),
    /// Takes an example as the prompt and generates.
    TakeExample(String),
    /// Puts the cursor into the prompt.
    Focus,
}

/// Changes what runs or waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAction {
    /// Asks for the request that is written.
    Generate,
    /// Cancels the running job.
    CancelRunning,
    /// Cancels a job by its ticket.
    Cancel(u64),
    /// Moves a waiting job, by its ticket, to a place among the waiting ones.
    Move(u64, usize),
    /// Shows or hides the queue.
    ShowQueue(bool),
}

/// Changes how the picture is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CanvasAction {
    /// Looks in another way.
    SetView(View),
    /// Makes the picture as large as fits.
    Fit,
    /// Shows one pixel as one point.
    ActualSize,
    /// Compares with the previous picture, or ends it.
    ToggleCompare,
    /// Moves the comparing slider, 0 to 1.
    SetCompare(f32),
}

/// Does something with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryAction {
    /// Shows a result.
    Show(ResultId),
    /// Shows the result beside the shown one: −1 newer, 1 older.
    Step(i32),
    /// Takes the settings of a result.
    Reuse(ResultId),
    /// Takes the settings of the shown result.
    ReuseShown,
    /// Moves a result to the trash.
    Delete(ResultId),
    /// Moves the shown result to the trash.
    DeleteShown,
    /// Brings the latest deleted result back.
    UndoDelete,
    /// Saves a copy of a result elsewhere.
    SaveAs(ResultId),
    /// Saves a copy of the shown result elsewhere.
    SaveShownAs,
    /// Copies a result to the clipboard.
    Copy(ResultId),
    /// Copies the shown result to the clipboard.
    CopyShown,
    /// Opens the folder of a result.
    OpenFolder(ResultId),
    /// Opens the folder of the shown result.
    OpenShownFolder,
    /// Asks for a thumbnail that has come into sight.
    WantThumbnail(ResultId),
    /// Asks for older results.
    WantOlder,
}

/// Changes a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingsAction {
    /// Shows or hides the settings.
    Show(bool),
    /// Chooses the colours.
    SetTheme(ThemeChoice),
    /// Switches between light and dark.
    SwitchTheme,
    /// Chooses the language.
    SetLanguage(Language),
    /// Switches to the other language.
    SwitchLanguage,
    /// Chooses the scale in percent.
    SetScale(u32),
    /// Chooses the device.
    SetDevice(DeviceChoice),
    /// Opens the data folder.
    OpenDataFolder,
    /// Asks where the data is to be moved.
    PickDataFolder,
}

/// Answers a message or an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferAction {
    /// Closes a message.
    Dismiss(u64),
    /// Does what a message offers.
    Accept(u64, Remedy),
    /// Continues the unfinished requests of the last time.
    ContinueUnfinished,
    /// Drops the unfinished requests of the last time.
    DiscardUnfinished,
    /// Reads the recipe of a file that was dropped onto the window.
    FileDropped(PathBuf),
    /// Takes a picture from the clipboard: as a layer of the picture that is edited, or to be edited.
    PicturePasted(Arc<ColorImage>),
    /// Takes the recipe that is offered.
    TakeRecipe,
    /// Refuses the recipe that is offered.
    RefuseRecipe,
}

/// Uses the command palette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaletteAction {
    /// Shows or hides it.
    Show(bool),
    /// Changes what is searched.
    SetQuery(String),
    /// Chooses the next (1) or previous (−1) command.
    Step(i32),
    /// Runs the n-th of the commands found.
    Run(usize),
}

/// Says when a shortcut works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Always.
    Everywhere,
    /// Only while no text is being written.
    OutsideText,
}

/// Holds a command of the palette with its shortcut.
#[derive(Debug, Clone)]
pub struct Command {
    /// What it is called.
    pub name: Text,
    /// What it does.
    pub action: Action,
    /// Its keys, the one shown first; some commands have none.
    pub keys: &'static [KeyboardShortcut],
    /// When the keys work.
    pub reach: Reach,
}

impl Command {
    /// Tells whether the command means something in a room, while a picture is edited there or not.
    pub fn works_in(&self, room: Room, edits: bool) -> bool {
        match &self.action {
            Action::Editor(
                EditorAction::New | EditorAction::OpenLatest | EditorAction::PickFile,
            ) => room == Room::Pictures,
            Action::Editor(EditorAction::EditShown) => room == Room::Pictures && !edits,
            Action::Editor(_) => room == Room::Pictures && edits,
            Action::Canvas(CanvasAction::Fit | CanvasAction::ActualSize) => room == Room::Pictures,
            // What is done with a result is done with the one that is shown.
            Action::Canvas(_) | Action::History(_) => room == Room::Pictures && !edits,
            Action::Prompt(_)
            | Action::Help(_)
            | Action::Models(_)
            | Action::Job(JobAction::Generate) => room == Room::Pictures,
            Action::Words(_) => room == Room::Words,
            Action::Sound(SoundAction::MakeTune) => room == Room::Pictures,
            Action::Sound(_) => room == Room::Sound,
            Action::Library(_) => room == Room::Library,
            _ => true,
        }
    }
}

const fn keys(modifiers: Modifiers, key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(modifiers, key)
}

/// Returns every command, in the order of the palette.
pub fn commands() -> Vec<Command> {
    const PLAIN: Modifiers = Modifiers::NONE;
    const COMMAND: Modifiers = Modifiers::COMMAND;
    const COMMAND_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);
    let table: [(Text, Action, &'static [KeyboardShortcut], Reach); 36] = [
        (
            Text::RoomPictures,
            Action::Enter(Room::Pictures),
            const { &[keys(COMMAND, Key::Num1)] },
            Reach::Everywhere,
        ),
        (
            Text::RoomWords,
            Action::Enter(Room::Words),
            const { &[keys(COMMAND, Key::Num2)] },
            Reach::Everywhere,
        ),
        (
            Text::RoomSound,
            Action::Enter(Room::Sound),
            const { &[keys(COMMAND, Key::Num3)] },
            Reach::Everywhere,
        ),
        (
            Text::RoomLibrary,
            Action::Enter(Room::Library),
            const { &[keys(COMMAND, Key::Num4)] },
            Reach::Everywhere,
        ),
        (Text::MakeTune, Action::Sound(SoundAction::MakeTune), &[], Reach::OutsideText),
        (
            Text::Generate,
            Action::Job(JobAction::Generate),
            const { &[keys(COMMAND, Key::Enter)] },
            Reach::Everywhere,
        ),
        (
            Text::Cancel,
            Action::Job(JobAction::CancelRunning),
            const { &[keys(PLAIN, Key::Escape)] },
            Reach::Everywhere,
        ),
        (
            Text::ExpandPrompt,
            Action::Help(HelpAction::Expand),
            const { &[keys(COMMAND_SHIFT, Key::E)] },
            Reach::Everywhere,
        ),
        (Text::SurpriseMe, Action::Help(HelpAction::Surprise), &[], Reach::OutsideText),
        (
            Text::NewConversation,
            Action::Words(WordsAction::New),
            const { &[keys(COMMAND, Key::N)] },
            Reach::Everywhere,
        ),
        (
            Text::FocusMessage,
            Action::Words(WordsAction::Focus),
            const { &[keys(COMMAND, Key::L), keys(PLAIN, Key::Slash)] },
            Reach::OutsideText,
        ),
        (
            Text::UndoDeleteConversation,
            Action::Words(WordsAction::UndoDelete),
            const { &[keys(COMMAND, Key::Z)] },
            Reach::OutsideText,
        ),
        (Text::SaveConversation, Action::Words(WordsAction::SaveAs), &[], Reach::OutsideText),
        (
            Text::WritingSettings,
            Action::Words(WordsAction::ShowSettings(true)),
            &[],
            Reach::OutsideText,
        ),
        (
            Text::FocusPrompt,
            Action::Prompt(PromptAction::Focus),
            const { &[keys(COMMAND, Key::L), keys(PLAIN, Key::Slash)] },
            Reach::OutsideText,
        ),
        (
            Text::RollSeed,
            Action::Prompt(PromptAction::RollSeed),
            const { &[keys(COMMAND, Key::R)] },
            Reach::Everywhere,
        ),
        (
            Text::Reuse,
            Action::History(HistoryAction::ReuseShown),
            const { &[keys(PLAIN, Key::R)] },
            Reach::OutsideText,
        ),
        (
            Text::NewerPicture,
            Action::History(HistoryAction::Step(-1)),
            const { &[keys(PLAIN, Key::ArrowLeft)] },
            Reach::OutsideText,
        ),
        (
            Text::OlderPicture,
            Action::History(HistoryAction::Step(1)),
            const { &[keys(PLAIN, Key::ArrowRight)] },
            Reach::OutsideText,
        ),
        (
            Text::Fit,
            Action::Canvas(CanvasAction::Fit),
            const { &[keys(PLAIN, Key::F)] },
            Reach::OutsideText,
        ),
        (
            Text::OneToOne,
            Action::Canvas(CanvasAction::ActualSize),
            const { &[keys(PLAIN, Key::Num1)] },
            Reach::OutsideText,
        ),
        (
            Text::Compare,
            Action::Canvas(CanvasAction::ToggleCompare),
            const { &[keys(PLAIN, Key::C)] },
            Reach::OutsideText,
        ),
        (
            Text::SaveAs,
            Action::History(HistoryAction::SaveShownAs),
            const { &[keys(COMMAND, Key::S)] },
            Reach::Everywhere,
        ),
        (
            Text::CopyPicture,
            Action::History(HistoryAction::CopyShown),
            const { &[keys(COMMAND_SHIFT, Key::C)] },
            Reach::Everywhere,
        ),
        (
            Text::OpenFolder,
            Action::History(HistoryAction::OpenShownFolder),
            const { &[keys(COMMAND, Key::E)] },
            Reach::Everywhere,
        ),
        (
            Text::Delete,
            Action::History(HistoryAction::DeleteShown),
            const { &[keys(PLAIN, Key::Delete), keys(PLAIN, Key::Backspace)] },
            Reach::OutsideText,
        ),
        (
            Text::UndoDelete,
            Action::History(HistoryAction::UndoDelete),
            const { &[keys(COMMAND, Key::Z)] },
            Reach::OutsideText,
        ),
        (Text::Queue, Action::Job(JobAction::ShowQueue(true)), &[], Reach::OutsideText),
        (
            Text::Advanced,
            Action::Prompt(PromptAction::ToggleAdvanced),
            const { &[keys(PLAIN, Key::A)] },
            Reach::OutsideText,
        ),
        (
            Text::SwitchTheme,
            Action::Settings(SettingsAction::SwitchTheme),
            const { &[keys(COMMAND_SHIFT, Key::L)] },
            Reach::Everywhere,
        ),
        (
            Text::SwitchLanguage,
            Action::Settings(SettingsAction::SwitchLanguage),
            &[],
            Reach::OutsideText,
        ),
        (
            Text::OpenSettings,
            Action::Settings(SettingsAction::Show(true)),
            const { &[keys(COMMAND, Key::Comma)] },
            Reach::Everywhere,
        ),
        (
            Text::DataFolder,
            Action::Settings(SettingsAction::OpenDataFolder),
            &[],
            Reach::OutsideText,
        ),
        (Text::Trash, Action::Trash(TrashAction::Show(true)), &[], Reach::OutsideText),
        (
            Text::Shortcuts,
            Action::Palette(PaletteAction::Show(true)),
            const { &[keys(COMMAND, Key::K)] },
            Reach::Everywhere,
        ),
        (Text::Quit, Action::Quit, const { &[keys(COMMAND, Key::Q)] }, Reach::Everywhere),
    ];
    let table = table.map(|(name, action, keys, reach)| Command { name, action, keys, reach });
    // The room's own come right after the rooms.
    let (rooms, rest) = table.split_at(4);
    [
        rooms,
        &library::library_commands(),
        &sound::sound_commands(),
        &editor::editor_commands(),
        rest,
    ]
    .concat()
}

/// Returns the commands of a room, while a picture is edited there or not, whose names, in `language`, contain every word of `query`.
pub fn find_commands(query: &str, language: Language, (room, edits): (Room, bool)) -> Vec<Command> {
    let query = query.to_lowercase();
    let words: Vec<&str> = query.split_whitespace().collect();
    commands()
        .into_iter()
        .filter(|command| command.works_in(room, edits))
        .filter(|command| {
            let name = language.get(command.name).to_lowercase();
            words.iter().all(|word| name.contains(word))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_commands_of_a_room_share_a_shortcut() {
        for (room, edits) in Room::ALL.into_iter().flat_map(|room| [(room, false), (room, true)]) {
            let mut seen = Vec::new();
            for command in commands().into_iter().filter(|one| one.works_in(room, edits)) {
                for keys in command.keys {
                    assert!(!seen.contains(keys), "{keys:?} is used twice in {room:?}");
                    seen.push(*keys);
                }
            }
        }
    }

    #[test]
    fn a_command_is_found_by_a_part_of_its_name_in_both_languages() {
        assert_eq!(
            find_commands("fit win", Language::English, (Room::Pictures, false))[0].name,
            Text::Fit
        );
        assert_eq!(
            find_commands("适应", Language::Chinese, (Room::Pictures, false))[0].name,
            Text::Fit
        );
        assert!(
            find_commands("no such thing", Language::English, (Room::Pictures, false)).is_empty()
        );
        assert!(find_commands("fit win", Language::English, (Room::Words, false)).is_empty());
    }
}
