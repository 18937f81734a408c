//! Ctrl-C: the first asks the job to stop, the second ends the program at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

/// Tells whether Ctrl-C was pressed.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for Ctrl-C from now on and unparks the calling thread when it comes.
    pub fn listen() -> Self {
        let interrupt = Self::default();
        let (pressed, waiting): (_, Thread) = (Arc::clone(&interrupt.0), thread::current());
        // Without a handler Ctrl-C ends the program at once, which loses nothing either: files
        // are written beside their place first.
        let _ = ctrlc::set_handler(move || {
            if pressed.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(super::CANCELLED));
            }
            waiting.unpark();
        });
        interrupt
    }

    /// Behaves as Ctrl-C does the first time.
    #[cfg(test)]
    pub fn press(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Tells whether Ctrl-C was pressed.
    pub fn is_pressed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
