//! The Stable Diffusion family: so far its prompts.

pub mod prompt;
