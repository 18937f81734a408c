//! The player: a sound, a thread that feeds, a ring without locks, and the device's own thread,
//! which only takes frames out of the ring.
//!
//! Without a device, or without the feature `audio-out`, everything but the sound is the same: time
//! passes, the play head moves, and the status says why it is silent.

pub mod deck;
#[cfg(feature = "audio-out")]
mod device;
mod feeder;
pub(crate) mod priority;

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::{io, thread};

use atelier_engine::protocol::Pcm;

use deck::Command;
use feeder::{Order, Shared};

use crate::state::Silence;

/// Says what the player is doing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlayerStatus {
    /// Whether it plays.
    pub is_playing: bool,
    /// Where it is, in seconds: what is heard now, as far as the ring tells.
    pub position_secs: f64,
    /// How long the sound is, in seconds; 0 without one.
    pub duration_secs: f64,
    /// Why nothing is heard although it plays; `None` when all is well.
    pub silent_because: Option<Silence>,
    /// How often the device found too few frames.
    pub underruns: u64,
}

/// Plays one sound at a time. Nothing that is asked of it blocks.
#[derive(Debug)]
pub struct Player {
    orders: Sender<Order>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    loaded: Option<Arc<Pcm>>,
    asked: Mutex<Asked>,
}

/// What was asked for, which holds until the thread has done it: who asks at once must not be told
/// of the time before.
#[derive(Debug, Default)]
struct Asked {
    orders: u64,
    is_playing: Option<bool>,
    frame: Option<usize>,
}

impl Player {
    /// Starts the player; a device that cannot be had is no error, but said in the status.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn open() -> io::Result<Self> {
        let (orders, received) = channel();
        let shared = Arc::new(Shared::default());
        let feeder_shared = shared.clone();
        let thread = thread::Builder::new()
            .name("atelier-sound".to_owned())
            .spawn(move || feeder::run(&received, &feeder_shared))?;
        Ok(Self { orders, shared, thread: Some(thread), loaded: None, asked: Mutex::default() })
    }

    /// Takes a sound in, stopped at its beginning.
    pub fn load(&mut self, sound: Arc<Pcm>) {
        self.loaded = Some(sound.clone());
        self.tell(Command::Load(sound));
    }

    /// Plays from where it is; from the beginning at the end.
    pub fn play(&self) {
        self.tell(Command::Play);
    }

    /// Stops where it is.
    pub fn pause(&self) {
        self.tell(Command::Pause);
    }

    /// Goes to a place, in seconds.
    pub fn seek(&self, secs: f64) {
        self.tell(Command::Seek(self.frame(secs)));
    }

    /// Plays a region over and over, from one place to another in seconds; `None` plays on.
    pub fn set_loop(&self, region: Option<[f64; 2]>) {
        self.tell(Command::Loop(region.map(|ends| ends.map(|secs| self.frame(secs)))));
    }

    /// Sets the gain, 0 to 1.
    pub fn set_gain(&self, gain: f32) {
        self.tell(Command::Gain(gain));
    }

    /// Returns what the player is doing.
    pub fn status(&self) -> PlayerStatus {
        let rate = self.loaded.as_ref().map_or(1.0, |sound| f64::from(sound.sample_rate_hz));
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.done.load(Ordering::Acquire) >= asked.orders {
            (asked.is_playing, asked.frame) = (None, None);
        }
        let is_playing = self.shared.is_playing.load(Ordering::Relaxed);
        let heard = self.shared.heard_frame.load(Ordering::Relaxed);
        let frame = asked.frame.map_or(heard, |frame| frame as u64);
        let silent = self.shared.silent_because.lock().unwrap_or_else(PoisonError::into_inner);
        PlayerStatus {
            is_playing: asked.is_playing.unwrap_or(is_playing),
            position_secs: frame as f64 / rate,
            duration_secs: self.loaded.as_ref().map_or(0.0, |sound| sound.duration_secs()),
            silent_because: silent.clone(),
            underruns: self.shared.underruns.load(Ordering::Relaxed),
        }
    }

    fn frame(&self, secs: f64) -> usize {
        let rate = self.loaded.as_ref().map_or(0.0, |sound| f64::from(sound.sample_rate_hz));
        // Negative places and those that are no number become the beginning.
        (secs * rate).round() as usize
    }

    fn tell(&self, command: Command) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.orders += 1;
        match &command {
            Command::Load(_) => (asked.is_playing, asked.frame) = (Some(false), Some(0)),
            Command::Play => asked.is_playing = Some(self.loaded.is_some()),
            Command::Pause => asked.is_playing = Some(false),
            Command::Seek(frame) => {
                let most = self.loaded.as_ref().map_or(0, |sound| sound.frames());
                asked.frame = Some((*frame).min(most));
            }
            Command::Loop(_) | Command::Gain(_) => {}
        }
        // The thread is gone only when it panicked; the status then stands still.
        let _gone = self.orders.send(Order::Do(command));
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _gone = self.orders.send(Order::End);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
