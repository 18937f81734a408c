//! Struck voices: a bank of decaying partials (piano, music box), and frequency modulation (bells).

use std::f64::consts::TAU;

use super::envelope::Adsr;
use super::filter::{Noise, StateVariable, pitch_hz};
use super::note::{NoteSound, Stroke};

/// Frames between two looks at which partials can still be heard.
const BLOCK: usize = 512;

/// Partials below this amplitude are dropped; also keeps numbers away from the slow subnormals.
const INAUDIBLE: f32 = 3e-6;

/// Holds one decaying partial.
#[derive(Debug, Clone, Copy)]
struct Partial {
    hz: f64,
    amplitude: f64,
    phase: f64,
    /// Time until it is 60 dB down, in seconds.
    ring_secs: f64,
}

/// Renders a piano note: strings a little stiff, in threes that drift apart, damped when let go.
///
/// # Source
/// Fletcher, Rossing: The Physics of Musical Instruments, chapter 12 (stiffness, place of the
/// hammer, two rates of decay).
pub(super) fn piano(stroke: &Stroke) -> NoteSound {
    let pitch = f64::from(stroke.pitch);
    let f0 = pitch_hz(pitch);
    let strength = f64::from(stroke.strength);
    let stiffness = 0.000_12 * libm::exp2((pitch - 40.0) / 9.0).clamp(0.6, 40.0);
    let ring_secs = (13.0 * libm::exp2((40.0 - pitch) / 17.0)).clamp(0.9, 16.0);
    let tilt = 1.75 - 0.75 * strength;
    let mut partials = Vec::new();
    for number in 1..=24_u32 {
        let n = f64::from(number);
        let hz = f0 * n * libm::sqrt((1.0 + stiffness * n * n) / (1.0 + stiffness));
        if hz > 0.45 * stroke.rate_hz || hz > 9500.0 {
            break;
        }
        // The felt reaches round a short wave: the higher in Hz, the weaker.
        let felt = 1.0 / (1.0 + (hz / (1400.0 + 3200.0 * strength)) * (hz / 5200.0));
        let amplitude = libm::pow(n, -tilt) * libm::sin(n * TAU / 2.0 / 7.5).abs().max(0.08) * felt;
        let ring = ring_secs / (1.0 + 0.22 * (n - 1.0));
        // Two of the three strings beat against the third; as mirror images about the pitch, and
        // together softer than it, so that the note as a whole is in tune.
        let drift = 0.18 + 0.0011 * f0 * 0.3;
        let phase = 0.9 * n;
        for (level, ring_secs) in [(0.5, ring * 0.42), (0.24, ring)] {
            partials.push(Partial { hz, amplitude: level * amplitude, phase, ring_secs });
        }
        for side in [-1.0, 1.0] {
            partials.push(Partial {
                hz: hz + side * drift * n.min(3.0),
                amplitude: 0.1 * amplitude,
                phase: phase + side * 0.4,
                ring_secs: ring,
            });
        }
    }
    let adsr = Adsr { attack_secs: 0.0016, decay_secs: 1.0, sustain: 1.0, release_secs: 0.22 };
    let mut sound = bank(&partials, stroke, &adsr, ring_secs * 1.1);
    knock(&mut sound, stroke, 900.0 + f0 * 0.5, 0.1 + 0.12 * stroke.strength);
    NoteSound::Mono(sound)
}

/// Renders a music box: the first bending modes of a plucked steel tooth.
///
/// # Source
/// Fletcher, Rossing: The Physics of Musical Instruments, §2.16 (a bar clamped at one end: 6.27,
/// 17.55).
pub(super) fn music_box(stroke: &Stroke) -> NoteSound {
    let f0 = pitch_hz(f64::from(stroke.pitch));
    let strength = f64::from(stroke.strength);
    let ring_secs = (3.2 * libm::pow(880.0 / f0, 0.4)).clamp(0.8, 5.0);
    let modes = [
        (1.0, 1.0, 1.0),
        (2.0, 0.10, 0.55),
        (3.01, 0.05, 0.4),
        (6.27, 0.14 + 0.2 * strength, 0.16),
        (17.55, 0.05 * strength, 0.05),
    ];
    let partials: Vec<Partial> = modes
        .into_iter()
        .map(|(ratio, amplitude, ring)| Partial {
            hz: f0 * ratio,
            amplitude: 0.62 * amplitude,
            phase: ratio,
            ring_secs: ring_secs * ring,
        })
        .filter(|partial| partial.hz < 0.42 * stroke.rate_hz)
        .collect();
    let adsr = Adsr { attack_secs: 0.0012, decay_secs: 1.0, sustain: 1.0, release_secs: 0.9 };
    let mut sound = bank(&partials, stroke, &adsr, ring_secs * 1.1);
    knock(&mut sound, stroke, 3800.0, 0.05);
    NoteSound::Mono(sound)
}

/// Renders a bell by two pairs of modulated sines.
///
/// # Source
/// Chowning: The synthesis of complex audio spectra by means of frequency modulation (Journal of
/// the Audio Engineering Society 21:7, 1973); the ratio 1 : 3.5 is that of tubular bells.
pub(super) fn bell(stroke: &Stroke) -> NoteSound {
    let rate = stroke.rate_hz;
    let f0 = pitch_hz(f64::from(stroke.pitch));
    let ring_secs = (5.0 * libm::pow(440.0 / f0, 0.35)).clamp(1.2, 7.0);
    let adsr = Adsr { attack_secs: 0.0015, decay_secs: 1.0, sustain: 1.0, release_secs: 1.6 };
    let frames = adsr.frames(stroke.held, rate).min((ring_secs * 1.1 * rate) as usize);
    let held = stroke.held.min(frames.saturating_sub((0.1 * rate) as usize));
    let adsr = Adsr { release_secs: (frames - held) as f64 / rate, ..adsr };
    let mut level = adsr.start(held, rate);
    // Side bands reach about index + 2 modulator frequencies up; they must end below half the rate.
    let room = ((0.45 * rate / f0 - 1.0) / 3.5 - 2.0).max(0.0);
    let mut index = (1.9 * (0.35 + 0.65 * f64::from(stroke.strength))).min(room);
    let index_fall = fall(ring_secs * 0.45, rate);
    let (mut slow, slow_fall) = (0.5, fall(ring_secs, rate));
    let (mut fast, fast_fall) = (0.22, fall(ring_secs * 0.3, rate));
    let (step, step_mod) = (TAU * f0 / rate, TAU * f0 * 3.5 / rate);
    let has_octave = 2.0 * f0 * (1.0 + 2.0) < 0.45 * rate;
    let mut sound = Vec::with_capacity(frames);
    let (mut phase, mut phase_mod) = (0.0_f64, 0.0_f64);
    for _ in 0..frames {
        let modulator = index * sine(phase_mod);
        let mut value = slow * sine(phase + modulator);
        if has_octave {
            value += fast * sine(2.0 * phase + 0.4 * index * sine(phase_mod));
        }
        sound.push(value as f32 * level.next());
        index *= index_fall;
        slow *= slow_fall;
        fast *= fast_fall;
        phase = wrap(phase + step);
        phase_mod = wrap(phase_mod + step_mod);
    }
    NoteSound::Mono(sound)
}

fn wrap(phase: f64) -> f64 {
    if phase > TAU { phase - TAU } else { phase }
}

/// Returns the sine by its Taylor series about the nearest multiple of π/2: as exact as the samples
/// and the same bits everywhere, at a fraction of the library's time.
fn sine(x: f64) -> f64 {
    use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};
    let quarter = (x * FRAC_2_PI).round();
    let r = x - quarter * FRAC_PI_2;
    let r2 = r * r;
    let sin =
        r * (1.0 + r2 * (-1.0 / 6.0 + r2 * (1.0 / 120.0 + r2 * (-1.0 / 5040.0 + r2 / 362_880.0))));
    let cos = 1.0 + r2 * (-0.5 + r2 * (1.0 / 24.0 + r2 * (-1.0 / 720.0 + r2 / 40_320.0)));
    match (quarter as i64).rem_euclid(4) {
        0 => sin,
        1 => cos,
        2 => -sin,
        _ => -cos,
    }
}

/// Returns the factor per frame that takes 60 dB off in this time.
fn fall(ring_secs: f64, rate_hz: f64) -> f64 {
    libm::exp(-6.907_755_278_982_137 / (ring_secs * rate_hz))
}

/// Sums decaying partials under an envelope.
fn bank(partials: &[Partial], stroke: &Stroke, adsr: &Adsr, longest_secs: f64) -> Vec<f32> {
    let rate = stroke.rate_hz;
    let frames = adsr.frames(stroke.held, rate).min((longest_secs * rate) as usize);
    // What rings out by itself still needs its end bent to zero.
    let held = stroke.held.min(frames.saturating_sub((0.05 * rate) as usize));
    let adsr = Adsr { release_secs: (frames - held).max(1) as f64 / rate, ..*adsr };
    let mut level = adsr.start(held, rate);
    let mut state: Vec<[f32; 4]> = partials
        .iter()
        .map(|partial| {
            let (step, fall) = (TAU * partial.hz / rate, fall(partial.ring_secs, rate));
            [
                (fall * libm::cos(step)) as f32,
                (fall * libm::sin(step)) as f32,
                (partial.amplitude * libm::cos(partial.phase)) as f32,
                (partial.amplitude * libm::sin(partial.phase)) as f32,
            ]
        })
        .collect();
    let mut sound = vec![0.0_f32; frames];
    for block in sound.chunks_mut(BLOCK) {
        // Partial by partial within a block: the turning of four at a time fits the registers.
        for group in state.chunks_mut(4) {
            let mut lanes = [[0.0_f32; 4]; 4];
            for (lane, partial) in group.iter().enumerate() {
                for part in 0..4 {
                    lanes[part][lane] = partial[part];
                }
            }
            let [cos, sin, mut re, mut im] = lanes;
            for out in block.iter_mut() {
                let mut sum = 0.0;
                for lane in 0..4 {
                    sum += im[lane];
                    let turned = re[lane] * cos[lane] - im[lane] * sin[lane];
                    im[lane] = re[lane] * sin[lane] + im[lane] * cos[lane];
                    re[lane] = turned;
                }
                *out += sum;
            }
            for (lane, partial) in group.iter_mut().enumerate() {
                (partial[2], partial[3]) = (re[lane], im[lane]);
            }
        }
        state.retain(|[_, _, re, im]| re * re + im * im > INAUDIBLE * INAUDIBLE);
        for out in block.iter_mut() {
            *out *= level.next();
        }
    }
    sound
}

/// Adds the short noise of the hammer or the pin.
fn knock(sound: &mut [f32], stroke: &Stroke, centre_hz: f64, amount: f32) {
    let rate = stroke.rate_hz;
    let mut noise = Noise::new(stroke.seed);
    let mut filter = StateVariable::new(centre_hz, 0.8, rate);
    let length = (0.045 * rate) as usize;
    let fall = fall(0.035, rate) as f32;
    let mut level = amount * stroke.strength;
    for (n, out) in sound.iter_mut().take(length).enumerate() {
        let rise = (n as f32 / (0.001 * rate as f32)).min(1.0);
        *out += filter.next(noise.next()).band * level * rise;
        level *= fall;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_sine_is_as_exact_as_samples_are() {
        for n in -5000..5000 {
            let x = f64::from(n) * 0.003;
            assert!((sine(x) - libm::sin(x)).abs() < 4e-6, "{x}");
        }
    }
}
