//! Plucked strings: a delay line whose ends lose a little, tuned to a fraction of a sample.
//!
//! # Source
//! Karplus, Strong: Digital synthesis of plucked-string and drum timbres; Jaffe, Smith: Extensions
//! of the Karplus–Strong plucked-string algorithm (both Computer Music Journal 7:2, 1983).

use std::f64::consts::TAU;

use super::envelope::Adsr;
use super::filter::{Noise, StateVariable, pitch_hz};
use super::note::{NoteSound, Stroke};

/// Describes a plucked instrument.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pluck {
    /// How long the A of 220 Hz rings until it is 60 dB down, in seconds.
    pub ring_secs: f64,
    /// How much of a sample's neighbour goes into the loop, 0 (bright for ever) to 0.5 (soft).
    pub softness: f64,
    /// Cut-off of the pluck itself in multiples of the pitch, at full strength.
    pub bite: f64,
    /// Where the string is plucked, as a part of its length.
    pub place: f64,
    /// Resonances of the body: centre in Hz and level.
    pub body: [(f64, f32); 2],
    /// Fall to silence after the note is let go, in seconds.
    pub release_secs: f64,
}

impl Pluck {
    /// Renders a note.
    pub fn render(&self, stroke: &Stroke) -> NoteSound {
        let rate = stroke.rate_hz;
        let pitch_hz = pitch_hz(f64::from(stroke.pitch));
        let ring_secs = (self.ring_secs * libm::pow(220.0 / pitch_hz, 0.6)).clamp(0.35, 12.0);
        let adsr = Adsr {
            attack_secs: 0.0015,
            decay_secs: 1.0,
            sustain: 1.0,
            release_secs: self.release_secs,
        };
        let ring = (ring_secs * 1.3 * rate) as usize;
        let frames = adsr.frames(stroke.held, rate).min(ring);
        // What rings out by itself still needs its end bent to zero.
        let held = stroke.held.min(frames.saturating_sub((0.05 * rate) as usize));
        let adsr =
            Adsr { release_secs: (frames.saturating_sub(held).max(1)) as f64 / rate, ..adsr };
        let mut level = adsr.start(held, rate);
        let mut string = String::new(self, stroke, pitch_hz, ring_secs);
        let mut body = self.body.map(|(hz, level)| (StateVariable::new(hz, 3.0, rate), level));
        let mut sound = Vec::with_capacity(frames);
        for _ in 0..frames {
            let plain = string.next();
            let mut value = plain;
            for (resonance, amount) in &mut body {
                value += resonance.next(plain).band * *amount;
            }
            sound.push(value * level.next());
        }
        NoteSound::Mono(sound)
    }
}

/// Holds a vibrating string.
struct String {
    line: Vec<f32>,
    at: usize,
    softness: f32,
    loss: f32,
    allpass: f32,
    last_in: f32,
    last_out: f32,
    before: f32,
}

impl String {
    fn new(pluck: &Pluck, stroke: &Stroke, pitch_hz: f64, ring_secs: f64) -> Self {
        let rate = stroke.rate_hz;
        let omega = TAU * pitch_hz / rate;
        // High strings have few samples, in which the same loss per turn would end them at once.
        let softness = pluck.softness * (1.0 - (pitch_hz / 2500.0).min(0.85));
        let (re, im) = (1.0 - softness + softness * libm::cos(omega), softness * libm::sin(omega));
        let filter_delay = libm::atan2(im, re) / omega;
        let turn = rate / pitch_hz - filter_delay;
        // The allpass is most even for delays from 0.3 to 1.3 samples.
        let whole = (turn - 0.3).floor().max(2.0);
        let part = turn - whole;
        let allpass = libm::sin(omega * (1.0 - part) / 2.0) / libm::sin(omega * (1.0 + part) / 2.0);
        let filter_gain = libm::sqrt(re * re + im * im);
        let loss = libm::pow(10.0, -3.0 / (ring_secs * pitch_hz)) / filter_gain;
        let mut string = Self {
            line: vec![0.0; whole as usize],
            at: 0,
            softness: softness as f32,
            // At 1 the constant part of the line would stay for ever.
            loss: loss.min(0.99995) as f32,
            allpass: allpass as f32,
            last_in: 0.0,
            last_out: 0.0,
            before: 0.0,
        };
        string.pluck(pluck, stroke, pitch_hz);
        string
    }

    /// Fills the line with the shape of a plucked string: filtered noise without what has a node at
    /// the place of plucking, and without a mean.
    fn pluck(&mut self, pluck: &Pluck, stroke: &Stroke, pitch_hz: f64) {
        let size = self.line.len();
        let mut noise = Noise::new(stroke.seed);
        let cutoff = pitch_hz * pluck.bite * (0.35 + 0.65 * f64::from(stroke.strength));
        let mut filter = StateVariable::new(cutoff, 0.7, stroke.rate_hz);
        let raw: Vec<f32> = (0..2 * size).map(|_| filter.next(noise.next()).low).collect();
        let raw = &raw[size..];
        let shift = ((size as f64 * pluck.place) as usize).max(1);
        for (n, value) in self.line.iter_mut().enumerate() {
            *value = raw[n] - raw[(n + size - shift % size) % size];
        }
        let mean = self.line.iter().sum::<f32>() / size as f32;
        let mut energy = 0.0;
        for value in &mut self.line {
            *value -= mean;
            energy += *value * *value;
        }
        let scale = 0.25 / (energy / size as f32).sqrt().max(1e-6);
        for value in &mut self.line {
            *value *= scale;
        }
    }

    fn next(&mut self) -> f32 {
        let out = self.line[self.at];
        let soft = (1.0 - self.softness) * out + self.softness * self.before;
        self.before = out;
        let input = soft * self.loss;
        let turned = self.allpass * (input - self.last_out) + self.last_in;
        self.last_in = input;
        self.last_out = turned;
        self.line[self.at] = turned;
        self.at = if self.at + 1 == self.line.len() { 0 } else { self.at + 1 };
        out
    }
}
