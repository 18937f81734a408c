//! The top bar: what the engine is doing, and what is chosen once for all.

use atelier_engine::protocol::{DeviceChoice, Stage};
use egui::{
    Align, CornerRadius, Id, Layout, Popup, PopupCloseBehavior, Rect, Response, RichText, Role,
    Sense, Ui, WidgetInfo, pos2, vec2,
};

use super::queue_popup::queue_ui;
use super::settings_popup::settings_ui;
use super::transport::small_player_ui;
use super::{command_button, keys_of};
use crate::action::{Action, JobAction, SettingsAction};
use crate::i18n::{Language, Text};
use crate::state::{AppState, JobPhase, ModelStatus, Room};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{Button, menu_frame, menu_item};

/// The width of what stands at the right, in points, before it was ever drawn.
const RIGHT_GUESS: f32 = 260.0;

/// The width of the button that cancels, in points, in words and with its key.
const CANCEL_WIDTH: f32 = 150.0;

/// The width that the words about the work need at least, in points, to say something.
const STATUS_LEAST: f32 = 120.0;

/// Says how much room the bar has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// Everything is written out.
    Wide,
    /// The device is an icon, and the tabs stand beside the title.
    Middle,
    /// The tabs are icons, and the title is left out.
    Small,
}

impl Width {
    fn of(points: f32) -> Self {
        match points {
            ..760.0 => Self::Small,
            760.0..1100.0 => Self::Middle,
            _ => Self::Wide,
        }
    }
}

/// Draws the top bar and returns what was done there.
pub fn top_bar_ui(ui: &mut Ui, state: &AppState) -> Vec<Action> {
    let mut actions = Vec::new();
    let language = state.settings.language;
    let bar = ui.max_rect();
    let room = Width::of(bar.width());
    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = size::GAP_SMALL;
        if room != Width::Small {
            let title = RichText::new("Atelier").font(Weight::SemiBold.font(15.0));
            ui.label(title.color(palette(ui).text_strong));
            let indent = size::LEFT_PANEL - f32::from(size::MARGIN) - ui.min_rect().width();
            ui.add_space(if room == Width::Wide { indent.max(size::GAP) } else { size::GAP });
        }
        rooms_ui(ui, state, room, &mut actions);
        if room != Width::Small && state.shell.room != Room::Sound {
            small_player_ui(ui, state, &mut actions);
        }
        ui.add_space(if room == Width::Small { size::GAP_SMALL } else { size::GAP_LARGE });
        // What stands at the right was measured in the last frame.
        let id = Id::unique("top-bar-right");
        let right = ui.data(|data| data.get_temp::<f32>(id)).unwrap_or(RIGHT_GUESS);
        let width = bar.right() - ui.cursor().left() - right - size::GAP_LARGE;
        status_ui(ui, state, width, &mut actions);
        let right = ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            settings_button_ui(ui, state, &mut actions);
            let theme = if ui.visuals().dark_mode { icons::SUN } else { icons::MOON };
            let action = Action::Settings(SettingsAction::SwitchTheme);
            command_button(ui, theme, Text::SwitchTheme, language, action, &mut actions);
            let action = Action::Settings(SettingsAction::SwitchLanguage);
            let icon = icons::TRANSLATE;
            command_button(ui, icon, Text::SwitchLanguage, language, action, &mut actions);
            ui.add_space(size::GAP);
            let label = device_label(state);
            let icon = match state.settings.device {
                DeviceChoice::Cuda(_) | DeviceChoice::Metal(_) => icons::GPU,
                DeviceChoice::Auto | DeviceChoice::Cpu => icons::CPU,
            };
            let name = language.fill(Text::DeviceIs, &[&label]);
            let shown = match room {
                Width::Wide => crate::widgets::elide(&label, 28),
                Width::Middle | Width::Small => String::new(),
            };
            let button = Button::text(&shown).with_icon(icon).named(&name).tooltip(&name).quiet();
            device_menu(ui, state, button, &mut actions);
            queue_button_ui(ui, state, &mut actions);
            ui.min_rect().width()
        });
        ui.data_mut(|data| data.insert_temp(id, right.inner));
    });
    progress_line(ui, state, bar);
    actions
}

/// Draws the tabs of the rooms.
fn rooms_ui(ui: &mut Ui, state: &AppState, room: Width, actions: &mut Vec<Action>) {
    let shows_text = room != Width::Small;
    let language = state.settings.language;
    ui.spacing_mut().item_spacing.x = 2.0;
    for (entered, icon, name) in [
        (Room::Pictures, icons::IMAGE, Text::RoomPictures),
        (Room::Words, icons::WORDS, Text::RoomWords),
        (Room::Sound, icons::MUSIC, Text::RoomSound),
        (Room::Library, icons::LIBRARY, Text::RoomLibrary),
    ] {
        let text = language.get(name);
        let tab = Button::text(if shows_text { text } else { "" })
            .with_icon(icon)
            .named(text)
            .tooltip(text)
            .shortcut(&keys_of(ui.ctx(), name))
            .quiet()
            .selected(state.shell.room == entered);
        if ui.add(tab).clicked() {
            actions.push(Action::Enter(entered));
        }
    }
}

/// Returns the name of the device that is chosen.
pub(super) fn device_label(state: &AppState) -> String {
    let language = state.settings.language;
    let devices = &state.models.devices;
    let chosen = state.settings.device;
    if chosen == DeviceChoice::Auto
        && let Some(fastest) = devices.iter().find(|device| device.choice != DeviceChoice::Auto)
    {
        return fastest.label.clone();
    }
    devices
        .iter()
        .find(|device| device.choice == chosen)
        .map_or_else(|| language.get(Text::DeviceAuto).to_owned(), |device| device.label.clone())
}

/// Draws a button that opens the choice of devices.
pub(super) fn device_menu(
    ui: &mut Ui,
    state: &AppState,
    button: Button<'_>,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let response = ui.add(button);
    Popup::menu(&response).accessible_name(language.get(Text::Device)).show(|ui| {
        ui.set_min_width(200.0);
        ui.spacing_mut().item_spacing.y = 2.0;
        let automatic = (DeviceChoice::Auto, language.get(Text::DeviceAuto).to_owned());
        let others = state.models.devices.iter();
        let others = others.filter(|device| device.choice != DeviceChoice::Auto);
        let others = others.map(|device| (device.choice, device.label.clone()));
        for (choice, label) in std::iter::once(automatic).chain(others) {
            let chosen = state.settings.device == choice;
            if menu_item(ui, None, &label, chosen) {
                actions.push(Action::Settings(SettingsAction::SetDevice(choice)));
                ui.close();
            }
        }
    });
}

/// Returns what the engine is doing, in a few words.
fn status_text(state: &AppState, language: Language) -> (String, String) {
    let Some(job) = state.jobs.running() else {
        let text = match (&state.models.status, state.jobs.jobs.is_empty()) {
            (ModelStatus::Missing(_), _) => Text::ModelMissing,
            (_, true) => Text::Idle,
            (_, false) => Text::Starting,
        };
        return (language.get(text).to_owned(), String::new());
    };
    if job.phase == JobPhase::Cancelling {
        return (language.get(Text::Cancelling).to_owned(), String::new());
    }
    let stage = match job.live.stage {
        Stage::Loading => Text::StageLoading,
        Stage::Encoding => Text::StageEncoding,
        Stage::Sampling => Text::StageSampling,
        Stage::Decoding => Text::StageDecoding,
        Stage::Reading => Text::StageReading,
        Stage::Writing => Text::StageWriting,
        Stage::Composing => Text::StageComposing,
        Stage::Rendering => Text::StageRendering,
        Stage::Enlarging => Text::StageEnlarging,
        Stage::Refining => Text::StageRefining,
        Stage::CuttingOut => Text::StageCuttingOut,
        Stage::Saving => Text::StageSaving,
        _ => Text::Starting,
    };
    let mut parts = Vec::new();
    if let (Stage::Sampling, Some([done, total])) = (job.live.stage, job.live.steps) {
        parts.push(language.fill(Text::StepOf, &[&done, &total]));
    }
    if let (Stage::Loading, Some([read, total])) = (job.live.stage, job.live.bytes) {
        parts.push(language.fill(Text::BytesOf, &[&megabytes(read), &megabytes(total)]));
    }
    if let (Stage::Writing, Some(stats)) = (job.live.stage, job.live.words) {
        parts.push(language.fill(Text::TokensWritten, &[&stats.written_tokens]));
        if let Some(pace) = stats.tokens_per_second() {
            parts.push(language.fill(Text::TokensPerSecond, &[&format!("{pace:.0}")]));
        }
    }
    if let Some(secs) = state.jobs.secs_left() {
        parts.push(language.fill(Text::TimeLeft, &[&language.duration(secs)]));
    }
    (language.get(stage).to_owned(), parts.join("  ·  "))
}

/// Returns a size in megabytes, with a decimal where it says something.
fn megabytes(bytes: u64) -> String {
    let mega = bytes as f64 / 1e6;
    if mega < 10.0 { format!("{mega:.1}") } else { format!("{mega:.0}") }
}

/// Draws what the engine is doing in at most `width` points: the details go first, then the words
/// are cut; the button that cancels always stays.
fn status_ui(ui: &mut Ui, state: &AppState, width: f32, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let colours = palette(ui);
    let keys = keys_of(ui.ctx(), Text::Cancel);
    let cancels_in_words = width >= CANCEL_WIDTH + STATUS_LEAST;
    let busy = state.jobs.running().is_some();
    let (stage, details) = status_text(state, language);
    let dot = if busy { colours.accent } else { colours.text_weak };
    let (rect, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
    ui.painter().circle_filled(rect.center(), 3.5, dot);
    ui.add_space(4.0);
    let cancel_width = match (busy, cancels_in_words) {
        (false, _) => 0.0,
        (true, true) => CANCEL_WIDTH,
        (true, false) => size::CONTROL,
    };
    let mut left = (width - cancel_width - 26.0).max(0.0);
    let stage = RichText::new(stage).font(Weight::Medium.font(size::TEXT)).color(colours.text);
    left -= short_label(ui, stage, left);
    if !details.is_empty() && left > STATUS_LEAST / 2.0 {
        ui.add_space(4.0);
        short_label(ui, RichText::new(details).color(colours.text_weak), left - 8.0);
    }
    if busy {
        ui.add_space(4.0);
        let name = language.get(Text::Cancel);
        let button = match cancels_in_words {
            true => Button::text(name).with_icon(icons::STOP).side(keys).named(name),
            false => Button::icon(icons::STOP, name).shortcut(&keys),
        };
        if ui.add(button).clicked() {
            actions.push(Action::Job(JobAction::CancelRunning));
        }
    }
}

/// Writes a text in at most `width` points, cut with “…”; returns the width that it took.
fn short_label(ui: &mut Ui, text: RichText, width: f32) -> f32 {
    if width < 12.0 {
        return 0.0;
    }
    let response = ui.scope(|ui| {
        ui.set_max_width(width);
        ui.add(egui::Label::new(text).truncate())
    });
    response.response.rect.width()
}

/// Draws the progress as a line along the bar's lower edge.
fn progress_line(ui: &Ui, state: &AppState, bar: Rect) {
    let Some(progress) = state.jobs.progress() else { return };
    let screen = ui.ctx().content_rect();
    // Within the bar: what is drawn later would cover it.
    let y = bar.bottom() + 1.0;
    let full = Rect::from_min_max(pos2(screen.left(), y), pos2(screen.right(), y + 3.0));
    let id = ui.scope_id().with("progress");
    let shown = ui.ctx().animate_value_with_time(id, progress, 0.15);
    let shown = if progress < shown { progress } else { shown };
    let done = Rect::from_min_size(full.min, vec2(full.width() * shown, full.height()));
    let painter = ui.painter().with_clip_rect(screen);
    painter.rect_filled(done, CornerRadius::ZERO, palette(ui).accent_fill);
    let response: Response = ui.interact(full, id, Sense::hover());
    let name = state.settings.language.get(Text::Progress);
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, name);
        info.value = Some(f64::from((progress * 100.0).round()));
        info
    });
}

fn queue_button_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let count = state.jobs.waiting().filter(|_| state.jobs.running().is_some()).count();
    let number = count.to_string();
    let text = if count > 0 { number.as_str() } else { "" };
    let name = language.get(Text::Queue);
    let button = Button::text(text)
        .with_icon(icons::QUEUE)
        .named(name)
        .tooltip(name)
        .quiet()
        .selected(state.jobs.queue_open);
    let response = ui.add(button);
    if response.clicked() {
        actions.push(Action::Job(JobAction::ShowQueue(!state.jobs.queue_open)));
    }
    if popup_ui(ui, &response, name, state.jobs.queue_open, |ui| queue_ui(ui, state, actions)) {
        actions.push(Action::Job(JobAction::ShowQueue(false)));
    }
}

fn settings_button_ui(ui: &mut Ui, state: &AppState, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let name = language.get(Text::Settings);
    let response = ui.add(Button::icon(icons::GEAR, name).selected(state.settings.open));
    if response.clicked() {
        actions.push(Action::Settings(SettingsAction::Show(!state.settings.open)));
    }
    if popup_ui(ui, &response, name, state.settings.open, |ui| settings_ui(ui, state, actions)) {
        actions.push(Action::Settings(SettingsAction::Show(false)));
    }
}

/// Shows what hangs below a button while it `is_open`; tells whether a click elsewhere closes it.
fn popup_ui(
    ui: &Ui,
    button: &Response,
    name: &str,
    is_open: bool,
    content: impl FnOnce(&mut Ui),
) -> bool {
    let mut open = is_open;
    Popup::from_response(button)
        .open_bool(&mut open)
        .frame(menu_frame(ui))
        .gap(6.0)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .accessible_name(name)
        .show(content);
    !open && is_open && !button.clicked()
}
