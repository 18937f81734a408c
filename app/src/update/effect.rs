//! What `update` asks the services to do, and what they answer.

use std::path::PathBuf;
use std::sync::Arc;

use atelier_engine::EngineError;
use atelier_engine::canvas::Document;
use atelier_engine::protocol::{Event, JobId, Live, Pixels, Request};
use atelier_engine::store::Opening;
use atelier_engine::store::conversations::{Conversation, ConversationEntry, ConversationList};

use super::{
    PlayerOrder, PlayerReport, ProjectNews, ProjectTask, ShelfNews, ShelfTask, SoundExport,
    SoundNews, SoundTask,
};
use crate::state::{
    DeviceEntry, Entry, FoundModels, LanguageModel, ModelInfo, NotesSketch, PromptReading,
    RecipeOffer, ResultId, TrashId, TrashItem, Unfinished,
};

/// Asks a service for something.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Hands a request to the engine.
    Submit {
        /// The window's number for the job.
        ticket: u64,
        /// What is asked for.
        request: Request,
    },
    /// Cancels a job.
    CancelJob(JobId),
    /// Moves a waiting job to a place among the waiting ones.
    MoveJob(JobId, usize),
    /// Asks the librarian for something.
    Library(LibraryTask),
    /// Asks the desk that keeps projects for something.
    Project(ProjectTask),
    /// Asks the desk of the library room for something.
    Shelf(ShelfTask),
    /// Asks for a folder of pictures that are to be imported.
    PickImportFolder,
    /// Asks for the folder into which results are copied.
    PickExportFolder(Vec<ResultId>),
    /// Asks where the picture that is edited is to be saved, then saves it.
    ExportPicture {
        /// The document.
        document: Box<Document>,
        /// The name that is proposed.
        name: String,
    },
    /// Asks where a copy of a result is to be saved, then saves it.
    SaveAs {
        /// The file to copy.
        from: PathBuf,
        /// The name that is proposed.
        name: String,
    },
    /// Asks where a text is to be saved, then saves it.
    SaveText {
        /// The text.
        text: String,
        /// The name that is proposed.
        name: String,
    },
    /// Tells the player what to do.
    Player(PlayerOrder),
    /// Asks for work on sound.
    Sound(SoundTask),
    /// Asks which sound file is to be opened.
    PickSound,
    /// Asks where a piece is to be exported, then exports it.
    ExportSound {
        /// What is written.
        export: Box<SoundExport>,
        /// The name that is proposed.
        name: String,
    },
    /// Copies a text to the clipboard.
    CopyText(String),
    /// Copies a picture to the clipboard.
    CopyPicture(Arc<Pixels>),
    /// Opens the folder of a file, or a folder itself, in the system's file manager.
    OpenFolder(PathBuf),
    /// Asks where the data folder is to be moved, then moves it.
    PickDataFolder,
    /// Asks for a folder of models.
    PickModelFolder,
    /// Asks which picture file is to be edited.
    PickPicture,
    /// Asks for the picture that guides a ControlNet.
    PickControlPicture,
    /// Puts the cursor into the field of the room that is open.
    FocusPrompt,
    /// Applies theme and scale.
    ApplyLook,
    /// Writes the settings down, soon.
    SaveSettings,
    /// Closes the window.
    Quit,
}

/// Asks the librarian, who reads and writes files on a thread of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum LibraryTask {
    /// Reads results older than a number, or the newest.
    ReadResults {
        /// The number before which to begin.
        before: Option<ResultId>,
    },
    /// Reads the thumbnail of a result.
    ReadThumbnail(ResultId),
    /// Reads the picture of a result.
    ReadPicture(ResultId),
    /// Moves a result to the trash.
    Trash(ResultId),
    /// Brings a result back from the trash.
    Restore(ResultId),
    /// Notes a request as pending.
    AddPending {
        /// Its key.
        key: String,
        /// The request.
        request: Request,
    },
    /// Forgets a pending request.
    RemovePending(String),
    /// Reads a conversation.
    ReadConversation(String),
    /// Writes a conversation down.
    WriteConversation(Box<Conversation>),
    /// Gives a conversation that is not at hand another title.
    RenameConversation {
        /// Its name.
        id: String,
        /// The title.
        title: String,
    },
    /// Moves a conversation to the trash.
    TrashConversation(String),
    /// Brings a conversation back from the trash.
    RestoreConversation(String),
    /// Finds the conversations that contain a text.
    SearchConversations(String),
    /// Looks for models in these folders from now on.
    FindModels(Vec<PathBuf>),
    /// Reads a prompt as models of the Stable Diffusion family do.
    ReadPrompt {
        /// The prompt.
        text: String,
        /// The steps of the run.
        steps: u32,
    },
    /// Lists what is in the trash.
    ReadTrash,
    /// Brings something back from the trash and says what it is.
    RestoreTrashed(TrashId),
    /// Deletes something in the trash for good.
    DeleteTrashed(TrashId),
    /// Deletes everything in the trash for good.
    EmptyTrash,
    /// Reads the recipe of a picture file.
    ReadRecipe(PathBuf),
    /// Copies a file.
    CopyFile {
        /// The file.
        from: PathBuf,
        /// The copy.
        to: PathBuf,
    },
    /// Writes a text.
    WriteText {
        /// The text.
        text: String,
        /// The file.
        to: PathBuf,
    },
    /// Moves the data folder.
    MoveData(PathBuf),
}

/// Is something that a service reports.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// The engine took a request.
    Accepted {
        /// The window's number for the job.
        ticket: u64,
        /// The engine's number for it.
        job: JobId,
    },
    /// The engine refused a request.
    Refused {
        /// The window's number for the job.
        ticket: u64,
        /// Why.
        error: EngineError,
    },
    /// The engine says what became of a job.
    Engine(Event),
    /// A running job's latest progress.
    Progress(JobId, Live),
    /// The librarian answers.
    Library(LibraryNews),
    /// The desk that keeps projects answers.
    Project(ProjectNews),
    /// The desk of the library room answers.
    Shelf(ShelfNews),
    /// Work on sound is done.
    Sound(SoundNews),
    /// The player says what it is doing.
    Player(PlayerReport),
    /// Time has passed.
    Tick,
}

/// Is what the librarian answers.
#[derive(Debug, Clone)]
pub enum LibraryNews {
    /// The library is open.
    Opened {
        /// Its folder.
        folder: PathBuf,
        /// The requests that an earlier run did not finish.
        unfinished: Vec<Unfinished>,
    },
    /// What the check at start found and did.
    Recovered(Opening),
    /// The settings could not be read whole; the file was copied to this place.
    SettingsDamaged(PathBuf),
    /// The model is here.
    ModelReady(ModelInfo),
    /// The model is not here.
    ModelMissing(EngineError),
    /// What was found in the folders of models.
    PictureModels(Box<FoundModels>),
    /// How a prompt is read.
    PromptRead(PromptReading),
    /// The language models that are here.
    LanguageModels(Vec<LanguageModel>),
    /// The conversations of the library.
    Conversations(ConversationList),
    /// A conversation.
    Conversation(Box<Conversation>),
    /// A conversation could not be read and was set aside.
    ConversationLost(String, EngineError),
    /// The conversations that contain a text.
    ConversationsFound {
        /// The text.
        query: String,
        /// Their names.
        ids: Vec<String>,
    },
    /// What is in the trash, the latest deleted first.
    Trash(Vec<TrashItem>),
    /// A result came back from the trash.
    Restored(Box<Entry>),
    /// A conversation came back from the trash.
    RestoredConversation(ConversationEntry),
    /// How much memory is free, in bytes, where the system says it.
    FreeMemory(Option<u64>),
    /// The devices that are here.
    Devices(Vec<DeviceEntry>),
    /// Results, newest first.
    Results {
        /// The results.
        entries: Vec<Entry>,
        /// Whether there are older ones.
        has_older: bool,
    },
    /// A thumbnail.
    Thumbnail(ResultId, Arc<Pixels>),
    /// The notes of a piece of music; none where the file does not have them.
    Notes(ResultId, Arc<NotesSketch>),
    /// A picture.
    Picture(ResultId, Arc<Pixels>),
    /// The file of a result has another place.
    FileOf(ResultId, PathBuf),
    /// A picture that cannot be read.
    PictureLost(ResultId, EngineError),
    /// The recipe of a dropped picture.
    Recipe(Box<RecipeOffer>),
    /// There is none.
    NoRecipe {
        /// The name of the file.
        file_name: String,
    },
    /// A copy was saved.
    Saved(PathBuf),
    /// The data folder was moved.
    DataMoved(PathBuf),
    /// Something went wrong.
    Failed(EngineError),
}
