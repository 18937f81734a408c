//! The heart of the player: commands go in, stereo frames come out. Knows no device and no thread.
//!
//! Where nothing fades and the gain is 1, the frames are those of the sound to the bit. Every start,
//! stop and jump is a fade of [`FADE_SECS`], so nothing clicks; the fades of a loop lie within it, so
//! its length is exact to the frame.

use std::sync::Arc;

use atelier_engine::protocol::Pcm;

/// How long a fade takes, in seconds.
pub const FADE_SECS: f64 = 0.005;

/// Tells a [`Deck`] what to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Takes a sound in, stopped at its beginning.
    Load(Arc<Pcm>),
    /// Plays from where it is; from the beginning at the end.
    Play,
    /// Stops where it is.
    Pause,
    /// Goes to a frame.
    Seek(usize),
    /// Plays a region over and over, from a frame to below another; `None` plays on.
    Loop(Option<[usize; 2]>),
    /// Sets the gain, 0 to 1.
    Gain(f32),
}

/// Turns commands into frames.
#[derive(Debug)]
pub struct Deck {
    sound: Option<Arc<Pcm>>,
    at: usize,
    is_playing: bool,
    region: Option<[usize; 2]>,
    gain: f32,
    gain_now: f32,
    /// Frames of a fade, and how many of them the level has risen.
    fade: usize,
    risen: usize,
    /// What waits until the level has fallen: another sound, or a place.
    next: Option<Next>,
}

#[derive(Debug)]
enum Next {
    Sound(Arc<Pcm>),
    Place(usize),
}

impl Default for Deck {
    fn default() -> Self {
        Self {
            sound: None,
            at: 0,
            is_playing: false,
            region: None,
            gain: 1.0,
            gain_now: 1.0,
            fade: 1,
            risen: 0,
            next: None,
        }
    }
}

impl Deck {
    /// Does what a command says; what is heard changes with the frames to come.
    pub fn apply(&mut self, command: Command) {
        match command {
            Command::Load(sound) => {
                self.is_playing = false;
                self.region = None;
                self.next = Some(Next::Sound(sound));
                self.settle();
            }
            Command::Play => {
                self.is_playing = self.sound.is_some();
                if self.is_at_end() && self.next.is_none() {
                    self.at = 0;
                }
            }
            Command::Pause => self.is_playing = false,
            Command::Seek(frame) => {
                if !matches!(self.next, Some(Next::Sound(_))) {
                    self.next = Some(Next::Place(frame));
                }
                self.settle();
            }
            Command::Loop(region) => self.region = region.filter(|[from, to]| from < to),
            Command::Gain(gain) if gain.is_finite() => self.gain = gain.clamp(0.0, 1.0),
            Command::Gain(_) => {}
        }
    }

    /// Tells whether it plays.
    pub fn is_playing(&self) -> bool {
        self.is_playing
    }

    /// Returns the frame that comes next.
    pub fn at(&self) -> usize {
        match self.next {
            Some(Next::Place(frame)) => frame.min(self.frames()),
            Some(Next::Sound(_)) => 0,
            None => self.at,
        }
    }

    /// Returns the sample rate of the sound, in Hz.
    pub fn sample_rate_hz(&self) -> Option<u32> {
        self.sound.as_ref().map(|sound| sound.sample_rate_hz)
    }

    /// Fills a piece with the frames that come next: silence where nothing plays.
    pub fn fill(&mut self, out: &mut [[f32; 2]]) {
        for frame in out {
            *frame = self.next_frame();
        }
    }

    fn frames(&self) -> usize {
        self.sound.as_ref().map_or(0, |sound| sound.frames())
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.frames()
    }

    /// Carries out what waits, once the level has fallen.
    fn settle(&mut self) {
        if self.risen > 0 {
            return;
        }
        match self.next.take() {
            Some(Next::Sound(sound)) => {
                self.fade = ((FADE_SECS * f64::from(sound.sample_rate_hz)) as usize).max(1);
                self.sound = Some(sound);
                self.at = 0;
            }
            Some(Next::Place(frame)) => self.at = frame.min(self.frames()),
            None => {}
        }
    }

    fn next_frame(&mut self) -> [f32; 2] {
        self.step_gain();
        self.settle();
        let wants = self.is_playing && self.next.is_none();
        if self.risen == 0 && !wants {
            return [0.0; 2];
        }
        if self.is_at_end() {
            (self.is_playing, self.risen) = (false, 0);
            self.settle();
            return [0.0; 2];
        }
        self.risen = if wants { (self.risen + 1).min(self.fade) } else { self.risen - 1 };
        let end = self.loop_end();
        let left = end.map_or(self.fade, |end| end - self.at);
        let level = self.risen.min(left);
        let frame = self.sound.as_ref().map_or([0.0; 2], |sound| stereo(sound, self.at));
        self.at += 1;
        if let (Some(end), Some([from, _])) = (end, self.region)
            && self.at >= end
        {
            (self.at, self.risen) = (from, 0);
        }
        let factor = self.gain_now * (level as f32 / self.fade as f32);
        frame.map(|sample| sample * factor)
    }

    /// Returns where the loop ends that the place is in or before.
    fn loop_end(&self) -> Option<usize> {
        let [_, to] = self.region?;
        let to = to.min(self.frames());
        (self.at < to).then_some(to)
    }

    fn step_gain(&mut self) {
        let step = 1.0 / self.fade as f32;
        let off = self.gain - self.gain_now;
        self.gain_now =
            if off.abs() <= step { self.gain } else { self.gain_now + off.signum() * step };
    }
}

/// Returns a frame of a sound as stereo: mono on both sides, further channels half on both.
fn stereo(sound: &Pcm, at: usize) -> [f32; 2] {
    let channels = usize::from(sound.channels.max(1));
    match sound.samples.get(at * channels..(at + 1) * channels).unwrap_or_default() {
        [] => [0.0; 2],
        [one] => [*one; 2],
        [left, right] => [*left, *right],
        [left, right, more @ ..] => {
            let more = 0.5 * more.iter().sum::<f32>();
            [left + more, right + more].map(|sample| sample.clamp(-1.0, 1.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FADE: usize = 240;

    fn sound(frames: usize) -> Arc<Pcm> {
        let samples = (0..2 * frames).map(|n| 0.25 + (n % 997) as f32 / 2000.0).collect();
        Arc::new(Pcm { sample_rate_hz: 48_000, channels: 2, samples })
    }

    fn take(deck: &mut Deck, frames: usize) -> Vec<[f32; 2]> {
        let mut out = vec![[9.0; 2]; frames];
        // In odd pieces, as devices ask.
        out.chunks_mut(113).for_each(|piece| deck.fill(piece));
        out
    }

    fn playing(sound: &Arc<Pcm>) -> Deck {
        let mut deck = Deck::default();
        deck.apply(Command::Load(sound.clone()));
        deck.apply(Command::Play);
        deck
    }

    fn frames(sound: &Pcm, from: usize, to: usize) -> Vec<[f32; 2]> {
        sound.samples[2 * from..2 * to].chunks(2).map(|f| [f[0], f[1]]).collect()
    }

    fn largest_step(out: &[[f32; 2]]) -> f32 {
        let step = |w: &[[f32; 2]]| (w[1][0] - w[0][0]).abs();
        out.windows(2).map(step).fold(0.0, f32::max)
    }

    #[test]
    fn what_is_played_is_the_sound_to_the_bit_after_the_fade() {
        let sound = sound(5000);
        let mut deck = playing(&sound);
        let out = take(&mut deck, 6000);
        assert_eq!(out[FADE..5000], frames(&sound, FADE, 5000));
        assert!(out[5000..].iter().all(|frame| *frame == [0.0; 2]));
        assert!(!deck.is_playing() && deck.at() == 5000);
        deck.apply(Command::Play);
        assert_eq!(take(&mut deck, 1000)[FADE..], frames(&sound, FADE, 1000));
    }

    #[test]
    fn a_pause_and_a_seek_fade_and_go_on_at_the_very_frame() {
        let constant =
            Arc::new(Pcm { sample_rate_hz: 48_000, channels: 1, samples: vec![0.8; 20_000] });
        let mut deck = playing(&constant);
        let mut out = take(&mut deck, 1000);
        deck.apply(Command::Pause);
        out.extend(take(&mut deck, 1000));
        assert_eq!(deck.at(), 1000 + FADE);
        assert_eq!(out[1999], [0.0; 2]);
        deck.apply(Command::Play);
        out.extend(take(&mut deck, 1000));
        deck.apply(Command::Seek(15_000));
        assert_eq!(deck.at(), 15_000);
        out.extend(take(&mut deck, 1000));
        assert!(largest_step(&out) < 0.8 / FADE as f32 + 1e-6, "{}", largest_step(&out));

        let sound = sound(20_000);
        let mut deck = playing(&sound);
        take(&mut deck, 1000);
        deck.apply(Command::Seek(15_000));
        let out = take(&mut deck, 1000);
        // The old place fades out for one fade less a frame, then the new one fades in.
        let begin = out.iter().position(|frame| *frame == out[FADE - 1]).unwrap_or(0) + 1;
        let expected = frames(&sound, 15_000 + FADE, 15_000 + 1000 - begin);
        assert_eq!(out[begin + FADE..][..expected.len()], expected);
    }

    #[test]
    fn a_loop_is_as_long_as_its_region_to_the_frame() {
        let sound = sound(9000);
        let mut deck = Deck::default();
        deck.apply(Command::Load(sound.clone()));
        deck.apply(Command::Loop(Some([2000, 5000])));
        deck.apply(Command::Seek(2000));
        deck.apply(Command::Play);
        let out = take(&mut deck, 9000);
        for turn in 0..3 {
            let start = 3000 * turn;
            assert_eq!(
                out[start + FADE..start + 3000 - FADE],
                frames(&sound, 2000 + FADE, 5000 - FADE)
            );
            assert_eq!(out[start..start + 3000], out[..3000]);
        }
        deck.apply(Command::Loop(None));
        take(&mut deck, 5000);
        assert!(deck.at() > 5000);
    }

    #[test]
    fn gain_moves_without_a_step_and_arrives() {
        let constant =
            Arc::new(Pcm { sample_rate_hz: 48_000, channels: 1, samples: vec![1.0; 9000] });
        let mut deck = playing(&constant);
        let mut out = take(&mut deck, 1000);
        deck.apply(Command::Gain(0.25));
        deck.apply(Command::Gain(f32::NAN));
        out.extend(take(&mut deck, 1000));
        assert!(largest_step(&out) < 1.01 / FADE as f32);
        assert_eq!(out[1999], [0.25; 2]);
    }

    #[test]
    fn odd_commands_do_no_harm() {
        let mut deck = Deck::default();
        for command in [
            Command::Play,
            Command::Seek(usize::MAX),
            Command::Loop(Some([9, 3])),
            Command::Loop(Some([7, usize::MAX])),
            Command::Gain(-4.0),
        ] {
            deck.apply(command);
            assert!(take(&mut deck, 300).iter().all(|frame| *frame == [0.0; 2]));
        }
        deck.apply(Command::Load(sound(100)));
        deck.apply(Command::Seek(usize::MAX));
        deck.apply(Command::Play);
        take(&mut deck, 1000);
        deck.apply(Command::Load(sound(50)));
        deck.apply(Command::Play);
        take(&mut deck, 1000);
        assert!(!deck.is_playing());
    }
}
