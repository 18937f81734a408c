//! The window itself: drains what the services report, shows the panels, carries out effects. The
//! only file that knows eframe.

use std::path::PathBuf;
use std::time::Instant;

use egui::{Context, Frame, Id, Key, Margin, Modifiers, Panel, Rect, Ui};

use crate::action::{
    Action, EditorAction, HelpAction, JobAction, LibraryAction, OfferAction, Pen, Reach,
    ReshapeAction, SettingsAction, StagingAction, WorkAction, commands,
};
use crate::frame_log::FrameLog;
use crate::i18n::Text;
use crate::panels::{
    EditorView, LIBRARY_FIELD, LIBRARY_GRID, MESSAGE_FIELD, PROMPT_FIELD, SOUND_FIELD, WordsView,
    canvas_panel_ui, editor_ui, film_strip_ui, library_report_ui, library_room_ui, offers_ui,
    palette_ui, prompt_panel_ui, sound_room_ui, top_bar_ui, trash_ui, words_room_ui,
};
use crate::services::dialogs::Answer;
use crate::services::textures::color_image;
use crate::services::{
    Dialogs, EngineLink, Librarian, LibraryDesk, PlayerLink, ProjectDesk, SoundDesk, Textures,
    desktop,
};
use crate::state::{AppState, Room, SavedModels, SavedSettings, SavedSound, SavedWords};
use crate::theme::{self, size};
use crate::update::{Effect, Incoming, LibraryNews, LibraryTask, apply, update};

/// How long settings wait to be written, so that typing does not write them at every key.
const SAVE_AFTER_SECS: f64 = 0.8;

/// Holds what a window is made of.
#[derive(Debug)]
pub struct ShellParts {
    /// The engine.
    pub engine: EngineLink,
    /// The librarian.
    pub librarian: Librarian,
    /// What was remembered from the last time.
    pub settings: SavedSettings,
    /// What seeds and ticket numbers are made from; another one each time.
    pub entropy: u64,
}

/// Is the window.
pub struct Shell {
    state: AppState,
    engine: EngineLink,
    librarian: Librarian,
    shelf: LibraryDesk,
    dialogs: Dialogs,
    sounds: SoundDesk,
    projects: ProjectDesk,
    player: PlayerLink,
    textures: Textures,
    words_view: WordsView,
    editor_view: EditorView,
    frames: FrameLog,
    born: Instant,
    save_at_secs: Option<f64>,
    is_closing: bool,
}

impl Shell {
    /// Makes the window and applies its look.
    pub fn new(ctx: &Context, parts: ShellParts) -> Self {
        theme::install(ctx);
        ctx.options_mut(|options| options.zoom_with_keyboard = false);
        let mut state = AppState::default();
        let saved = parts.settings;
        state.settings.theme = saved.theme;
        state.settings.language = saved.language.unwrap_or_default();
        state.settings.scale_percent = saved.scale_percent.clamp(100, 200);
        state.settings.device = saved.device;
        state.jobs.pace = saved.pace;
        state.jobs.next_ticket = parts.entropy;
        state.shell.room = saved.room;
        state.sound.prompt.seed.entropy = parts.entropy ^ 1;
        state.sound.prompt.seed.roll();
        state.sound.prompt.set_text(saved.sound.draft);
        state.sound.player.gain = saved.sound.gain.clamp(0.0, 1.0);
        state.sound.view.sight = saved.sound.sight;
        state.sound.reopen = saved.sound.open;
        state.models.pictures.folders = saved.models.folders;
        state.models.pictures.chosen = saved.models.chosen;
        state.models.pictures.choices = saved.models.choices;
        state.prompt.extras.prediction = state.models.pictures.choice().prediction;
        state.models.pictures.searching = true;
        parts.librarian.ask(LibraryTask::FindModels(state.models.pictures.folders.clone()));
        state.canvas.reopen = saved.project;
        state.prompt.text = saved.draft;
        state.prompt.negative = saved.draft_negative;
        state.words.draft = saved.words.draft;
        state.words.settings = saved.words.settings;
        if !saved.words.open.is_empty() {
            // The librarian opens the library before it does anything else.
            state.words.list.opening = Some(saved.words.open.clone());
            parts.librarian.ask(LibraryTask::ReadConversation(saved.words.open));
        }
        state.prompt.seed.entropy = parts.entropy;
        state.prompt.seed.roll();
        theme::apply(ctx, state.settings.theme, state.settings.scale_percent);
        let (wake, wake_by_sound, wake_by_project) = (ctx.clone(), ctx.clone(), ctx.clone());
        let wake_by_shelf = ctx.clone();
        let store = parts.librarian.store();
        Self {
            state,
            engine: parts.engine,
            librarian: parts.librarian,
            shelf: LibraryDesk::new(store, move || wake_by_shelf.request_repaint()),
            dialogs: Dialogs::new(move || wake.request_repaint()),
            sounds: SoundDesk::new(move || wake_by_sound.request_repaint()),
            projects: ProjectDesk::new(move || wake_by_project.request_repaint()),
            player: PlayerLink::default(),
            textures: Textures::default(),
            words_view: WordsView::default(),
            editor_view: EditorView::default(),
            frames: FrameLog::from_env(),
            born: Instant::now(),
            save_at_secs: None,
            is_closing: false,
        }
    }

    /// Returns what the window knows.
    pub fn state(&self) -> &AppState {
        &self.state
    }

    /// Has every file dialog answered by `script` instead of shown, for tests: it gets the proposed
    /// name and returns the file.
    pub fn answer_dialogs(&mut self, script: impl FnMut(&str) -> Option<PathBuf> + 'static) {
        self.dialogs.answer_by(script);
    }

    /// Takes in what the services report; never blocks.
    pub fn logic(&mut self, ctx: &Context) {
        self.frames.begin();
        self.state.jobs.clock_secs = self.born.elapsed().as_secs_f64();
        let mut news = self.engine.poll();
        news.extend(self.librarian.poll());
        news.extend(self.shelf.poll());
        news.extend(self.sounds.poll());
        news.extend(self.projects.poll());
        news.extend(self.player.poll());
        news.push(Incoming::Tick);
        for item in news {
            let effects = apply(&mut self.state, item);
            self.carry_out(ctx, effects);
        }
        for answer in self.dialogs.poll() {
            match answer {
                Answer::Effect(effect) => self.carry_out(ctx, vec![effect]),
                Answer::Action(action) => self.act(ctx, action),
            }
        }
        self.save_settings_when_due(ctx);
        self.plan_repaint(ctx);
        if ctx.input(|input| input.viewport().close_requested()) {
            self.is_closing = true;
        }
    }

    /// Draws the window and does what the person did.
    pub fn ui(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        self.textures.begin_frame();
        let mut actions = self.shortcut_actions(&ctx);
        actions.extend(dropped_files(&ctx, self.state.shell.room));
        actions.extend(pasted_pictures(&ctx));
        actions.extend(self.panels_ui(ui));
        if !actions.is_empty() {
            // What was done shows in the next frame.
            ctx.request_repaint();
        }
        for action in actions {
            self.act(&ctx, action);
        }
        self.frames.end(self.state.jobs.running().is_some());
    }

    /// Does what a person asked for.
    pub fn act(&mut self, ctx: &Context, action: Action) {
        let effects = update(&mut self.state, action);
        self.carry_out(ctx, effects);
    }

    fn panels_ui(&mut self, ui: &mut Ui) -> Vec<Action> {
        let colours = theme::palette(ui);
        let state = &self.state;
        let mut actions = Vec::new();
        let panel = |margin: Margin| Frame::new().fill(colours.panel).inner_margin(margin);
        Panel::top("top-bar")
            .resizable(false)
            .exact_size(size::TOP_BAR)
            .frame(panel(Margin::symmetric(size::MARGIN, 4)))
            .show(ui, |ui| actions.extend(top_bar_ui(ui, state)));
        let field = match state.shell.room {
            Room::Pictures => self.pictures_ui(ui, &mut actions),
            Room::Words => {
                let (done, field) =
                    words_room_ui(ui, state, &mut self.textures, &mut self.words_view);
                actions.extend(done);
                field
            }
            Room::Sound => {
                let (done, field) = sound_room_ui(ui, state, &mut self.textures);
                actions.extend(done);
                field
            }
            Room::Library => {
                let (done, field) = library_room_ui(ui, state, &mut self.textures);
                actions.extend(done);
                field
            }
        };
        actions.extend(offers_ui(ui, &self.state, field));
        actions.extend(trash_ui(ui, &self.state, &mut self.textures));
        actions.extend(library_report_ui(ui, &self.state));
        actions.extend(palette_ui(ui, &self.state));
        actions
    }

    /// Draws the pictures room and returns where messages may lie.
    fn pictures_ui(&mut self, ui: &mut Ui, actions: &mut Vec<Action>) -> Rect {
        let colours = theme::palette(ui);
        let state = &self.state;
        let panel = |margin: Margin| Frame::new().fill(colours.panel).inner_margin(margin);
        Panel::left("prompt-panel")
            .resizable(false)
            .exact_size(size::LEFT_PANEL)
            // At the right the scroll bar has its place between the fields and the edge.
            .frame(panel(Margin { right: 2, ..Margin::same(size::MARGIN) }))
            .show(ui, |ui| actions.extend(prompt_panel_ui(ui, state)));
        Panel::bottom("film-strip")
            .resizable(false)
            .exact_size(size::THUMBNAIL + 24.0)
            .frame(panel(Margin::symmetric(size::MARGIN, 12)))
            .show(ui, |ui| actions.extend(film_strip_ui(ui, state, &mut self.textures)));
        if let Some(editor) = state.canvas.editor.as_deref() {
            let views = (&mut self.textures, &mut self.editor_view);
            let (done, field) = editor_ui(ui, state, editor, views);
            actions.extend(done);
            return field;
        }
        let canvas = egui::CentralPanel::default().frame(Frame::new().fill(colours.canvas));
        let (done, field) =
            canvas.show(ui, |ui| canvas_panel_ui(ui, state, &mut self.textures)).inner;
        actions.extend(done);
        field
    }

    /// Returns what the keys of this frame ask for. The keys are taken away from the widgets.
    fn shortcut_actions(&self, ctx: &Context) -> Vec<Action> {
        let mut actions = Vec::new();
        let writes = ctx.text_edit_focused();
        // The grid of the library is what its keys are for.
        let grid = Id::unique(LIBRARY_GRID);
        let focused = ctx.memory(|memory| memory.focused());
        let has_focus = focused.is_some_and(|focused| focused != grid);
        let state = &self.state;
        // What lies above everything else has the keys.
        let reads = state.shell.room == Room::Library && state.shell.library.work.report.is_some();
        if state.shell.palette.open || state.shell.trash.open || reads {
            return actions;
        }
        let closes = if state.jobs.queue_open {
            Some(Action::Job(JobAction::ShowQueue(false)))
        } else if state.settings.open {
            Some(Action::Settings(SettingsAction::Show(false)))
        } else if state.messages.offers.recipe.is_some() {
            Some(Action::Offer(OfferAction::RefuseRecipe))
        } else {
            None
        };
        if let Some(action) = closes
            && ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape))
        {
            actions.push(action);
        }
        // The field's own undo knows nothing of what the house writer changed.
        let helped = state.words.prompt_undo.as_ref();
        if state.shell.room == Room::Pictures
            && helped.is_some_and(|[_, after]| *after == state.prompt.text)
            && ctx.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Z))
        {
            actions.push(Action::Help(HelpAction::Undo));
        }
        actions.extend(self.shape_keys(ctx, writes));
        actions.extend(self.staging_keys(ctx, writes));
        for command in commands() {
            let (room, edits) = state.place();
            if !command.works_in(room, edits) {
                continue;
            }
            if command.reach == Reach::OutsideText && writes {
                continue;
            }
            for keys in command.keys {
                // Arrows and the like belong to the widget that has the focus.
                let is_plain = keys.modifiers.is_none() && keys.logical_key != Key::Escape;
                let belongs = matches!(
                    keys.logical_key,
                    Key::ArrowLeft | Key::ArrowRight | Key::Enter | Key::Space
                );
                if is_plain && belongs && has_focus {
                    continue;
                }
                // Escape leaves a text field or a menu, unless there is something to end.
                let can_end = state.jobs.running().is_some() || state.canvas.compare.is_some();
                let is_escape = keys.logical_key == Key::Escape;
                if is_escape && (!can_end || egui::Popup::is_any_open(ctx)) {
                    continue;
                }
                if ctx.input_mut(|input| input.consume_shortcut(keys)) {
                    actions.push(command.action.clone());
                }
            }
        }
        actions
    }

    /// Returns what the keys do to the box around a layer.
    fn shape_keys(&self, ctx: &Context, writes: bool) -> Vec<Action> {
        let editor = self.state.canvas.editor.as_deref();
        if writes || editor.is_none_or(|one| one.reshaping.is_none()) {
            return Vec::new();
        }
        let keys = [(Key::Enter, ReshapeAction::Apply), (Key::Escape, ReshapeAction::Cancel)];
        ctx.input_mut(|input| {
            let pressed =
                |(key, _): &(Key, ReshapeAction)| input.consume_key(Modifiers::NONE, *key);
            let pressed: Vec<_> = keys.into_iter().filter(pressed).collect();
            let action = |(_, action)| Action::Editor(EditorAction::Reshape(action));
            pressed.into_iter().map(action).collect()
        })
    }

    /// Returns what the keys answer to what was generated for the picture that is being edited.
    fn staging_keys(&self, ctx: &Context, writes: bool) -> Vec<Action> {
        let waits = self.state.canvas.editor.as_ref().is_some_and(|one| one.candidate().is_some());
        let draws = self.state.canvas.editor.as_ref().is_some_and(|one| one.gesture.is_some());
        if draws && ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) {
            return vec![Action::Editor(EditorAction::Pen(Pen::Cancel))];
        }
        let compares = self.state.canvas.editor.as_ref().is_some_and(|one| one.compared.is_some());
        if compares && !waits && ctx.input_mut(|i| i.consume_key(Modifiers::NONE, Key::Escape)) {
            return vec![Action::Editor(EditorAction::EndComparing)];
        }
        if !waits || writes || self.state.shell.room != Room::Pictures {
            return Vec::new();
        }
        let keys = [
            (Key::ArrowLeft, StagingAction::Step(-1)),
            (Key::ArrowRight, StagingAction::Step(1)),
            (Key::Enter, StagingAction::Accept),
            (Key::Escape, StagingAction::Discard),
        ];
        ctx.input_mut(|input| {
            let pressed =
                |(key, _): &(Key, StagingAction)| input.consume_key(Modifiers::NONE, *key);
            let pressed: Vec<_> = keys.into_iter().filter(pressed).collect();
            let action = |(_, action)| Action::Editor(EditorAction::Staging(action));
            pressed.into_iter().map(action).collect()
        })
    }

    fn carry_out(&mut self, ctx: &Context, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Submit { ticket, request } => {
                    let answer = self.engine.submit(ticket, request);
                    let more = apply(&mut self.state, answer);
                    self.carry_out(ctx, more);
                }
                Effect::CancelJob(job) => self.engine.cancel(job),
                Effect::MoveJob(job, to_index) => self.engine.move_waiting(job, to_index),
                Effect::Library(task) => self.librarian.ask(task),
                Effect::Player(order) => self.player.carry_out(order),
                Effect::Sound(task) => self.sounds.carry_out(task),
                Effect::Project(task) => self.projects.ask(task),
                Effect::Shelf(task) => self.shelf.ask(task),
                Effect::PickImportFolder => self.dialogs.ask_import_folder(),
                Effect::PickExportFolder(ids) => self.dialogs.ask_export_folder(ids),
                Effect::ExportPicture { document, name } => {
                    self.dialogs.ask_export_picture(document, &name);
                }
                Effect::PickSound => {
                    let label = self.state.settings.language.get(Text::SoundFiles);
                    self.dialogs.ask_sound(label);
                }
                Effect::ExportSound { export, name } => self.dialogs.ask_export(export, &name),
                Effect::SaveAs { from, name } => self.dialogs.ask_save(from, &name),
                Effect::SaveText { text, name } => self.dialogs.ask_save_text(text, &name),
                Effect::CopyPicture(pixels) => ctx.copy_image(color_image(&pixels)),
                Effect::OpenFolder(path) => {
                    if let Err(error) = desktop::open_folder(&path) {
                        let news = Incoming::Library(LibraryNews::Failed(error));
                        let more = apply(&mut self.state, news);
                        self.carry_out(ctx, more);
                    }
                }
                Effect::PickDataFolder => self.dialogs.ask_data_folder(),
                Effect::PickModelFolder => self.dialogs.ask_model_folder(),
                Effect::PickPicture => {
                    let label = self.state.settings.language.get(Text::PictureFiles);
                    self.dialogs.ask_picture(label);
                }
                Effect::PickControlPicture => {
                    let label = self.state.settings.language.get(Text::PictureFiles);
                    self.dialogs.ask_control_picture(label);
                }
                Effect::FocusPrompt => {
                    let field = match self.state.shell.room {
                        Room::Words => MESSAGE_FIELD,
                        Room::Pictures => PROMPT_FIELD,
                        Room::Sound => SOUND_FIELD,
                        Room::Library => LIBRARY_FIELD,
                    };
                    ctx.memory_mut(|memory| memory.request_focus(Id::unique(field)));
                }
                Effect::CopyText(text) => ctx.copy_text(text),
                Effect::ApplyLook => {
                    let settings = &self.state.settings;
                    theme::apply(ctx, settings.theme, settings.scale_percent);
                }
                Effect::SaveSettings => {
                    let due = self.state.jobs.clock_secs + SAVE_AFTER_SECS;
                    self.save_at_secs.get_or_insert(due);
                }
                Effect::Quit => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
            }
        }
    }

    fn saved_settings(&self) -> SavedSettings {
        let AppState { settings, jobs, prompt, shell, words, sound, models, canvas, .. } =
            &self.state;
        SavedSettings {
            theme: settings.theme,
            language: Some(settings.language),
            scale_percent: settings.scale_percent,
            device: settings.device,
            pace: jobs.pace,
            room: shell.room,
            words: SavedWords {
                draft: words.draft.clone(),
                open: words.open.as_ref().map(|open| open.id.clone()).unwrap_or_default(),
                settings: words.settings.clone(),
            },
            sound: SavedSound {
                draft: sound.prompt.text.clone(),
                gain: sound.player.gain,
                sight: sound.view.sight,
                open: sound.piece.as_ref().map_or(sound.reopen, |piece| piece.result),
            },
            models: SavedModels {
                folders: models.pictures.folders.clone(),
                chosen: models.pictures.chosen.clone(),
                choices: models.pictures.choices.clone(),
            },
            project: canvas.reopen.clone(),
            draft: prompt.text.clone(),
            draft_negative: prompt.negative.clone(),
        }
    }

    fn save_settings_when_due(&mut self, ctx: &Context) {
        let Some(due) = self.save_at_secs else { return };
        let now = self.state.jobs.clock_secs;
        if now >= due {
            self.save_at_secs = None;
            self.librarian.save_settings(self.saved_settings());
        } else {
            ctx.request_repaint_after_secs((due - now) as f32);
        }
    }

    /// Plans the next frame for what changes by itself.
    fn plan_repaint(&self, ctx: &Context) {
        let now = self.state.jobs.clock_secs;
        let toasts = self.state.messages.toasts.iter();
        if let Some(next) = toasts.map(|toast| toast.until_secs).min_by(f64::total_cmp) {
            ctx.request_repaint_after_secs(((next - now) as f32).max(0.02));
        }
        if let Some(due) = self.state.shell.library.search.due_secs {
            ctx.request_repaint_after_secs(((due - now) as f32).max(0.02));
        }
        if self.state.sound.player.is_playing {
            // The play head moves with every frame of the screen.
            ctx.request_repaint();
        }
        if self.state.jobs.running().is_some() {
            // The time left counts down also when the engine says nothing.
            ctx.request_repaint_after_secs(0.25);
        }
    }

    /// Writes down what must not be lost. The requests that are not finished stay noted as pending;
    /// of a text that is being written, what there is stays in its conversation.
    pub fn close(&mut self) {
        for conversation in self.state.words.being_written() {
            let task = LibraryTask::WriteConversation(Box::new(conversation.clone()));
            self.librarian.ask(task);
        }
        if self.save_at_secs.take().is_some() || self.is_closing {
            self.librarian.save_settings(self.saved_settings());
        }
        self.frames.print();
    }
}

fn dropped_files(ctx: &Context, room: Room) -> Vec<Action> {
    let paths: Vec<_> = ctx.input(|input| {
        input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect()
    });
    // What falls into the library is to stay there.
    if room == Room::Library && !paths.is_empty() {
        return vec![Action::Library(LibraryAction::Work(WorkAction::Import(paths)))];
    }
    let dropped = |path| Action::Offer(OfferAction::FileDropped(path));
    paths.into_iter().map(dropped).collect()
}

/// Returns the pictures that were pasted; a text goes to the field that has the focus.
fn pasted_pictures(ctx: &Context) -> Vec<Action> {
    let pasted = |event: &egui::Event| match event {
        egui::Event::PasteImage(image) => {
            Some(Action::Offer(OfferAction::PicturePasted(image.clone())))
        }
        _ => None,
    };
    ctx.input(|input| input.events.iter().filter_map(pasted).collect())
}

impl eframe::App for Shell {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        Self::logic(self, ctx);
    }

    fn ui(&mut self, ui: &mut Ui, frame: &mut eframe::Frame) {
        self.frames.note_whole(frame.info().cpu_usage);
        Self::ui(self, ui);
        self.frames.note_first();
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }

    fn on_exit(&mut self) {
        self.close();
    }
}
