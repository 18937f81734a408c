//! What a run will cost, before it runs.
//!
//! Every constant here was measured with the house models on two cores of an AMD EPYC with AVX2
//! (`atelier paint` and `atelier write` under `time`, processor seconds over two cores); times are
//! replaced by what this machine shows as soon as it has painted once.

use std::path::Path;

use crate::models::language::{Config, WIDENED_BYTES};
use crate::protocol::PictureRequest;
use crate::weights::gguf::Gguf;

/// Guesses what a job will take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The most memory that the program holds at once, in bytes, the model included.
    pub memory_bytes: u64,
    /// How long it takes on two processor cores, in seconds, with loading.
    pub duration_secs: f64,
}

/// Memory of the program with the house picture model, in bytes: 79,732 kB with a picture of 65,536
/// pixels less what the pixels take.
const RESIDENT_BYTES: u64 = 77_000_000;
/// Memory for each pixel of the one picture that is sampled or decoded at a time, in bytes, measured
/// with version 2 of the model: 54,916 kB at 32,768 pixels, 61,544 kB at 123,904.
const PER_PIXEL_BYTES: u64 = 75;
/// Seconds for each pixel and step without guidance: 32.9 ms for 65,536 pixels with it (`atelier
/// bench picture`), less what guidance costs.
const STEP_SECS_PER_PIXEL: f64 = 18.4e-3 / 65_536.0;
/// How much longer a step with guidance takes: both halves share a batch; 37.4 ms to 20.9 with
/// version 2 of the model.
const GUIDED: f64 = 1.79;
/// Seconds to load and to start: what ten steps left of 0.18 s on two cores, with one picture
/// developed.
const START_SECS: f64 = 0.06;
/// Seconds for each pixel to develop and save.
const DECODE_SECS_PER_PIXEL: f64 = 30e-3 / 65_536.0;

/// Estimates the memory and time of a job for the house model, from its size, steps and count.
pub fn estimate(request: &PictureRequest) -> Estimate {
    let pixels = u64::from(request.size.width_px) * u64::from(request.size.height_px);
    let calls_per_step = f64::from(request.sampling.sampler.info().calls_per_step);
    let guided = if request.sampling.guidance == 1.0 { 1.0 } else { GUIDED };
    let steps = f64::from(request.sampling.steps) * calls_per_step * guided;
    let secs_per_pixel = steps * STEP_SECS_PER_PIXEL + DECODE_SECS_PER_PIXEL;
    let duration_secs = START_SECS + f64::from(request.count) * pixels as f64 * secs_per_pixel;
    let memory_bytes = RESIDENT_BYTES.saturating_add(pixels.saturating_mul(PER_PIXEL_BYTES));
    Estimate { memory_bytes, duration_secs }
}

/// Memory of the program with the house composer, in bytes, and for each second of music: 57,864 kB
/// with 10 seconds of it, 148,304 kB with 120.
const COMPOSING_BYTES: u64 = 51_000_000;
const MUSIC_BYTES_PER_SEC: f64 = 0.84e6;
/// Seconds to load, and for each second of music to write and render it: 0.55 s of one core for 10
/// seconds, 10.2 s for 120.
const COMPOSING_START_SECS: f64 = 0.2;
const COMPOSING_SECS_PER_SEC: f64 = 0.09;

/// Estimates the memory and time of a job for the house composer, from the length of the piece in
/// seconds.
pub fn estimate_music(secs: f64) -> Estimate {
    Estimate {
        memory_bytes: COMPOSING_BYTES.saturating_add((secs * MUSIC_BYTES_PER_SEC) as u64),
        duration_secs: COMPOSING_START_SECS + secs * COMPOSING_SECS_PER_SEC,
    }
}

/// Memory of the program with vocabulary and template, in bytes: 33.8 MB with the house writer less
/// twice its file.
const WRITING_BYTES: u64 = 22_000_000;

/// The fewest tokens that room is made for.
const TOKENS_LEAST: u64 = 256;

/// Says what a language model needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanguageNeed {
    /// The size of its file, which is held while it is loaded.
    pub file_bytes: u64,
    /// The size of its weights once they are loaded.
    pub held_bytes: u64,
    /// Keys and values of a token.
    pub cache_bytes_per_token: u64,
    /// What attention works in for each token that it looks back on.
    pub work_bytes_per_token: u64,
    /// The most tokens that it holds.
    pub context_tokens: u32,
}

impl LanguageNeed {
    /// Reads what a GGUF file needs off its header; `file_bytes` is the size of the whole. A file
    /// whose sizes cannot be read needs at least itself, twice while it is loaded.
    pub fn of(gguf: &Gguf, file_bytes: u64) -> Self {
        match Config::read(gguf) {
            Ok(config) => Self {
                file_bytes,
                held_bytes: held_bytes(gguf),
                cache_bytes_per_token: config.cache_bytes_per_token(),
                work_bytes_per_token: config.work_bytes_per_token(),
                context_tokens: u32::try_from(config.sizes.context).unwrap_or(u32::MAX),
            },
            Err(_) => Self::of_bytes(file_bytes),
        }
    }

    /// Returns what a file needs of which nothing but its size is known.
    pub fn of_bytes(file_bytes: u64) -> Self {
        Self {
            file_bytes,
            held_bytes: file_bytes,
            cache_bytes_per_token: 0,
            work_bytes_per_token: 0,
            context_tokens: 0,
        }
    }

    /// Reads what the bytes of a GGUF file need.
    pub fn of_file(bytes: &[u8], path: &Path) -> Self {
        let length = bytes.len() as u64;
        Gguf::read(bytes, path).map_or_else(|_| Self::of_bytes(length), |g| Self::of(&g, length))
    }

    /// Returns the most memory that the program holds at once while `tokens` are read and written,
    /// in bytes: loading holds the file and the weights, writing the weights, the cache of keys and
    /// values, which grows by doubling, and the scores of a chunk of tokens.
    pub fn memory_bytes(&self, tokens: u32) -> u64 {
        let tokens = u64::from(tokens.min(self.context_tokens.max(1)));
        let most = u64::from(self.context_tokens).max(TOKENS_LEAST);
        let room = tokens.next_power_of_two().clamp(TOKENS_LEAST, most);
        let cache = room.saturating_mul(self.cache_bytes_per_token);
        let work = tokens.saturating_mul(self.work_bytes_per_token);
        let writing = cache.saturating_add(work);
        self.held_bytes.saturating_add(self.file_bytes.max(writing)).saturating_add(WRITING_BYTES)
    }
}

/// Returns the size of a model's weights once they are loaded: those of a small one are widened, from
/// 8 bits at the least, and its table of tokens stands beside them as it was.
fn held_bytes(gguf: &Gguf) -> u64 {
    let all = gguf.all_bytes();
    if all <= WIDENED_BYTES { all.saturating_mul(4) } else { gguf.held_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Peak memory in kB of `atelier write` with random models of 12 layers, width 1,024, 16 heads
    /// of which 8 of keys and values, as `time` measured it.
    #[test]
    fn the_rule_for_language_models_agrees_with_what_was_measured() {
        let need = |file_bytes: u64, held_bytes: u64| LanguageNeed {
            file_bytes,
            held_bytes,
            cache_bytes_per_token: 12 * 2 * 8 * 64 * 4,
            work_bytes_per_token: 3 * 128 * 16 * 4,
            context_tokens: 4096,
        };
        let (q8, q4) = (need(159_502_976, 159_400_000), need(84_529_792, 84_400_000));
        let f16 = need(300_077_696, 591_700_000);
        for (need, tokens, measured_kb) in [
            (q8, 44, 330_044_u64),
            (q8, 904, 330_316),
            (q8, 3904, 465_784),
            (q4, 44, 183_356),
            (f16, 44, 898_884),
        ] {
            let (said, measured) = (need.memory_bytes(tokens) as f64, measured_kb as f64 * 1024.0);
            let ratio = said / measured;
            assert!((0.97..1.10).contains(&ratio), "{tokens} tokens of {need:?}: {ratio}");
        }
    }

    #[test]
    fn absurd_sizes_need_more_than_there_is_and_do_not_overflow() {
        let need =
            LanguageNeed { context_tokens: u32::MAX, ..LanguageNeed::of_bytes(u64::MAX / 2) };
        assert!(need.memory_bytes(u32::MAX) > u64::MAX / 2);
        assert_eq!(LanguageNeed::of_bytes(u64::MAX).memory_bytes(1), u64::MAX);
        assert!(LanguageNeed::of_file(b"GGUF", Path::new("x")).memory_bytes(9) > 0);
    }
}
