//! How loud a note is over its life: attack, decay, sustain, release, without a step anywhere.

/// Says how far an exponential release falls before it is bent to exactly zero: 60 dB.
const RELEASE_FALL: f64 = 6.907_755_278_982_137;

/// Holds the times of an envelope.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adsr {
    /// Rise from silence to full level, in seconds.
    pub attack_secs: f64,
    /// Time constant of the fall from full level to [`Adsr::sustain`], in seconds.
    pub decay_secs: f64,
    /// The level while the note is held, 0 to 1.
    pub sustain: f64,
    /// Fall to silence after the note is let go, in seconds.
    pub release_secs: f64,
}

impl Adsr {
    /// Returns how many frames a note sounds that is held for so many.
    pub fn frames(&self, held: usize, rate_hz: f64) -> usize {
        held + (self.release_secs * rate_hz) as usize + 1
    }

    /// Starts the envelope of a note that is held for so many frames.
    pub fn start(&self, held: usize, rate_hz: f64) -> Level {
        let frames = |secs: f64| (secs * rate_hz).max(1.0);
        let release = frames(self.release_secs);
        Level {
            at: 0,
            held,
            attack_step: 1.0 / frames(self.attack_secs),
            sustain: self.sustain,
            above: 1.0 - self.sustain,
            decay: libm::exp(-1.0 / frames(self.decay_secs)),
            release: libm::exp(-RELEASE_FALL / release),
            floor: libm::exp(-RELEASE_FALL),
            tail: 1.0,
            last: 0.0,
        }
    }
}

/// Gives an envelope's level, frame by frame.
#[derive(Debug, Clone)]
pub(super) struct Level {
    at: usize,
    held: usize,
    attack_step: f64,
    sustain: f64,
    above: f64,
    decay: f64,
    release: f64,
    floor: f64,
    tail: f64,
    last: f64,
}

impl Level {
    /// Returns the level of the next frame, 0 to 1.
    pub fn next(&mut self) -> f32 {
        let at = self.at;
        self.at += 1;
        if at >= self.held {
            let bent = (self.tail - self.floor) / (1.0 - self.floor);
            self.tail *= self.release;
            return (self.last * bent.max(0.0)) as f32;
        }
        let rise = (at as f64 * self.attack_step).min(1.0);
        if rise >= 1.0 {
            self.above *= self.decay;
        }
        self.last = rise * rise * (3.0 - 2.0 * rise) * (self.sustain + self.above);
        self.last as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_no_step_and_ends_in_silence() {
        let adsr = Adsr { attack_secs: 0.003, decay_secs: 0.2, sustain: 0.5, release_secs: 0.05 };
        for held in [1, 50, 400, 20_000] {
            let mut level = adsr.start(held, 48_000.0);
            let levels: Vec<f32> = (0..adsr.frames(held, 48_000.0)).map(|_| level.next()).collect();
            let step = levels.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
            assert!(step < 0.02, "held {held}: {step}");
            assert!(levels[levels.len() - 1] < 1e-3 && levels[0] == 0.0);
        }
    }
}
