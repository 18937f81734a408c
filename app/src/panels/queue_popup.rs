//! The queue: what waits, in its order.

use atelier_engine::protocol::{Request, WordsTask};
use egui::{Align, Layout, RichText, ScrollArea, Ui};

use crate::action::{Action, JobAction};
use crate::i18n::{Language, Text};
use crate::state::{AppState, Job};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{Button, details, elide};

/// Returns what a job is called: the person's words, or its kind where there are none.
fn job_label(job: &Job, language: Language) -> String {
    let words = job.words();
    if !words.trim().is_empty() {
        return words;
    }
    let kind = match &job.request {
        Request::Words(request) if request.task == WordsTask::Surprise => Text::SurpriseMe,
        Request::Words(_) => Text::RoomWords,
        Request::Sound(_) => Text::RoomSound,
        _ => Text::RoomPictures,
    };
    language.get(kind).to_owned()
}

/// Returns the icon of a job's kind.
fn job_icon(job: &Job) -> &'static str {
    match &job.request {
        Request::Words(_) => icons::WORDS,
        Request::Sound(_) => icons::MUSIC,
        _ => icons::IMAGE,
    }
}

/// Draws the queue.
pub(super) fn queue_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let colours = palette(ui);
    ui.set_width(340.0);
    let title = RichText::new(language.get(Text::Queue)).font(Weight::SemiBold.font(size::TEXT));
    ui.label(title.color(colours.text_strong));
    if state.jobs.jobs.is_empty() {
        details(ui, language.get(Text::QueueEmpty));
        return;
    }
    let busy = state.jobs.jobs.len() - state.jobs.waiting().count();
    let waiting = state.jobs.waiting().count();
    ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = size::GAP_SMALL;
        for (index, job) in state.jobs.jobs.iter().enumerate() {
            let prompt = elide(&job_label(job, language), 60);
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 0.0;
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let name = language.fill(Text::CancelJob, &[&prompt]);
                    if ui.add(Button::icon(icons::X, &name)).clicked() {
                        actions.push(Action::Job(JobAction::Cancel(job.ticket)));
                    }
                    if index >= busy {
                        let place = index - busy;
                        for (icon, text, to, possible) in [
                            (icons::ARROW_DOWN, Text::MoveDown, place + 1, place + 1 < waiting),
                            (icons::ARROW_UP, Text::MoveUp, place.wrapping_sub(1), place > 0),
                        ] {
                            let name = language.fill(text, &[&prompt]);
                            if ui.add_enabled(possible, Button::icon(icon, &name)).clicked() {
                                actions.push(Action::Job(JobAction::Move(job.ticket, to)));
                            }
                        }
                    }
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                        ui.spacing_mut().item_spacing.x = size::GAP;
                        let colour = if index < busy { colours.accent } else { colours.text_weak };
                        let number = if index < busy {
                            "•".to_owned()
                        } else {
                            (index - busy + 1).to_string()
                        };
                        ui.label(RichText::new(number).size(size::TEXT_SMALL).color(colour));
                        ui.label(RichText::new(job_icon(job)).size(14.0).color(colour));
                        ui.add(egui::Label::new(RichText::new(&prompt)).truncate());
                    });
                });
            });
        }
    });
}
