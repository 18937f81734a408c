//! The piece at hand, or the one that is being written: its notes, its waveform, its spectrogram.

use atelier_engine::audio::spectrogram::LOWEST_HZ;
use atelier_engine::protocol::{Request, Score};
use egui::{
    Align, Align2, Color32, CornerRadius, Layout, Painter, Rect, RichText, Sense, Ui, pos2, vec2,
};

use super::keys_of;
use crate::action::{Action, LookAction, PlayAction, SoundAction};
use crate::i18n::Text;
use crate::services::textures::Textures;
use crate::state::{AppState, Piece, Sight, SpectrumAsk, SpectrumPart, TimeSpan};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{
    Button, Timeline, TimelineChange, clock, details, elide, paint_notes, paint_waveform,
    segmented, timeline_ui, x_of,
};

/// Below this width the buttons that zoom are left out.
const NARROW: f32 = 440.0;

/// How long a piece is taken to become while nothing is known of its length, in seconds.
const LIVE_SECS: f64 = 20.0;

/// The frequencies that are marked beside a spectrogram, in Hz.
const MARKED_HZ: [(f64, &str); 6] =
    [(50.0, "50"), (200.0, "200"), (500.0, "500"), (1e3, "1k"), (4e3, "4k"), (1e4, "10k Hz")];

/// Draws the piece.
pub(super) fn piece_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    ui.spacing_mut().item_spacing.y = size::GAP;
    if state.sound.watches_live {
        live_ui(ui, state);
        return;
    }
    if let Some((_, name)) = &state.sound.opening {
        let text = language.fill(Text::OpeningFile, &[&elide(name, 60)]);
        ui.centered_and_justified(|ui| {
            ui.label(RichText::new(text).color(palette(ui).text_weak));
        });
        return;
    }
    let Some(piece) = &state.sound.piece else { return };
    header_ui(ui, state, piece, actions);
    strip_ui(ui, state, piece, textures, actions);
}

/// Draws the notes that the running job has written so far.
fn live_ui(ui: &mut Ui, state: &AppState) {
    let language = state.settings.language;
    let running = state.jobs.running().filter(|job| matches!(job.request, Request::Sound(_)));
    let Some(job) = running else {
        ui.centered_and_justified(|ui| {
            let text = language.get(Text::WaitsForTurn);
            ui.label(RichText::new(text).color(palette(ui).text_weak));
        });
        return;
    };
    let title = RichText::new(language.get(Text::PieceWritten));
    let colours = palette(ui);
    ui.horizontal(|ui| {
        ui.set_min_height(size::CONTROL);
        ui.label(title.color(colours.text_weak));
        ui.add_space(size::GAP);
        details(ui, elide(&job.words(), 120));
    });
    let score: Option<&Score> = job.live.score.as_deref();
    // As long as was asked for, so that the notes stay where they are while more come.
    let asked = match &job.request {
        Request::Sound(request) => request.plan.duration_secs.map(f64::from),
        _ => None,
    };
    let written = score.map_or(0.0, |score| score.secs(score.end_ticks()));
    let total_secs = asked.unwrap_or(LIVE_SECS).max(written);
    let strip = Timeline {
        name: language.get(Text::PieceWritten),
        hint: "",
        total_secs,
        span: TimeSpan::whole(total_secs),
        play_head_secs: None,
        selection_secs: None,
    };
    timeline_ui(ui, strip, |painter, rect, span| {
        if let Some(score) = score {
            paint_notes(painter, rect, span, score, colours);
        }
    });
}

fn header_ui(ui: &mut Ui, state: &AppState, piece: &Piece, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let view = &state.sound.view;
    let look = |action| Action::Sound(SoundAction::Look(action));
    ui.horizontal(|ui| {
        let sights: Vec<Sight> = Sight::ALL
            .into_iter()
            .filter(|sight| *sight != Sight::Notes || piece.score.is_some())
            .collect();
        let names: Vec<&str> = sights
            .iter()
            .map(|sight| match sight {
                Sight::Notes => language.get(Text::SightNotes),
                Sight::Wave => language.get(Text::SightWave),
                Sight::Spectrum => language.get(Text::SightSpectrum),
            })
            .collect();
        // A narrow window leaves out what the wheel and the keys do as well.
        let is_narrow = ui.available_width() < NARROW;
        let buttons = if is_narrow { 1.0 } else { 3.0 };
        let room = ui.available_width() - buttons * (size::CONTROL + 2.0) - size::GAP_LARGE;
        let width = (104.0 * sights.len() as f32).min(room);
        ui.allocate_ui(vec2(width, size::CONTROL), |ui| {
            let chosen = sights.iter().position(|sight| *sight == view.sight);
            if let Some(index) = segmented(ui, &names, chosen) {
                actions.push(look(LookAction::SetSight(sights[index])));
            }
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            for (icon, name, action) in [
                (icons::FIT, Text::ShowAll, LookAction::ShowAll),
                (icons::ZOOM_IN, Text::ZoomIn, LookAction::Zoom(1.5)),
                (icons::ZOOM_OUT, Text::ZoomOut, LookAction::Zoom(1.0 / 1.5)),
            ] {
                if is_narrow && name != Text::ShowAll {
                    continue;
                }
                let button =
                    Button::icon(icon, language.get(name)).shortcut(&keys_of(ui.ctx(), name));
                if ui.add(button).clicked() {
                    actions.push(look(action));
                }
            }
            ui.add_space(size::GAP);
            if let Some([from, to]) = view.selection.filter(|_| ui.available_width() > 120.0) {
                let [from, to] = [from, to].map(|secs| clock(secs, 0.01));
                details(ui, language.fill(Text::SelectionOf, &[&from, &to]));
            }
        });
    });
}

fn strip_ui(
    ui: &mut Ui,
    state: &AppState,
    piece: &Piece,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let colours = palette(ui);
    let view = &state.sound.view;
    let title = match piece.title.trim() {
        "" => language.get(Text::PieceUntitled).to_owned(),
        title => elide(title, 90),
    };
    let strip = Timeline {
        name: &language.fill(Text::Piece, &[&title]),
        hint: language.get(Text::StripHint),
        total_secs: piece.secs(),
        span: view.span,
        play_head_secs: Some(state.sound.head_secs()),
        selection_secs: view.selection,
    };
    let room = ui.available_rect_before_wrap();
    let scroll = Rect::from_min_max(pos2(room.left(), room.bottom() - 6.0), room.max);
    let strip_rect = Rect::from_min_max(room.min, pos2(room.right(), room.bottom() - 12.0));
    let points = ui.ctx().pixels_per_point();
    let ask = SpectrumAsk { span: view.span, is_dark: colours.is_dark };
    let ctx = ui.ctx().clone();
    let changes = ui
        .scope_builder(egui::UiBuilder::new().max_rect(strip_rect), |ui| {
            timeline_ui(ui, strip, |painter, rect, span| match (view.sight, &piece.score) {
                (Sight::Notes, Some(score)) => paint_notes(painter, rect, span, score, colours),
                (Sight::Notes | Sight::Wave, _) => {
                    wave_ui(painter, rect, span, piece, points, colours.accent);
                    if piece.look.outline.is_none() {
                        let text = language.get(Text::Sketching);
                        middle_text(painter, rect, text, colours.text_weak);
                    }
                }
                (Sight::Spectrum, _) => {
                    let mut is_seen = false;
                    for part in [&piece.look.whole, &piece.look.part].into_iter().flatten() {
                        is_seen |= part_ui(&ctx, painter, rect, span, part, textures);
                    }
                    if is_seen {
                        marks_ui(painter, rect, piece, colours.text_strong, colours.field);
                    } else {
                        let text = language.get(Text::SpectrumComing);
                        middle_text(painter, rect, text, colours.text_weak);
                    }
                }
            })
        })
        .inner;
    if view.sight == Sight::Spectrum {
        // The whole comes first: it stands in for every part that is still being computed.
        let whole = SpectrumAsk { span: TimeSpan::whole(piece.secs()), ..ask };
        let has_whole = piece.look.whole.as_ref().is_some_and(|part| part.ask == whole);
        let wanted = if has_whole { ask } else { whole };
        if piece.look.wants(wanted) {
            actions.push(Action::Sound(SoundAction::Look(LookAction::WantSpectrum(wanted))));
        }
    }
    actions.extend(changes.into_iter().map(|change| {
        Action::Sound(match change {
            TimelineChange::Seek(secs) => SoundAction::Play(PlayAction::Seek(secs)),
            TimelineChange::Select(chosen) => SoundAction::Look(LookAction::Select(chosen)),
            TimelineChange::Show(span) => SoundAction::Look(LookAction::Show(span)),
        })
    }));
    if let Some(span) = scroll_ui(ui, scroll, view.span, piece.secs()) {
        actions.push(Action::Sound(SoundAction::Look(LookAction::Show(span))));
    }
}

fn middle_text(painter: &Painter, rect: Rect, text: &str, ink: Color32) {
    let font = Weight::Regular.font(size::TEXT);
    painter.text(rect.center(), Align2::CENTER_CENTER, text, font, ink);
}

fn wave_ui(
    painter: &Painter,
    rect: Rect,
    span: TimeSpan,
    piece: &Piece,
    points: f32,
    colour: Color32,
) {
    let Some(outline) = &piece.look.outline else { return };
    let rate_hz = f64::from(piece.pcm.sample_rate_hz);
    let columns = ((rect.width() * points) as usize).clamp(1, 4096);
    let [start, end] = [span.start_secs, span.end_secs].map(|secs| secs * rate_hz);
    let extents = outline.columns(&piece.pcm, start, end, columns);
    let extents: Vec<[f32; 2]> = extents.iter().map(|one| [one.low, one.high]).collect();
    paint_waveform(painter, rect, &extents, colour);
}

/// Paints the part of a spectrogram that is in sight, if any is.
fn part_ui(
    ctx: &egui::Context,
    painter: &Painter,
    rect: Rect,
    span: TimeSpan,
    part: &SpectrumPart,
    textures: &mut Textures,
) -> bool {
    let covers = part.ask.span;
    let (left, right) = (x_of(span, covers.start_secs, rect), x_of(span, covers.end_secs, rect));
    let seen = [left.max(rect.left()), right.min(rect.right())];
    if seen[0] >= seen[1] {
        return false;
    }
    let Some(texture) = textures.get(ctx, &part.pixels, false) else { return false };
    let share = |x: f32| {
        let secs = span.secs_at(f64::from((x - rect.left()) / rect.width()));
        covers.share_of(secs).clamp(0.0, 1.0) as f32
    };
    let place = Rect::from_min_max(pos2(seen[0], rect.top()), pos2(seen[1], rect.bottom()));
    let uv = Rect::from_min_max(pos2(share(seen[0]), 0.0), pos2(share(seen[1]), 1.0));
    painter.image(texture, place, uv, Color32::WHITE);
    true
}

/// Marks some frequencies at the left edge.
fn marks_ui(painter: &Painter, rect: Rect, piece: &Piece, ink: Color32, ground: Color32) {
    let top_hz = f64::from(piece.pcm.sample_rate_hz) / 2.0;
    let font = Weight::Regular.font(size::TEXT_SMALL - 1.0);
    let mut free_below = rect.bottom();
    for (hz, label) in MARKED_HZ.into_iter().filter(|(hz, _)| *hz < top_hz) {
        let share = (hz / LOWEST_HZ).ln() / (top_hz / LOWEST_HZ).ln();
        let place = pos2(rect.left() + 6.0, rect.bottom() - share as f32 * rect.height());
        if place.y + 8.0 > free_below || place.y - 8.0 < rect.top() {
            continue;
        }
        free_below = place.y - 8.0;
        let galley = painter.layout_no_wrap(label.to_owned(), font.clone(), ink);
        let rect = Align2::LEFT_CENTER.anchor_size(place, galley.size());
        let back = rect.expand2(vec2(3.0, 0.0));
        painter.rect_filled(back, CornerRadius::same(3), ground.gamma_multiply(0.7));
        painter.galley(rect.min, galley, ink);
    }
}

/// Draws the bar that says which part is in sight; returns another part when it is dragged.
fn scroll_ui(ui: &mut Ui, rect: Rect, span: TimeSpan, total_secs: f64) -> Option<TimeSpan> {
    let colours = palette(ui);
    let share = |secs: f64| (secs / total_secs.max(1e-6)).clamp(0.0, 1.0) as f32;
    if span.len_secs() >= total_secs * 0.999 {
        return None;
    }
    ui.painter().rect_filled(rect, CornerRadius::same(3), colours.field);
    let left = rect.left() + share(span.start_secs) * rect.width();
    let right = rect.left() + share(span.end_secs) * rect.width();
    let middle = f32::midpoint(left, right);
    let half = ((right - left) / 2.0).max(10.0);
    let grip =
        Rect::from_min_max(pos2(middle - half, rect.top()), pos2(middle + half, rect.bottom()));
    let id = ui.scope_id().with("scroll");
    let response = ui.interact(grip.expand2(vec2(0.0, 4.0)), id, Sense::drag());
    let fill = match response.hovered() || response.dragged() {
        true => colours.text_weak,
        false => colours.control_pressed,
    };
    ui.painter().rect_filled(grip, CornerRadius::same(3), fill);
    let moved = f64::from(response.drag_delta().x / rect.width().max(1.0)) * total_secs;
    (moved != 0.0).then(|| span.panned(moved, total_secs))
}
