//! The tools of the picture that is being edited, and how the one at hand is set.

use atelier_engine::canvas::Combine;
use egui::{Align, CornerRadius, DragValue, Layout, RichText, Sense, Ui, vec2};

use super::command_button;
use super::editor_shape::shape_options_ui;
use crate::action::{Action, CanvasAction, EditorAction, ToolAction};
use crate::i18n::{Language, Text};
use crate::state::editor::{Editor, Tool};
use crate::state::{AppState, View};
use crate::theme::{icons, palette, pixel_colour, size};
use crate::widgets::Button;

/// Returns the icon and the name of a tool.
pub(super) fn face(tool: Tool) -> (&'static str, Text) {
    match tool {
        Tool::Hand => (icons::HAND, Text::ToolHand),
        Tool::Move => (icons::MOVE, Text::ToolMove),
        Tool::Transform => (icons::BOX, Text::ToolTransform),
        Tool::Brush => (icons::BRUSH, Text::ToolBrush),
        Tool::Eraser => (icons::ERASER, Text::ToolEraser),
        Tool::Fill => (icons::BUCKET, Text::ToolFill),
        Tool::Gradient => (icons::GRADIENT, Text::ToolGradient),
        Tool::Line => (icons::LINE, Text::ToolLine),
        Tool::Rectangle => (icons::RECTANGLE, Text::ToolRectangle),
        Tool::Ellipse => (icons::ELLIPSE, Text::ToolEllipse),
        Tool::SelectRectangle => (icons::SELECT_RECTANGLE, Text::ToolSelectRectangle),
        Tool::SelectEllipse => (icons::SELECT_ELLIPSE, Text::ToolSelectEllipse),
        Tool::Lasso => (icons::LASSO, Text::ToolLasso),
        Tool::SelectBrush => (icons::SELECT_BRUSH, Text::ToolSelectBrush),
        Tool::SelectColour => (icons::SELECT_COLOUR, Text::ToolSelectColour),
        Tool::SelectObject => (icons::SELECT_OBJECT, Text::ToolSelectObject),
        Tool::Eyedropper => (icons::EYEDROPPER, Text::ToolEyedropper),
    }
}

/// Draws the column of tools.
pub fn tool_bar_ui(ui: &mut Ui, state: &AppState, editor: &Editor, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    ui.spacing_mut().item_spacing.y = 2.0;
    egui::ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        for tool in Tool::ALL {
            if tool == Tool::SelectBrush {
                ui.add_space(size::GAP);
            }
            let (icon, name) = face(tool);
            let keys = super::keys_of(ui.ctx(), name);
            let button = Button::icon(icon, language.get(name))
                .selected(editor.tools.tool == tool)
                .shortcut(&keys);
            let has_model = !state.models.pictures.found.segmenters.is_empty();
            let is_possible = tool != Tool::SelectObject || has_model;
            let response = ui.add_enabled(is_possible, button);
            if response.clicked() {
                actions.push(Action::Editor(EditorAction::Tool(ToolAction::Take(tool))));
            }
            if !is_possible {
                response.on_disabled_hover_text(language.get(Text::ObjectNeedsModel));
            }
        }
    });
}

/// Draws how the tool at hand is set, and the way back and forth.
pub fn tool_options_ui(ui: &mut Ui, state: &AppState, editor: &Editor, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let close = Action::Editor(EditorAction::Close);
        command_button(ui, icons::X, Text::CloseEditor, language, close, actions);
        let export = Action::Editor(EditorAction::Document(crate::action::DocumentAction::Export));
        command_button(ui, icons::EXPORT, Text::ExportPicture, language, export, actions);
        let fit = Action::Canvas(CanvasAction::Fit);
        command_button(ui, icons::FIT, Text::Fit, language, fit, actions);
        for (icon, name, action, possible) in [
            (icons::REDO, Text::RedoEdit, EditorAction::Redo, editor.trail.redo().is_some()),
            (icons::UNDO, Text::UndoEdit, EditorAction::Undo, editor.trail.undo().is_some()),
        ] {
            let keys = super::keys_of(ui.ctx(), name);
            let button = Button::icon(icon, language.get(name)).shortcut(&keys);
            if ui.add_enabled(possible, button).clicked() {
                actions.push(Action::Editor(action));
            }
        }
        if editor.view != View::Fit {
            let (scale, _) = editor.view.place(editor.size_px(), [1.0, 1.0]);
            let text = format!("{:.0} %", scale * 100.0);
            let text = RichText::new(text).size(size::TEXT_SMALL).color(palette(ui).text_weak);
            ui.label(text);
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = size::GAP;
            options_ui(ui, editor, language, actions);
        });
    });
}

fn options_ui(ui: &mut Ui, editor: &Editor, language: Language, actions: &mut Vec<Action>) {
    let tools = &editor.tools;
    let tool = tools.tool;
    if tool == Tool::Transform {
        shape_options_ui(ui, editor, language, actions);
        return;
    }
    let mut say = |action| actions.push(Action::Editor(EditorAction::Tool(action)));
    let paints = tool.paints() || matches!(tool, Tool::Eraser | Tool::Eyedropper);
    if paints && tool != Tool::Eraser {
        let [r, g, b, _] = tools.brush.colour;
        let mut colour = pixel_colour([r, g, b]);
        let response = egui::color_picker::color_edit_button_srgba(
            ui,
            &mut colour,
            egui::color_picker::Alpha::Opaque,
        );
        response.clone().accessible_name(language.get(Text::Colour));
        if response.changed() {
            say(ToolAction::Colour([colour.r(), colour.g(), colour.b()]));
        }
    }
    if tool.has_size() {
        let mut value = tools.brush.size_px;
        if number(ui, language.get(Text::BrushSize), &mut value, [0.5, 2000.0], " px") {
            say(ToolAction::Size(value));
        }
    }
    if matches!(tool, Tool::Brush | Tool::Eraser | Tool::SelectBrush) {
        let mut value = tools.brush.hardness * 100.0;
        if number(ui, language.get(Text::BrushHardness), &mut value, [0.0, 100.0], " %") {
            say(ToolAction::Hardness(value / 100.0));
        }
    }
    if paints && tool != Tool::Eyedropper {
        let mut value = tools.brush.opacity * 100.0;
        if number(ui, language.get(Text::BrushOpacity), &mut value, [1.0, 100.0], " %") {
            say(ToolAction::Opacity(value / 100.0));
        }
    }
    if matches!(tool, Tool::Rectangle | Tool::Ellipse) {
        let button = Button::text(language.get(Text::FilledShape)).selected(tools.fills_shapes);
        if ui.add(button).clicked() {
            say(ToolAction::FillShapes(!tools.fills_shapes));
        }
    }
    if matches!(tool, Tool::Fill | Tool::SelectColour) {
        let mut value = f32::from(tools.tolerance);
        if number(ui, language.get(Text::Tolerance), &mut value, [0.0, 255.0], "") {
            say(ToolAction::Tolerance(value.round() as u8));
        }
    }
    if tool.selects() && tool != Tool::SelectObject {
        ui.spacing_mut().item_spacing.x = 2.0;
        for (how, name) in [
            (Combine::Replace, Text::CombineReplace),
            (Combine::Add, Text::CombineAdd),
            (Combine::Subtract, Text::CombineSubtract),
            (Combine::Intersect, Text::CombineIntersect),
        ] {
            let button = Button::text(language.get(name)).quiet().selected(tools.combine == how);
            if ui.add(button).clicked() {
                say(ToolAction::Combine(how));
            }
        }
    }
}

/// Draws a number with its name before it; returns whether it changed.
fn number(ui: &mut Ui, name: &str, value: &mut f32, [low, high]: [f32; 2], unit: &str) -> bool {
    let text = RichText::new(name).size(size::TEXT_SMALL).color(palette(ui).text_weak);
    ui.add(egui::Label::new(text).sense(Sense::hover()));
    ui.spacing_mut().interact_size = vec2(56.0, 24.0);
    ui.visuals_mut().widgets.inactive.corner_radius = CornerRadius::same(size::RADIUS);
    let speed = ((*value).abs() / 60.0).max(0.2);
    let drag = DragValue::new(value).range(low..=high).speed(speed).max_decimals(1).suffix(unit);
    ui.add(drag).accessible_name(name).changed()
}
