//! Sustained voices: two band-limited waves, a soft and a bright one, between which a note moves,
//! read by one reader or by three that stand a little apart in pitch and in place.

use std::f64::consts::TAU;

use super::envelope::Adsr;
use super::filter::{Noise, StateVariable, pitch_hz};
use super::note::{NoteSound, Stroke};

/// Samples of one turn of a wave, a power of two.
const SIZE: usize = 4096;
const SIZE_BITS: u32 = 12;

/// The most harmonics of a wave; more would be lost in reading it with straight lines.
const MOST_HARMONICS: u32 = 120;

/// Nothing above this part of the sample rate, so that vibrato cannot fold back.
const HIGHEST: f64 = 0.45;

/// Describes a sustained instrument.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sustained {
    /// Returns a harmonic's amplitude in the soft and in the bright wave: number, its Hz, the pitch in Hz.
    pub spectrum: fn(f64, f64, f64) -> (f64, f64),
    /// How loud it is over time.
    pub adsr: Adsr,
    /// How bright it is over time; times the strength.
    pub bright: Adsr,
    /// Vibrato: how often in a second, how far in cents, after how many seconds.
    pub vibrato: (f64, f64, f64),
    /// How far the outer readers stand off in cents, and their level; 0 for one reader.
    pub ensemble: (f64, f32),
    /// Noise of breath or bow: level, centre in multiples of the pitch, part that stays after the attack.
    pub noise: (f32, f64, f32),
}

/// Holds the waves of one pitch of one instrument.
#[derive(Debug)]
pub(super) struct Waves {
    soft: Vec<f32>,
    bright: Vec<f32>,
}

impl Sustained {
    /// Makes the waves of a pitch.
    pub fn waves(&self, pitch: u8, rate_hz: f64) -> Waves {
        let f0 = pitch_hz(f64::from(pitch));
        let turn: Vec<f32> =
            (0..SIZE).map(|n| libm::sin(TAU * n as f64 / SIZE as f64) as f32).collect();
        let (mut soft, mut bright) = (vec![0.0_f32; SIZE], vec![0.0_f32; SIZE]);
        let (mut soft_energy, mut bright_energy) = (0.0, 0.0);
        for number in 1..=MOST_HARMONICS {
            let hz = f0 * f64::from(number);
            if number > 1 && hz > HIGHEST * rate_hz {
                break;
            }
            let (a, b) = (self.spectrum)(f64::from(number), hz, f0);
            soft_energy += a * a / 2.0;
            bright_energy += b * b / 2.0;
            if a.abs() < 1e-6 && b.abs() < 1e-6 {
                continue;
            }
            // Phases that spread the energy over the turn (Schroeder's), lest the wave be one spike.
            let shift = (number * number.saturating_sub(1)) as usize * SIZE / 97 % SIZE;
            for n in 0..SIZE {
                let value = turn[(n * number as usize + shift) % SIZE];
                soft[n] += a as f32 * value;
                bright[n] += b as f32 * value;
            }
        }
        let scale = |wave: &mut [f32], energy: f64, level: f64| {
            let factor = (level / libm::sqrt(energy.max(1e-12))) as f32;
            wave.iter_mut().for_each(|value| *value *= factor);
        };
        scale(&mut soft, soft_energy, 0.18);
        scale(&mut bright, bright_energy, 0.2);
        Waves { soft, bright }
    }

    /// Renders a note.
    pub fn render(&self, waves: &Waves, stroke: &Stroke) -> NoteSound {
        let rate = stroke.rate_hz;
        let f0 = pitch_hz(f64::from(stroke.pitch));
        let frames = self.adsr.frames(stroke.held, rate);
        let mut level = self.adsr.start(stroke.held, rate);
        let mut brightness = self.bright.start(stroke.held, rate);
        let mut drift = Vibrato::new(self.vibrato, stroke, rate);
        let mut breath = Breath::new(self.noise, stroke, f0);
        let turns = 4_294_967_296.0 * f0 / rate;
        let mut start = Noise::new(stroke.seed ^ 0x5151);
        let mut phase = start.next().to_bits();
        let (apart_cents, apart_level) = self.ensemble;
        let loudness = 0.45 + 0.55 * stroke.strength;
        if apart_level <= 0.0 {
            let mut sound = Vec::with_capacity(frames);
            for _ in 0..frames {
                let blend = brightness.next() * stroke.strength;
                let value = waves.read(phase, blend) + breath.next();
                sound.push(value * level.next() * loudness);
                phase = phase.wrapping_add((turns * drift.next()) as u32);
            }
            return NoteSound::Mono(sound);
        }
        let ratio = libm::exp2(apart_cents / 1200.0);
        // Mirrored about the pitch, so that the whole is in tune.
        let (mut left, mut right) = (start.next().to_bits(), start.next().to_bits());
        let scale = loudness / (1.0 + apart_level * apart_level).sqrt();
        let mut sound = Vec::with_capacity(frames);
        for _ in 0..frames {
            let blend = brightness.next() * stroke.strength;
            let middle = waves.read(phase, blend) + breath.next();
            let step = turns * drift.next();
            let amount = level.next() * scale;
            sound.push([
                (middle + apart_level * waves.read(left, blend)) * amount,
                (middle + apart_level * waves.read(right, blend)) * amount,
            ]);
            phase = phase.wrapping_add(step as u32);
            left = left.wrapping_add((step * ratio) as u32);
            right = right.wrapping_add((step / ratio) as u32);
        }
        NoteSound::Wide(sound)
    }
}

impl Waves {
    /// Reads between the soft (0) and the bright (1) wave at a phase of 2³² to the turn.
    fn read(&self, phase: u32, blend: f32) -> f32 {
        let at = (phase >> (32 - SIZE_BITS)) as usize;
        let next = (at + 1) % SIZE;
        let part = (phase << SIZE_BITS >> 8) as f32 * (1.0 / 16_777_216.0);
        let soft = self.soft[at] + (self.soft[next] - self.soft[at]) * part;
        let bright = self.bright[at] + (self.bright[next] - self.bright[at]) * part;
        soft + (bright - soft) * blend
    }
}

/// Gives the factor of the pitch that vibrato makes, frame by frame.
struct Vibrato {
    depth: f64,
    cos: f64,
    sin: f64,
    re: f64,
    im: f64,
    grown: f64,
    growth: f64,
    wait: usize,
}

impl Vibrato {
    fn new((often, cents, after_secs): (f64, f64, f64), stroke: &Stroke, rate: f64) -> Self {
        // Players do not sway together: each note at its own pace.
        let own = 1.0 + 0.06 * f64::from(Noise::new(stroke.seed ^ 0xA5A5).next());
        let step = TAU * often * own / rate;
        Self {
            depth: libm::exp2(cents / 1200.0) - 1.0,
            cos: libm::cos(step),
            sin: libm::sin(step),
            re: 1.0,
            im: 0.0,
            grown: 0.0,
            growth: 1.0 / (0.4 * rate),
            wait: (after_secs * rate) as usize,
        }
    }

    fn next(&mut self) -> f64 {
        if self.depth == 0.0 {
            return 1.0;
        }
        if self.wait > 0 {
            self.wait -= 1;
            return 1.0;
        }
        self.grown = (self.grown + self.growth).min(1.0);
        let factor = 1.0 + self.depth * self.grown * self.im;
        let turned = self.re * self.cos - self.im * self.sin;
        self.im = self.re * self.sin + self.im * self.cos;
        self.re = turned;
        factor
    }
}

/// Gives the noise of breath or bow, frame by frame: strong at the attack, then what stays.
struct Breath {
    noise: Noise,
    filter: StateVariable,
    level: f32,
    extra: f32,
    fall: f32,
    stays: f32,
}

impl Breath {
    fn new((level, ratio, stays): (f32, f64, f32), stroke: &Stroke, f0: f64) -> Self {
        let centre_hz = (f0 * ratio).clamp(300.0, 7000.0);
        Self {
            noise: Noise::new(stroke.seed),
            filter: StateVariable::new(centre_hz, 1.2, stroke.rate_hz),
            level: level * (0.5 + 0.5 * stroke.strength),
            extra: 1.0 - stays,
            fall: libm::exp(-1.0 / (0.06 * stroke.rate_hz)) as f32,
            stays,
        }
    }

    fn next(&mut self) -> f32 {
        if self.level == 0.0 {
            return 0.0;
        }
        if self.extra > 1e-6 {
            self.extra *= self.fall;
        }
        self.filter.next(self.noise.next()).band * self.level * (self.stays + self.extra)
    }
}
