//! The piece at hand: how it is looked at and played, and what the workers say of it.

use super::{Effect, PlayerOrder, PlayerReport, SoundNews, SoundTask, file_name, say_error};
use crate::action::{LookAction, PlayAction};
use crate::i18n::Text;
use crate::state::{AppState, MessageKind, Piece, PieceLook, Remedy, Sight, TimeSpan};

/// Puts a piece at hand.
pub(super) fn take_piece(state: &mut AppState, piece: Piece) -> Vec<Effect> {
    let sound = &mut state.sound;
    sound.view.span = TimeSpan::whole(piece.secs());
    sound.view.selection = None;
    if piece.score.is_none() && sound.view.sight == Sight::Notes {
        sound.view.sight = Sight::Wave;
    }
    sound.opening = None;
    sound.player.is_playing = false;
    sound.player.head_secs = 0.0;
    let look = SoundTask::Look { number: piece.number, pcm: piece.pcm.clone() };
    sound.piece = Some(piece);
    vec![Effect::Player(PlayerOrder::Eject), Effect::Sound(look), Effect::SaveSettings]
}

pub(super) fn play(state: &mut AppState, action: PlayAction) -> Vec<Effect> {
    let region = state.sound.loop_region();
    let sound = &mut state.sound;
    let Some(piece) = &sound.piece else { return Vec::new() };
    let (secs, player) = (piece.secs(), &mut sound.player);
    let order = match action {
        PlayAction::Toggle if player.is_playing => {
            player.is_playing = false;
            PlayerOrder::Pause
        }
        PlayAction::Toggle => {
            let is_within = |[from, to]: [f64; 2]| (from..to).contains(&player.head_secs);
            if let Some(region) = region.filter(|region| !is_within(*region)) {
                player.head_secs = region[0];
            } else if player.head_secs >= secs - 1e-3 {
                player.head_secs = 0.0;
            }
            player.is_playing = true;
            PlayerOrder::Play {
                pcm: piece.pcm.clone(),
                from_secs: player.head_secs,
                region,
                gain: player.gain,
            }
        }
        PlayAction::Stop => {
            player.head_secs = sound.view.selection.map_or(0.0, |[from, _]| from);
            player.is_playing = false;
            let seek = PlayerOrder::Seek(player.head_secs);
            return vec![Effect::Player(PlayerOrder::Pause), Effect::Player(seek)];
        }
        PlayAction::Seek(to) => {
            player.head_secs = to.clamp(0.0, secs);
            PlayerOrder::Seek(player.head_secs)
        }
        PlayAction::ToggleLoop => {
            player.loops = !player.loops;
            PlayerOrder::Loop(state.sound.loop_region())
        }
        PlayAction::SetGain(gain) => {
            player.gain = if gain.is_finite() { gain.clamp(0.0, 1.0) } else { player.gain };
            let order = PlayerOrder::Gain(player.gain);
            return vec![Effect::Player(order), Effect::SaveSettings];
        }
    };
    vec![Effect::Player(order)]
}

pub(super) fn update_look(state: &mut AppState, action: LookAction) -> Vec<Effect> {
    let head = state.sound.head_secs();
    let Some(piece) = &mut state.sound.piece else { return Vec::new() };
    let (total, view) = (piece.secs(), &mut state.sound.view);
    match action {
        LookAction::SetSight(Sight::Notes) if piece.score.is_none() => {}
        LookAction::SetSight(sight) => {
            view.sight = sight;
            return vec![Effect::SaveSettings];
        }
        LookAction::Show(span) => view.span = span,
        LookAction::Zoom(factor) => {
            // About the play head where it is in sight, else about the middle.
            let share = view.span.share_of(head);
            let about = if (0.0..=1.0).contains(&share) { head } else { view.span.secs_at(0.5) };
            view.span = view.span.zoomed(factor, about, total);
        }
        LookAction::ShowAll => view.span = TimeSpan::whole(total),
        LookAction::Select(selection) => {
            let as_sane = |[from, to]: [f64; 2]| {
                let (from, to) = (from.clamp(0.0, total), to.clamp(0.0, total));
                (from < to).then_some([from, to])
            };
            view.selection = selection.and_then(as_sane);
            if state.sound.player.loops {
                return vec![Effect::Player(PlayerOrder::Loop(state.sound.loop_region()))];
            }
        }
        LookAction::WantSpectrum(ask) => {
            if piece.look.wants(ask) {
                piece.look.awaited = Some(ask);
                let (number, pcm) = (piece.number, piece.pcm.clone());
                return vec![Effect::Sound(SoundTask::Spectrum { number, pcm, ask })];
            }
        }
    }
    Vec::new()
}

/// Takes in what the player says of itself.
pub(super) fn apply_player(state: &mut AppState, report: PlayerReport) {
    let sound = &mut state.sound;
    let Some(piece) = &sound.piece else { return };
    let was_in_sight = (0.0..=1.0).contains(&sound.view.span.share_of(sound.player.head_secs));
    sound.player.is_playing = report.is_playing;
    sound.player.head_secs = report.head_secs.min(piece.secs());
    sound.player.silence = report.silence;
    sound.player.underruns = report.underruns;
    // Who looks elsewhere is left there.
    if report.is_playing && was_in_sight {
        sound.view.span = sound.view.span.following(sound.player.head_secs, piece.secs());
    }
}

/// Takes in what the workers did; what is of an earlier piece is passed over.
pub(super) fn apply_sound_news(state: &mut AppState, news: SoundNews) -> Vec<Effect> {
    let piece = state.sound.piece.as_mut();
    match news {
        SoundNews::Opened(number, opened) => {
            if state.sound.opening.as_ref().is_none_or(|(other, _)| *other != number) {
                return Vec::new();
            }
            let opened = *opened;
            let piece = Piece {
                number,
                result: opened.result,
                title: opened.title,
                file: Some(opened.file),
                score: opened.score,
                pcm: opened.pcm,
                recipe: opened.recipe,
                look: PieceLook::default(),
            };
            return take_piece(state, piece);
        }
        SoundNews::NotOpened(number, error) => {
            state.sound.opening.take_if(|(other, _)| *other == number);
            say_error(state, &error);
        }
        SoundNews::Outline(number, outline) => {
            if let Some(piece) = piece.filter(|piece| piece.number == number) {
                piece.look.outline = Some(outline);
            }
        }
        SoundNews::Loudness(number, loudness) => {
            if let Some(piece) = piece.filter(|piece| piece.number == number) {
                piece.look.loudness = Some(loudness);
            }
        }
        SoundNews::Spectrum(number, part) => {
            if let Some(piece) = piece.filter(|piece| piece.number == number) {
                piece.look.awaited = None;
                let is_whole = part.ask.span.len_secs() >= piece.secs() * 0.999;
                let place = if is_whole { &mut piece.look.whole } else { &mut piece.look.part };
                *place = Some(*part);
            }
        }
        SoundNews::NoSpectrum(number) => {
            if let Some(piece) = piece.filter(|piece| piece.number == number) {
                piece.look.awaited = None;
            }
        }
        SoundNews::Exported(path) => {
            let text = state.settings.language.fill(Text::Saved, &[&file_name(&path)]);
            let now = state.jobs.clock_secs;
            let remedy = Some(Remedy::OpenFolder(path));
            state.messages.show(now, MessageKind::Done, text, String::new(), remedy);
        }
        SoundNews::Failed(error) => say_error(state, &error),
    }
    Vec::new()
}
