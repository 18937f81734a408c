//! Messages and offers, above everything else.

use egui::{Align, Align2, Area, Id, Layout, Order, RichText, Ui, vec2};

use crate::action::{Action, OfferAction};
use crate::i18n::Text;
use crate::state::jobs::words_of;
use crate::state::{AppState, MessageKind, RecipeClaim, Remedy, Room, Toast};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{Button, card, elide};

/// Draws the messages in the corner of `canvas` and the offers at its top.
pub fn offers_ui(ui: &mut Ui, state: &AppState, canvas: egui::Rect) -> Vec<Action> {
    let mut actions = Vec::new();
    toasts_ui(ui, state, canvas, &mut actions);
    if !state.messages.offers.unfinished.is_empty() {
        unfinished_ui(ui, state, canvas, &mut actions);
    }
    if state.messages.offers.recipe.is_some() {
        recipe_ui(ui, state, canvas, &mut actions);
    }
    if ui.input(|input| !input.raw.hovered_files.is_empty()) {
        drop_ui(ui, state);
    }
    actions
}

fn toasts_ui(ui: &Ui, state: &AppState, canvas: egui::Rect, actions: &mut Vec<Action>) {
    if state.messages.toasts.is_empty() {
        return;
    }
    let corner = canvas.right_bottom() - vec2(16.0, 16.0);
    Area::new(Id::unique("messages"))
        .order(Order::Foreground)
        .pivot(Align2::RIGHT_BOTTOM)
        .fixed_pos(corner)
        .show(ui.ctx(), |ui| {
            ui.set_width(380.0);
            ui.spacing_mut().item_spacing.y = size::GAP;
            for toast in &state.messages.toasts {
                card(ui, |ui| toast_ui(ui, state, toast, actions));
            }
        });
}

fn toast_ui(ui: &mut Ui, state: &AppState, toast: &Toast, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let colours = palette(ui);
    let (icon, colour) = match toast.kind {
        MessageKind::Done => (icons::CHECK_CIRCLE, colours.done),
        MessageKind::Note => (icons::INFO, colours.accent),
        MessageKind::Error => (icons::WARNING, colours.error),
    };
    ui.horizontal(|ui| {
        ui.label(RichText::new(icon).size(18.0).color(colour));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            if ui.add(Button::icon(icons::X, language.get(Text::Dismiss))).clicked() {
                actions.push(Action::Offer(OfferAction::Dismiss(toast.id)));
            }
            if let Some(remedy) = &toast.remedy {
                let name = match remedy {
                    Remedy::UndoDelete
                    | Remedy::UndoLibraryDelete
                    | Remedy::UndoDeleteConversation => Text::Undo,
                    Remedy::OpenFolder(_) => Text::OpenFolder,
                };
                if ui.add(Button::text(language.get(name))).clicked() {
                    actions.push(Action::Offer(OfferAction::Accept(toast.id, remedy.clone())));
                }
                ui.add_space(size::GAP_SMALL);
            }
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                let text = RichText::new(&toast.text).color(colours.text_strong);
                ui.add(egui::Label::new(text).wrap());
                if !toast.hint.is_empty() {
                    let hint = RichText::new(&toast.hint);
                    let hint = hint.size(size::TEXT_SMALL).color(colours.text_weak);
                    ui.add(egui::Label::new(hint).wrap());
                }
            });
        });
    });
}

/// Draws an offer at the top of the canvas: a title, some lines, and what can be answered.
fn offer_card(
    ui: &Ui,
    id: &str,
    canvas: egui::Rect,
    [title, text]: [&str; 2],
    answers: [(&str, Action); 2],
    actions: &mut Vec<Action>,
) {
    Area::new(Id::unique(id))
        .order(Order::Foreground)
        .pivot(Align2::CENTER_TOP)
        .fixed_pos(canvas.center_top() + vec2(0.0, 16.0))
        .show(ui.ctx(), |ui| {
            card(ui, |ui| {
                ui.set_max_width(460.0);
                let colours = palette(ui);
                let font = Weight::SemiBold.font(size::TEXT);
                ui.label(RichText::new(title).font(font).color(colours.text_strong));
                if !text.is_empty() {
                    let text = RichText::new(text).size(size::TEXT_SMALL + 0.5);
                    ui.add(egui::Label::new(text.color(colours.text)).wrap());
                }
                ui.add_space(2.0);
                ui.horizontal(|ui| {
                    let [(yes, accept), (no, refuse)] = answers;
                    if ui.add(Button::text(yes).primary()).clicked() {
                        actions.push(accept);
                    }
                    if ui.add(Button::text(no)).clicked() {
                        actions.push(refuse);
                    }
                });
            });
        });
}

fn unfinished_ui(ui: &Ui, state: &AppState, canvas: egui::Rect, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let unfinished = &state.messages.offers.unfinished;
    let title = match unfinished.len() {
        1 => language.get(Text::Unfinished).to_owned(),
        count => language.fill(Text::UnfinishedMany, &[&count]),
    };
    let prompts: Vec<String> =
        unfinished.iter().take(3).map(|one| elide(&words_of(&one.request), 80)).collect();
    let answers = [
        (language.get(Text::Continue), Action::Offer(OfferAction::ContinueUnfinished)),
        (language.get(Text::Discard), Action::Offer(OfferAction::DiscardUnfinished)),
    ];
    offer_card(ui, "unfinished", canvas, [&title, &prompts.join("\n")], answers, actions);
}

fn recipe_ui(ui: &Ui, state: &AppState, canvas: egui::Rect, actions: &mut Vec<Action>) {
    let Some(offer) = &state.messages.offers.recipe else { return };
    let language = state.settings.language;
    let title = language.fill(Text::RecipeFound, &[&elide(&offer.file_name, 40)]);
    let recipe = &offer.recipe;
    let mut lines = vec![elide(&recipe.prompt.with_styles(), 240)];
    lines.push(format!(
        "{} × {}  ·  {}  ·  {}  ·  {}",
        recipe.size.width_px,
        recipe.size.height_px,
        language.fill(Text::SeedValue, &[&recipe.seed]),
        language.fill(Text::StepsValue, &[&recipe.sampling.steps]),
        recipe.sampling.sampler.label()
    ));
    lines.extend(offer.claims.iter().map(|claim| match claim {
        RecipeClaim::ModelPath(path) => language.fill(Text::RecipeModelPath, &[path]),
        RecipeClaim::OtherModel(name) => language.fill(Text::RecipeOtherModel, &[name]),
        RecipeClaim::NoiseFile(path) => language.fill(Text::RecipeNoise, &[path]),
        RecipeClaim::Files(paths) => language.fill(Text::RecipeFiles, &[paths]),
    }));
    if offer.foreign {
        lines.push(language.get(Text::ForeignRecipe).to_owned());
    }
    let answers = [
        (language.get(Text::UseRecipe), Action::Offer(OfferAction::TakeRecipe)),
        (language.get(Text::Dismiss), Action::Offer(OfferAction::RefuseRecipe)),
    ];
    offer_card(ui, "recipe", canvas, [&title, &lines.join("\n")], answers, actions);
}

/// Says, while a file hangs over the window, what dropping it does.
fn drop_ui(ui: &Ui, state: &AppState) {
    let colours = palette(ui);
    let screen = ui.ctx().content_rect();
    let layer = egui::LayerId::new(Order::Tooltip, Id::unique("drop"));
    let painter = ui.ctx().layer_painter(layer);
    painter.rect_filled(screen, 0.0, colours.canvas.gamma_multiply(0.85));
    painter.rect_stroke(
        screen.shrink(12.0),
        f32::from(size::RADIUS_LARGE),
        egui::Stroke::new(size::RING, colours.accent),
        egui::StrokeKind::Inside,
    );
    let text = match state.shell.room {
        Room::Library => Text::DropIntoLibrary,
        _ => Text::DropHere,
    };
    let text = state.settings.language.get(text);
    let font = Weight::SemiBold.font(size::TEXT_TITLE);
    painter.text(screen.center(), Align2::CENTER_CENTER, text, font, colours.text_strong);
}
