//! MP3 and OGG files, which other programs wrote, and what is left of them when they are damaged.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use atelier_engine::EngineError;
use atelier_engine::audio::read::{MAX_CHANNELS, read_bytes, read_file};
use atelier_engine::protocol::Pcm;
use proptest::prelude::*;

const KINDS: [&str; 6] = [
    "mono-22050.mp3",
    "mono-22050.ogg",
    "stereo-44100.mp3",
    "stereo-44100.ogg",
    "stereo-48000.mp3",
    "stereo-48000.ogg",
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/sound").join(name)
}

fn bytes(name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(path(name))?)
}

/// Returns the strength of one frequency in the middle of a channel.
///
/// # Source
/// Goertzel 1958, with a Hann window.
fn strength(pcm: &Pcm, channel: usize, hz: f64) -> f64 {
    let channels = usize::from(pcm.channels);
    let all: Vec<f64> =
        pcm.samples.iter().skip(channel).step_by(channels).map(|s| f64::from(*s)).collect();
    let part = &all[all.len() / 4..3 * all.len() / 4];
    let step = std::f64::consts::TAU * hz / f64::from(pcm.sample_rate_hz);
    let (mut re, mut im) = (0.0, 0.0);
    for (index, sample) in part.iter().enumerate() {
        let turn = std::f64::consts::TAU * index as f64 / part.len() as f64;
        let sample = sample * (0.5 - 0.5 * turn.cos());
        re += sample * (step * index as f64).cos();
        im += sample * (step * index as f64).sin();
    }
    4.0 * re.hypot(im) / part.len() as f64
}

/// Finds the frequency near `hz` that is the strongest, to a tenth.
fn strongest(pcm: &Pcm, channel: usize, hz: f64) -> f64 {
    let near = (-100..=100).map(|tenths| hz + f64::from(tenths) / 10.0);
    let strengths = near.map(|hz| (strength(pcm, channel, hz), hz));
    strengths.fold((0.0, 0.0), |best, one| if one.0 > best.0 { one } else { best }).1
}

#[test]
fn mp3_and_ogg_have_the_rate_the_length_and_the_tone_that_went_in() -> Result<()> {
    for name in KINDS {
        let pcm = read_file(&path(name)).with_context(|| name.to_owned())?;
        let rate: u32 = name.split(['-', '.']).nth(1).context("a rate")?.parse()?;
        assert_eq!(pcm.sample_rate_hz, rate, "{name}");
        let is_stereo = name.starts_with("stereo");
        assert_eq!(pcm.channels, if is_stereo { 2 } else { 1 }, "{name}");
        let secs = pcm.duration_secs();
        // MP3 comes in whole frames of 576 or 1,152, before and behind the sound.
        let most = if name.ends_with("mp3") { 2.5 * 1152.0 / f64::from(rate) } else { 0.001 };
        println!("{name}: {secs:.4} s");
        assert!((0.0..=most).contains(&(secs - 0.5)), "{name} lasts {secs} s");
        let tone = strongest(&pcm, 0, 440.0);
        assert!((tone - 440.0).abs() <= 0.2, "{name}: {tone} Hz");
        let loud = strength(&pcm, 0, 440.0);
        // lame turns the sound down a little, so that nothing clips.
        assert!((0.46..0.52).contains(&loud), "{name}: {loud}");
        assert!(pcm.samples.iter().all(|sample| (-1.0..=1.0).contains(sample)));
    }
    Ok(())
}

#[test]
fn the_left_channel_comes_first() -> Result<()> {
    for name in KINDS.iter().filter(|name| name.starts_with("stereo")) {
        let pcm = read_file(&path(name))?;
        for (channel, hz, other, wanted) in [(0, 440.0, 1000.0, 0.5), (1, 1000.0, 440.0, 0.25)] {
            let (own, stray) = (strength(&pcm, channel, hz), strength(&pcm, channel, other));
            assert!(
                (0.92..1.04).contains(&(own / wanted)),
                "{name}: {own} at {hz} Hz in channel {channel}"
            );
            assert!(stray < 0.01, "{name}: {stray} at {other} Hz in channel {channel}");
            let tone = strongest(&pcm, channel, hz);
            assert!((tone - hz).abs() <= 0.2, "{name}: {tone} Hz");
        }
    }
    Ok(())
}

/// Returns the check sum of an Ogg page.
///
/// # Source
/// RFC 3533, section 6: polynomial 0x04c11db7, no reflection, begun with 0.
fn page_sum(page: &[u8]) -> u32 {
    page.iter().fold(0, |sum, byte| {
        let sum = sum ^ (u32::from(*byte) << 24);
        (0..8).fold(sum, |sum, _| if sum >> 31 == 1 { (sum << 1) ^ 0x04c1_1db7 } else { sum << 1 })
    })
}

/// Changes bytes of the first page of an Ogg file, whose check sum then is right again. The header
/// of Vorbis begins at 28: channels at 39, rate at 40.
fn with_header(ogg: &[u8], changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut ogg = ogg.to_vec();
    for (at, new) in changes {
        ogg[*at..*at + new.len()].copy_from_slice(new);
    }
    let end = 27 + usize::from(ogg[26]) + usize::from(ogg[27]);
    ogg[22..26].fill(0);
    let sum = page_sum(&ogg[..end]);
    ogg[22..26].copy_from_slice(&sum.to_le_bytes());
    ogg
}

fn refused(bytes: Vec<u8>, name: &str, what: &str) -> Result<String> {
    let length = bytes.len();
    let error = match read_bytes(bytes, Path::new(name)) {
        Err(error) => error,
        Ok(pcm) => anyhow::bail!("{what} of {length} bytes is read as {} frames", pcm.frames()),
    };
    let said = error.to_string();
    println!("{what}: {said}");
    assert!(matches!(error, EngineError::Damaged { .. }), "{what}: {error:?}");
    assert!(said.ends_with(name) && !error.hint().is_empty(), "{what}: {said}");
    Ok(said)
}

#[test]
fn absurd_channels_and_rates_of_ogg_are_refused_with_a_sentence() -> Result<()> {
    let ogg = bytes("stereo-44100.ogg")?;
    let unchanged = with_header(&ogg, &[]);
    assert_eq!(unchanged, ogg, "the check sum is made as the encoder makes it");
    let rate = |hz: u32| hz.to_le_bytes();
    for (what, changes) in [
        ("255 channels", vec![(39, &[255_u8][..])]),
        ("nine channels", vec![(39, &[9][..])]),
        ("no channels", vec![(39, &[0][..])]),
        ("no rate", vec![(40, &rate(0)[..])]),
        ("1 Hz", vec![(40, &rate(1)[..])]),
        ("4 GHz", vec![(40, &rate(4_000_000_000)[..])]),
        ("block sizes of 1 and 2", vec![(56, &[0x10][..])]),
        ("another version", vec![(35, &[9][..])]),
    ] {
        let said = refused(with_header(&ogg, &changes), "a.ogg", what)?;
        if what == "4 GHz" {
            assert!(said.contains("4000000000 samples a second"), "{said}");
        }
    }
    assert_eq!(MAX_CHANNELS, 8);
    Ok(())
}

#[test]
fn files_that_only_pretend_are_refused_with_a_sentence() -> Result<()> {
    let (mp3, ogg) = (bytes("stereo-44100.mp3")?, bytes("stereo-44100.ogg")?);
    for (what, name, bytes) in [
        ("an empty mp3", "a.mp3", Vec::new()),
        ("an empty ogg", "a.ogg", Vec::new()),
        ("text called mp3", "a.mp3", b"no sound at all, but a text of some length".repeat(9)),
        ("text called ogg", "a.ogg", b"no sound at all, but a text of some length".repeat(9)),
        ("zeros called mp3", "a.mp3", vec![0; 9000]),
        ("zeros called ogg", "a.ogg", vec![0; 9000]),
        ("ones called mp3", "a.mp3", vec![0xff; 9000]),
        ("a few bytes of mp3", "a.mp3", mp3[..40].to_vec()),
        ("a few bytes of ogg", "a.ogg", ogg[..40].to_vec()),
        ("the first page of ogg", "a.ogg", ogg[..58].to_vec()),
        ("ogg without its books", "a.ogg", [&ogg[..58], &ogg[3000..]].concat()),
        (
            "a tag without a sound",
            "a.mp3",
            [&b"ID3\x04\0\0\x7f\x7f\x7f\x7f"[..], &[0; 99]].concat(),
        ),
    ] {
        refused(bytes, name, what)?;
    }
    Ok(())
}

#[test]
fn the_name_of_a_file_does_not_matter_but_what_is_in_it() -> Result<()> {
    let pcm = read_bytes(bytes("stereo-44100.ogg")?, Path::new("song.mp3"))?;
    assert_eq!((pcm.channels, pcm.frames()), (2, 22_050));
    let pcm = read_bytes(bytes("stereo-44100.mp3")?, Path::new("song"))?;
    assert_eq!(pcm.channels, 2);
    Ok(())
}

#[test]
fn a_file_that_ends_too_early_gives_what_it_holds() -> Result<()> {
    for name in ["stereo-44100.mp3", "stereo-48000.ogg"] {
        let whole = read_file(&path(name))?;
        let half = bytes(name)?;
        let half = half[..half.len() * 3 / 4].to_vec();
        match read_bytes(half, Path::new(name)) {
            Ok(pcm) => {
                println!("{name}: {} of {} frames", pcm.frames(), whole.frames());
                assert!(pcm.frames() < whole.frames(), "{name}");
                let same = pcm.samples.iter().zip(&whole.samples).filter(|(a, b)| a == b).count();
                assert!(same * 10 > pcm.samples.len() * 9, "{name}: {same} samples are the same");
            }
            // An Ogg page is whole or not there; half a second may be a single one.
            Err(error) => assert!(name.ends_with("ogg"), "{error}"),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_files_are_read_or_refused_and_never_end_the_program(
        which in 0..KINDS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        in_head in prop::collection::vec((0_usize..120, any::<u8>()), 0..4),
        keep in any::<prop::sample::Index>(),
    ) {
        let Ok(mut bytes) = bytes(KINDS[which]) else { return Ok(()) };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (at, value) in in_head {
            bytes[at] = value;
        }
        bytes.truncate(keep.index(bytes.len()) + 64);
        // Half a second was encoded: damage makes no hours of it.
        let most = 200 * bytes.len();
        match read_bytes(bytes, Path::new(KINDS[which])) {
            Ok(pcm) => {
                prop_assert!(pcm.samples.iter().all(|sample| (-1.0..=1.0).contains(sample)));
                prop_assert!(pcm.samples.len() <= most.max(1 << 20), "{} samples", pcm.samples.len());
            }
            Err(error) => prop_assert!(!error.hint().is_empty()),
        }
    }
}
