//! Opens the window.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{SystemTime, UNIX_EPOCH};

use atelier_engine::EngineError;
use atelier_engine::library::{LanguageEntry, Models};
use atelier_engine::service::{Engine, Studio};

use crate::i18n::Language;
use crate::services::places::HASHES_FILE;
use crate::services::settings_file::read_settings;
use crate::services::{EngineLink, LateRunner, Librarian, LibraryPlace, places, upkeep};
use crate::shell::{Shell, ShellParts};
use crate::state::LanguageModel;
use crate::theme;

/// Says how the window is opened.
#[derive(Debug, Clone, Default)]
pub struct WindowOptions {
    /// Where pictures and recipes are kept, other than the settings say.
    pub data_folder: Option<PathBuf>,
}

/// Opens the window and returns when it is closed.
///
/// # Errors
/// When there is no display, no graphics driver, or no thread to be had.
pub fn open_window(options: WindowOptions) -> anyhow::Result<()> {
    let settings_file = places::settings_file();
    let mut settings = read_settings(&settings_file);
    settings.language.get_or_insert_with(|| {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|locale| !locale.is_empty()));
        Language::from_locale(&locale.unwrap_or_default())
    });
    let data_folder = match options.data_folder {
        Some(folder) => folder,
        None => places::data_folder()?,
    };
    let models = Models::standard();
    let place = LibraryPlace { data_folder, settings_file, models: models.clone(), find_writers };

    let viewport = egui::ViewportBuilder::default()
        .with_title("Atelier")
        .with_app_id("atelier")
        .with_icon(theme::app_icon())
        .with_inner_size([1280.0, 800.0])
        .with_min_inner_size([860.0, 560.0])
        .with_drag_and_drop(true);
    let native = eframe::NativeOptions { viewport, ..Default::default() };
    eframe::run_native(
        "atelier",
        native,
        Box::new(move |context| {
            let ctx = &context.egui_ctx;
            let wake = ctx.clone();
            let (opened, library) = channel();
            let librarian = Librarian::spawn(
                place,
                move |store| {
                    if let Ok(store) = &store {
                        upkeep::start(store);
                    }
                    // The engine is gone only while the window closes.
                    let _closing = opened.send(store);
                },
                move || wake.request_repaint(),
            )?;
            let wake = ctx.clone();
            let runner = LateRunner::new(move || {
                let store = library.recv().map_err(|_| EngineError::Stopped)??;
                let hashes = store.folder().join(HASHES_FILE);
                Ok(Box::new(Studio::new(Some(store), models).with_hashes_in(hashes)))
            });
            let engine = Engine::spawn(runner, Arc::new(move || wake.request_repaint()))?;
            let parts = ShellParts {
                engine: EngineLink::new(engine),
                librarian,
                settings,
                entropy: entropy(),
            };
            Ok(Box::new(Shell::new(ctx, parts)))
        }),
    )
    .map_err(|error| anyhow::anyhow!("The window could not be opened: {error}"))
}

/// Finds the language models.
fn find_writers(models: &Models) -> Vec<LanguageModel> {
    let model = |entry: LanguageEntry| LanguageModel {
        name: entry.name,
        title: entry.title,
        context_tokens: u32::try_from(entry.context).unwrap_or(u32::MAX),
        need: Some(entry.need),
    };
    models.language_models().into_iter().map(model).collect()
}

/// Returns a number that is another one each time.
fn entropy() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_micros() as u64
}
