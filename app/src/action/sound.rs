//! What a person can do in the sound room, and its commands.

use std::path::PathBuf;

use atelier_engine::protocol::{GivenUse, Instrument, MusicPlan};
use egui::{Key, Modifiers};

use super::{Action, Command, Reach, keys};
use crate::i18n::Text;
use crate::state::{ResultId, Sight, SoundFormat, SpectrumAsk, TimeSpan};

/// Does something in the sound room.
#[derive(Debug, Clone, PartialEq)]
pub enum SoundAction {
    /// Changes what is written of the next piece.
    Prompt(MusicAction),
    /// Asks for a piece.
    Compose,
    /// Asks for a piece that goes on from the piece at hand, or varies it.
    ComposeFrom(GivenUse),
    /// Prepares a tune for the picture that is shown.
    MakeTune,
    /// Prepares a tune for a picture.
    MakeTuneFor(ResultId),
    /// Lets the picture go that the next piece is for; what it set stays.
    DropPicture,
    /// Plays or stops playing.
    Play(PlayAction),
    /// Changes how the piece is looked at.
    Look(LookAction),
    /// Asks which sound file is to be opened.
    PickFile,
    /// Opens a sound file.
    OpenFile(PathBuf),
    /// Asks where the piece at hand is to be exported.
    Export(SoundFormat),
    /// Takes the settings of the piece at hand.
    Reuse,
    /// Moves the piece at hand to the trash.
    Delete,
    /// Brings the latest deleted result back.
    UndoDelete,
    /// Opens the folder of the piece at hand.
    OpenFolder,
}

/// Changes what is written of the next piece.
#[derive(Debug, Clone, PartialEq)]
pub enum MusicAction {
    /// Changes the words.
    SetText(String),
    /// Takes an example as the words and composes.
    TakeExample(String),
    /// Settles what is settled beside the words.
    SetPlan(MusicPlan),
    /// Adds an instrument, or lets it go.
    ToggleInstrument(Instrument),
    /// Writes a seed.
    SetSeed(String),
    /// Keeps the seed, or lets it change.
    SetSeedLocked(bool),
    /// Rolls a new seed.
    RollSeed,
    /// Lets the given music go.
    DropGiven,
    /// Puts the cursor among the words.
    Focus,
}

/// Plays or stops playing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PlayAction {
    /// Plays, or halts where it is.
    Toggle,
    /// Stops, and goes back to where it began.
    Stop,
    /// Goes to a moment, in seconds.
    Seek(f64),
    /// Plays over and over, or not.
    ToggleLoop,
    /// Sets how loud, 0 to 1.
    SetGain(f32),
}

/// Changes how the piece is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LookAction {
    /// Looks at notes, waveform or spectrogram.
    SetSight(Sight),
    /// Has another part in sight.
    Show(TimeSpan),
    /// Zooms about the play head by a factor.
    Zoom(f64),
    /// Has everything in sight.
    ShowAll,
    /// Selects a stretch in seconds, or nothing.
    Select(Option<[f64; 2]>),
    /// Asks for a spectrogram that has come into sight.
    WantSpectrum(SpectrumAsk),
}

/// Returns the commands of the sound room, in the order of the palette.
pub(super) fn sound_commands() -> Vec<Command> {
    const PLAIN: Modifiers = Modifiers::NONE;
    const COMMAND: Modifiers = Modifiers::COMMAND;
    let command =
        |name, action, keys, reach| Command { name, action: Action::Sound(action), keys, reach };
    let look = SoundAction::Look;
    let play = SoundAction::Play;
    vec![
        command(
            Text::Compose,
            SoundAction::Compose,
            const { &[keys(COMMAND, Key::Enter)] },
            Reach::Everywhere,
        ),
        command(
            Text::PlayPause,
            play(PlayAction::Toggle),
            const { &[keys(PLAIN, Key::Space)] },
            Reach::OutsideText,
        ),
        command(Text::StopPlaying, play(PlayAction::Stop), &[], Reach::OutsideText),
        command(
            Text::LoopPlaying,
            play(PlayAction::ToggleLoop),
            const { &[keys(PLAIN, Key::L)] },
            Reach::OutsideText,
        ),
        command(
            Text::SightNotes,
            look(LookAction::SetSight(Sight::Notes)),
            const { &[keys(PLAIN, Key::Num1)] },
            Reach::OutsideText,
        ),
        command(
            Text::SightWave,
            look(LookAction::SetSight(Sight::Wave)),
            const { &[keys(PLAIN, Key::Num2)] },
            Reach::OutsideText,
        ),
        command(
            Text::SightSpectrum,
            look(LookAction::SetSight(Sight::Spectrum)),
            const { &[keys(PLAIN, Key::Num3)] },
            Reach::OutsideText,
        ),
        command(
            Text::ZoomIn,
            look(LookAction::Zoom(1.5)),
            const { &[keys(PLAIN, Key::Plus), keys(PLAIN, Key::Equals)] },
            Reach::OutsideText,
        ),
        command(
            Text::ZoomOut,
            look(LookAction::Zoom(1.0 / 1.5)),
            const { &[keys(PLAIN, Key::Minus)] },
            Reach::OutsideText,
        ),
        command(
            Text::ShowAll,
            look(LookAction::ShowAll),
            const { &[keys(PLAIN, Key::F)] },
            Reach::OutsideText,
        ),
        command(
            Text::ContinueThis,
            SoundAction::ComposeFrom(GivenUse::Continue),
            &[],
            Reach::OutsideText,
        ),
        command(Text::VaryThis, SoundAction::ComposeFrom(GivenUse::Vary), &[], Reach::OutsideText),
        command(
            Text::OpenSound,
            SoundAction::PickFile,
            const { &[keys(COMMAND, Key::O)] },
            Reach::Everywhere,
        ),
        command(
            Text::ExportFlac,
            SoundAction::Export(SoundFormat::Flac),
            const { &[keys(COMMAND, Key::S)] },
            Reach::Everywhere,
        ),
        command(Text::ExportWav, SoundAction::Export(SoundFormat::Wav), &[], Reach::OutsideText),
        command(Text::ExportMidi, SoundAction::Export(SoundFormat::Midi), &[], Reach::OutsideText),
        command(
            Text::Reuse,
            SoundAction::Reuse,
            const { &[keys(PLAIN, Key::R)] },
            Reach::OutsideText,
        ),
        command(
            Text::RollSeed,
            SoundAction::Prompt(MusicAction::RollSeed),
            const { &[keys(COMMAND, Key::R)] },
            Reach::Everywhere,
        ),
        command(
            Text::FocusSound,
            SoundAction::Prompt(MusicAction::Focus),
            const { &[keys(COMMAND, Key::L), keys(PLAIN, Key::Slash)] },
            Reach::OutsideText,
        ),
        command(
            Text::OpenFolder,
            SoundAction::OpenFolder,
            const { &[keys(COMMAND, Key::E)] },
            Reach::Everywhere,
        ),
        command(
            Text::Delete,
            SoundAction::Delete,
            const { &[keys(PLAIN, Key::Delete), keys(PLAIN, Key::Backspace)] },
            Reach::OutsideText,
        ),
        command(
            Text::UndoDelete,
            SoundAction::UndoDelete,
            const { &[keys(COMMAND, Key::Z)] },
            Reach::OutsideText,
        ),
    ]
}
