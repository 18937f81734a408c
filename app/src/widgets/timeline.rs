//! A strip of time: a ruler, whatever is drawn below it, a selection and the play head.

use egui::{
    Align2, CornerRadius, CursorIcon, EventFilter, Key, Painter, PointerButton, Rect, Response,
    Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};

use super::ring;
use crate::state::TimeSpan;
use crate::theme::{Weight, palette, size};

/// The height of the ruler in points.
const RULER: f32 = 20.0;

/// Steps of the ruler that people count in, in seconds.
const STEPS_SECS: [f64; 18] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0,
    600.0, 3600.0,
];

/// Describes a strip of time.
#[derive(Debug, Clone, Copy)]
pub struct Timeline<'a> {
    /// Its accessible name.
    pub name: &'a str,
    /// What its keys and the pointer do, in a few words.
    pub hint: &'a str,
    /// How long the sound is, in seconds.
    pub total_secs: f64,
    /// What is in sight.
    pub span: TimeSpan,
    /// Where the play head is, in seconds.
    pub play_head_secs: Option<f64>,
    /// What is selected, in seconds.
    pub selection_secs: Option<[f64; 2]>,
}

/// Says what was done on a strip of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TimelineChange {
    /// A moment was clicked.
    Seek(f64),
    /// A stretch was selected, or the selection let go.
    Select(Option<[f64; 2]>),
    /// Something else is in sight.
    Show(TimeSpan),
}

/// Draws a strip of time in all the room there is; `content` draws what lies below the ruler.
pub fn timeline_ui(
    ui: &mut Ui,
    timeline: Timeline<'_>,
    content: impl FnOnce(&Painter, Rect, TimeSpan),
) -> Vec<TimelineChange> {
    let colours = palette(ui);
    let rect = ui.available_rect_before_wrap();
    let response = ui.allocate_rect(rect, Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Group, true, timeline.name));
    let ruler = Rect::from_min_size(rect.min, vec2(rect.width(), RULER));
    let body = Rect::from_min_max(pos2(rect.left(), rect.top() + RULER), rect.max);
    let span = timeline.span;
    let painter = ui.painter().with_clip_rect(rect);

    painter.rect_filled(body, CornerRadius::same(size::RADIUS), colours.field);
    if let Some([from, to]) = timeline.selection_secs {
        let chosen = Rect::from_x_y_ranges(
            x_of(span, from, body)..=x_of(span, to, body),
            body.top()..=body.bottom(),
        );
        painter.rect_filled(chosen, CornerRadius::ZERO, colours.accent_soft);
    }
    // Lines of the ruler lie below what is looked at.
    ruler_ui(&painter, ruler, body, span, colours.text_weak, colours.line);
    content(&painter.with_clip_rect(body), body, span);
    if let Some([from, to]) = timeline.selection_secs {
        // Once more above it: a picture covers what lies below.
        let chosen =
            Rect::from_x_y_ranges(x_of(span, from, body)..=x_of(span, to, body), body.y_range());
        let tint = colours.accent.gamma_multiply(0.14);
        painter.rect_filled(chosen.intersect(body), CornerRadius::ZERO, tint);
        for edge in [from, to] {
            let x = x_of(span, edge, body);
            painter.vline(x, body.y_range(), Stroke::new(1.0, colours.accent));
        }
    }
    if let Some(secs) = timeline.play_head_secs {
        let x = x_of(span, secs, body);
        painter.vline(x, rect.y_range(), Stroke::new(1.5, colours.text_strong));
        let head = Rect::from_center_size(pos2(x, rect.top() + 5.0), vec2(9.0, 8.0));
        painter.rect_filled(head, CornerRadius::same(2), colours.text_strong);
    }
    painter.rect_stroke(
        body,
        CornerRadius::same(size::RADIUS),
        Stroke::new(1.0, colours.line),
        StrokeKind::Inside,
    );
    ring(ui, rect, &response);
    let changes = changes(ui, &response, timeline, body);
    if response.has_focus() {
        // Said where the keyboard is, and not over what is looked at.
        let font = Weight::Regular.font(size::TEXT_SMALL);
        let galley = painter.layout(timeline.hint.to_owned(), font, colours.text, body.width());
        let place = pos2(body.right() - galley.size().x - 8.0, body.top() + 6.0);
        let ground = Rect::from_min_size(place, galley.size()).expand2(vec2(6.0, 3.0));
        painter.rect_filled(ground, CornerRadius::same(size::RADIUS), colours.popup);
        painter.galley(place, galley, colours.text);
    }
    response.on_hover_cursor(CursorIcon::Text);
    changes
}

/// Returns where a moment lies across `rect`, in points; may lie outside.
pub fn x_of(span: TimeSpan, secs: f64, rect: Rect) -> f32 {
    // Far outside is as good as outside, and keeps the number small enough for the painter.
    rect.left() + span.share_of(secs).clamp(-100.0, 100.0) as f32 * rect.width()
}

/// Returns the least step of the ruler whose labels do not touch, in seconds.
fn step_secs(span: TimeSpan, width: f32) -> f64 {
    let least = span.len_secs() * 64.0 / f64::from(width.max(1.0));
    STEPS_SECS.into_iter().find(|step| *step >= least).unwrap_or(3600.0)
}

fn ruler_ui(
    painter: &Painter,
    ruler: Rect,
    body: Rect,
    span: TimeSpan,
    ink: egui::Color32,
    line: egui::Color32,
) {
    let step = step_secs(span, ruler.width());
    let font = Weight::Regular.font(size::TEXT_SMALL - 1.0);
    let mut number = (span.start_secs / step).ceil();
    while number * step <= span.end_secs {
        let secs = number * step;
        let x = x_of(span, secs, ruler);
        painter.vline(x, body.y_range(), Stroke::new(1.0, line));
        let place = pos2(x + 4.0, ruler.center().y);
        painter.text(place, Align2::LEFT_CENTER, clock(secs, step), font.clone(), ink);
        painter.vline(x, ruler.center().y..=ruler.bottom(), Stroke::new(1.0, line));
        number += 1.0;
    }
}

/// Writes a moment as `1:02`, with as many decimals as steps of `step_secs` need.
pub fn clock(secs: f64, step_secs: f64) -> String {
    let decimals = if step_secs >= 1.0 {
        0
    } else if step_secs >= 0.1 {
        1
    } else if step_secs >= 0.01 {
        2
    } else {
        3
    };
    // Rounded first: 59.97 is 1:00.0, not 0:60.0.
    let unit = 10_f64.powi(decimals);
    let secs = (secs.max(0.0) * unit).round() / unit;
    let (hours, minutes) = ((secs / 3600.0).floor(), (secs / 60.0).floor() % 60.0);
    let rest = secs - (secs / 60.0).floor() * 60.0;
    let decimals = decimals as usize;
    let width = if decimals == 0 { 2 } else { 3 + decimals };
    if hours > 0.0 {
        format!("{hours}:{minutes:02}:{rest:0width$.decimals$}")
    } else {
        format!("{minutes}:{rest:0width$.decimals$}")
    }
}

fn changes(
    ui: &Ui,
    response: &Response,
    timeline: Timeline<'_>,
    body: Rect,
) -> Vec<TimelineChange> {
    let mut changes = Vec::new();
    let (span, total) = (timeline.span, timeline.total_secs);
    let width = f64::from(body.width().max(1.0));
    let at = |x: f32| span.secs_at(f64::from(x - body.left()) / width).clamp(0.0, total);
    if response.dragged_by(PointerButton::Middle) || response.dragged_by(PointerButton::Secondary) {
        let secs = -f64::from(response.drag_delta().x) / width * span.len_secs();
        if secs != 0.0 {
            changes.push(TimelineChange::Show(span.panned(secs, total)));
        }
    } else if response.dragged()
        && let Some(pointer) = response.interact_pointer_pos()
    {
        let start = ui.input(|input| input.pointer.press_origin()).unwrap_or(pointer);
        let (from, to) = (at(start.x), at(pointer.x));
        changes.push(TimelineChange::Select(Some([from.min(to), from.max(to)])));
    } else if response.clicked()
        && let Some(pointer) = response.interact_pointer_pos()
    {
        changes.push(TimelineChange::Select(None));
        changes.push(TimelineChange::Seek(at(pointer.x)));
    }
    if let Some(pointer) = response.hover_pos() {
        let (scroll, pinch, wide) = ui.input(|input| {
            (input.smooth_scroll_delta(), input.zoom_delta(), input.modifiers.shift)
        });
        let sideways = if wide { scroll.y + scroll.x } else { scroll.x };
        let factor = f64::from(pinch) * if wide { 1.0 } else { f64::from(scroll.y * 0.005).exp() };
        if factor != 1.0 {
            changes.push(TimelineChange::Show(span.zoomed(factor, at(pointer.x), total)));
        } else if sideways != 0.0 {
            let secs = -f64::from(sideways / body.width().max(1.0)) * span.len_secs();
            changes.push(TimelineChange::Show(span.panned(secs, total)));
        }
    }
    if response.has_focus() {
        // Arrows go about in the sound and not to another widget.
        let filter = EventFilter {
            horizontal_arrows: true,
            vertical_arrows: true,
            ..EventFilter::default()
        };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        changes.extend(key_changes(ui, timeline));
    }
    changes
}

/// Returns what the keys did while the strip has the focus.
fn key_changes(ui: &Ui, timeline: Timeline<'_>) -> Vec<TimelineChange> {
    let (span, total) = (timeline.span, timeline.total_secs);
    let head = timeline.play_head_secs.unwrap_or(0.0);
    let step = span.len_secs() / 50.0;
    let pressed = |key: Key| ui.input(|input| input.key_pressed(key));
    let selects = ui.input(|input| input.modifiers.shift);
    let mut changes = Vec::new();
    for (key, secs) in [
        (Key::ArrowLeft, head - step),
        (Key::ArrowRight, head + step),
        (Key::Home, 0.0),
        (Key::End, total),
    ] {
        if pressed(key) {
            let secs = secs.clamp(0.0, total);
            if selects {
                // The end of the selection that the play head is at moves with it.
                let [from, to] = timeline.selection_secs.unwrap_or([head, head]);
                let kept = if (head - to).abs() <= (head - from).abs() { from } else { to };
                let chosen = [kept.min(secs), kept.max(secs)];
                changes.push(TimelineChange::Select(Some(chosen)));
            }
            changes.push(TimelineChange::Seek(secs));
        }
    }
    for (key, factor) in [(Key::ArrowUp, 1.5), (Key::ArrowDown, 1.0 / 1.5)] {
        if pressed(key) {
            changes.push(TimelineChange::Show(span.zoomed(factor, head, total)));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ruler_counts_in_steps_whose_labels_do_not_touch() {
        assert_eq!(step_secs(TimeSpan::whole(30.0), 800.0), 5.0);
        assert_eq!(step_secs(TimeSpan::whole(3600.0), 800.0), 300.0);
        assert_eq!(step_secs(TimeSpan::whole(0.1), 800.0), 0.01);
    }

    #[test]
    fn a_moment_is_written_as_a_clock_shows_it() {
        assert_eq!(clock(62.0, 1.0), "1:02");
        assert_eq!(clock(59.97, 0.1), "1:00.0");
        assert_eq!(clock(3.25, 0.01), "0:03.25");
        assert_eq!(clock(3661.0, 60.0), "1:01:01");
    }
}
