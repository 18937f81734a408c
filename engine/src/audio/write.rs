//! Sound into files: WAV and FLAC, with the recipe and the licence in the tags. The same input gives
//! the same bytes.

use std::io::Cursor;

use flacenc::component::{BitRepr, MetadataBlockData};
use flacenc::error::Verify;
use flacenc::source::MemSource;

use crate::error::EngineError;
use crate::protocol::Pcm;

use super::recipe::{RECIPE_KEY, SCORE_KEYS, Tags};

/// The metadata block of FLAC that holds Vorbis comments.
const VORBIS_COMMENT: u8 = 4;

/// The longest metadata block of FLAC, in bytes.
const MAX_BLOCK_BYTES: usize = (1 << 24) - 1;

/// The longest sound of a WAV file, in bytes: its lengths have 32 bits, and tags follow.
const MAX_WAV_BYTES: u64 = 4_000_000_000;

/// The highest sample rate that FLAC files are written with, in Hz.
const MAX_FLAC_RATE_HZ: u32 = 96_000;

/// Says how samples are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    /// Whole numbers of 16 bits.
    Int16,
    /// Whole numbers of 24 bits.
    Int24,
    /// Floating-point numbers of 32 bits; WAV only.
    Float32,
}

impl SampleFormat {
    fn bits(self) -> u16 {
        match self {
            Self::Int16 => 16,
            Self::Int24 => 24,
            Self::Float32 => 32,
        }
    }
}

/// Encodes a sound as WAV.
///
/// Samples beyond full scale are clipped, and those that are not numbers are silence.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the sound has channels or a rate that it cannot have, or is
/// too long for a WAV file.
pub fn wav(pcm: &Pcm, format: SampleFormat, tags: &Tags) -> Result<Vec<u8>, EngineError> {
    check(pcm)?;
    let refused =
        |error: hound::Error| EngineError::invalid("sound", format!("cannot be written: {error}"));
    let bytes_long = pcm.samples.len() as u64 * u64::from(format.bits() / 8);
    if bytes_long > MAX_WAV_BYTES {
        return Err(EngineError::invalid("sound", "is too long for a WAV file; save it as FLAC"));
    }
    let spec = hound::WavSpec {
        channels: pcm.channels,
        sample_rate: pcm.sample_rate_hz,
        bits_per_sample: format.bits(),
        sample_format: match format {
            SampleFormat::Float32 => hound::SampleFormat::Float,
            _ => hound::SampleFormat::Int,
        },
    };
    let mut file = Cursor::new(Vec::with_capacity(bytes_long as usize + 4096));
    let mut writer = hound::WavWriter::new(&mut file, spec).map_err(refused)?;
    for sample in &pcm.samples {
        match format {
            SampleFormat::Float32 => writer.write_sample(sane(*sample)),
            _ => writer.write_sample(whole(*sample, format.bits())),
        }
        .map_err(refused)?;
    }
    writer.finalize().map_err(refused)?;
    let mut bytes = file.into_inner();
    append_info(&mut bytes, tags)?;
    Ok(bytes)
}

/// Encodes a sound as FLAC with 16 or 24 bits; lossless but for the rounding to whole numbers.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the sound has channels or a rate that FLAC is not written
/// with here, or floating-point numbers are asked for.
pub fn flac(pcm: &Pcm, format: SampleFormat, tags: &Tags) -> Result<Vec<u8>, EngineError> {
    check(pcm)?;
    if format == SampleFormat::Float32 {
        return Err(EngineError::invalid("format", "of FLAC holds whole numbers only"));
    }
    if pcm.sample_rate_hz > MAX_FLAC_RATE_HZ {
        let reason =
            format!("is above {MAX_FLAC_RATE_HZ} Hz, the most for FLAC here; save it as WAV");
        return Err(EngineError::invalid("sample rate", reason));
    }
    let refused = |error: &dyn std::fmt::Debug| {
        EngineError::invalid("sound", format!("cannot be written as FLAC: {error:?}"))
    };
    let bits = format.bits();
    let samples: Vec<i32> = pcm.samples.iter().map(|sample| whole(*sample, bits)).collect();
    let config =
        flacenc::config::Encoder::default().into_verified().map_err(|(_, e)| refused(&e))?;
    let source = MemSource::from_samples(
        &samples,
        usize::from(pcm.channels),
        usize::from(bits),
        pcm.sample_rate_hz as usize,
    );
    let mut stream = flacenc::encode_with_fixed_block_size(&config, source, config.block_size)
        .map_err(|error| refused(&error))?;
    // The last, shorter block does not count as the least, which is never below 16 frames.
    stream
        .stream_info_mut()
        .set_block_sizes(config.block_size, config.block_size)
        .map_err(|error| refused(&error))?;
    let comments = comments(tags)?;
    if comments.len() > MAX_BLOCK_BYTES {
        return Err(EngineError::invalid("recipe", "is too long for a FLAC file"));
    }
    let block = MetadataBlockData::new_unknown(VORBIS_COMMENT, &comments)
        .map_err(|error| refused(&error))?;
    stream.add_metadata_block(block);
    let mut sink = flacenc::bitsink::ByteSink::new();
    stream.write(&mut sink).map_err(|error| refused(&error))?;
    Ok(sink.into_inner())
}

fn check(pcm: &Pcm) -> Result<(), EngineError> {
    if !(1..=8).contains(&pcm.channels) {
        let reason = format!("has {} channels; 1 to 8 can be written", pcm.channels);
        return Err(EngineError::invalid("sound", reason));
    }
    if !(8_000..=384_000).contains(&pcm.sample_rate_hz) {
        let reason = format!("must be from 8000 to 384000 Hz, not {}", pcm.sample_rate_hz);
        return Err(EngineError::invalid("sample rate", reason));
    }
    if pcm.samples.is_empty() || !pcm.samples.len().is_multiple_of(usize::from(pcm.channels)) {
        return Err(EngineError::invalid("sound", "has no whole number of frames"));
    }
    Ok(())
}

fn sane(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

/// Rounds to a whole number of so many bits. No noise is added, so that what was read from a file is
/// written as it was.
fn whole(sample: f32, bits: u16) -> i32 {
    let scale = f64::from(1_u32 << (bits - 1));
    (f64::from(sane(sample)) * scale).round_ties_even().min(scale - 1.0) as i32
}

/// Appends the `INFO` list to a whole WAV file.
fn append_info(wav: &mut Vec<u8>, tags: &Tags) -> Result<(), EngineError> {
    let mut list = b"INFO".to_vec();
    let recipe = tags.recipe_json()?;
    let texts = [
        ("INAM", &tags.title),
        ("ICOP", &tags.licence),
        ("ISFT", &tags.software()),
        ("ICMT", &recipe),
        (SCORE_KEYS[0], &tags.score_json()),
    ];
    for (key, text) in texts {
        if text.is_empty() {
            continue;
        }
        // Texts end with a zero, and chunks at an even place.
        let mut text = text.replace('\0', " ").into_bytes();
        text.push(0);
        list.extend(key.as_bytes());
        list.extend((text.len() as u32).to_le_bytes());
        list.extend(&text);
        list.extend(vec![0; text.len() % 2]);
    }
    if wav.len() % 2 == 1 {
        wav.push(0);
    }
    wav.extend(b"LIST");
    wav.extend((list.len() as u32).to_le_bytes());
    wav.extend(list);
    let length = (wav.len() - 8) as u32;
    wav[4..8].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Makes the content of a Vorbis comment block.
///
/// # Source
/// Xiph.Org: Ogg Vorbis I format specification, comment field and header specification.
fn comments(tags: &Tags) -> Result<Vec<u8>, EngineError> {
    let mut bytes = Vec::new();
    let mut counted = |text: &str| {
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    counted(&tags.software());
    let recipe = tags.recipe_json()?;
    let texts = [
        ("TITLE", &tags.title),
        ("COPYRIGHT", &tags.licence),
        ("ENCODER", &tags.software()),
        (RECIPE_KEY, &recipe),
        (SCORE_KEYS[1], &tags.score_json()),
    ];
    let texts: Vec<String> = texts
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| format!("{key}={text}"))
        .collect();
    let mut all = Vec::new();
    let count = texts.len() as u32;
    for text in &texts {
        all.extend((text.len() as u32).to_le_bytes());
        all.extend(text.as_bytes());
    }
    bytes.extend(count.to_le_bytes());
    bytes.extend(all);
    Ok(bytes)
}
