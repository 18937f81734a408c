//! Every way in which a job can end badly.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Says why a job, or a question to the engine, could not be answered.
///
/// One public error for the whole engine: front ends show [`std::fmt::Display`] as one sentence and
/// [`EngineError::hint`] below it, so that nobody has to match on the inside of a library. It is
/// cloneable because an event is read by more than one reader, and serialisable because the
/// command line prints it as JSON. The path of a file stands last in a message, where a reader who
/// skims still finds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EngineError {
    /// The prompt holds no text.
    #[error("The prompt is empty")]
    EmptyPrompt,
    /// A setting of the request is outside what the pipeline accepts.
    #[error("The {setting} {reason}")]
    InvalidSetting {
        /// The setting in the user's words, for instance `width`.
        setting: String,
        /// The rest of the sentence, for instance `must be a multiple of 32, not 100`.
        reason: String,
    },
    /// More jobs wait than the queue holds.
    #[error("The queue is full: {limit} jobs are waiting")]
    QueueFull {
        /// How many jobs may wait at once.
        limit: usize,
    },
    /// The engine thread has ended.
    #[error("The engine has stopped")]
    Stopped,
    /// The job was cancelled; plumbing, never shown as a failure.
    #[error("The job was cancelled")]
    Cancelled,
    /// A bug: the job panicked and was contained.
    #[error("The job stopped because of a bug: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// A value that is not a number appeared in a result.
    #[error("The {stage} produced values that are not numbers")]
    NotANumber {
        /// Where it was noticed, for instance `sampler at step 3`.
        stage: String,
    },
    /// The memory that is free does not hold the model.
    #[error("The model “{name}” needs {} of memory, and {} are free", in_gb(*needed_bytes), in_gb(*free_bytes))]
    TooLarge {
        /// The model's name.
        name: String,
        /// What it needs while it is loaded and used.
        needed_bytes: u64,
        /// What is free, with what models in memory would give back.
        free_bytes: u64,
    },
    /// No model of this name or at this place is known.
    #[error("There is no model called “{name}”")]
    ModelNotFound {
        /// The name or path that was asked for.
        name: String,
    },
    /// The model's file is not the one that the recipe was made with.
    #[error("The model “{name}” is not the one this recipe was made with")]
    ModelChanged {
        /// The model's name.
        name: String,
    },
    /// A file is cut short, inconsistent or not what its name says.
    #[error("The file {reason}: {}", path.display())]
    Damaged {
        /// The rest of the sentence, for instance `ends before its header does`.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// A picture is sound and of a kind that is not opened.
    #[error("The picture {reason}: {}", path.display())]
    OtherPicture {
        /// The rest of the sentence, for instance `is a GIF file`.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// A file that changes models is for another family of them.
    #[error("The {what} is made for {made_for}, and the model is {model}: {}", path.display())]
    OtherFamily {
        /// What the file is, for instance `LoRA`.
        what: String,
        /// The models that it goes with, for instance `SDXL`.
        made_for: String,
        /// What the chosen model is.
        model: String,
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused something.
    #[error("Could not {action} ({reason}): {}", path.display())]
    Io {
        /// The verb and its object, for instance `write the picture`.
        action: String,
        /// What the operating system said.
        reason: String,
        /// The file or folder.
        path: PathBuf,
    },
    /// The disk has no room.
    #[error("The disk is full: {}", path.display())]
    DiskFull {
        /// The file that could not be written.
        path: PathBuf,
    },
    /// The chosen device is not here or failed.
    #[error("The device {device} cannot be used: {reason}")]
    Device {
        /// The device as the user chose it.
        device: String,
        /// What the driver said.
        reason: String,
    },
    /// The index of results could not be read or written.
    #[error("The library's index failed: {reason}")]
    Index {
        /// What SQLite said.
        reason: String,
    },
    /// The chat template in a language model's file refused the conversation or is broken.
    #[error("The model's chat template failed: {reason}")]
    Template {
        /// What it said, or what is wrong with it.
        reason: String,
    },
    /// A picture was painted but could not be decoded, and its latents were kept.
    #[error("The picture could not be decoded ({reason}); its latents are kept: {}", path.display())]
    Undecoded {
        /// Why not, as the last try said it.
        reason: String,
        /// The file of the latents, with the picture's recipe.
        path: PathBuf,
    },
    /// A tensor operation failed; a bug or a model that does not fit its description.
    #[error("The model failed: {reason}")]
    Model {
        /// What the tensor library said.
        reason: String,
    },
}

impl EngineError {
    /// Makes an [`EngineError::InvalidSetting`].
    pub fn invalid(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidSetting { setting: setting.into(), reason: reason.into() }
    }

    /// Makes an [`EngineError::Damaged`].
    pub fn damaged(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Damaged { reason: reason.into(), path: path.into() }
    }

    /// Makes an [`EngineError::DiskFull`] or [`EngineError::Io`] from what the operating system said.
    pub fn io(action: impl Into<String>, path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        let path = path.into();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path }
            }
            _ => Self::Io { action: action.into(), reason: error.to_string(), path },
        }
    }

    /// Returns what the user can do about it, as one imperative sentence without a final full stop.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::EmptyPrompt => {
                "Describe what the picture should show, for instance “a red fox in the snow”"
            }
            Self::InvalidSetting { .. } => "Change the setting and generate again",
            Self::QueueFull { .. } => "Wait for a job to end, or cancel one",
            Self::Stopped => "Restart Atelier; everything finished is in the library",
            Self::Cancelled => "Generate again whenever you like",
            Self::Panicked { .. } => "Generate again; if it stops again, report it with the recipe",
            Self::NotANumber { .. } => "Lower the guidance or choose another sampler",
            Self::TooLarge { .. } => {
                "Close other programs, or choose a smaller model or one with fewer bits per weight"
            }
            Self::ModelNotFound { .. } => {
                "Choose a model from the list, or give the path of its file or folder"
            }
            Self::ModelChanged { .. } => {
                "Generate again with the model that is here; the picture may differ"
            }
            Self::Damaged { .. } => "Download or copy the file again",
            Self::OtherPicture { .. } => "Save it as a smaller PNG, JPEG or WebP picture first",
            Self::OtherFamily { .. } => "Choose one that was made for this kind of model",
            Self::Io { .. } => "Check that the place exists and that you may write there",
            Self::DiskFull { .. } => "Free some space and try again; nothing finished was lost",
            Self::Device { .. } => "Choose another device in the settings",
            Self::Index { .. } => {
                "Restart Atelier; the index is rebuilt from the pictures if it is damaged"
            }
            Self::Template { .. } => {
                "Have the model continue a text instead of a conversation, or choose another model"
            }
            Self::Undecoded { .. } => {
                "Close other programs, then generate again with the same seed, or choose a tiny VAE"
            }
            Self::Model { .. } => "Choose another model, or report it with the recipe",
        }
    }

    /// Tells whether the user's input is at fault (exit code 2), rather than the machine or a bug.
    pub fn is_wrong_input(&self) -> bool {
        matches!(
            self,
            Self::EmptyPrompt
                | Self::InvalidSetting { .. }
                | Self::ModelNotFound { .. }
                | Self::Damaged { .. }
                | Self::OtherPicture { .. }
                | Self::OtherFamily { .. }
                | Self::Device { .. }
        )
    }
}

/// Returns a size in gigabytes, or megabytes below one.
fn in_gb(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{} MB", bytes.div_ceil(1_000_000)),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

impl From<candle_core::Error> for EngineError {
    fn from(error: candle_core::Error) -> Self {
        // candle appends a backtrace when one is captured; the first line is the message.
        let text = error.to_string();
        Self::Model { reason: text.lines().next().unwrap_or_default().to_owned() }
    }
}
