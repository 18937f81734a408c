//! The button that shows a shape of picture.

use egui::{
    Align2, CornerRadius, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2,
    vec2,
};

use super::ring;
use crate::theme::{Weight, palette, size};

/// Draws a shape of `size_px` with its name below, `width` points wide.
pub fn shape_button(
    ui: &mut Ui,
    width: f32,
    [label, name]: [&str; 2],
    size_px: [u32; 2],
    chosen: bool,
) -> Response {
    let colours = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 48.0), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, enabled, chosen, name));
    if ui.is_rect_visible(rect) {
        let painter = ui.painter();
        let (fill, ink, text) = if chosen {
            (colours.accent_soft, colours.accent, colours.text_strong)
        } else if response.hovered() {
            (colours.control, colours.text, colours.text_strong)
        } else {
            (egui::Color32::TRANSPARENT, colours.text_weak, colours.text_weak)
        };
        painter.rect_filled(rect, CornerRadius::same(size::RADIUS), fill);
        // Every shape has the same area, as its picture nearly has.
        let [w, h] = size_px.map(|side| side as f32);
        let scale = 15.0 / (w * h).sqrt();
        let centre = pos2(rect.center().x, rect.top() + 17.0);
        let shape = Rect::from_center_size(centre, vec2(w * scale, h * scale));
        painter.rect_stroke(
            shape,
            CornerRadius::same(2),
            Stroke::new(1.5, ink),
            StrokeKind::Middle,
        );
        painter.text(
            pos2(rect.center().x, rect.bottom() - 9.0),
            Align2::CENTER_CENTER,
            label,
            Weight::Regular.font(size::TEXT_SMALL - 0.5),
            text,
        );
        ring(ui, rect, &response);
    }
    response.on_hover_text(format!("{} × {}", size_px[0], size_px[1]))
}
