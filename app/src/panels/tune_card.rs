//! The picture that the next piece is for, with what each of its traits set.

use egui::{
    Align2, Color32, CornerRadius, Frame, Margin, Rect, RichText, Role, Sense, Stroke, Ui,
    WidgetInfo, pos2, vec2,
};

use crate::action::{Action, SoundAction};
use crate::i18n::Text;
use crate::services::textures::Textures;
use crate::state::tune::is_kept;
use crate::state::{AppState, TuneOrigin};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{Button, details, elide};

/// Side of the small picture, in points.
const PICTURE: f32 = 52.0;

/// Draws the card.
pub(super) fn origin_ui(
    ui: &mut Ui,
    state: &AppState,
    origin: &TuneOrigin,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let colours = palette(ui);
    Frame::new()
        .fill(colours.raised)
        .stroke(Stroke::new(1.0, colours.line))
        .corner_radius(CornerRadius::same(size::RADIUS))
        .inner_margin(Margin::same(8))
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(size::GAP, 2.0);
            ui.horizontal(|ui| {
                let (rect, _) = ui.allocate_exact_size(vec2(PICTURE, PICTURE), Sense::hover());
                if let Some(texture) = textures.get(ui.ctx(), &origin.pixels, false) {
                    let [w, h] = [origin.pixels.width_px as f32, origin.pixels.height_px as f32];
                    let side = w.min(h);
                    let part = vec2(side / w, side / h);
                    let uv = Rect::from_center_size(pos2(0.5, 0.5), part);
                    let corner = CornerRadius::same(size::RADIUS - 2);
                    let shape = egui::epaint::RectShape::filled(rect, corner, Color32::WHITE);
                    ui.painter().add(shape.with_texture(texture, uv));
                }
                ui.vertical(|ui| {
                    ui.set_width(ui.available_width() - size::CONTROL - size::GAP);
                    ui.add_space(6.0);
                    let title = RichText::new(language.get(Text::ForPicture));
                    let title = title.font(Weight::SemiBold.font(size::TEXT));
                    ui.label(title.color(colours.text_strong));
                    details(ui, elide(&origin.words, 120));
                });
                if ui.add(Button::icon(icons::X, language.get(Text::DropPicture))).clicked() {
                    actions.push(Action::Sound(SoundAction::DropPicture));
                }
            });
            ui.add_space(size::GAP_SMALL);
            for link in &origin.song.links {
                let (name, value) = language.trait_value(link.by, &origin.song.traits);
                let name = language.get(name);
                let seen = match value.is_empty() {
                    true => name.to_owned(),
                    false => language.fill(Text::TraitOf, &[&name, &value]),
                };
                let set = language.song_field(&link.sets);
                link_ui(ui, [&seen, &set], is_kept(&link.sets, &state.sound.prompt.plan), state);
            }
        });
}

/// Draws what a trait set; what was changed since is struck out.
fn link_ui(ui: &mut Ui, [seen, set]: [&str; 2], kept: bool, state: &AppState) {
    let colours = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    let changed = state.settings.language.get(Text::LinkChanged);
    response.widget_info(|| {
        let name = match kept {
            true => format!("{seen} → {set}"),
            false => format!("{seen} → {set} ({changed})"),
        };
        WidgetInfo::labeled(Role::Label, true, name)
    });
    let font = Weight::Regular.font(size::TEXT_SMALL + 0.5);
    let painter = ui.painter().with_clip_rect(rect);
    painter.text(rect.left_center(), Align2::LEFT_CENTER, seen, font.clone(), colours.text_weak);
    let ink = if kept { colours.text_strong } else { colours.text_weak };
    let place = painter.text(rect.right_center(), Align2::RIGHT_CENTER, set, font, ink);
    if !kept {
        painter.hline(place.x_range(), place.center().y, Stroke::new(1.0, ink));
    }
}
