//! Sound out of files: WAV, FLAC, MP3 and OGG (Vorbis). Whatever a file claims is checked before
//! memory is taken.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use crate::error::EngineError;
use crate::protocol::Pcm;

/// The most channels that are read.
pub const MAX_CHANNELS: u16 = 8;

/// The sample rates that are read, in Hz.
pub const SAMPLE_RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=384_000;

/// The most samples, of all channels together, that are kept in memory: somewhat more than an hour of
/// stereo at 48,000 Hz; 1.6 GB.
pub const MAX_SAMPLES: usize = 400_000_000;

/// Packets that cannot be decoded one after the other before the file is given up.
const MAX_BROKEN_PACKETS: usize = 1000;

/// Samples for which memory is taken at once, however long a file says it is.
const MAX_RESERVED: usize = 1 << 24;

/// Reads a sound file whole.
///
/// Samples that are not numbers become silence, and those beyond full scale are clipped. A file that
/// ends too early gives what it holds.
///
/// # Errors
/// [`EngineError::Io`] when the file cannot be read, [`EngineError::Damaged`] when it is no sound, is
/// broken, has more than [`MAX_CHANNELS`] channels, a rate outside [`SAMPLE_RATES_HZ`] or more than
/// [`MAX_SAMPLES`] samples.
pub fn read_file(path: &Path) -> Result<Pcm, EngineError> {
    read_all(&mut SoundReader::open(path)?, MAX_SAMPLES)
}

/// Reads the bytes of a sound file, as [`read_file`] does; `path` is named in errors.
///
/// # Errors
/// As [`read_file`].
pub fn read_bytes(bytes: Vec<u8>, path: &Path) -> Result<Pcm, EngineError> {
    read_all(&mut SoundReader::from_bytes(bytes, path)?, MAX_SAMPLES)
}

fn read_all(reader: &mut SoundReader, most: usize) -> Result<Pcm, EngineError> {
    let channels = usize::from(reader.channels);
    let too_long = |path: &Path| {
        let minutes = most / channels / reader.sample_rate_hz as usize / 60;
        EngineError::damaged(
            path,
            format!(
                "is longer than the {minutes} minutes that can be opened with so many channels"
            ),
        )
    };
    let too_long = too_long(&reader.path);
    let announced = reader.frames.unwrap_or(0).saturating_mul(channels as u64);
    if announced > most as u64 {
        return Err(too_long);
    }
    let mut samples: Vec<f32> = Vec::with_capacity((announced as usize).min(MAX_RESERVED));
    while let Some(block) = reader.next_block()? {
        if samples.len() + block.len() > most {
            return Err(too_long);
        }
        if samples.len() + block.len() > samples.capacity() {
            // By a quarter, not by doubling: an hour must not need two.
            samples.reserve_exact(block.len() + samples.len() / 4);
        }
        samples.extend_from_slice(block);
    }
    if samples.is_empty() {
        return Err(EngineError::damaged(&reader.path, "holds no sound"));
    }
    Ok(Pcm { sample_rate_hz: reader.sample_rate_hz, channels: reader.channels, samples })
}

/// Reads a sound file piece by piece, in bounded memory however long it is.
pub struct SoundReader {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    path: PathBuf,
    sample_rate_hz: u32,
    channels: u16,
    frames: Option<u64>,
    block: Vec<f32>,
    broken: usize,
    has_decoded: bool,
}

impl std::fmt::Debug for SoundReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SoundReader({}, {} Hz)", self.path.display(), self.sample_rate_hz)
    }
}

impl SoundReader {
    /// Opens a sound file and reads its header.
    ///
    /// # Errors
    /// As [`read_file`], but for its length.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let refused = |error: std::io::Error| EngineError::io("read the sound", path, &error);
        let file = File::open(path).map_err(refused)?;
        let found = file.metadata().map_err(refused)?;
        if found.is_dir() {
            return Err(EngineError::damaged(path, "is a folder"));
        }
        if found.is_file() && found.len() == 0 {
            return Err(EngineError::damaged(path, "is empty"));
        }
        Self::begin(Box::new(file), path)
    }

    /// Reads the header of a sound file's bytes; `path` is named in errors.
    ///
    /// # Errors
    /// As [`SoundReader::open`].
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, EngineError> {
        if bytes.is_empty() {
            return Err(EngineError::damaged(path, "is empty"));
        }
        Self::begin(Box::new(Cursor::new(bytes)), path)
    }

    fn begin(source: Box<dyn MediaSource>, path: &Path) -> Result<Self, EngineError> {
        guarded(path, || Self::probe(source, path))
    }

    fn probe(mut source: Box<dyn MediaSource>, path: &Path) -> Result<Self, EngineError> {
        let damaged = |reason: String| EngineError::damaged(path, reason);
        check_wav_head(&mut source).map_err(damaged)?;
        let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
            hint.with_extension(extension);
        }
        let format = symphonia::default::get_probe()
            .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|error| said(&error, "is no sound that can be read", path))?;
        let track = format
            .default_track(TrackType::Audio)
            .ok_or_else(|| damaged("holds no sound that can be read".to_owned()))?;
        let (id, frames) = (track.id, track.num_frames);
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|parameters| parameters.audio())
            .ok_or_else(|| damaged("does not say how its sound is stored".to_owned()))?;
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|error| said(&error, "holds a sound that cannot be decoded", path))?;
        let parameters = decoder.codec_params();
        let rate = parameters.sample_rate.or(track
            .codec_params
            .as_ref()
            .and_then(|p| p.audio().and_then(|audio| audio.sample_rate)));
        let channels = parameters.channels.as_ref().map(|channels| channels.count());
        let (sample_rate_hz, channels) = checked(rate, channels).map_err(damaged)?;
        Ok(Self {
            decoder,
            track: id,
            path: path.to_owned(),
            sample_rate_hz,
            channels,
            frames,
            block: Vec::new(),
            broken: 0,
            has_decoded: false,
            format,
        })
    }

    /// Returns how many frames a second has.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Returns how many channels there are, 1 to [`MAX_CHANNELS`].
    pub fn channels(&self) -> u16 {
        self.channels
    }

    /// Returns how many frames the file says it has; it may hold less or more.
    pub fn frames(&self) -> Option<u64> {
        self.frames
    }

    /// Reads some more interleaved samples, never an empty piece; `None` at the end.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when nothing can be decoded, or channels or rate change midway.
    pub fn next_block(&mut self) -> Result<Option<&[f32]>, EngineError> {
        let path = self.path.clone();
        let has_block = guarded(&path, || self.advance())?;
        Ok(has_block.then_some(&self.block))
    }

    fn advance(&mut self) -> Result<bool, EngineError> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(false),
                // A file that ends in the middle of a packet gives what came before.
                Err(error) if self.has_decoded => {
                    return match error {
                        Error::ResetRequired => Err(self.changed()),
                        _ => Ok(false),
                    };
                }
                Err(error) => {
                    return Err(said(&error, "holds no sound that can be read", &self.path));
                }
            };
            if packet.track_id != self.track {
                continue;
            }
            let decoded = match self.decoder.decode(&packet) {
                Ok(decoded) => decoded,
                Err(Error::ResetRequired) => return Err(self.changed()),
                Err(error) => {
                    self.broken += 1;
                    if self.broken > MAX_BROKEN_PACKETS {
                        return Err(said(
                            &error,
                            "holds a sound that cannot be decoded",
                            &self.path,
                        ));
                    }
                    continue;
                }
            };
            if decoded.frames() == 0 {
                continue;
            }
            let spec = decoded.spec();
            if spec.rate() != self.sample_rate_hz
                || spec.channels().count() != usize::from(self.channels)
            {
                return Err(self.changed());
            }
            decoded.copy_to_vec_interleaved(&mut self.block);
            for sample in &mut self.block {
                *sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
            }
            self.broken = 0;
            self.has_decoded = true;
            return Ok(true);
        }
    }

    fn changed(&self) -> EngineError {
        EngineError::damaged(&self.path, "changes its sample rate or its channels midway")
    }
}

/// Checks the head of a WAV file, of which the decoders would say less; passes over other files.
fn check_wav_head(source: &mut Box<dyn MediaSource>) -> Result<(), String> {
    if !source.is_seekable() {
        return Ok(());
    }
    let mut head = [0; 28];
    let read = source.read_exact(&mut head);
    source.seek(SeekFrom::Start(0)).map_err(|_| "cannot be read from its start")?;
    if read.is_err() || !head.starts_with(b"RIFF") || &head[8..16] != b"WAVEfmt " {
        return Ok(());
    }
    let channels = u16::from_le_bytes([head[22], head[23]]);
    let rate_hz = u32::from_le_bytes([head[24], head[25], head[26], head[27]]);
    checked(Some(rate_hz), Some(usize::from(channels))).map(drop)
}

/// Checks what a header says of rate and channels.
fn checked(rate_hz: Option<u32>, channels: Option<usize>) -> Result<(u32, u16), String> {
    let rate_hz = rate_hz.ok_or("does not say its sample rate")?;
    if !SAMPLE_RATES_HZ.contains(&rate_hz) {
        let (low, high) = (SAMPLE_RATES_HZ.start(), SAMPLE_RATES_HZ.end());
        return Err(format!("has {rate_hz} samples a second; {low} to {high} can be read"));
    }
    let channels = channels.filter(|count| *count > 0).ok_or("has no channels")?;
    match u16::try_from(channels) {
        Ok(channels) if channels <= MAX_CHANNELS => Ok((rate_hz, channels)),
        _ => Err(format!("has {channels} channels; at most {MAX_CHANNELS} can be read")),
    }
}

fn said(error: &Error, otherwise: &str, path: &Path) -> EngineError {
    match error {
        Error::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            EngineError::io("read the sound", path, error)
        }
        _ => EngineError::damaged(path, otherwise),
    }
}

/// Turns a panic of the decoders, which are not ours, on a damaged file into an error.
fn guarded<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(EngineError::damaged(path, "is damaged beyond reading")))
}
