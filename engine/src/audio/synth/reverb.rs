//! A room: eight delay lines that feed each other.
//!
//! # Source
//! Jot, Chaigne: Digital delay networks for designing artificial reverberators (AES 90th convention,
//! 1991); the mixing is a Householder reflection.

/// Lengths of the lines in seconds: no two in a simple ratio.
const LINES_SECS: [f64; 8] =
    [0.029_71, 0.033_13, 0.037_37, 0.041_09, 0.044_77, 0.049_61, 0.053_93, 0.061_27];

/// Lengths of the allpasses that thicken what comes in, per side, in seconds.
const THICKEN_SECS: [[f64; 3]; 2] =
    [[0.004_77, 0.003_59, 0.012_73], [0.005_09, 0.003_79, 0.012_19]];

/// Time until the room is 60 dB down, in seconds.
const RING_SECS: f64 = 1.9;

/// How long the first reflection takes, in seconds.
const PREDELAY_SECS: f64 = 0.018;

/// Cut-off of the loss of highs at each turn, in Hz.
const DAMP_HZ: f64 = 5200.0;

/// What comes in below this goes on as is, in Hz: a room full of bass is mud.
const RUMBLE_HZ: f64 = 140.0;

/// Keeps the lines' numbers away from the slow subnormals; 300 dB below full scale.
const TINY: f32 = 1e-15;

/// Adds the room to a mix: `send` is what goes in, `mix` gets what comes out. Both stereo frames.
pub(super) fn add_room(send: &[[f32; 2]], mix: &mut [[f32; 2]], rate_hz: f64) {
    let mut room = Room::new(rate_hz);
    for (input, output) in send.iter().zip(mix) {
        let [left, right] = room.next(*input);
        output[0] += left;
        output[1] += right;
    }
}

struct Room {
    predelay: [Line; 2],
    thicken: [[Line; 3]; 2],
    lines: [Line; 8],
    gains: [f32; 8],
    damped: [f32; 8],
    damp: f32,
    rumble: [f32; 2],
    rumble_part: f32,
}

impl Room {
    fn new(rate_hz: f64) -> Self {
        let frames = |secs: f64| ((secs * rate_hz) as usize).max(1);
        let part = |hz: f64| (1.0 - libm::exp(-std::f64::consts::TAU * hz / rate_hz)) as f32;
        Self {
            predelay: [0; 2].map(|_| Line::new(frames(PREDELAY_SECS))),
            thicken: THICKEN_SECS.map(|side| side.map(|secs| Line::new(frames(secs)))),
            lines: LINES_SECS.map(|secs| Line::new(frames(secs))),
            gains: LINES_SECS.map(|secs| libm::pow(10.0, -3.0 * secs / RING_SECS) as f32),
            damped: [0.0; 8],
            damp: part(DAMP_HZ.min(0.4 * rate_hz)),
            rumble: [0.0; 2],
            rumble_part: part(RUMBLE_HZ),
        }
    }

    fn next(&mut self, input: [f32; 2]) -> [f32; 2] {
        let mut sides = [0.0; 2];
        for side in 0..2 {
            let rumble = &mut self.rumble[side];
            *rumble += self.rumble_part * (input[side] - *rumble) + TINY;
            let mut value = self.predelay[side].swap(input[side] - *rumble);
            for line in &mut self.thicken[side] {
                let late = line.peek();
                let into = value + 0.6 * late;
                value = late - 0.6 * into;
                line.push(into);
            }
            sides[side] = value;
        }
        let mut sum = 0.0;
        for n in 0..8 {
            let late = self.lines[n].peek();
            self.damped[n] += self.damp * (late - self.damped[n]);
            sum += self.damped[n];
        }
        let reflect = sum * 0.25;
        let mut out = [0.0; 2];
        for n in 0..8 {
            let value = self.damped[n];
            let sign = if (n / 2) % 2 == 0 { 1.0 } else { -1.0 };
            out[n % 2] += sign * value;
            self.lines[n].push((value - reflect) * self.gains[n] + sides[n % 2] + TINY);
        }
        out.map(|value| value * 0.5)
    }
}

/// Holds what went in during the last so many frames.
struct Line {
    frames: Vec<f32>,
    at: usize,
}

impl Line {
    fn new(length: usize) -> Self {
        Self { frames: vec![0.0; length], at: 0 }
    }

    fn peek(&self) -> f32 {
        self.frames[self.at]
    }

    fn push(&mut self, value: f32) {
        self.frames[self.at] = value;
        self.at = if self.at + 1 == self.frames.len() { 0 } else { self.at + 1 };
    }

    fn swap(&mut self, value: f32) -> f32 {
        let late = self.peek();
        self.push(value);
        late
    }
}
