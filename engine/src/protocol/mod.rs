//! The border between a front end and the engine: plain data, no tensors, no locks held across it.

mod event;
mod job;
mod media;
mod request;

pub use event::{Event, Notice, Output, Partial, Picture, PictureOutput};
pub(crate) use job::JobShared;
pub use job::{JobContext, JobHandle, JobId, Live, Stage};
pub use media::{Latents, Pixels};
pub use request::{
    DeviceChoice, ModelRef, NoiseSource, PictureRequest, PreviewMode, Prompt, Request, SamplerKind,
    Sampling, Size,
};
