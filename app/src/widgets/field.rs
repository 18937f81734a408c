//! Fields with their labels.

use egui::{
    Align2, CornerRadius, DragValue, Id, Margin, Response, RichText, Sense, Slider, Stroke,
    StrokeKind, TextEdit, Ui, pos2, vec2,
};

use super::Button;
use crate::theme::{Weight, icons, palette, size};

/// Writes the label of a field, with something quiet at its right. The field itself carries the
/// accessible name, so the label is only painted.
pub fn field_label(ui: &mut Ui, text: &str, right: &str) {
    let weak = palette(ui).text_weak;
    let height = size::TEXT_SMALL + 4.0;
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let font = Weight::Medium.font(size::TEXT_SMALL);
    ui.painter().text(rect.left_center(), Align2::LEFT_CENTER, text, font, weak);
    let font = Weight::Regular.font(size::TEXT_SMALL);
    ui.painter().text(rect.right_center(), Align2::RIGHT_CENTER, right, font, weak);
    ui.add_space(size::GAP_SMALL - ui.spacing().item_spacing.y);
}

fn field_frame(ui: &Ui) -> egui::Frame {
    egui::Frame::new()
        .fill(palette(ui).field)
        .corner_radius(CornerRadius::same(size::RADIUS))
        .inner_margin(Margin::symmetric(10, 7))
}

/// Draws the edge of a text field, in the accent while it is written in.
fn field_edge(ui: &Ui, response: &Response) {
    let colours = palette(ui);
    let (width, colour) =
        if response.has_focus() { (1.5, colours.accent) } else { (1.0, colours.line) };
    ui.painter().rect_stroke(
        response.rect,
        CornerRadius::same(size::RADIUS),
        Stroke::new(width, colour),
        StrokeKind::Inside,
    );
}

/// Draws a field of several lines; returns whether the text changed.
pub fn text_area(
    ui: &mut Ui,
    id: Id,
    name: &str,
    hint: &str,
    text: &mut String,
    rows: usize,
) -> Response {
    let hint = RichText::new(hint).color(palette(ui).text_weak);
    let response = ui.add(
        TextEdit::multiline(text)
            .id(id)
            .frame(field_frame(ui))
            .font(Weight::Regular.font(size::TEXT_PROMPT))
            .desired_rows(rows)
            .desired_width(f32::INFINITY)
            .hint_text(hint),
    );
    field_edge(ui, &response);
    response.accessible_name(name)
}

/// Draws a field of one line, `width` points wide.
pub fn text_field(ui: &mut Ui, id: Id, name: &str, text: &mut String, width: f32) -> Response {
    let frame = field_frame(ui).inner_margin(Margin::symmetric(8, 5));
    let response = ui.add(
        TextEdit::singleline(text)
            .id(id)
            .frame(frame)
            .desired_width(width)
            .min_size(vec2(0.0, size::CONTROL))
            .align(egui::Align2::LEFT_CENTER),
    );
    field_edge(ui, &response);
    response.accessible_name(name)
}

/// Draws a field of one line for what is looked for, with a hint while it is empty.
pub fn search_field(
    ui: &mut Ui,
    id: Id,
    [name, hint]: [&str; 2],
    text: &mut String,
    width: f32,
) -> Response {
    let response = text_field(ui, id, name, text, width);
    if text.is_empty() {
        let place = response.rect.left_center() + vec2(10.0, 0.0);
        let font = Weight::Regular.font(size::TEXT);
        let hint = format!("{}  {hint}", icons::SEARCH);
        let painter = ui.painter().with_clip_rect(response.rect.intersect(ui.clip_rect()));
        painter.text(place, Align2::LEFT_CENTER, hint, font, palette(ui).text_weak);
    }
    response
}

/// Describes a number that a slider sets.
#[derive(Debug, Clone, Copy)]
pub struct NumberField<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What the field beside the slider is called.
    pub field_name: &'a str,
    /// The least and the greatest value.
    pub range: [f64; 2],
    /// How far one step goes.
    pub step: f64,
}

/// Draws a labelled slider with a field for the exact number; returns whether it changed.
pub fn slider_row(ui: &mut Ui, field: NumberField<'_>, value: &mut f64) -> bool {
    let [low, high] = field.range;
    // As many digits as a step moves: 0.05 must not read 0.1.
    let decimals = if field.step >= 1.0 { 0 } else { 1 + usize::from(field.step < 0.1) };
    let mut changed = false;
    ui.horizontal(|ui| {
        let font = Weight::Medium.font(size::TEXT_SMALL);
        let weak = palette(ui).text_weak;
        let left = ui.max_rect().left();
        let number = ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.spacing_mut().interact_size = vec2(44.0, 22.0);
            ui.spacing_mut().button_padding = vec2(6.0, 2.0);
            let number =
                DragValue::new(value).range(low..=high).speed(field.step).fixed_decimals(decimals);
            ui.add(number).accessible_name(field.field_name)
        });
        changed |= number.inner.changed();
        let place = pos2(left, number.inner.rect.center().y);
        ui.painter().text(place, Align2::LEFT_CENTER, field.name, font, weak);
    });
    let width = ui.available_width();
    changed |= slider(ui, field.name, (field.range, field.step), value, width);
    changed
}

/// Draws a slider alone, `width` points wide, for a range and its steps; returns whether it changed.
pub fn slider(
    ui: &mut Ui,
    name: &str,
    ([low, high], step): ([f64; 2], f64),
    value: &mut f64,
    width: f32,
) -> bool {
    let slider = Slider::new(value, low..=high)
        .step_by(step)
        .show_value(false)
        .clamping(egui::SliderClamping::Edits);
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().slider_width = width;
            ui.spacing_mut().interact_size.y = 20.0;
            let colours = palette(ui);
            let visuals = ui.visuals_mut();
            visuals.selection.bg_fill = colours.accent_fill;
            let widgets = &mut visuals.widgets;
            for state in [&mut widgets.inactive, &mut widgets.hovered, &mut widgets.active] {
                state.fg_stroke = Stroke::new(size::RING, colours.accent_fill);
            }
            ui.add(slider)
        })
        .inner;
    let changed = response.changed();
    response.accessible_name(name);
    changed
}

/// Draws a number between “−” and “+”; returns the new number when it was changed.
pub fn stepper(
    ui: &mut Ui,
    name: &str,
    [less, more]: [&str; 2],
    value: u32,
    [low, high]: [u32; 2],
    width: f32,
) -> Option<u32> {
    let mut new = value;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let plain = |icon, name| Button::text("").with_icon(icon).named(name).tooltip(name);
        if ui.add_enabled(value > low, plain(icons::MINUS, less)).clicked() {
            new = value - 1;
        }
        ui.spacing_mut().interact_size = vec2(width - 2.0 * size::CONTROL - 4.0, size::CONTROL);
        let visuals = &mut ui.visuals_mut().widgets;
        visuals.inactive.weak_bg_fill = egui::Color32::TRANSPARENT;
        let number = DragValue::new(&mut new).range(low..=high).speed(0.05);
        ui.add(number).accessible_name(name);
        if ui.add_enabled(value < high, plain(icons::PLUS, more)).clicked() {
            new = value + 1;
        }
    });
    (new != value).then_some(new)
}
