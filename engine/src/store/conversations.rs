//! Conversations with a language model: a file for each, which holds every version of every
//! message, so that an edit never overwrites.
//!
//! ```text
//! <folder>/conversations/0006446fc1b2a3d0.json        a conversation
//! <folder>/conversations/trash/…                      the same, until the trash is emptied
//! <folder>/conversations/0006….json.damaged           a file that could not be read, set aside
//! <folder>/conversations/titles.cache                 titles by name, size and time; made again if need be
//! ```

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::files::{make_folder, move_new, write_atomic, write_cache};
use super::recovery::now_ms;
use super::trash;
use crate::error::EngineError;
use crate::protocol::{Role, TokenSampling, Turn, WordsStats};

/// The folder of conversations below that of the library.
pub(super) const CONVERSATIONS: &str = "conversations";

const TRASH: &str = "trash";
const EXTENSION: &str = "json";
const CACHE: &str = "titles.cache";

/// A conversation's file is at most this large; a larger one is no conversation.
const MOST_BYTES: u64 = 32 << 20;

/// How many characters of the first message become the title.
const TITLE_CHARS: usize = 48;

/// Names a message within its conversation; later ones have greater numbers.
pub type MessageId = u32;

/// Holds a conversation: a tree of messages, of which one branch is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its name, also that of its file: lower-case letters and digits.
    pub id: String,
    /// The title that the person gave; empty for the first words.
    #[serde(default)]
    pub own_title: String,
    /// When it was last written to disk, in milliseconds since 1970.
    #[serde(default)]
    pub changed_ms: i64,
    /// What the model is told about its part.
    #[serde(default)]
    pub system: String,
    /// How the model writes here.
    #[serde(default)]
    pub settings: WordsSettings,
    /// Every message of every branch, by number.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// The last message of the branch that is shown.
    #[serde(default)]
    pub leaf: Option<MessageId>,
}

/// Holds how a model writes in a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WordsSettings {
    /// The model's name; empty for the house writer.
    pub model: String,
    /// How tokens are chosen.
    pub sampling: TokenSampling,
    /// The most tokens of an answer.
    pub max_tokens: u32,
    /// The seed; `None` takes another each time.
    pub seed: Option<u64>,
}

impl Default for WordsSettings {
    fn default() -> Self {
        let sampling = TokenSampling::default();
        Self { model: String::new(), sampling, max_tokens: 512, seed: None }
    }
}

/// Holds one message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its number.
    pub id: MessageId,
    /// The message that it answers; `None` for a first one.
    #[serde(default)]
    pub parent: Option<MessageId>,
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub text: String,
    /// Which model wrote it; empty for the person's.
    #[serde(default)]
    pub model: String,
    /// What it took to write it.
    #[serde(default)]
    pub stats: Option<WordsStats>,
    /// The pictures beside its paragraphs.
    #[serde(default)]
    pub illustrations: Vec<Illustration>,
}

/// Holds a picture that stands beside a paragraph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Illustration {
    /// Which paragraph, counted from 0.
    pub paragraph: usize,
    /// The picture's number in the library.
    pub result_id: i64,
}

impl Message {
    /// Tells whether there is nothing in it yet.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.illustrations.is_empty()
    }
}

impl Conversation {
    /// Begins a conversation.
    pub fn new(id: String, settings: WordsSettings) -> Self {
        let (own_title, system) = (String::new(), String::new());
        Self { id, own_title, changed_ms: 0, system, settings, messages: Vec::new(), leaf: None }
    }

    /// Returns the title: the person's, or the first words that were said.
    pub fn title(&self) -> String {
        if !self.own_title.trim().is_empty() {
            return self.own_title.trim().to_owned();
        }
        let first = self.messages.first().map(|message| message.text.as_str()).unwrap_or_default();
        let line = first.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(TITLE_CHARS) {
            Some((end, _)) => format!("{}…", line[..end].trim_end()),
            None => line,
        }
    }

    /// Returns a message by its number.
    pub fn message(&self, id: MessageId) -> Option<&Message> {
        self.messages.iter().find(|message| message.id == id)
    }

    /// Returns a message by its number, to be changed.
    pub fn message_mut(&mut self, id: MessageId) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.id == id)
    }

    /// Returns the messages of the branch that is shown, the first one first.
    pub fn branch(&self) -> Vec<&Message> {
        let by_id: HashMap<MessageId, &Message> =
            self.messages.iter().map(|message| (message.id, message)).collect();
        let mut branch = Vec::new();
        let mut next = self.leaf;
        while let Some(message) = next.and_then(|id| by_id.get(&id)) {
            branch.push(*message);
            // A parent has a smaller number, or a damaged file would lead round in a circle.
            next = message.parent.filter(|parent| *parent < message.id);
        }
        branch.reverse();
        branch
    }

    /// Returns the turns of the branch that is shown, up to and with `last`.
    pub fn turns(&self, last: Option<MessageId>) -> Vec<Turn> {
        let turn = |message: &&Message| Turn { role: message.role, text: message.text.clone() };
        self.branch().iter().filter(|m| last.is_some_and(|last| m.id <= last)).map(turn).collect()
    }

    /// Adds a message after `parent`, shows its branch and returns its number.
    pub fn add(&mut self, parent: Option<MessageId>, role: Role, text: String) -> MessageId {
        let id = self.messages.iter().map(|message| message.id).max().map_or(0, |last| last + 1);
        let (model, illustrations) = (String::new(), Vec::new());
        self.messages.push(Message { id, parent, role, text, model, stats: None, illustrations });
        self.leaf = Some(id);
        id
    }

    /// Takes out a message that nothing answers; the branch then ends before it.
    pub fn remove_leaf(&mut self, id: MessageId) {
        if self.messages.iter().any(|message| message.parent == Some(id)) {
            return;
        }
        let parent = self.message(id).and_then(|message| message.parent);
        self.messages.retain(|message| message.id != id);
        if self.leaf == Some(id) {
            self.leaf = parent;
        }
    }

    /// Returns the versions of a message: those that answer the same one, in their order.
    pub fn versions(&self, id: MessageId) -> Vec<MessageId> {
        let Some(message) = self.message(id) else { return Vec::new() };
        let same = |other: &&Message| other.parent == message.parent && other.role == message.role;
        self.messages.iter().filter(same).map(|other| other.id).collect()
    }

    /// Shows the branch of a message down to its latest answer.
    pub fn show_version(&mut self, id: MessageId) {
        let mut leaf = id;
        while let Some(answer) = self
            .messages
            .iter()
            .filter(|m| m.parent == Some(leaf) && m.id > leaf)
            .map(|m| m.id)
            .max()
        {
            leaf = answer;
        }
        self.leaf = Some(leaf);
    }

    /// Returns the branch that is shown as a Markdown text: the title, then what was said by whom.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# {}\n", self.title());
        if !self.system.trim().is_empty() {
            text.push_str(&format!("\n> {}\n", self.system.trim().replace('\n', "\n> ")));
        }
        for message in self.branch().into_iter().filter(|message| !message.text.is_empty()) {
            let by = match message.role {
                Role::User => "You".to_owned(),
                Role::Assistant if message.model.is_empty() => "Model".to_owned(),
                Role::Assistant => message.model.clone(),
            };
            text.push_str(&format!("\n**{by}**\n\n{}\n", message.text.trim_end()));
        }
        text
    }

    /// Tells whether the title or a message contains `words`, which are in lower case.
    pub fn contains(&self, words: &str) -> bool {
        self.own_title.to_lowercase().contains(words)
            || self.messages.iter().any(|message| message.text.to_lowercase().contains(words))
    }
}

/// Holds what the list of conversations shows of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationEntry {
    /// Its name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// When it was last changed, in milliseconds since 1970.
    pub changed_ms: i64,
}

/// Is the list of conversations, and what was set aside while it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationList {
    /// The conversations, the latest changed first.
    pub entries: Vec<ConversationEntry>,
    /// Files that could not be read, at their new places.
    pub set_aside: Vec<PathBuf>,
}

/// Describes a conversation in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrashedConversation {
    /// Its name.
    pub id: String,
    /// Its title; empty when it has none or cannot be read.
    pub title: String,
    /// When it was deleted, in milliseconds since 1970.
    pub trashed_ms: i64,
    /// The size of its file.
    pub bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cached {
    bytes: u64,
    modified_ms: u64,
    entry: ConversationEntry,
}

/// Keeps conversations in a folder.
#[derive(Debug, Clone)]
pub struct ConversationShelf {
    folder: PathBuf,
}

impl ConversationShelf {
    /// Uses the folder of conversations below that of a library.
    pub fn in_library(library: &Path) -> Self {
        Self { folder: library.join(CONVERSATIONS) }
    }

    fn path(&self, id: &str) -> Result<PathBuf, EngineError> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || id.len() > 64 || !id.chars().all(is_plain) {
            return Err(EngineError::invalid("conversation", "has no valid name"));
        }
        Ok(self.folder.join(id).with_extension(EXTENSION))
    }

    /// Writes a conversation so that its file is either whole or as before, and returns when.
    ///
    /// # Errors
    /// [`EngineError::DiskFull`] or [`EngineError::Io`]; [`EngineError::InvalidSetting`] for a name
    /// that is none.
    pub fn write(&self, conversation: &Conversation) -> Result<i64, EngineError> {
        let path = self.path(&conversation.id)?;
        make_folder(&self.folder)?;
        let changed_ms = now_ms();
        let conversation = Conversation { changed_ms, ..conversation.clone() };
        let json = serde_json::to_vec(&conversation)
            .map_err(|error| EngineError::io("write the conversation", &path, &error.into()))?;
        write_atomic(&path, &json)?;
        Ok(changed_ms)
    }

    /// Reads a conversation; a file that is none is set aside.
    ///
    /// # Errors
    /// [`EngineError::Io`] when it is not there, [`EngineError::Damaged`] when it cannot be read.
    pub fn read(&self, id: &str) -> Result<Conversation, EngineError> {
        let path = self.path(id)?;
        let read = read_file(&path);
        if matches!(read, Err(EngineError::Damaged { .. })) {
            set_aside(&path)?;
        }
        read
    }

    /// Lists the conversations. The folder is what counts; the cache of titles saves reading files
    /// that have not changed.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the folder cannot be read.
    pub fn list(&self) -> Result<ConversationList, EngineError> {
        make_folder(&self.folder)?;
        let cache_file = self.folder.join(CACHE);
        let mut known: HashMap<String, Cached> = fs::read(&cache_file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let was_known = known.len();
        let mut list = ConversationList::default();
        let mut now = HashMap::new();
        let mut has_changed = false;
        for (path, id) in self.files()? {
            let Ok(found) = fs::metadata(&path) else { continue };
            let bytes = found.len();
            let modified = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let modified_ms = modified.unwrap_or_default().as_millis() as u64;
            let same = |old: &Cached| old.bytes == bytes && old.modified_ms == modified_ms;
            let cached = match known.remove(&id).filter(same) {
                Some(cached) => cached,
                None => match read_file(&path) {
                    Ok(conversation) => {
                        has_changed = true;
                        let (title, changed_ms) = (conversation.title(), conversation.changed_ms);
                        let entry = ConversationEntry { id: id.clone(), title, changed_ms };
                        Cached { bytes, modified_ms, entry }
                    }
                    Err(_) => {
                        // Listed again next time when it cannot even be moved.
                        list.set_aside.extend(set_aside(&path));
                        continue;
                    }
                },
            };
            list.entries.push(cached.entry.clone());
            now.insert(id, cached);
        }
        if (has_changed || now.len() != was_known)
            && let Ok(json) = serde_json::to_vec(&now)
        {
            // A cache that cannot be written is made again next time.
            let _ = write_cache(&cache_file, &json);
        }
        list.entries.sort_by(|a, b| (b.changed_ms, &b.id).cmp(&(a.changed_ms, &a.id)));
        Ok(list)
    }

    /// Returns the names of the conversations that contain `query`, in title or text, whatever the
    /// case of its letters.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the folder cannot be read; a single file that resists is passed over.
    pub fn search(&self, query: &str) -> Result<Vec<String>, EngineError> {
        let words = query.trim().to_lowercase();
        let matches = |(path, id): (PathBuf, String)| {
            read_file(&path).is_ok_and(|one| one.contains(&words)).then_some(id)
        };
        Ok(self.files()?.into_iter().filter_map(matches).collect())
    }

    /// Moves a conversation to the trash.
    ///
    /// # Errors
    /// [`EngineError::Io`] when its file cannot be moved.
    pub fn trash(&self, id: &str) -> Result<(), EngineError> {
        let trash = self.folder.join(TRASH);
        make_folder(&trash)?;
        let moved = move_new(&self.path(id)?, &trash)?;
        // When it was deleted stands in the time of its file; the trash is only sorted by it.
        if let Ok(file) = fs::File::options().write(true).open(moved) {
            let _ = file.set_modified(SystemTime::now());
        }
        Ok(())
    }

    /// Lists the conversations in the trash, the latest deleted first. A file that cannot be read
    /// is listed without a title, so that it can still be deleted.
    ///
    /// # Errors
    /// [`EngineError::Io`] when the folder cannot be read.
    pub fn trashed(&self) -> Result<Vec<TrashedConversation>, EngineError> {
        let trash = Self { folder: self.folder.join(TRASH) };
        if !trash.folder.is_dir() {
            return Ok(Vec::new());
        }
        let item = |(path, id): (PathBuf, String)| {
            let found = fs::metadata(&path).ok()?;
            let title = read_file(&path).map(|one| one.title()).unwrap_or_default();
            let modified = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let trashed_ms = modified.unwrap_or_default().as_millis() as i64;
            Some(TrashedConversation { id, title, trashed_ms, bytes: found.len() })
        };
        let mut items: Vec<_> = trash.files()?.into_iter().filter_map(item).collect();
        items.sort_by(|a, b| (b.trashed_ms, &b.id).cmp(&(a.trashed_ms, &a.id)));
        Ok(items)
    }

    /// Deletes a conversation that is in the trash for good.
    ///
    /// # Errors
    /// [`EngineError::Io`] when its file cannot be deleted.
    pub fn delete_for_good(&self, id: &str) -> Result<(), EngineError> {
        let trash = Self { folder: self.folder.join(TRASH) };
        trash::remove(&trash.path(id)?)
    }

    /// Deletes every conversation in the trash for good and returns how many went.
    ///
    /// # Errors
    /// [`EngineError::Io`] when a file cannot be deleted; it and those after it are still there.
    pub fn empty_trash(&self) -> Result<usize, EngineError> {
        let items = self.trashed()?;
        items.iter().try_for_each(|item| self.delete_for_good(&item.id))?;
        Ok(items.len())
    }

    /// Takes a conversation back out of the trash.
    ///
    /// # Errors
    /// [`EngineError::Io`] when it is not there or its file cannot be moved.
    pub fn restore(&self, id: &str) -> Result<(), EngineError> {
        let path = self.path(id)?;
        let name = path.file_name().unwrap_or_default();
        move_new(&self.folder.join(TRASH).join(name), &self.folder).map(|_| ())
    }

    /// Lists the files of conversations with their names.
    fn files(&self) -> Result<Vec<(PathBuf, String)>, EngineError> {
        let entries = fs::read_dir(&self.folder)
            .map_err(|error| EngineError::io("read the folder", &self.folder, &error))?;
        let file = |path: PathBuf| {
            let is_one = path.extension().is_some_and(|found| found == EXTENSION);
            let id = path.file_stem()?.to_str()?.to_owned();
            (is_one && self.path(&id).is_ok()).then_some((path, id))
        };
        Ok(entries.flatten().filter_map(|entry| file(entry.path())).collect())
    }
}

/// Reads a conversation's file, of a size that is looked at first.
fn read_file(path: &Path) -> Result<Conversation, EngineError> {
    let refused = |error: std::io::Error| EngineError::io("read the conversation", path, &error);
    let bytes = fs::metadata(path).map_err(refused)?.len();
    if bytes > MOST_BYTES {
        return Err(EngineError::damaged(path, "is too large for a conversation"));
    }
    let json = fs::read(path).map_err(refused)?;
    let mut read: Conversation = serde_json::from_slice(&json)
        .map_err(|error| EngineError::damaged(path, format!("is no conversation: {error}")))?;
    // The name of the file counts: somebody may have copied it.
    if let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) {
        stem.clone_into(&mut read.id);
    }
    Ok(read)
}

/// Gives a file another ending, so that it is in nobody's way and can still be looked at.
fn set_aside(path: &Path) -> Result<PathBuf, EngineError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".damaged");
    let aside = path.with_file_name(name);
    fs::rename(path, &aside)
        .map_err(|error| EngineError::io("set the file aside", path, &error))?;
    Ok(aside)
}

#[cfg(test)]
#[path = "conversations_tests.rs"]
mod tests;
