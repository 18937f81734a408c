//! The border between a front end and the engine: plain data, no tensors, no locks held across it.

mod cut_out;
mod enlarge;
mod event;
mod extras;
mod job;
mod media;
mod memory;
mod model_choice;
mod precision;
mod region;
mod request;
mod sampling;
mod sound;
mod words;

pub use cut_out::{CutOutOutput, CutOutRequest, FoundObject, ObjectBox, ObjectPoint, ObjectPrompt};
pub use enlarge::{EnlargeOutput, EnlargeRequest, Enlarged, Refine};
pub use event::{Event, Notice, Output, Partial, Picture, PictureOutput, PromptIssue};
pub use extras::{ControlUse, Extras, HintKind, LoraUse, PictureFile, Source};
pub(crate) use job::JobShared;
pub use job::{JobContext, JobHandle, JobId, Live, Stage};
pub use media::{Latents, Note, Pcm, Pixels, Score, Track};
pub use memory::MemoryUse;
pub use model_choice::{ModelChoice, PredictionChoice, VariantChoice};
pub use precision::Precision;
pub use region::{Borders, Region, RegionMode};
pub use request::{
    DeviceChoice, ModelRef, NoiseSource, PictureRequest, PreviewMode, Prompt, Request, Size,
};
pub use sampling::{SamplerInfo, SamplerKind, Sampling, ScheduleKind};
pub use sound::{
    Density, GivenMusic, GivenUse, Instrument, Key, Metre, Mode, MusicPlan, Sound, SoundOutput,
    SoundRequest,
};
pub use words::{
    Logits, Role, TokenSampling, Turn, WordsEnd, WordsOutput, WordsRequest, WordsStats, WordsTask,
};
