//! Drums that the recorded kit lacks, by General MIDI's percussion numbers: sweeping sines, filtered
//! noise and clusters of sines.

use std::f64::consts::TAU;

use super::filter::{Noise, StateVariable};
use super::note::{NoteSound, Stroke};

/// Describes a drum as a sweeping tone and a burst of noise.
#[derive(Debug, Clone, Copy)]
struct Drum {
    /// Where the tone begins and where it settles, in Hz; level; time until it is 60 dB down.
    tone: (f64, f64, f32, f64),
    /// Noise: centre in Hz, level, time until it is 60 dB down.
    noise: (f64, f32, f64),
    /// Whether only what lies above the centre sounds, as of metal.
    is_metal: bool,
    /// Where it stands, −1 (left) to 1 (right).
    place: f32,
}

/// Partials of struck metal, as parts of the lowest.
///
/// # Source
/// The six square oscillators of the Roland TR-808's cymbal, 205 to 800 Hz, as published in its
/// service notes.
const METAL: [f64; 6] = [1.0, 1.4861, 1.8, 2.5479, 2.6274, 3.9032];

fn drum(pitch: u8) -> Drum {
    let skin = |from, to, level, ring_secs, noise, place| Drum {
        tone: (from, to, level, ring_secs),
        noise,
        is_metal: false,
        place,
    };
    let metal = |centre_hz, level, ring_secs, place| Drum {
        tone: (540.0, 540.0, 0.12, ring_secs),
        noise: (centre_hz, level, ring_secs),
        is_metal: true,
        place,
    };
    match pitch {
        0..=34 => skin(150.0, 49.0, 0.95, 0.55, (2800.0, 0.16, 0.02), 0.0),
        37 => skin(1700.0, 1650.0, 0.35, 0.06, (2600.0, 0.3, 0.04), -0.15),
        39 => skin(900.0, 900.0, 0.0, 0.1, (1250.0, 0.8, 0.2), 0.1),
        52 => metal(5200.0, 0.4, 2.1, 0.4),
        51 | 59 | 53 => metal(6200.0, 0.17, 1.5, 0.5),
        54 => metal(8200.0, 0.22, 0.2, 0.3),
        56 => skin(562.0, 560.0, 0.4, 0.25, (845.0, 0.08, 0.2), 0.2),
        69 | 70 | 82 => metal(6800.0, 0.2, 0.09, 0.35),
        75..=77 => skin(2500.0, 2480.0, 0.35, 0.07, (2500.0, 0.06, 0.03), -0.25),
        80 | 81 => metal(9500.0, 0.08, 1.2, 0.45),
        60..=68 => {
            let hz = 420.0 - 22.0 * f64::from(pitch - 60);
            skin(hz * 1.2, hz, 0.6, 0.28, (1700.0, 0.12, 0.04), 0.3)
        }
        _ => skin(330.0, 290.0, 0.45, 0.2, (2400.0, 0.2, 0.1), 0.2),
    }
}

/// Renders a drum; how long the note is held makes no difference.
pub(super) fn render(stroke: &Stroke) -> NoteSound {
    let drum = drum(stroke.pitch);
    let rate = stroke.rate_hz;
    let (from_hz, to_hz, tone_level, tone_ring) = drum.tone;
    let (centre_hz, noise_level, noise_ring) = drum.noise;
    let centre_hz = centre_hz.min(0.4 * rate);
    let longest = tone_ring.max(noise_ring) * 1.1 + 0.01;
    let frames = (longest * rate) as usize;
    let fall = |secs: f64| libm::exp(-6.9 / (secs * rate)) as f32;
    let (tone_fall, noise_fall) = (fall(tone_ring), fall(noise_ring));
    let (mut tone_now, mut noise_now) = (tone_level, noise_level);
    let sweep_fall = libm::exp(-1.0 / (0.018 * rate));
    let mut sweep = from_hz - to_hz;
    let mut noise = Noise::new(stroke.seed);
    let quality = if drum.is_metal { 0.8 } else { 0.9 };
    let mut filter = StateVariable::new(centre_hz, quality, rate);
    let mut smooth = StateVariable::new(centre_hz * 0.7, 0.7, rate);
    let mut phase = 0.0_f64;
    let mut cluster = [0.0_f64; METAL.len()];
    let fade = (0.008 * rate) as usize;
    let rise = 1.0 / (0.0008 * rate) as f32;
    let (left, right) = ((1.0 - 0.6 * drum.place).min(1.0), (1.0 + 0.6 * drum.place).min(1.0));
    let mut sound = Vec::with_capacity(frames);
    for n in 0..frames {
        let mut value = 0.0;
        if drum.is_metal {
            for (part, ratio) in cluster.iter_mut().zip(METAL) {
                value += square(*part, to_hz * ratio / rate);
                *part = fraction(*part + to_hz * ratio / rate);
            }
            value = (value + 5.0 * noise.next()) * 0.35 * noise_now;
            // Two high passes: what is left is the shimmer above the cluster's lowest tones.
            value = smooth.next(filter.next(value).high).high;
        } else {
            if tone_level > 0.0 {
                value = libm::sin(TAU * phase) as f32 * tone_now;
            }
            value += filter.next(noise.next()).band * noise_now * 1.6;
        }
        phase = fraction(phase + (to_hz + sweep) / rate);
        sweep *= sweep_fall;
        // Held above the subnormals, which would be slow.
        tone_now = (tone_now * tone_fall).max(1e-9);
        noise_now = (noise_now * noise_fall).max(1e-9);
        let edge = (n as f32 * rise).min(1.0) * ((frames - 1 - n) as f32 / fade as f32).min(1.0);
        let value = value * edge * stroke.strength;
        sound.push([value * left, value * right]);
    }
    NoteSound::Wide(sound)
}

fn fraction(x: f64) -> f64 {
    x - x.floor()
}

/// Returns a square wave whose edges are rounded so that little folds back.
///
/// # Source
/// Välimäki, Huovilainen: Antialiasing oscillators in subtractive synthesis (IEEE Signal Processing
/// Magazine, 2007), polynomial band-limited steps.
fn square(phase: f64, step: f64) -> f32 {
    let edge = |phase: f64| {
        if phase < step {
            let t = phase / step;
            t + t - t * t - 1.0
        } else if phase > 1.0 - step {
            let t = (phase - 1.0) / step;
            t * t + t + t + 1.0
        } else {
            0.0
        }
    };
    let plain = if phase < 0.5 { 1.0 } else { -1.0 };
    (plain + edge(phase) - edge(fraction(phase + 0.5))) as f32
}
