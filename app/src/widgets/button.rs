//! The one button of the window, in its kinds.

use egui::{
    Align2, Color32, CornerRadius, Rect, Response, Role, Sense, StrokeKind, Ui, Widget, WidgetInfo,
    pos2, vec2,
};

use super::ring;
use crate::theme::{Palette, Weight, icons, palette, size};

/// Says how loud a button is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// On a surface of its own.
    Plain,
    /// Without a surface until the pointer comes.
    Quiet,
    /// The one thing to do here.
    Primary,
}

/// Draws a button with an icon, a text or both.
#[derive(Debug, Clone)]
#[must_use = "a button shows only when it is added"]
pub struct Button<'a> {
    icon: Option<&'a str>,
    text: &'a str,
    name: &'a str,
    side: Option<String>,
    tooltip: Option<String>,
    kind: Kind,
    selected: bool,
    min_width: f32,
    height: f32,
}

impl<'a> Button<'a> {
    /// Makes a button with a text, which is also its accessible name.
    pub fn text(text: &'a str) -> Self {
        Self {
            icon: None,
            text,
            name: text,
            side: None,
            tooltip: None,
            kind: Kind::Plain,
            selected: false,
            min_width: 0.0,
            height: size::CONTROL,
        }
    }

    /// Makes a quiet button with an icon alone; `name` is its accessible name and its tooltip.
    pub fn icon(icon: &'a str, name: &'a str) -> Self {
        let quiet = Self::text("").quiet();
        Self { icon: Some(icon), name, tooltip: Some(name.to_owned()), ..quiet }
    }

    /// Puts an icon before the text.
    pub fn with_icon(self, icon: &'a str) -> Self {
        Self { icon: Some(icon), ..self }
    }

    /// Gives an accessible name that says more than the text.
    pub fn named(self, name: &'a str) -> Self {
        Self { name, ..self }
    }

    /// Writes something small at the right edge, for instance the shortcut.
    pub fn side(self, side: impl Into<String>) -> Self {
        Self { side: Some(side.into()), ..self }
    }

    /// Shows a text while the pointer rests on the button.
    pub fn tooltip(self, text: impl Into<String>) -> Self {
        Self { tooltip: Some(text.into()), ..self }
    }

    /// Adds a shortcut to the tooltip.
    pub fn shortcut(mut self, keys: &str) -> Self {
        if let (Some(tooltip), false) = (&mut self.tooltip, keys.is_empty()) {
            tooltip.push_str("  ·  ");
            tooltip.push_str(keys);
        }
        self
    }

    /// Leaves the surface away until the pointer comes.
    pub fn quiet(self) -> Self {
        Self { kind: Kind::Quiet, ..self }
    }

    /// Makes it the one thing to do here.
    pub fn primary(self) -> Self {
        Self { kind: Kind::Primary, ..self }
    }

    /// Marks it as chosen.
    pub fn selected(self, selected: bool) -> Self {
        Self { selected, ..self }
    }

    /// Sets the least width in points.
    pub fn min_width(self, min_width: f32) -> Self {
        Self { min_width, ..self }
    }

    /// Sets the height in points.
    pub fn height(self, height: f32) -> Self {
        Self { height, ..self }
    }

    fn colours(&self, response: &Response, colours: &Palette) -> (Color32, Color32) {
        let pressed = response.is_pointer_button_down_on();
        let hovered = response.hovered() || response.has_focus();
        match self.kind {
            Kind::Primary if hovered => (colours.accent_fill_hovered, colours.on_accent),
            Kind::Primary => (colours.accent_fill, colours.on_accent),
            _ if self.selected => (colours.accent_soft, colours.text_strong),
            _ if pressed => (colours.control_pressed, colours.text_strong),
            _ if hovered => (colours.control_hovered, colours.text_strong),
            Kind::Plain => (colours.control, colours.text),
            Kind::Quiet => (Color32::TRANSPARENT, colours.text),
        }
    }
}

impl Widget for Button<'_> {
    fn ui(self, ui: &mut Ui) -> Response {
        let colours = palette(ui);
        let painter = ui.painter();
        let large = self.height > size::CONTROL;
        let font = Weight::Medium.font(if large { size::TEXT_PROMPT } else { size::TEXT });
        let icon_font = Weight::Regular.font(size::ICON);
        let plain = Color32::PLACEHOLDER;
        let icon = self.icon.map(|icon| painter.layout_no_wrap(icon.into(), icon_font, plain));
        let text = painter.layout_no_wrap(self.text.to_owned(), font, plain);
        let side = self.side.clone().map(|side| {
            painter.layout_no_wrap(side, Weight::Regular.font(size::TEXT_SMALL), plain)
        });

        let icon_width = icon.as_ref().map_or(0.0, |icon| icon.size().x);
        let gap = if icon.is_some() && !self.text.is_empty() { 6.0 } else { 0.0 };
        let content = icon_width + gap + text.size().x;
        let side_width = side.as_ref().map_or(0.0, |side| side.size().x + 12.0);
        let padding = if self.text.is_empty() { 0.0 } else { 20.0 };
        let width = (content + side_width + padding).max(self.min_width).max(self.height);
        let (rect, response) = ui.allocate_exact_size(vec2(width, self.height), Sense::click());
        let (enabled, selected, name) = (ui.is_enabled(), self.selected, self.name);
        response.widget_info(|| {
            if selected {
                WidgetInfo::selected(Role::Button, enabled, true, name)
            } else {
                WidgetInfo::labeled(Role::Button, enabled, name)
            }
        });

        if ui.is_rect_visible(rect) {
            let (fill, ink) = self.colours(&response, colours);
            let painter = ui.painter();
            painter.rect_filled(rect, CornerRadius::same(size::RADIUS), fill);
            ring(ui, rect, &response);
            // A text with something at its side begins at the left; everything else is centred.
            let left = match &side {
                Some(_) if self.kind != Kind::Primary => rect.left() + 10.0,
                _ => rect.center().x - content / 2.0,
            };
            if let Some(icon) = icon {
                let place = pos2(left, rect.center().y - icon.size().y / 2.0);
                painter.galley_with_override_text_color(place, icon, ink);
            }
            let place = pos2(left + icon_width + gap, rect.center().y - text.size().y / 2.0);
            painter.galley_with_override_text_color(place, text, ink);
            if let Some(side) = side {
                let place = Align2::RIGHT_CENTER
                    .align_size_within_rect(side.size(), rect.shrink2(vec2(12.0, 0.0)))
                    .min;
                let faint = if self.kind == Kind::Primary {
                    ink.gamma_multiply(0.75)
                } else {
                    colours.text_weak
                };
                painter.galley_with_override_text_color(place, side, faint);
            }
        }
        match self.tooltip {
            Some(tooltip) => response.on_hover_text(tooltip),
            None => response,
        }
    }
}

/// Draws an entry of a menu, as wide as the menu, with a mark where it is `chosen`; tells whether it
/// was clicked.
pub fn menu_item(ui: &mut Ui, icon: Option<&str>, text: &str, chosen: bool) -> bool {
    let mark = if chosen { icons::CHECK } else { "" };
    let button = Button::text(text).quiet().side(mark).min_width(ui.available_width());
    let button = match icon {
        Some(icon) => button.with_icon(icon),
        None => button,
    };
    ui.add(button).clicked()
}

/// Draws a colour that can be chosen.
pub fn swatch(ui: &mut Ui, colour: Color32, name: &str, chosen: bool) -> Response {
    let (rect, response) =
        ui.allocate_exact_size(vec2(size::CONTROL, size::CONTROL), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(Role::Button, enabled, chosen, name));
    let corner = CornerRadius::same(size::RADIUS);
    let painter = ui.painter();
    painter.rect_filled(rect.shrink(3.0), corner, colour);
    let line = egui::Stroke::new(1.0, palette(ui).line);
    painter.rect_stroke(rect.shrink(3.0), corner, line, StrokeKind::Outside);
    if chosen {
        let stroke = egui::Stroke::new(size::RING, palette(ui).accent);
        painter.rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    }
    ring(ui, rect, &response);
    response.on_hover_text(name)
}

/// Draws a row of choices of equal width, one of them chosen; returns the index that was clicked.
pub fn segmented(ui: &mut Ui, names: &[&str], chosen: Option<usize>) -> Option<usize> {
    let colours = palette(ui);
    let width = ui.available_width();
    let (frame, _) = ui.allocate_exact_size(vec2(width, size::CONTROL), Sense::hover());
    ui.painter().rect_filled(frame, CornerRadius::same(size::RADIUS), colours.field);
    ui.painter().rect_stroke(
        frame,
        CornerRadius::same(size::RADIUS),
        egui::Stroke::new(1.0, colours.line),
        StrokeKind::Inside,
    );
    let mut clicked = None;
    let step = width / names.len().max(1) as f32;
    for (index, name) in names.iter().enumerate() {
        let rect = Rect::from_min_size(
            pos2(frame.left() + step * index as f32, frame.top()),
            vec2(step, size::CONTROL),
        )
        .shrink(2.0);
        let response =
            ui.interact(rect, ui.scope_id().with(("segment", index, *name)), Sense::click());
        let is_chosen = chosen == Some(index);
        let enabled = ui.is_enabled();
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, enabled, is_chosen, *name));
        let (fill, ink) = if is_chosen {
            (colours.accent_soft, colours.text_strong)
        } else if response.hovered() {
            (colours.control, colours.text_strong)
        } else {
            (Color32::TRANSPARENT, colours.text)
        };
        let painter = ui.painter();
        painter.rect_filled(rect, CornerRadius::same(size::RADIUS - 2), fill);
        let font = Weight::Medium.font(size::TEXT_SMALL + 0.5);
        painter.text(rect.center(), Align2::CENTER_CENTER, *name, font, ink);
        ring(ui, rect, &response);
        if response.clicked() {
            clicked = Some(index);
        }
    }
    clicked
}
