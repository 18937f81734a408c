//! The system's file dialogs. They are futures that are looked at once per frame, so that the
//! window goes on while one is open.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use atelier_engine::canvas::Document;
use atelier_engine::store::projects::PROJECT_EXTENSION;
use atelier_engine::store::projects::archive::ARCHIVE_EXTENSION;
use rfd::{AsyncFileDialog, FileHandle};

use super::picture_export::OPEN_RASTER;
use crate::action::{Action, EditorAction, LibraryAction, ModelsAction, SoundAction, WorkAction};
use crate::state::ResultId;
use crate::update::{Effect, LibraryTask, ProjectTask, SOUND_ENDINGS, SoundExport, SoundTask};

/// How pictures that can be opened end.
const PICTURE_ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// How files end in which a picture can be saved that is edited: pictures, layers, the whole project.
const EXPORT_ENDINGS: [&str; 6] = ["png", "jpg", "webp", "tif", OPEN_RASTER, ARCHIVE_EXTENSION];

/// Says what a dialog is for.
enum Purpose {
    /// Where a copy of the file is saved.
    SaveCopyOf(PathBuf),
    /// Where a text is saved.
    SaveText(String),
    /// Where a piece is exported.
    Export(Box<SoundExport>),
    /// Where the picture that is edited is saved.
    ExportPicture(Box<Document>),
    /// Which sound file is opened.
    OpenSound,
    /// Where the data is moved.
    MoveData,
    /// Which folder of models is added.
    ModelFolder,
    /// Which picture guides a ControlNet.
    ControlPicture,
    /// Which picture is edited.
    OpenPicture,
    /// Which folder of pictures is imported.
    ImportFolder,
    /// Into which folder results are copied.
    ExportFolder(Vec<ResultId>),
}

/// Is what follows from a dialog that was answered.
#[derive(Debug)]
pub enum Answer {
    /// A service has something to do.
    Effect(Effect),
    /// A person chose something.
    Action(Action),
}

struct OpenDialog {
    purpose: Purpose,
    answer: Pin<Box<dyn Future<Output = Option<PathBuf>>>>,
}

/// Answers dialogs in the place of a person: gets the proposed name, returns the file.
type Script = Box<dyn FnMut(&str) -> Option<PathBuf>>;

/// Holds the dialogs that are open.
pub struct Dialogs {
    open: Vec<OpenDialog>,
    waker: Waker,
    script: Option<Script>,
}

struct WakeBy<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for WakeBy<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

impl Dialogs {
    /// Makes the holder; `wake` is called when a dialog was answered.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { open: Vec::new(), waker: Waker::from(Arc::new(WakeBy(wake))), script: None }
    }

    /// Has every dialog answered by `script` instead of shown, for tests.
    pub fn answer_by(&mut self, script: impl FnMut(&str) -> Option<PathBuf> + 'static) {
        self.script = Some(Box::new(script));
    }

    fn ask(
        &mut self,
        purpose: Purpose,
        name: &str,
        dialog: impl Future<Output = Option<FileHandle>> + 'static,
    ) {
        let answer: Pin<Box<dyn Future<Output = _>>> = match &mut self.script {
            Some(script) => Box::pin(std::future::ready(script(name))),
            None => Box::pin(async { dialog.await.map(|file| file.path().to_path_buf()) }),
        };
        self.open.push(OpenDialog { purpose, answer });
    }

    /// Asks where a copy of a picture is saved.
    pub fn ask_save(&mut self, from: PathBuf, name: &str) {
        let dialog = AsyncFileDialog::new().set_file_name(name).add_filter("PNG", &["png"]);
        self.ask(Purpose::SaveCopyOf(from), name, dialog.save_file());
    }

    /// Asks where a piece is exported.
    pub fn ask_export(&mut self, export: Box<SoundExport>, name: &str) {
        let (label, ending) = (export.format.label(), export.format.extension());
        let dialog = AsyncFileDialog::new().set_file_name(name).add_filter(label, &[ending]);
        self.ask(Purpose::Export(export), name, dialog.save_file());
    }

    /// Asks where the picture that is edited is saved.
    pub fn ask_export_picture(&mut self, document: Box<Document>, name: &str) {
        let mut dialog = AsyncFileDialog::new().set_file_name(name);
        for ending in EXPORT_ENDINGS {
            dialog = dialog.add_filter(ending.to_uppercase(), &[ending]);
        }
        self.ask(Purpose::ExportPicture(document), name, dialog.save_file());
    }

    /// Asks which sound file is opened; `label` says what kind of files they are.
    pub fn ask_sound(&mut self, label: &str) {
        let dialog = AsyncFileDialog::new().add_filter(label, &SOUND_ENDINGS);
        self.ask(Purpose::OpenSound, "", dialog.pick_file());
    }

    /// Asks where a text is saved.
    pub fn ask_save_text(&mut self, text: String, name: &str) {
        let dialog = AsyncFileDialog::new().set_file_name(name).add_filter("Markdown", &["md"]);
        self.ask(Purpose::SaveText(text), name, dialog.save_file());
    }

    /// Asks where the data is moved.
    pub fn ask_data_folder(&mut self) {
        self.ask(Purpose::MoveData, "", AsyncFileDialog::new().pick_folder());
    }

    /// Asks for a folder of models.
    pub fn ask_model_folder(&mut self) {
        self.ask(Purpose::ModelFolder, "", AsyncFileDialog::new().pick_folder());
    }

    /// Asks which folder of pictures is imported.
    pub fn ask_import_folder(&mut self) {
        self.ask(Purpose::ImportFolder, "", AsyncFileDialog::new().pick_folder());
    }

    /// Asks into which folder results are copied.
    pub fn ask_export_folder(&mut self, ids: Vec<ResultId>) {
        self.ask(Purpose::ExportFolder(ids), "", AsyncFileDialog::new().pick_folder());
    }

    /// Asks for the picture that guides a ControlNet; `label` says what kind of files pictures are.
    pub fn ask_control_picture(&mut self, label: &str) {
        let dialog = AsyncFileDialog::new().add_filter(label, &PICTURE_ENDINGS);
        self.ask(Purpose::ControlPicture, "", dialog.pick_file());
    }

    /// Asks which picture is edited; `label` says what kind of files pictures are.
    pub fn ask_picture(&mut self, label: &str) {
        let own = [OPEN_RASTER, ARCHIVE_EXTENSION, PROJECT_EXTENSION];
        let endings = [&PICTURE_ENDINGS[..], &own].concat();
        let dialog = AsyncFileDialog::new().add_filter(label, &endings);
        self.ask(Purpose::OpenPicture, "", dialog.pick_file());
    }

    /// Returns what follows from the dialogs that were answered; never blocks.
    pub fn poll(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        let waker = self.waker.clone();
        self.open.retain_mut(|dialog| {
            let Poll::Ready(answer) = dialog.answer.as_mut().poll(&mut Context::from_waker(&waker))
            else {
                return true;
            };
            if let Some(path) = answer {
                answers.push(match &dialog.purpose {
                    Purpose::SaveCopyOf(from) => {
                        let task = LibraryTask::CopyFile { from: from.clone(), to: path };
                        Answer::Effect(Effect::Library(task))
                    }
                    Purpose::SaveText(text) => {
                        let task = LibraryTask::WriteText { text: text.clone(), to: path };
                        Answer::Effect(Effect::Library(task))
                    }
                    Purpose::Export(export) => {
                        let task = SoundTask::Export { export: export.clone(), to: path };
                        Answer::Effect(Effect::Sound(task))
                    }
                    Purpose::ExportPicture(document) => {
                        let task = ProjectTask::Export { document: document.clone(), to: path };
                        Answer::Effect(Effect::Project(task))
                    }
                    Purpose::OpenSound => {
                        Answer::Action(Action::Sound(SoundAction::OpenFile(path)))
                    }
                    Purpose::MoveData => {
                        Answer::Effect(Effect::Library(LibraryTask::MoveData(path)))
                    }
                    Purpose::ModelFolder => {
                        Answer::Action(Action::Models(ModelsAction::AddFolder(path)))
                    }
                    Purpose::OpenPicture => {
                        Answer::Action(Action::Editor(EditorAction::OpenFile(path)))
                    }
                    Purpose::ImportFolder => {
                        let work = WorkAction::Import(vec![path]);
                        Answer::Action(Action::Library(LibraryAction::Work(work)))
                    }
                    Purpose::ExportFolder(ids) => {
                        let work = WorkAction::Export(ids.clone(), path);
                        Answer::Action(Action::Library(LibraryAction::Work(work)))
                    }
                    Purpose::ControlPicture => {
                        Answer::Action(Action::Models(ModelsAction::SetControlPicture(path)))
                    }
                });
            }
            false
        });
        answers
    }
}
