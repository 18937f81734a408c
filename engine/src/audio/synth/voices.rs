//! The instruments: which method makes each, with which numbers, how loud and where it sits.

use crate::protocol::Instrument;

use super::envelope::Adsr;
use super::pluck::Pluck;
use super::wave::Sustained;

/// Says how an instrument's notes are made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Voice {
    Piano,
    MusicBox,
    Bell,
    Drums,
    Plucked(Pluck),
    Sustained(Sustained),
}

/// Holds an instrument's place in the mix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    /// Level in decibels that makes instruments about equally loud.
    pub level_db: f64,
    /// How much goes into the room, 0 to 1.
    pub room: f32,
    /// How far notes spread by pitch, 0 to 1.
    pub spread: f32,
}

/// Returns how an instrument's notes are made.
pub(super) fn voice(instrument: Instrument) -> Voice {
    match instrument {
        Instrument::Guitar => Voice::Plucked(Pluck {
            ring_secs: 4.0,
            softness: 0.36,
            bite: 14.0,
            place: 0.19,
            body: [(105.0, 0.9), (215.0, 0.5)],
            release_secs: 0.14,
        }),
        Instrument::Harp => Voice::Plucked(Pluck {
            ring_secs: 5.5,
            softness: 0.44,
            bite: 7.0,
            place: 0.42,
            body: [(180.0, 0.5), (420.0, 0.3)],
            release_secs: 1.1,
        }),
        Instrument::Bass => Voice::Plucked(Pluck {
            ring_secs: 2.6,
            softness: 0.46,
            bite: 9.0,
            place: 0.28,
            body: [(80.0, 0.8), (160.0, 0.4)],
            release_secs: 0.1,
        }),
        Instrument::Bells => Voice::Bell,
        Instrument::MusicBox => Voice::MusicBox,
        Instrument::Drums => Voice::Drums,
        Instrument::Strings
        | Instrument::Cello
        | Instrument::Flute
        | Instrument::Clarinet
        | Instrument::Trumpet
        | Instrument::Choir
        | Instrument::Organ
        | Instrument::Pad
        | Instrument::Lead => Voice::Sustained(sustained(instrument)),
        Instrument::Piano => Voice::Piano,
    }
}

fn sustained(instrument: Instrument) -> Sustained {
    let bowed = Sustained {
        spectrum: bowed_spectrum,
        adsr: adsr(0.09, 0.4, 0.86, 0.28),
        bright: adsr(0.16, 0.5, 0.75, 0.25),
        vibrato: (5.4, 13.0, 0.22),
        ensemble: (6.5, 0.55),
        noise: (0.035, 6.0, 0.3),
    };
    match instrument {
        Instrument::Cello => Sustained {
            spectrum: cello_spectrum,
            adsr: adsr(0.07, 0.5, 0.84, 0.22),
            vibrato: (5.1, 14.0, 0.25),
            ensemble: (0.0, 0.0),
            noise: (0.04, 9.0, 0.3),
            ..bowed
        },
        Instrument::Flute => Sustained {
            spectrum: flute_spectrum,
            adsr: adsr(0.055, 0.3, 0.88, 0.12),
            bright: adsr(0.08, 0.4, 0.8, 0.1),
            vibrato: (5.0, 9.0, 0.3),
            ensemble: (0.0, 0.0),
            noise: (0.09, 3.0, 0.32),
        },
        Instrument::Clarinet => Sustained {
            spectrum: clarinet_spectrum,
            adsr: adsr(0.04, 0.3, 0.9, 0.09),
            bright: adsr(0.06, 0.4, 0.8, 0.08),
            vibrato: (4.6, 4.0, 0.5),
            ensemble: (0.0, 0.0),
            noise: (0.03, 5.0, 0.25),
        },
        Instrument::Trumpet => Sustained {
            spectrum: trumpet_spectrum,
            adsr: adsr(0.03, 0.16, 0.8, 0.1),
            bright: adsr(0.055, 0.2, 0.68, 0.08),
            vibrato: (5.2, 7.0, 0.4),
            ensemble: (0.0, 0.0),
            noise: (0.03, 5.0, 0.12),
        },
        Instrument::Choir => Sustained {
            spectrum: choir_spectrum,
            adsr: adsr(0.16, 0.5, 0.9, 0.4),
            bright: adsr(0.3, 1.0, 0.8, 0.3),
            vibrato: (5.0, 14.0, 0.2),
            ensemble: (9.0, 0.65),
            noise: (0.03, 4.0, 0.4),
        },
        Instrument::Organ => Sustained {
            spectrum: organ_spectrum,
            adsr: adsr(0.022, 0.2, 0.96, 0.11),
            bright: adsr(0.03, 0.2, 1.0, 0.1),
            vibrato: (0.0, 0.0, 0.0),
            ensemble: (2.0, 0.45),
            noise: (0.04, 4.0, 0.06),
        },
        Instrument::Pad => Sustained {
            spectrum: pad_spectrum,
            adsr: adsr(0.5, 1.5, 0.85, 1.1),
            bright: adsr(1.2, 2.5, 0.55, 1.0),
            vibrato: (0.35, 4.0, 0.0),
            ensemble: (11.0, 0.8),
            noise: (0.0, 1.0, 0.0),
        },
        Instrument::Lead => Sustained {
            spectrum: lead_spectrum,
            adsr: adsr(0.008, 0.25, 0.75, 0.12),
            bright: adsr(0.006, 0.22, 0.45, 0.12),
            vibrato: (5.6, 8.0, 0.3),
            ensemble: (5.0, 0.5),
            noise: (0.0, 1.0, 0.0),
        },
        _ => bowed,
    }
}

const fn adsr(attack_secs: f64, decay_secs: f64, sustain: f64, release_secs: f64) -> Adsr {
    Adsr { attack_secs, decay_secs, sustain, release_secs }
}

/// Returns 1 below a corner in Hz and falls by 6 dB an octave and pole above it.
fn low_pass(hz: f64, corner_hz: f64, poles: f64) -> f64 {
    libm::pow(1.0 + (hz / corner_hz) * (hz / corner_hz), -0.5 * poles)
}

/// Returns a resonance of height 1 at its centre.
fn peak(hz: f64, centre_hz: f64, width_hz: f64) -> f64 {
    let off = (hz - centre_hz) / (0.5 * width_hz);
    1.0 / (1.0 + off * off)
}

/// Stands for the body of a stringed instrument: uneven, as wood is.
fn body(hz: f64, size: f64) -> f64 {
    let hz = hz * size;
    0.55 + 0.7 * peak(hz, 280.0, 90.0)
        + 0.6 * peak(hz, 470.0, 120.0)
        + 0.35 * peak(hz, 1000.0, 300.0)
        + 0.6 * peak(hz, 2500.0, 1400.0)
}

fn bowed_spectrum(n: f64, hz: f64, _: f64) -> (f64, f64) {
    let string = body(hz, 1.0) / n;
    (string * low_pass(hz, 1500.0, 2.0), string * low_pass(hz, 4200.0, 2.0))
}

fn cello_spectrum(n: f64, hz: f64, _: f64) -> (f64, f64) {
    let string = body(hz, 2.1) / n;
    (string * low_pass(hz, 900.0, 2.0), string * low_pass(hz, 2600.0, 2.0))
}

fn flute_spectrum(n: f64, hz: f64, f0: f64) -> (f64, f64) {
    // Low notes have a strong octave, high ones are nearly pure.
    let low = 1.0 / (1.0 + (f0 / 700.0) * (f0 / 700.0));
    let level = match n as u32 {
        1 => 1.0,
        2 => 0.18 + 0.5 * low,
        3 => 0.07 + 0.22 * low,
        4 => 0.03 + 0.08 * low,
        _ => 0.25 * libm::exp2(-n),
    };
    (level * low_pass(hz, 1500.0, 2.0), level * low_pass(hz, 4500.0, 1.0))
}

fn clarinet_spectrum(n: f64, hz: f64, f0: f64) -> (f64, f64) {
    let is_even = (n as u32).is_multiple_of(2);
    // The closed tube favours odd harmonics, the less so the higher.
    let even = 0.05 + 0.5 * (n / 12.0).min(1.0) * (f0 / 600.0).min(1.0);
    let level = if is_even { even } else { 1.0 } / libm::pow(n, 0.75);
    (level * low_pass(hz, 1100.0, 2.0), level * low_pass(hz, 2600.0, 2.0))
}

fn trumpet_spectrum(n: f64, hz: f64, _: f64) -> (f64, f64) {
    let bell = 0.4 + peak(hz, 1250.0, 1500.0);
    (
        bell * libm::pow(n, -0.9) * low_pass(hz, 1000.0, 2.0),
        bell * libm::pow(n, -0.25) * low_pass(hz, 2400.0, 2.4),
    )
}

/// Sings “ah”: the formants of a soprano above C4, of a tenor below.
///
/// # Source
/// Formant table of the Csound manual (appendix D), vowel a.
fn choir_spectrum(n: f64, hz: f64, f0: f64) -> (f64, f64) {
    let high = ((f0 - 180.0) / 200.0).clamp(0.0, 1.0);
    let between = |tenor: f64, soprano: f64| tenor + (soprano - tenor) * high;
    let throat = peak(hz, between(650.0, 800.0), between(80.0, 100.0))
        + 0.5 * peak(hz, between(1080.0, 1150.0), 110.0)
        + 0.16 * peak(hz, between(2650.0, 2900.0), 150.0)
        + 0.1 * peak(hz, between(2900.0, 3900.0), 180.0)
        + 0.03;
    let source = libm::pow(n, -0.9);
    // A voice always carries its own pitch, also where no formant helps it.
    let own = if n < 1.5 { 0.35 } else { 0.0 };
    (own + source * throat * low_pass(hz, 1600.0, 1.0), own * 0.8 + source * throat)
}

fn organ_spectrum(n: f64, hz: f64, _: f64) -> (f64, f64) {
    // Stops of 8, 4, 2⅔ and 2 feet, each pipe with a few harmonics of its own.
    let pipe = |stop: f64| {
        let own = n / stop;
        if (own - own.round()).abs() < 1e-9 { libm::pow(0.32, own - 1.0) } else { 0.0 }
    };
    let sum = pipe(1.0) + 0.55 * pipe(2.0) + 0.22 * pipe(3.0) + 0.3 * pipe(4.0);
    let air = low_pass(hz, 4500.0, 2.0);
    (sum * air, sum * air * (0.9 + 0.1 * n.min(6.0)))
}

fn pad_spectrum(n: f64, hz: f64, _: f64) -> (f64, f64) {
    (low_pass(hz, 500.0, 2.0) / n, low_pass(hz, 1700.0, 2.0) / n)
}

fn lead_spectrum(n: f64, hz: f64, _: f64) -> (f64, f64) {
    let square = if (n as u32).is_multiple_of(2) { 0.55 } else { 1.0 };
    (square * low_pass(hz, 1400.0, 2.0) / n, square * low_pass(hz, 6500.0, 2.0) / n)
}

/// Returns an instrument's place in the mix.
pub(super) fn seat(instrument: Instrument) -> Seat {
    let (level_db, room, spread) = match instrument {
        Instrument::Guitar => (-3.0, 0.22, 0.2),
        Instrument::Harp => (-1.0, 0.34, 0.5),
        Instrument::Strings => (-4.0, 0.4, 0.1),
        Instrument::Cello => (-3.0, 0.34, 0.1),
        Instrument::Flute => (-4.0, 0.36, 0.1),
        Instrument::Clarinet => (-4.5, 0.32, 0.1),
        Instrument::Trumpet => (-6.0, 0.34, 0.1),
        Instrument::Choir => (-4.0, 0.5, 0.2),
        Instrument::Organ => (-6.0, 0.42, 0.3),
        Instrument::Bells => (-5.0, 0.42, 0.4),
        Instrument::MusicBox => (-3.0, 0.32, 0.4),
        Instrument::Bass => (-1.0, 0.1, 0.0),
        Instrument::Pad => (-6.0, 0.45, 0.2),
        Instrument::Lead => (-8.0, 0.26, 0.1),
        Instrument::Drums => (-2.0, 0.14, 0.0),
        Instrument::Piano => (-1.0, 0.26, 0.6),
    };
    Seat { level_db, room, spread }
}
