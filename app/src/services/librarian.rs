//! The librarian reads and writes files on a thread of its own, so that the window never waits for
//! a disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::{fmt, fs, io, thread};

use atelier_engine::EngineError;
use atelier_engine::audio::recipe::recipe_of;
use atelier_engine::library::{
    DeviceInfo, HOUSE_PICTURE, Models, Shelf, ShelfEntry, available_memory_bytes, devices,
};
use atelier_engine::models::house_picture::Lexicon;
use atelier_engine::protocol::{ModelRef, Request};
use atelier_engine::store::conversations::{Conversation, ConversationShelf};
use atelier_engine::store::files::write_atomic;
use atelier_engine::store::{ResultRow, Store, pictures, png};

use super::library_desk::SharedStore;
use super::prompt_reader::PromptReader;
use super::settings_file::keep_damaged;
use super::{recipes, trash};
use crate::state::history::PAGE;
use crate::state::{
    DeviceEntry, Entry, FoundModels, LanguageModel, ModelInfo, NotesSketch, Recipe, SavedSettings,
    Thumbnail, Unfinished,
};
use crate::update::{Incoming, LibraryNews, LibraryTask};

type Tell = dyn Fn(LibraryNews) + Send + Sync;

/// Says where the librarian works.
#[derive(Debug, Clone)]
pub struct LibraryPlace {
    /// The folder of pictures and recipes.
    pub data_folder: PathBuf,
    /// The file of the settings.
    pub settings_file: PathBuf,
    /// Where models are looked for.
    pub models: Models,
    /// Finds the language models there.
    pub find_writers: fn(&Models) -> Vec<LanguageModel>,
}

/// The style words that are offered where the model knows them.
const STYLES: [&str; 4] = ["3d style", "flat style", "glossy style", "line art"];

enum Order {
    Task(LibraryTask),
    SaveSettings(Box<SavedSettings>),
    Stop,
}

/// Is the window's end of the librarian.
pub struct Librarian {
    orders: Sender<Order>,
    news: Receiver<LibraryNews>,
    store: SharedStore,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Librarian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Librarian")
    }
}

impl Librarian {
    /// Starts the librarian; `opened` gets the library once it is open, and `wake` is called when
    /// there is news.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn spawn(
        place: LibraryPlace,
        opened: impl FnOnce(Result<Arc<Store>, EngineError>) + Send + 'static,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (orders, received) = channel();
        let (send, news) = channel();
        let tell: Arc<Tell> = Arc::new(move |item| {
            // Nobody listens any more only while the window closes.
            let _closing = send.send(item);
            wake();
        });
        let tell_devices = tell.clone();
        thread::Builder::new()
            .name("atelier-devices".to_owned())
            .spawn(move || find_devices(&*tell_devices))?;
        let store = SharedStore::default();
        let shared = store.clone();
        let opened = move |opening: Result<Arc<Store>, EngineError>| {
            if let Ok(store) = &opening {
                // It is opened once.
                let _already = shared.set(store.clone());
            }
            opened(opening);
        };
        let thread = thread::Builder::new()
            .name("atelier-librarian".to_owned())
            .spawn(move || work(&place, opened, &received, &tell))?;
        Ok(Self { orders, news, store, thread: Some(thread) })
    }

    /// Returns the library, which is there once it is open.
    pub fn store(&self) -> SharedStore {
        self.store.clone()
    }

    /// Asks for something; never blocks.
    pub fn ask(&self, task: LibraryTask) {
        let _closing = self.orders.send(Order::Task(task));
    }

    /// Has the settings written down; never blocks.
    pub fn save_settings(&self, settings: SavedSettings) {
        let _closing = self.orders.send(Order::SaveSettings(Box::new(settings)));
    }

    /// Takes the news since the last call; never blocks.
    pub fn poll(&self) -> Vec<Incoming> {
        self.news.try_iter().map(Incoming::Library).collect()
    }
}

impl Drop for Librarian {
    fn drop(&mut self) {
        // What was asked before is done first: nothing that the user did is lost.
        let _stopped = self.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn work(
    place: &LibraryPlace,
    opened: impl FnOnce(Result<Arc<Store>, EngineError>),
    orders: &Receiver<Order>,
    tell: &Arc<Tell>,
) {
    let mut desk = match Store::open(&place.data_folder).map(Arc::new) {
        Ok(store) => {
            opened(Ok(store.clone()));
            let mut desk = Desk { store: Some(store), ..Desk::default() };
            if let Err(error) = desk.say_opened(&**tell) {
                tell(LibraryNews::Failed(error));
            }
            desk
        }
        Err(error) => {
            opened(Err(error.clone()));
            tell(LibraryNews::Failed(error));
            Desk::default()
        }
    };
    if let Some(kept) = keep_damaged(&place.settings_file) {
        tell(LibraryNews::SettingsDamaged(kept));
    }
    tell(LibraryNews::FreeMemory(available_memory_bytes()));
    tell(match find_model(&place.models) {
        Ok(info) => LibraryNews::ModelReady(info),
        Err(error) => LibraryNews::ModelMissing(error),
    });
    tell(LibraryNews::LanguageModels((place.find_writers)(&place.models)));
    for order in orders {
        let done = match order {
            Order::Task(task) => {
                // A job was asked for: another program may have gone meanwhile.
                if matches!(task, LibraryTask::AddPending { .. }) {
                    tell(LibraryNews::FreeMemory(available_memory_bytes()));
                }
                desk.carry_out(task, &place.models, &**tell)
            }
            Order::SaveSettings(settings) => write_settings(&place.settings_file, &settings),
            Order::Stop => return,
        };
        if let Err(error) = done {
            tell(LibraryNews::Failed(error));
        }
    }
}

/// Looks for devices. On a thread of its own, because a graphics driver takes its time.
fn find_devices(tell: &Tell) {
    let entry = |info: DeviceInfo| DeviceEntry { choice: info.choice, label: info.label };
    tell(LibraryNews::Devices(devices().into_iter().map(entry).collect()));
}

fn find_model(models: &Models) -> Result<ModelInfo, EngineError> {
    let files = models.find(HOUSE_PICTURE)?;
    let lexicon = Lexicon::from_json(&files.lexicon_json, Path::new("lexicon.json"))?;
    let is_known = |style: &&str| lexicon.unknown_words(style).is_empty();
    Ok(ModelInfo {
        model: ModelRef { name: HOUSE_PICTURE.to_owned(), sha256: files.sha256().to_owned() },
        licence: files.licence.clone(),
        styles: STYLES.into_iter().filter(is_known).map(str::to_owned).collect(),
        unknown_words: Arc::new(move |text| lexicon.unknown_words(text)),
    })
}

/// Holds what the librarian works with.
#[derive(Default)]
struct Desk {
    store: Option<Arc<Store>>,
    /// The window's keys of pending requests → the store's numbers.
    pending: HashMap<String, i64>,
    reader: PromptReader,
    /// The LoRAs that were found last.
    loras: Vec<ShelfEntry>,
}

impl Desk {
    fn store(&self) -> Result<&Store, EngineError> {
        self.store
            .as_deref()
            .ok_or_else(|| EngineError::Index { reason: "the library is not open".to_owned() })
    }

    fn shelf(&self) -> Result<ConversationShelf, EngineError> {
        Ok(ConversationShelf::in_library(&self.store()?.folder()))
    }

    fn say_opened(&mut self, tell: &Tell) -> Result<(), EngineError> {
        let store = self.store()?;
        let (folder, opening) = (store.folder(), store.opening().clone());
        let mut unfinished = Vec::new();
        let mut numbers = HashMap::new();
        for job in store.pending()? {
            let key = format!("pending-{}", job.id);
            numbers.insert(key.clone(), job.id);
            unfinished.push(Unfinished { key, request: job.request });
        }
        self.pending = numbers;
        let shelf = ConversationShelf::in_library(&folder);
        tell(LibraryNews::Opened { folder, unfinished });
        tell(LibraryNews::Recovered(opening));
        tell(LibraryNews::Conversations(shelf.list()?));
        Ok(())
    }

    fn say_trash(&self, tell: &Tell) -> Result<(), EngineError> {
        tell(LibraryNews::Trash(trash::list(self.store()?, &self.shelf()?)?));
        Ok(())
    }

    fn carry_out(
        &mut self,
        task: LibraryTask,
        models: &Models,
        tell: &Tell,
    ) -> Result<(), EngineError> {
        match task {
            LibraryTask::ReadResults { before } => {
                let rows = self.store()?.recent(PAGE, before)?;
                let has_older = rows.len() == PAGE;
                let entries = rows.into_iter().filter_map(entry).collect();
                tell(LibraryNews::Results { entries, has_older });
            }
            LibraryTask::ReadThumbnail(id) => {
                if let Some(row) = self.store()?.result(id)?
                    && matches!(row.request, Request::Sound(_))
                {
                    let score = recipe_of(&row.file).ok().and_then(|found| found.score);
                    let sketch = score.map(|score| NotesSketch::of(&score)).unwrap_or_default();
                    tell(LibraryNews::Notes(id, Arc::new(sketch)));
                    return Ok(());
                }
                // A picture whose thumbnail cannot be made still has its place in the strip.
                if let Ok(pixels) = self.store()?.thumbnail(id) {
                    tell(LibraryNews::Thumbnail(id, Arc::new(pixels)));
                }
            }
            LibraryTask::ReadPicture(id) => {
                let read = self.store()?.result(id)?.map(|row| pictures::decode_file(&row.file));
                match read {
                    Some(Ok(pixels)) => tell(LibraryNews::Picture(id, Arc::new(pixels))),
                    Some(Err(error)) => tell(LibraryNews::PictureLost(id, error)),
                    None => {}
                }
            }
            LibraryTask::Trash(id) => self.store()?.trash(id)?,
            LibraryTask::Restore(id) => {
                self.store()?.restore(id)?;
                // The file may have come back under another name.
                if let Some(row) = self.store()?.result(id)? {
                    tell(LibraryNews::FileOf(id, row.file));
                }
            }
            LibraryTask::AddPending { key, request } => {
                let id = self.store()?.add_pending(&request)?;
                self.pending.insert(key, id);
            }
            LibraryTask::RemovePending(key) => {
                if let Some(id) = self.pending.remove(&key) {
                    self.store()?.remove_pending(id)?;
                }
            }
            LibraryTask::ReadConversation(id) => match self.shelf()?.read(&id) {
                Ok(read) => tell(LibraryNews::Conversation(Box::new(read))),
                Err(error) => tell(LibraryNews::ConversationLost(id, error)),
            },
            LibraryTask::WriteConversation(conversation) => {
                self.shelf()?.write(&conversation)?;
            }
            LibraryTask::RenameConversation { id, title } => {
                let shelf = self.shelf()?;
                let conversation = shelf.read(&id)?;
                shelf.write(&Conversation { own_title: title, ..conversation })?;
            }
            LibraryTask::TrashConversation(id) => self.shelf()?.trash(&id)?,
            LibraryTask::RestoreConversation(id) => self.shelf()?.restore(&id)?,
            LibraryTask::SearchConversations(query) => {
                let ids = self.shelf()?.search(&query)?;
                tell(LibraryNews::ConversationsFound { query, ids });
            }
            LibraryTask::FindModels(folders) => {
                models.set_folders(folders);
                self.loras = models.shelf(Shelf::Loras);
                tell(LibraryNews::PictureModels(Box::new(FoundModels {
                    models: models.picture_models(),
                    loras: self.loras.clone(),
                    controls: models.shelf(Shelf::ControlNets),
                    // A tiny one decodes too.
                    vaes: [Shelf::Vaes, Shelf::TinyVaes]
                        .into_iter()
                        .flat_map(|shelf| models.shelf(shelf))
                        .collect(),
                    segmenters: models.shelf(Shelf::Segmenters),
                })));
            }
            LibraryTask::ReadPrompt { text, steps } => {
                tell(LibraryNews::PromptRead(self.reader.read(text, steps, &self.loras)?));
            }
            LibraryTask::ReadTrash => self.say_trash(tell)?,
            LibraryTask::RestoreTrashed(id) => {
                let restored = trash::restore(self.store()?, &self.shelf()?, &id);
                // Whatever happened, the list shows what is there now.
                self.say_trash(tell)?;
                restored?.into_iter().for_each(tell);
            }
            LibraryTask::DeleteTrashed(id) => {
                let deleted = trash::delete(self.store()?, &self.shelf()?, &id);
                self.say_trash(tell)?;
                deleted?;
            }
            LibraryTask::EmptyTrash => {
                let emptied = trash::empty(self.store()?, &self.shelf()?);
                self.say_trash(tell)?;
                emptied?;
            }
            LibraryTask::ReadRecipe(path) => tell(recipes::read(&path)?),
            LibraryTask::CopyFile { from, to } => {
                write_atomic(&to, &png::read_file(&from)?)?;
                tell(LibraryNews::Saved(to));
            }
            LibraryTask::WriteText { text, to } => {
                write_atomic(&to, text.as_bytes())?;
                tell(LibraryNews::Saved(to));
            }
            LibraryTask::MoveData(folder) => {
                self.store()?.move_to(&folder)?;
                tell(LibraryNews::DataMoved(self.store()?.folder()));
            }
        }
        Ok(())
    }
}

/// Makes an entry of the film strip of a result; `None` for one that is not shown there.
pub(super) fn entry(row: ResultRow) -> Option<Entry> {
    let recipe = match row.request {
        Request::Picture(request) => Recipe::Picture(Arc::new(*request)),
        Request::Sound(request) => Recipe::Sound(Arc::new(*request)),
        Request::Enlarge(request) => Recipe::enlarged(*request),
        _ => return None,
    };
    Some(Entry { id: row.id, recipe, file: Some(row.file), thumbnail: Thumbnail::Unknown })
}

fn write_settings(file: &Path, settings: &SavedSettings) -> Result<(), EngineError> {
    let failed = |error: &io::Error| EngineError::io("write the settings", file, error);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let json = serde_json::to_vec_pretty(settings).map_err(|error| failed(&error.into()))?;
    write_atomic(file, &json)
}
