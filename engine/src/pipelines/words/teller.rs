//! Sends text as it is written, in batches, and keeps back what may turn out not to be said.

use std::time::{Duration, Instant};

use crate::protocol::JobContext;

/// Text is sent once this has passed since the last time; with the next token it stays below the
/// 30 ms that a reader does not notice.
const BATCH: Duration = Duration::from_millis(25);

/// Collects what is written and sends it.
pub(super) struct Teller<'a> {
    job: &'a JobContext,
    stops: &'a [&'a str],
    text: String,
    /// How much of the text is sent, in bytes.
    sent: usize,
    /// How much of the text is surely said, in bytes.
    sure: usize,
    last: Instant,
}

impl<'a> Teller<'a> {
    /// Begins a text that ends before any of `stops`.
    pub(super) fn new(job: &'a JobContext, stops: &'a [&'a str]) -> Self {
        Self { job, stops, text: String::new(), sent: 0, sure: 0, last: Instant::now() }
    }

    /// Takes more text; tells whether the text is over.
    pub(super) fn push(&mut self, piece: &str) -> bool {
        self.text.push_str(piece);
        let found = self.stops.iter().filter_map(|stop| self.text[self.sure..].find(stop)).min();
        if let Some(at) = found {
            self.sure += at;
            self.text.truncate(self.sure);
            return true;
        }
        let doubtful = self.stops.iter().map(|stop| overlap(&self.text[self.sure..], stop)).max();
        self.sure = self.text.len() - doubtful.unwrap_or(0);
        if self.sure > self.sent && self.last.elapsed() >= BATCH {
            self.send();
        }
        false
    }

    /// Sends what is left and returns the whole text.
    pub(super) fn finish(mut self) -> String {
        self.sure = self.text.len();
        if self.sure > self.sent {
            self.send();
        }
        self.text
    }

    fn send(&mut self) {
        self.job.text(self.text[self.sent..self.sure].to_owned());
        self.sent = self.sure;
        self.last = Instant::now();
    }
}

/// Returns how many bytes at the end of a text could be the beginning of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let begins = (1..stop.len()).rev().filter(|length| stop.is_char_boundary(*length));
    begins.into_iter().find(|length| text.ends_with(&stop[..*length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let job = JobContext::detached();
        let mut teller = Teller::new(&job, stops);
        let is_over = pieces.iter().any(|piece| teller.push(piece));
        (teller.finish(), is_over)
    }

    #[test]
    fn a_text_ends_before_what_stops_it_also_across_pieces() {
        assert_eq!(told(&["\nUser:"], &["Yes", "\n", "Use", "r: no"]), ("Yes".to_owned(), true));
        assert_eq!(told(&["\nUser:"], &["Yes\nUs", "ual\nU"]), ("Yes\nUsual\nU".to_owned(), false));
        assert_eq!(told(&[], &["a", "b"]), ("ab".to_owned(), false));
    }
}
