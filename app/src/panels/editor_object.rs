//! Selecting what is pointed at: the marks on the picture, and what is done with what was found.

use egui::{CornerRadius, Pos2, Rect, RichText, Stroke, StrokeKind, Ui, vec2};

use super::editor_room::bar;
use crate::action::{Action, DocumentAction, EditorAction, LayerAction, ObjectAction};
use crate::i18n::Text;
use crate::state::AppState;
use crate::state::editor::{Editor, Tool};
use crate::theme::{on_picture, palette, size};
use crate::widgets::{Button, card};

/// How large the mark of a place is.
const MARK: f32 = 5.0;

/// Draws what was pointed at: a full disc belongs to it, a crossed ring does not.
pub(super) fn object_marks_ui(
    ui: &Ui,
    editor: &Editor,
    field: Rect,
    to_screen: impl Fn([f32; 2]) -> Pos2,
) {
    if editor.tools.tool != Tool::SelectObject {
        return;
    }
    let painter = ui.painter().with_clip_rect(field);
    let prompt = &editor.tools.object.prompt;
    if let Some(area) = prompt.around {
        let corners = [[area.x, area.y], [area.x + area.width, area.y + area.height]];
        let rect = Rect::from_two_pos(to_screen(corners[0]), to_screen(corners[1]));
        for stroke in [Stroke::new(3.0, on_picture::EDGE), Stroke::new(1.5, on_picture::INK)] {
            painter.rect_stroke(rect, CornerRadius::ZERO, stroke, StrokeKind::Middle);
        }
    }
    for point in &prompt.points {
        let at = to_screen([point.x, point.y]);
        painter.circle_filled(at, MARK + 2.5, on_picture::GROUND);
        if point.is_inside {
            painter.circle_filled(at, MARK, on_picture::INK);
        } else {
            let ink = Stroke::new(1.5, on_picture::INK);
            painter.circle_stroke(at, MARK, ink);
            let reach = vec2(MARK, 0.0);
            painter.line_segment([at - reach, at + reach], ink);
        }
    }
}

/// Draws, over the lower edge of the picture, what can be pointed at and done with what was found.
pub(super) fn object_ui(
    ui: &Ui,
    state: &AppState,
    editor: &Editor,
    field: Rect,
    actions: &mut Vec<Action>,
) {
    if editor.tools.tool != Tool::SelectObject || editor.candidate().is_some() {
        return;
    }
    let language = state.settings.language;
    let object = &editor.tools.object;
    bar("editor-object", field).show(ui.ctx(), |ui| {
        card(ui, |ui| {
            // Its text is one line, however narrow the picture is.
            ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Extend);
            let note = if object.is_looking { Text::ObjectLooking } else { Text::ObjectHint };
            if object.is_untouched() || object.is_looking {
                let colour = palette(ui).text_weak;
                ui.label(RichText::new(language.get(note)).size(size::TEXT_SMALL).color(colour));
            }
            if object.is_untouched() {
                return;
            }
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                for (name, mask) in [
                    (Text::ObjectBest, None),
                    (Text::ObjectPart, Some(0)),
                    (Text::ObjectMiddle, Some(1)),
                    (Text::ObjectWhole, Some(2)),
                ] {
                    let is_on = object.prompt.mask == mask;
                    let button = Button::text(language.get(name)).quiet().selected(is_on);
                    if ui.add(button).clicked() {
                        actions.push(said(ObjectAction::Mask(mask)));
                    }
                }
                ui.separator();
                if ui.add(Button::text(language.get(Text::ObjectStartOver))).clicked() {
                    actions.push(said(ObjectAction::StartOver));
                }
                let is_found = editor.document.selection.is_some();
                let mask = Button::text(language.get(Text::SelectionToMask));
                if ui.add_enabled(is_found, mask).clicked() {
                    let action = EditorAction::Layer(LayerAction::MaskOfSelection);
                    actions.push(Action::Editor(action));
                }
                let cut = Button::text(language.get(Text::CutSelection)).primary();
                if ui.add_enabled(is_found, cut).clicked() {
                    let action = EditorAction::Document(DocumentAction::CutSelection);
                    actions.push(Action::Editor(action));
                }
            });
        });
    });
}

fn said(action: ObjectAction) -> Action {
    Action::Editor(EditorAction::Object(action))
}
