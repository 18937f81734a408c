//! The picture that is being edited, with everything around it.

use egui::{Align2, Area, Frame, Id, Margin, Panel, Popup, Rect, RichText, Ui, vec2};

use super::editor_canvas::{EditorView, editor_canvas_ui};
use super::editor_lists::{edit_words, editor_lists_ui};
use super::editor_object::object_ui;
use super::editor_tools::{tool_bar_ui, tool_options_ui};
use crate::action::{Action, EditorAction, StagingAction, ToolAction};
use crate::i18n::{Language, Text};
use crate::services::textures::Textures;
use crate::state::AppState;
use crate::state::editor::{Comparing, Editor, Staging};
use crate::theme::{icons, palette, size};
use crate::widgets::{
    Button, NumberField, card, details, elide, field_label, menu_frame, segmented, slider_row,
};

/// The width of the lists beside the picture.
const LISTS: f32 = 252.0;

/// The width of the column of tools.
const TOOLS: f32 = 44.0;

/// Draws the picture that is being edited; returns what was done and where messages may lie.
pub fn editor_ui(
    ui: &mut Ui,
    state: &AppState,
    editor: &Editor,
    (textures, view): (&mut Textures, &mut EditorView),
) -> (Vec<Action>, Rect) {
    let mut actions = Vec::new();
    let colours = palette(ui);
    let panel = |margin: Margin| Frame::new().fill(colours.panel).inner_margin(margin);
    Panel::right("editor-lists")
        .resizable(false)
        .exact_size(LISTS)
        .frame(panel(Margin::same(10)))
        .show(ui, |ui| editor_lists_ui(ui, state, editor, textures, &mut actions));
    Panel::top("editor-options")
        .resizable(false)
        .exact_size(size::TOP_BAR)
        .frame(panel(Margin::symmetric(10, 4)))
        .show(ui, |ui| tool_options_ui(ui, state, editor, &mut actions));
    Panel::left("editor-tools")
        .resizable(false)
        .exact_size(TOOLS)
        .frame(panel(Margin::symmetric(7, 8)))
        .show(ui, |ui| tool_bar_ui(ui, state, editor, &mut actions));
    let middle = egui::CentralPanel::default().frame(Frame::new().fill(colours.canvas));
    let field = middle
        .show(ui, |ui| {
            let field = ui.available_rect_before_wrap();
            actions.extend(editor_canvas_ui(ui, state, editor, (textures, view)));
            field
        })
        .inner;
    staging_ui(ui, state, editor, field, &mut actions);
    object_ui(ui, state, editor, field, &mut actions);
    (actions, field)
}

/// Draws what waits for an answer, over the lower edge of the picture.
fn staging_ui(ui: &Ui, state: &AppState, editor: &Editor, field: Rect, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let staging = &editor.staging;
    let Some(candidate) = editor.candidate() else {
        compared_ui(ui, state, editor, field, actions);
        return;
    };
    let mut say = |action| actions.push(Action::Editor(EditorAction::Staging(action)));
    bar("editor-staging", field).show(ui.ctx(), |ui| {
        card(ui, |ui| {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                let many = staging.candidates.len() > 1;
                let previous =
                    Button::icon(icons::CARET_LEFT, language.get(Text::PreviousCandidate));
                if ui.add_enabled(many, previous).clicked() {
                    say(StagingAction::Step(-1));
                }
                let values: [&dyn std::fmt::Display; 2] =
                    [&(staging.shown + 1), &staging.candidates.len()];
                ui.label(RichText::new(language.fill(Text::CandidateOf, &values)));
                let next = Button::icon(icons::CARET_RIGHT, language.get(Text::NextCandidate));
                if ui.add_enabled(many, next).clicked() {
                    say(StagingAction::Step(1));
                }
                ui.separator();
                comparing_ui(ui, staging, language, |mode| say(StagingAction::Compare(mode)));
            });
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                let refine = Button::text(language.get(Text::RefineCandidate));
                if ui.add(refine.tooltip(language.get(Text::RefineCandidateHint))).clicked() {
                    say(StagingAction::Refine);
                }
                let discard = Button::text(language.get(Text::DiscardCandidate)).tooltip("Esc");
                if ui.add(discard).clicked() {
                    say(StagingAction::Discard);
                }
                let accept =
                    Button::text(language.get(Text::AcceptCandidate)).primary().tooltip("Enter");
                if ui.add(accept).clicked() {
                    say(StagingAction::Accept);
                }
            });
            if let Some(seam) = candidate.seam {
                let percent = |ratio: f64| format!("{:+.0}", (ratio - 1.0) * 100.0);
                let values: [&dyn std::fmt::Display; 2] =
                    [&percent(seam.jump), &percent(seam.delta_e)];
                details(ui, language.fill(Text::SeamOf, &values));
            }
        });
    });
}

/// Makes the place for a bar over the lower edge of the picture.
pub(super) fn bar(name: &str, field: Rect) -> Area {
    let place = field.center_bottom() - vec2(0.0, 16.0);
    Area::new(Id::unique(name)).pivot(Align2::CENTER_BOTTOM).fixed_pos(place)
}

/// Draws, while the picture is compared with an edit, with which one and how.
fn compared_ui(ui: &Ui, state: &AppState, editor: &Editor, field: Rect, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let Some((id, _)) = &editor.compared else { return };
    let what = editor.trail.get(*id).map(|node| edit_words(node, language)).unwrap_or_default();
    bar("editor-compared", field).show(ui.ctx(), |ui| {
        card(ui, |ui| {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                ui.label(language.fill(Text::ComparedWith, &[&elide(&what, 40)]));
                ui.separator();
                comparing_ui(ui, &editor.staging, language, |mode| {
                    let compare = EditorAction::Staging(StagingAction::Compare(mode));
                    actions.push(Action::Editor(compare));
                });
                ui.separator();
                if ui.add(Button::text(language.get(Text::EndComparing)).tooltip("Esc")).clicked() {
                    actions.push(Action::Editor(EditorAction::EndComparing));
                }
            });
        });
    });
}

/// Draws the ways of comparing.
fn comparing_ui(
    ui: &mut Ui,
    staging: &Staging,
    language: Language,
    mut say: impl FnMut(Comparing),
) {
    for (name, comparing) in [
        (Text::CompareBySlider, Comparing::Slider(0.5)),
        (Text::CompareBlink, Comparing::Blink),
        (Text::CompareSideBySide, Comparing::SideBySide),
    ] {
        let is_on = is_like(staging, comparing);
        let button = Button::text(language.get(name)).quiet().selected(is_on);
        if ui.add(button).clicked() {
            say(if is_on { Comparing::Off } else { comparing });
        }
    }
}

/// Tells whether candidates are compared in a way, wherever its slider stands.
fn is_like(staging: &Staging, comparing: Comparing) -> bool {
    std::mem::discriminant(&staging.comparing) == std::mem::discriminant(&comparing)
}

/// Draws, in the prompt panel, how what is generated joins the picture that is being edited.
pub(super) fn joining_ui(
    ui: &mut Ui,
    editor: &Editor,
    language: Language,
    actions: &mut Vec<Action>,
) {
    use atelier_engine::protocol::RegionMode;

    let mut say = |action| actions.push(Action::Editor(EditorAction::Tool(action)));
    if editor.document.selection.is_some() {
        field_label(ui, language.get(Text::ModeOfSelection), "");
        let name = |mode: &RegionMode| match mode {
            RegionMode::Fill => language.get(Text::ModeFill),
            RegionMode::Focus => language.get(Text::ModeFocus),
            _ => language.get(Text::ModeSeamless),
        };
        let names: Vec<&str> = RegionMode::ALL.iter().map(name).collect();
        let chosen = RegionMode::ALL.iter().position(|mode| *mode == editor.tools.region_mode);
        if let Some(place) = segmented(ui, &names, chosen) {
            say(ToolAction::Mode(RegionMode::ALL[place]));
        }
    }
    let mut percent = f64::from(editor.tools.strength) * 100.0;
    let name = language.get(Text::ChangeStrength);
    let field_name = language.fill(Text::AsNumber, &[&name]);
    let field = NumberField { name, field_name: &field_name, range: [5.0, 100.0], step: 1.0 };
    if slider_row(ui, field, &mut percent) {
        say(ToolAction::Strength(percent as f32 / 100.0));
    }
}

/// Draws what begins editing: the shown picture, an empty one, or a project of before.
pub(super) fn begin_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    if state.canvas.result().is_some() {
        let action = Action::Editor(EditorAction::EditShown);
        super::command_button(ui, icons::EDIT, Text::EditPicture, language, action, actions);
    }
    let button = Button::icon(icons::LAYERS, language.get(Text::Projects));
    let response = ui.add(button);
    Popup::menu(&response).frame(menu_frame(ui)).show(|ui| {
        let width = 240.0;
        let new = Button::text(language.get(Text::NewCanvas)).with_icon(icons::PLUS);
        if ui.add(new.quiet().min_width(width)).clicked() {
            actions.push(Action::Editor(EditorAction::New));
        }
        let open = Button::text(language.get(Text::OpenPicture)).with_icon(icons::FOLDER);
        if ui.add(open.quiet().min_width(width)).clicked() {
            actions.push(Action::Editor(EditorAction::PickFile));
        }
        for project in state.canvas.projects.iter().take(12) {
            let name = language.fill(Text::OpenProject, &[&project.name]);
            let text = elide(&project.name, 34);
            let button = Button::text(&text).named(&name).quiet().min_width(width);
            if ui.add(button).clicked() {
                actions.push(Action::Editor(EditorAction::Open(project.path.clone())));
            }
        }
    });
}
