//! Requests → outputs: each pipeline checks its request, runs its networks and reports every step.

pub mod cutout;
mod device;
pub mod diffusion;
pub mod enlarge;
pub mod hints;
mod limits;
pub mod measure;
mod noise;
pub mod object;
pub mod picture;
pub mod pictures;
mod previews;
mod refining;
pub mod sound;
mod source;
mod windows;
pub mod words;

pub(crate) use device::open as open_device;
pub(crate) use pictures::decode as decode_picture;
pub use source::planned_size;
