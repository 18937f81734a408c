//! Sound: files in and out, notes as MIDI, the built-in synthesizer, and what there is to see and to
//! measure. Plain data and mathematics, without models and without a library.

pub mod loudness;
pub mod midi;
pub mod peaks;
pub mod read;
pub mod recipe;
pub mod resample;
pub mod spectrogram;
pub mod synth;
pub mod write;

#[cfg(test)]
mod analysis_tests;
#[cfg(test)]
mod tests;
