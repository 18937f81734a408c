//! The film strip: the results, newest first.

use std::sync::Arc;

use atelier_engine::protocol::Pixels;
use egui::{
    Align2, Color32, CornerRadius, Id, Rect, Response, RichText, Role, ScrollArea, Sense, Stroke,
    StrokeKind, Ui, WidgetInfo, pos2, vec2,
};

use crate::action::{Action, HistoryAction, SoundAction};
use crate::i18n::Text;
use crate::services::textures::Textures;
use crate::state::{AppState, Entry, NotesSketch, Recipe, ResultId, Room, Thumbnail};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{elide, menu_item, paint_sketch, ring};

const GAP: f32 = 6.0;

/// Draws the film strip and returns what was done there.
pub fn film_strip_ui(ui: &mut Ui, state: &AppState, textures: &mut Textures) -> Vec<Action> {
    let mut actions = Vec::new();
    let language = state.settings.language;
    let history = &state.history;
    if history.entries.is_empty() {
        let text = if history.loaded { Text::NoResults } else { Text::Loading };
        let text = RichText::new(language.get(text)).color(palette(ui).text_weak);
        ui.centered_and_justified(|ui| ui.label(text));
        return actions;
    }
    let step = size::THUMBNAIL + GAP;
    let id = Id::unique("film-strip-reveal");
    let revealed = ui.data(|data| data.get_temp::<u64>(id)).unwrap_or_default();
    ScrollArea::horizontal().auto_shrink([false, false]).show_viewport(ui, |ui, viewport| {
        let count = history.entries.len();
        let width = step * count as f32 - GAP;
        let (strip, _) = ui.allocate_exact_size(vec2(width, size::THUMBNAIL), Sense::hover());
        let first = (viewport.left() / step).floor().max(0.0) as usize;
        let last = ((viewport.right() / step).ceil().max(0.0) as usize).min(count);
        for (place, entry) in history.entries.iter().enumerate().take(last).skip(first) {
            let corner = pos2(strip.left() + step * place as f32, strip.top());
            let rect = Rect::from_min_size(corner, vec2(size::THUMBNAIL, size::THUMBNAIL));
            thumbnail_ui(ui, state, textures, entry, rect, &mut actions);
        }
        if history.reveal != revealed
            && let Some(place) = chosen_result(state).and_then(|id| history.position(id))
        {
            let corner = pos2(strip.left() + step * place as f32, strip.top());
            let rect = Rect::from_min_size(corner, vec2(size::THUMBNAIL, size::THUMBNAIL));
            ui.scroll_to_rect(rect.expand2(vec2(step, 0.0)), None);
        }
        ui.data_mut(|data| data.insert_temp(id, history.reveal));
        if history.has_older && !history.awaits_older && last + 8 >= count {
            actions.push(Action::History(HistoryAction::WantOlder));
        }
    });
    actions
}

/// Returns the small picture of a result, or the whole one where it is at hand.
fn picture_of<'a>(state: &'a AppState, entry: &'a Entry) -> Option<&'a Arc<Pixels>> {
    match &entry.thumbnail {
        Thumbnail::Ready(pixels) => Some(pixels),
        Thumbnail::Unknown | Thumbnail::Awaited => state.canvas.picture(entry.id),
        Thumbnail::Notes(_) => None,
    }
}

/// Returns the result that the room which is open shows.
fn chosen_result(state: &AppState) -> Option<ResultId> {
    match state.shell.room {
        Room::Sound => state.sound.piece.as_ref().and_then(|piece| piece.result),
        Room::Pictures | Room::Words | Room::Library => state.canvas.result(),
    }
}

fn thumbnail_ui(
    ui: &mut Ui,
    state: &AppState,
    textures: &mut Textures,
    entry: &Entry,
    rect: Rect,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let colours = palette(ui);
    let id = Id::unique("thumbnail").with(entry.id);
    let response = ui.interact(rect, id, Sense::click());
    let chosen = chosen_result(state) == Some(entry.id);
    let prompt = elide(&entry.recipe.words(), 90);
    let name = match entry.recipe {
        Recipe::Picture(_) | Recipe::Enlarged(..) => Text::PictureNamed,
        Recipe::Sound(_) => Text::PieceNamed,
    };
    let name = language.fill(name, &[&prompt, &entry.recipe.seed()]);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, chosen, &name));

    let corner = CornerRadius::same(size::RADIUS);
    let painter = ui.painter();
    painter.rect_filled(rect, corner, colours.control);
    if let Thumbnail::Notes(sketch) = &entry.thumbnail {
        notes_ui(ui, rect, sketch);
    } else if let Some(pixels) = picture_of(state, entry) {
        if let Some(texture) = textures.get(ui.ctx(), pixels, false) {
            // The middle of the picture fills the square.
            let [w, h] = [pixels.width_px as f32, pixels.height_px as f32];
            let side = w.min(h);
            let part = vec2(side / w, side / h);
            let uv = Rect::from_center_size(pos2(0.5, 0.5), part);
            let shape = egui::epaint::RectShape::filled(rect, corner, Color32::WHITE);
            painter.add(shape.with_texture(texture, uv));
        }
    } else if matches!(entry.thumbnail, Thumbnail::Unknown) && entry.id >= 0 {
        actions.push(Action::History(HistoryAction::WantThumbnail(entry.id)));
    }
    if chosen {
        let stroke = Stroke::new(size::RING, colours.accent);
        painter.rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    } else if response.hovered() {
        let stroke = Stroke::new(1.0, colours.text_strong.gamma_multiply(0.6));
        painter.rect_stroke(rect, corner, stroke, StrokeKind::Inside);
    }
    ring(ui, rect, &response);

    if response.double_clicked() {
        actions.push(Action::History(HistoryAction::Reuse(entry.id)));
    } else if response.clicked() {
        actions.push(Action::History(HistoryAction::Show(entry.id)));
    }
    menu_ui(&response, state, entry, actions);
    response.on_hover_ui(|ui| {
        ui.set_max_width(300.0);
        let font = Weight::Regular.font(size::TEXT_SMALL + 0.5);
        ui.label(RichText::new(prompt).font(font.clone()));
        let seed = language.fill(Text::SeedValue, &[&entry.recipe.seed()]);
        ui.label(RichText::new(seed).font(font).color(colours.text_weak));
    });
}

/// Draws a piece of music: its notes above an icon that tells it from a picture.
pub(super) fn notes_ui(ui: &Ui, rect: Rect, sketch: &NotesSketch) {
    let colours = palette(ui);
    let painter = ui.painter().with_clip_rect(rect);
    painter.rect_filled(rect, CornerRadius::same(size::RADIUS), colours.field);
    let notes = Rect::from_min_max(rect.min + vec2(8.0, 12.0), rect.max - vec2(8.0, 26.0));
    paint_sketch(&painter, notes, sketch, colours);
    let place = pos2(rect.left() + 8.0, rect.bottom() - 6.0);
    let font = Weight::Regular.font(14.0);
    painter.text(place, Align2::LEFT_BOTTOM, icons::MUSIC, font, colours.text_weak);
    let corner = CornerRadius::same(size::RADIUS);
    let stroke = Stroke::new(1.0, colours.line);
    painter.rect_stroke(rect, corner, stroke, StrokeKind::Inside);
}

fn menu_ui(response: &Response, state: &AppState, entry: &Entry, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    response.context_menu(|ui| {
        ui.set_min_width(190.0);
        ui.spacing_mut().item_spacing.y = 2.0;
        let is_picture = entry.recipe.is_picture();
        let history = Action::History;
        for (icon, name, action) in [
            (icons::REUSE, Text::Reuse, history(HistoryAction::Reuse(entry.id))),
            (icons::SAVE, Text::SaveAs, history(HistoryAction::SaveAs(entry.id))),
            (icons::COPY, Text::CopyPicture, history(HistoryAction::Copy(entry.id))),
            (icons::MUSIC, Text::MakeTune, Action::Sound(SoundAction::MakeTuneFor(entry.id))),
            (icons::FOLDER, Text::OpenFolder, history(HistoryAction::OpenFolder(entry.id))),
            (icons::TRASH, Text::Delete, history(HistoryAction::Delete(entry.id))),
        ] {
            let of_pictures = matches!(name, Text::SaveAs | Text::CopyPicture | Text::MakeTune);
            if of_pictures && !is_picture {
                continue;
            }
            if menu_item(ui, Some(icon), language.get(name), false) {
                actions.push(action);
                ui.close();
            }
        }
    });
}
