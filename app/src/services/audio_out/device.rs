//! The device: its thread takes frames out of a ring and does nothing else.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, FromSample, SampleFormat, SizedSample, StreamConfig};
use rtrb::{Consumer, Producer, RingBuffer};

use super::feeder::{Shared, Sink};
use crate::state::Silence;

/// The device's buffer, in thousandths of a second.
const BUFFER_MILLIS: u32 = 20;

/// What the ring holds, in thousandths of a second: what a busy machine may keep the feeder waiting.
/// With 80 a device that takes its first buffers at once, 100 in all, found it empty (`atelier bench
/// player`); with more, a key would be answered late.
const RING_MILLIS: u32 = 200;

/// Holds an open device.
pub(super) struct Device {
    ring: Producer<[f32; 2]>,
    rate_hz: u32,
    lost: Arc<Mutex<Option<String>>>,
    /// Plays for as long as it is held.
    _stream: cpal::Stream,
}

impl Device {
    /// Opens the system's usual output; an error says why there is none.
    pub(super) fn open(shared: &Arc<Shared>) -> Result<Self, Silence> {
        let device = cpal::default_host().default_output_device().ok_or(Silence::NoDevice)?;
        let usual = device.default_output_config().map_err(|error| refused(&error))?;
        let config = StreamConfig {
            buffer_size: BufferSize::Fixed(usual.sample_rate() * BUFFER_MILLIS / 1000),
            ..usual.config()
        };
        let open = |config: StreamConfig| match usual.sample_format() {
            SampleFormat::F32 => Self::start::<f32>(&device, config, shared),
            SampleFormat::I16 => Self::start::<i16>(&device, config, shared),
            SampleFormat::I32 => Self::start::<i32>(&device, config, shared),
            SampleFormat::U16 => Self::start::<u16>(&device, config, shared),
            SampleFormat::U8 => Self::start::<u8>(&device, config, shared),
            other => Err(Silence::Format(other.to_string())),
        };
        // Some devices choose their buffers themselves.
        open(config).or_else(|_| open(usual.config()))
    }

    fn start<T: SizedSample + FromSample<f32>>(
        device: &cpal::Device,
        config: StreamConfig,
        shared: &Arc<Shared>,
    ) -> Result<Self, Silence> {
        let rate_hz = config.sample_rate;
        let (ring, frames) = RingBuffer::new((rate_hz * RING_MILLIS / 1000) as usize);
        let lost = Arc::new(Mutex::new(None));
        let tell = lost.clone();
        let shared_by_errors = shared.clone();
        let mut output = Output {
            frames,
            channels: usize::from(config.channels.max(1)),
            has_begun: false,
            is_raised: false,
            shared: shared.clone(),
        };
        let stream = device
            .build_output_stream(
                config,
                move |out: &mut [T], _: &cpal::OutputCallbackInfo| output.fill(out),
                move |error: cpal::Error| match error.kind() {
                    ErrorKind::Xrun => {
                        shared_by_errors.underruns.fetch_add(1, Ordering::Relaxed);
                    }
                    ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
                    _ => {
                        *tell.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(format!("The sound device is gone: {error}"));
                    }
                },
                None,
            )
            .map_err(|error| refused(&error))?;
        stream.play().map_err(|error| refused(&error))?;
        Ok(Self { ring, rate_hz, lost, _stream: stream })
    }
}

fn refused(error: &cpal::Error) -> Silence {
    match error.kind() {
        // Some systems name a device that is not there.
        ErrorKind::DeviceNotAvailable => Silence::NoDevice,
        _ => Silence::Refused(error.to_string().trim_end_matches('.').to_owned()),
    }
}

impl Sink for Device {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn room(&mut self) -> usize {
        self.ring.slots()
    }

    fn waiting(&mut self) -> usize {
        self.ring.buffer().capacity() - self.ring.slots()
    }

    fn push(&mut self, frames: &[[f32; 2]]) {
        let _never_full = self.ring.push_partial_slice(frames);
    }

    fn lost(&mut self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the device's thread owns: never blocks, never takes memory.
struct Output {
    frames: Consumer<[f32; 2]>,
    channels: usize,
    has_begun: bool,
    /// Whether the thread was asked to run before others.
    is_raised: bool,
    shared: Arc<Shared>,
}

impl Output {
    fn fill<T: SizedSample + FromSample<f32>>(&mut self, out: &mut [T]) {
        if !std::mem::replace(&mut self.is_raised, true) {
            super::priority::raise();
        }
        for frame in out.chunks_mut(self.channels) {
            let [left, right] = match self.frames.pop() {
                Ok(frame) => {
                    self.has_begun = true;
                    frame
                }
                Err(_) => {
                    // Once per gap, and not before the first frame came.
                    if std::mem::take(&mut self.has_begun) {
                        self.shared.underruns.fetch_add(1, Ordering::Relaxed);
                    }
                    [0.0; 2]
                }
            };
            match frame {
                [one] => *one = T::from_sample(0.5 * (left + right)),
                [first, second, more @ ..] => {
                    *first = T::from_sample(left);
                    *second = T::from_sample(right);
                    more.fill(T::EQUILIBRIUM);
                }
                [] => {}
            }
        }
    }
}
