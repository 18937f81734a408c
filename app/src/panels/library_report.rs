//! What came of an import, of copying and of a check.

use std::path::PathBuf;

use atelier_engine::store::check::CheckReport;
use atelier_engine::store::import::{ImportEnd, ImportReport, RecipeOrigin};
use egui::{Align, Id, Layout, Modal, RichText, ScrollArea, Ui, vec2};

use crate::action::{Action, LibraryAction, WorkAction};
use crate::i18n::{Language, Text, error_hint, error_sentence, grouped, size_of};
use crate::state::library_work::{ExportReport, WorkKind, WorkReport};
use crate::state::{AppState, Room};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{Button, elide};

/// Width of a report, in points, where the window has room for it.
const WIDTH: f32 = 560.0;

/// How many files or sentences of a kind are listed.
const LISTED: usize = 12;

/// Draws the report while there is one.
pub fn library_report_ui(ui: &mut Ui, state: &AppState) -> Vec<Action> {
    let mut actions = Vec::new();
    let Some(report) = &state.shell.library.work.report else { return actions };
    if state.shell.room != Room::Library {
        return actions;
    }
    let language = state.settings.language;
    let room = ui.ctx().content_rect().size() - vec2(48.0, 48.0);
    let close = || Action::Library(LibraryAction::Work(WorkAction::CloseReport));
    let modal = Modal::new(Id::unique("library-report")).backdrop_color(palette(ui).veil);
    let modal = modal.show(ui.ctx(), |ui| {
        ui.set_width(WIDTH.min(room.x));
        ui.spacing_mut().item_spacing.y = size::GAP;
        let title = match report {
            WorkReport::Import(_) | WorkReport::Failed(WorkKind::Import, _) => {
                Text::ImportReportTitle
            }
            WorkReport::Export(_) | WorkReport::Failed(WorkKind::Export, _) => {
                Text::ExportReportTitle
            }
            WorkReport::Check(..) | WorkReport::Failed(WorkKind::Check, _) => {
                Text::CheckReportTitle
            }
        };
        let title = RichText::new(language.get(title));
        let font = Weight::SemiBold.font(size::TEXT_PROMPT);
        ui.label(title.font(font).color(palette(ui).text_strong));
        let height = (room.y - 140.0).clamp(60.0, 420.0);
        ScrollArea::vertical().max_height(height).auto_shrink([false, true]).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = size::GAP_SMALL;
            for line in lines(language, report) {
                line_ui(ui, &line);
            }
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.add(Button::text(language.get(Text::Close)).primary()).clicked() {
                actions.push(close());
            }
            if let WorkReport::Check(report, false) = report
                && can_repair(report)
                && ui.add(Button::text(language.get(Text::PutInOrder))).clicked()
            {
                let check = LibraryAction::Work(WorkAction::Check(true));
                actions.push(Action::Library(check));
            }
        });
    });
    if modal.should_close() {
        actions.push(close());
    }
    actions
}

/// Tells whether a repair would do something.
fn can_repair(report: &CheckReport) -> bool {
    let lists = [&report.missing, &report.changed, &report.unknown, &report.leftovers];
    lists.iter().any(|list| !list.is_empty()) || report.stray_thumbnails > 0
}

/// Is a line of a report.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// What was asked for.
    Done(String),
    /// Something to know.
    Note(String),
    /// Something that is not as it should be.
    Wrong(String),
    /// Belongs to the one before.
    Part(String),
}

fn line_ui(ui: &mut Ui, line: &Line) {
    let colours = palette(ui);
    let (icon, colour, text, points) = match line {
        Line::Done(text) => (icons::CHECK_CIRCLE, colours.done, text, size::TEXT),
        Line::Note(text) => (icons::INFO, colours.accent, text, size::TEXT),
        Line::Wrong(text) => (icons::WARNING, colours.warning, text, size::TEXT),
        Line::Part(text) => ("", colours.text_weak, text, size::TEXT_SMALL),
    };
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = size::GAP;
        let (rect, _) = ui.allocate_exact_size(vec2(18.0, points + 4.0), egui::Sense::hover());
        let font = Weight::Regular.font(16.0);
        ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, icon, font, colour);
        let ink = if matches!(line, Line::Part(_)) { colours.text } else { colours.text_strong };
        let text = RichText::new(elide(text, 400)).size(points).color(ink);
        ui.add(egui::Label::new(text).wrap());
    });
}

fn lines(language: Language, report: &WorkReport) -> Vec<Line> {
    match report {
        WorkReport::Import(report) => import_lines(language, report),
        WorkReport::Export(report) => export_lines(language, report),
        WorkReport::Check(report, _) => check_lines(language, report),
        WorkReport::Failed(_, error) => vec![
            Line::Wrong(error_sentence(language, error)),
            Line::Part(error_hint(language, error).to_owned()),
        ],
    }
}

/// Adds the first of a list and how many more there are.
fn list(
    out: &mut Vec<Line>,
    language: Language,
    count: usize,
    lines: impl Iterator<Item = String>,
) {
    out.extend(lines.take(LISTED).map(Line::Part));
    if count > LISTED {
        out.push(Line::Part(language.fill(Text::ReportMore, &[&grouped(count - LISTED)])));
    }
}

fn import_lines(language: Language, report: &ImportReport) -> Vec<Line> {
    let said = |text, count: usize| language.fill(text, &[&grouped(count)]);
    let mut out = vec![Line::Done(said(Text::ReportImported, report.imported.len()))];
    let mut origins: Vec<RecipeOrigin> = report.imported.iter().map(|one| one.origin).collect();
    origins.sort_unstable();
    for same in origins.chunk_by(|one, other| one == other) {
        if let Some(origin) = same.first().filter(|origin| **origin != RecipeOrigin::Nobody) {
            let line = language.fill(Text::ReportFrom, &[&grouped(same.len()), &origin.label()]);
            out.push(Line::Part(line));
        }
    }
    for (text, count) in [
        (Text::ReportThere, report.already_there.len()),
        (Text::ReportSilent, report.silent.len()),
        (Text::ReportPassedOver, report.passed_over),
    ] {
        if count > 0 {
            out.push(Line::Note(said(text, count)));
        }
    }
    if !report.refused.is_empty() {
        let count = report.refused.len();
        out.push(Line::Wrong(said(Text::ReportRefused, count)));
        let errors = report.refused.iter().map(|one| error_sentence(language, &one.error));
        list(&mut out, language, count, errors);
    }
    let unhonoured = report.unhonoured();
    if !unhonoured.is_empty() {
        out.push(Line::Note(language.get(Text::ReportUnhonoured).to_owned()));
        let times = |count: &usize| language.fill(Text::ReportTimes, &[&grouped(*count)]);
        let sentences = unhonoured.iter().map(|(said, count)| format!("{}  {said}", times(count)));
        list(&mut out, language, unhonoured.len(), sentences);
    }
    match &report.end {
        ImportEnd::Complete => {}
        ImportEnd::Cancelled => {
            out.push(Line::Note(language.get(Text::ReportStopped).to_owned()));
        }
        ImportEnd::Failed(error) => {
            out.push(Line::Wrong(error_sentence(language, error)));
            out.push(Line::Part(error_hint(language, error).to_owned()));
        }
    }
    out
}

fn export_lines(language: Language, report: &ExportReport) -> Vec<Line> {
    let values: [&dyn std::fmt::Display; 2] = [&grouped(report.copied), &size_of(report.bytes)];
    let mut out = vec![
        Line::Done(language.fill(Text::ReportCopied, &values)),
        Line::Part(report.folder.display().to_string()),
    ];
    if report.changed > 0 {
        let text = language.fill(Text::ReportChanged, &[&grouped(report.changed)]);
        out.push(Line::Wrong(text));
    }
    if !report.refused.is_empty() {
        let count = report.refused.len();
        out.push(Line::Wrong(language.fill(Text::ReportRefused, &[&grouped(count)])));
        let errors = report.refused.iter().map(|error| error_sentence(language, error));
        list(&mut out, language, count, errors);
    }
    if report.is_stopped {
        out.push(Line::Note(language.get(Text::ReportStopped).to_owned()));
    }
    out
}

fn check_lines(language: Language, report: &CheckReport) -> Vec<Line> {
    let values: [&dyn std::fmt::Display; 2] = [&grouped(report.checked), &size_of(report.bytes)];
    let mut out = Vec::new();
    if report.is_whole() {
        out.push(Line::Done(language.get(Text::ReportWhole).to_owned()));
    }
    out.push(Line::Note(language.fill(Text::ReportChecked, &values)));
    let lists: [(Text, &[PathBuf], bool); 6] = [
        (Text::CheckMissing, &report.missing, true),
        (Text::CheckDamaged, &report.damaged, true),
        (Text::CheckChanged, &report.changed, true),
        (Text::CheckUnknown, &report.unknown, true),
        (Text::CheckLeftovers, &report.leftovers, true),
        (Text::CheckStrangers, &report.strangers, false),
    ];
    for (text, files, is_wrong) in lists {
        if files.is_empty() {
            continue;
        }
        let line = language.fill(text, &[&grouped(files.len())]);
        out.push(if is_wrong { Line::Wrong(line) } else { Line::Note(line) });
        list(&mut out, language, files.len(), files.iter().map(|file| file.display().to_string()));
    }
    for (text, count) in [
        (Text::CheckThumbnails, report.stray_thumbnails),
        (Text::CheckDuplicates, report.duplicates.len()),
        (Text::CheckRepairs, report.repairs.len()),
    ] {
        if count > 0 {
            out.push(Line::Note(language.fill(text, &[&grouped(count)])));
        }
    }
    out
}
