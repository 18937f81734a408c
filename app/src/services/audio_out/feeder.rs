//! The thread between commands and device: it keeps the ring full and reopens a lost device.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use atelier_engine::audio::resample::StereoStream;

use super::deck::{Command, Deck};
use crate::state::Silence;

/// How long the thread sleeps between two looks at the ring.
const PAUSE: Duration = Duration::from_millis(4);

/// How long before a device that was lost or refused is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Frames that the deck gives at once.
const PIECE_FRAMES: usize = 256;

/// The rate of the clock that stands for a device where there is none, in Hz.
const CLOCK_HZ: u32 = 48_000;

/// Tells the thread what to do.
pub(super) enum Order {
    Do(Command),
    End,
}

/// What the thread and the device say of themselves.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub is_playing: AtomicBool,
    pub heard_frame: AtomicU64,
    pub underruns: AtomicU64,
    /// How many commands were carried out, told after what follows from them.
    pub done: AtomicU64,
    pub silent_because: Mutex<Option<Silence>>,
}

/// Takes frames: a device, or a clock where there is none.
pub(super) trait Sink {
    /// Returns the sample rate in Hz.
    fn rate_hz(&self) -> u32;
    /// Returns how many frames there is room for.
    fn room(&mut self) -> usize;
    /// Returns how many frames wait to be heard.
    fn waiting(&mut self) -> usize;
    /// Takes frames, no more than there is room for.
    fn push(&mut self, frames: &[[f32; 2]]);
    /// Returns why it takes no more, when it is lost.
    fn lost(&mut self) -> Option<String>;
}

/// Passes time where nothing can be heard.
struct Clock {
    since: Instant,
    taken: u64,
}

impl Sink for Clock {
    fn rate_hz(&self) -> u32 {
        CLOCK_HZ
    }

    fn room(&mut self) -> usize {
        let due = (self.since.elapsed().as_secs_f64() * f64::from(CLOCK_HZ)) as u64;
        // After a sleep of the machine it goes on, it does not catch up.
        if due > self.taken + u64::from(CLOCK_HZ) {
            self.taken = due;
        }
        (due - self.taken.min(due)) as usize
    }

    fn waiting(&mut self) -> usize {
        0
    }

    fn push(&mut self, frames: &[[f32; 2]]) {
        self.taken += frames.len() as u64;
    }

    fn lost(&mut self) -> Option<String> {
        None
    }
}

fn open_device(shared: &std::sync::Arc<Shared>) -> Result<Box<dyn Sink>, Silence> {
    #[cfg(feature = "audio-out")]
    return super::device::Device::open(shared).map(|device| Box::new(device) as Box<dyn Sink>);
    #[cfg(not(feature = "audio-out"))]
    {
        let _ = shared;
        Err(Silence::NotBuilt)
    }
}

/// Feeds until it is told to end.
pub(super) fn run(orders: &Receiver<Order>, shared: &std::sync::Arc<Shared>) {
    super::priority::raise();
    let say = |reason: Option<Silence>| {
        *shared.silent_because.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    };
    let open = || match open_device(shared) {
        Ok(sink) => {
            say(None);
            (sink, None)
        }
        Err(reason) => {
            say(Some(reason));
            let clock: Box<dyn Sink> = Box::new(Clock { since: Instant::now(), taken: 0 });
            (clock, Some(Instant::now() + TRY_AGAIN))
        }
    };
    let mut deck = Deck::default();
    let (mut sink, mut again) = open();
    let mut feed = Feed::default();
    let mut done = 0;
    loop {
        match orders.recv_timeout(PAUSE) {
            Ok(Order::Do(command)) => {
                deck.apply(command);
                done += 1;
                for order in orders.try_iter() {
                    match order {
                        Order::Do(command) => {
                            deck.apply(command);
                            done += 1;
                        }
                        Order::End => return,
                    }
                }
            }
            Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let is_lost = sink.lost().is_some();
        if is_lost || again.is_some_and(|at| Instant::now() >= at) {
            // The old one goes first: some systems give a device out once only.
            drop(sink);
            (sink, again) = open();
            feed = Feed::default();
        }
        feed.fill(&mut deck, &mut *sink);
        let behind = sink.waiting() + feed.ready.len();
        let rate = f64::from(deck.sample_rate_hz().unwrap_or(CLOCK_HZ));
        let behind = behind as f64 * rate / f64::from(sink.rate_hz());
        shared.is_playing.store(deck.is_playing(), Ordering::Relaxed);
        let lag = if deck.is_playing() { behind as usize } else { 0 };
        shared.heard_frame.store(deck.at().saturating_sub(lag) as u64, Ordering::Relaxed);
        shared.done.store(done, Ordering::Release);
    }
}

/// Holds frames on their way from the deck to the sink.
#[derive(Default)]
struct Feed {
    ready: Vec<[f32; 2]>,
    /// The rates between which the stream converts, and the stream.
    stream: Option<(u32, u32, StereoStream)>,
}

impl Feed {
    fn fill(&mut self, deck: &mut Deck, sink: &mut dyn Sink) {
        let mut piece = [[0.0_f32; 2]; PIECE_FRAMES];
        let (mut room, to_hz) = (sink.room(), sink.rate_hz());
        while room > 0 {
            if self.ready.is_empty() {
                let from_hz = deck.sample_rate_hz().unwrap_or(to_hz);
                let taken = if from_hz == to_hz { room.min(PIECE_FRAMES) } else { PIECE_FRAMES };
                deck.fill(&mut piece[..taken]);
                self.convert(&piece[..taken], from_hz, to_hz);
                continue;
            }
            let taken = room.min(self.ready.len());
            sink.push(&self.ready[..taken]);
            self.ready.drain(..taken);
            room -= taken;
        }
    }

    /// Brings frames to the sink's rate; at the same rate they stay as they are, to the bit.
    fn convert(&mut self, piece: &[[f32; 2]], from_hz: u32, to_hz: u32) {
        if from_hz == to_hz {
            self.ready.extend_from_slice(piece);
            return;
        }
        let is_right = |(from, to, _): &(u32, u32, StereoStream)| (*from, *to) == (from_hz, to_hz);
        if !self.stream.as_ref().is_some_and(is_right) {
            self.stream =
                StereoStream::new(from_hz, to_hz).ok().map(|stream| (from_hz, to_hz, stream));
        }
        let made = match &mut self.stream {
            Some((_, _, stream)) => stream.push(piece, &mut self.ready).is_ok(),
            None => false,
        };
        if !made {
            // Silence keeps time where a rate cannot be converted, which readers do not let in.
            self.ready.extend(piece.iter().map(|_| [0.0; 2]));
        }
    }
}
