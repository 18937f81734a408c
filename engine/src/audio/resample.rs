//! Another sample rate: the whole of a sound, or a stream of stereo frames for the player.

use rubato::audioadapter_buffers::direct::{InterleavedSlice, SequentialSliceOfVecs};
use rubato::{Fft, FixedSync, Resampler};

use crate::error::EngineError;
use crate::protocol::Pcm;

/// Frames that are worked on at once.
const CHUNK_FRAMES: usize = 1024;

/// Frames of a stream that are worked on at once: few, so that a key is answered soon.
const STREAM_CHUNK_FRAMES: usize = 256;

/// Changes the sample rate of a whole sound; its length in seconds and its place in time stay.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when one of the rates is outside 8,000 to 384,000 Hz.
pub fn resample(pcm: &Pcm, sample_rate_hz: u32) -> Result<Pcm, EngineError> {
    if pcm.sample_rate_hz == sample_rate_hz {
        return Ok(pcm.clone());
    }
    check(pcm.sample_rate_hz)?;
    check(sample_rate_hz)?;
    let channels = usize::from(pcm.channels.max(1));
    let frames = pcm.frames();
    let mut converter = Fft::<f32>::new(
        pcm.sample_rate_hz as usize,
        sample_rate_hz as usize,
        even_chunk(pcm.sample_rate_hz, sample_rate_hz),
        channels,
        FixedSync::Both,
    )
    .map_err(refused)?;
    let input = InterleavedSlice::new(&pcm.samples[..frames * channels], channels, frames)
        .map_err(refused)?;
    let made = converter.process_all(&input, frames, None).map_err(refused)?;
    let wanted =
        (frames as u64 * u64::from(sample_rate_hz)).div_ceil(u64::from(pcm.sample_rate_hz));
    let mut samples = made.take_data();
    samples.resize(wanted as usize * channels, 0.0);
    samples.iter_mut().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
    Ok(Pcm { sample_rate_hz, channels: pcm.channels, samples })
}

/// Changes the sample rate of a stream of stereo frames.
pub struct StereoStream {
    converter: Fft<f32>,
    waiting: [Vec<f32>; 2],
    made: Vec<Vec<f32>>,
}

impl std::fmt::Debug for StereoStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StereoStream")
    }
}

impl StereoStream {
    /// Makes a stream between two rates in Hz.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when one of the rates is outside 8,000 to 384,000 Hz.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, EngineError> {
        check(from_hz)?;
        check(to_hz)?;
        let fixed = FixedSync::Input;
        let converter = Fft::new(from_hz as usize, to_hz as usize, STREAM_CHUNK_FRAMES, 2, fixed)
            .map_err(refused)?;
        let most = converter.output_frames_max();
        Ok(Self { converter, waiting: [Vec::new(), Vec::new()], made: vec![vec![0.0; most]; 2] })
    }

    /// Takes frames and appends those that they make to `out`; some stay behind until more come.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the converter fails; a bug.
    pub fn push(
        &mut self,
        frames: &[[f32; 2]],
        out: &mut Vec<[f32; 2]>,
    ) -> Result<(), EngineError> {
        for frame in frames {
            for (waiting, sample) in self.waiting.iter_mut().zip(frame) {
                waiting.push(*sample);
            }
            let wanted = self.converter.input_frames_next();
            if self.waiting[0].len() < wanted {
                continue;
            }
            let most = self.made[0].len();
            let input = SequentialSliceOfVecs::new(&self.waiting, 2, wanted).map_err(refused)?;
            let mut output =
                SequentialSliceOfVecs::new_mut(&mut self.made, 2, most).map_err(refused)?;
            let (_, made) =
                self.converter.process_into_buffer(&input, &mut output, None).map_err(refused)?;
            let [left, right] = &self.made[..] else { return Ok(()) };
            let clip = |sample: f32| sample.clamp(-1.0, 1.0);
            out.extend(left[..made].iter().zip(&right[..made]).map(|(l, r)| [clip(*l), clip(*r)]));
            self.waiting.iter_mut().for_each(Vec::clear);
        }
        Ok(())
    }
}

/// Returns a chunk of an even number of the smallest steps that are whole in both rates: the filter
/// of an odd one would have its middle between two samples, and move the sound by half of one.
fn even_chunk(from_hz: u32, to_hz: u32) -> usize {
    let (mut a, mut b) = (from_hz, to_hz);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let step = (from_hz / a.max(1)) as usize;
    2 * step * CHUNK_FRAMES.div_ceil(2 * step)
}

fn check(rate_hz: u32) -> Result<(), EngineError> {
    if (8_000..=384_000).contains(&rate_hz) {
        return Ok(());
    }
    let reason = format!("must be from 8000 to 384000 Hz, not {rate_hz}");
    Err(EngineError::invalid("sample rate", reason))
}

fn refused(error: impl std::fmt::Display) -> EngineError {
    EngineError::invalid("sound", format!("cannot be resampled: {error}"))
}
