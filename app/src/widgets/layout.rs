//! Frames, rings and lines of text.

use egui::{
    CornerRadius, Frame, InnerResponse, Margin, Rect, Response, RichText, Shadow, Stroke,
    StrokeKind, Ui,
};

use crate::theme::{palette, size};

/// Draws the ring that shows where the keyboard is.
pub fn ring(ui: &Ui, rect: Rect, response: &Response) {
    if response.has_focus() {
        ui.painter().rect_stroke(
            rect,
            CornerRadius::same(size::RADIUS),
            Stroke::new(size::RING, palette(ui).accent),
            StrokeKind::Inside,
        );
    }
}

/// Draws a card that floats above the canvas.
pub fn card<R>(ui: &mut Ui, content: impl FnOnce(&mut Ui) -> R) -> InnerResponse<R> {
    let colours = palette(ui);
    Frame::new()
        .fill(colours.popup)
        .stroke(Stroke::new(1.0, colours.line))
        .corner_radius(CornerRadius::same(size::RADIUS_LARGE))
        .shadow(Shadow { offset: [0, 4], blur: 16, spread: 0, color: colours.shadow })
        .inner_margin(Margin::symmetric(14, 10))
        .show(ui, content)
}

/// Returns the frame of a popup.
pub fn menu_frame(ui: &Ui) -> Frame {
    Frame::popup(ui.style()).inner_margin(Margin::same(size::MARGIN))
}

/// Writes small, quiet text on one line, cut with “…” where there is no more room.
pub fn details(ui: &mut Ui, text: impl Into<String>) -> Response {
    let text = RichText::new(text).size(size::TEXT_SMALL).color(palette(ui).text_weak);
    ui.add(egui::Label::new(text).truncate())
}

/// Returns the beginning of a text, at most `limit` characters, with “…” where something is cut.
pub fn elide(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= limit {
        return line;
    }
    let kept: String = line.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(elide("雪地里的红狐狸", 4), "雪地里…");
        assert_eq!(elide("a  red\nfox", 20), "a red fox");
    }
}
