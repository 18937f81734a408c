//! Standard output and standard error, which may be terminals, files, or pipes that somebody closes.

use std::io::{self, ErrorKind, IsTerminal, Write};

use atelier_engine::EngineError;
use serde_json::{Value, json};

/// Says how much is told, and in which form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Voice {
    /// Progress and notices on standard error, results on standard output.
    #[default]
    Plain,
    /// One JSON object per event on standard output.
    Json,
    /// Results and errors only.
    Quiet,
}

impl Voice {
    /// Returns how much is told with `--json` or `--quiet`, of which the first counts.
    pub fn of(json: bool, quiet: bool) -> Self {
        match (json, quiet) {
            (true, _) => Self::Json,
            (_, true) => Self::Quiet,
            _ => Self::Plain,
        }
    }
}

/// Writes to the two standard streams and never panics when one is closed or full.
pub struct Console {
    voice: Voice,
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    is_terminal: bool,
    bar: String,
    refused: Option<io::Error>,
}

impl Console {
    /// Makes a console on the process's own streams.
    pub fn standard(voice: Voice) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self::new(voice, Box::new(io::stdout()), Box::new(io::stderr()), is_terminal)
    }

    /// Makes a console on any streams; `is_terminal` says whether a progress bar may be drawn on `err`.
    pub fn new(voice: Voice, out: Box<dyn Write>, err: Box<dyn Write>, is_terminal: bool) -> Self {
        Self { voice, out, err, is_terminal, bar: String::new(), refused: None }
    }

    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        self.voice
    }

    /// Prints a line of the result on standard output.
    pub fn line(&mut self, line: &str) {
        self.clear_bar();
        self.bytes(format!("{line}\n").as_bytes());
    }

    /// Writes a result as it is on standard output.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if self.refused.is_none()
            && let Err(error) = self.out.write_all(bytes).and_then(|()| self.out.flush())
        {
            self.refused = Some(error);
        }
    }

    /// Prints an event, with [`Voice::Json`] only.
    pub fn event(&mut self, event: &Value) {
        if self.voice == Voice::Json {
            self.bytes(format!("{event}\n").as_bytes());
        }
    }

    /// Tells something that is not the result, with [`Voice::Plain`] only.
    pub fn note(&mut self, note: &str) {
        if self.voice == Voice::Plain {
            self.clear_bar();
            self.say(&format!("{note}\n"));
        }
    }

    /// Draws the progress bar anew, on a terminal and with [`Voice::Plain`] only.
    pub fn bar(&mut self, bar: &str) {
        if self.voice == Voice::Plain && self.is_terminal && bar != self.bar {
            // Back to the start of the line, and what is left of a longer bar is erased.
            self.say(&format!("\r{bar}\x1b[K"));
            bar.clone_into(&mut self.bar);
        }
    }

    /// Shows why a command failed, in every voice.
    pub fn error(&mut self, error: &EngineError, exit_code: u8) {
        self.clear_bar();
        self.event(&error_event(error, exit_code));
        if *error == EngineError::Cancelled {
            self.say("Cancelled\n");
        } else {
            self.say(&format!("{error}\n{}\n", error.hint()));
        }
    }

    /// Returns how writing the results went. A reader that closed its pipe has read enough: that
    /// is no failure.
    ///
    /// # Errors
    /// [`EngineError::Io`] or [`EngineError::DiskFull`] when standard output took nothing more.
    pub fn outcome(&mut self) -> Result<(), EngineError> {
        match self.refused.take() {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(EngineError::io("write the result", "standard output", &error))
            }
            _ => Ok(()),
        }
    }

    /// Takes the progress bar away, before a result is written piece by piece.
    pub fn end_bar(&mut self) {
        self.clear_bar();
    }

    fn clear_bar(&mut self) {
        if !self.bar.is_empty() {
            self.bar.clear();
            self.say("\r\x1b[K");
        }
    }

    fn say(&mut self, text: &str) {
        // Nobody can be told that standard error is gone.
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
    }
}

fn error_event(error: &EngineError, exit_code: u8) -> Value {
    if *error == EngineError::Cancelled {
        return json!({ "event": "cancelled", "exit_code": exit_code });
    }
    json!({
        "event": "failed",
        "error": error,
        "message": error.to_string(),
        "hint": error.hint(),
        "exit_code": exit_code,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    /// Keeps what is written, for tests to read.
    #[derive(Clone, Default)]
    pub(in crate::cli) struct Tape(Arc<Mutex<Vec<u8>>>);

    impl Tape {
        pub(in crate::cli) fn text(&self) -> String {
            let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }

    impl Write for Tape {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Makes a console whose two streams are kept.
    pub(in crate::cli) fn taped(voice: Voice, is_terminal: bool) -> (Console, Tape, Tape) {
        let (out, err) = (Tape::default(), Tape::default());
        let console =
            Console::new(voice, Box::new(out.clone()), Box::new(err.clone()), is_terminal);
        (console, out, err)
    }

    struct Refusing(ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn refusing(kind: ErrorKind) -> Console {
        Console::new(Voice::Plain, Box::new(Refusing(kind)), Box::new(Refusing(kind)), true)
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one() {
        let mut console = refusing(ErrorKind::BrokenPipe);
        console.note("note");
        console.bar("bar");
        console.line("line");
        assert_eq!(console.outcome(), Ok(()));

        let mut console = refusing(ErrorKind::StorageFull);
        console.line("line");
        assert!(matches!(console.outcome(), Err(EngineError::DiskFull { .. })));
    }

    #[test]
    fn each_voice_tells_its_own() {
        let tell = |voice, is_terminal| {
            let (mut console, out, err) = taped(voice, is_terminal);
            console.note("note");
            console.bar("bar");
            console.event(&json!({ "event": "started" }));
            console.line("line");
            (out.text(), err.text())
        };
        assert_eq!(tell(Voice::Plain, false), ("line\n".into(), "note\n".into()));
        assert_eq!(tell(Voice::Quiet, true), ("line\n".into(), String::new()));
        assert_eq!(tell(Voice::Json, true).1, "");
        let (_, drawn) = tell(Voice::Plain, true);
        assert_eq!(drawn, "note\n\rbar\x1b[K\r\x1b[K", "the bar is gone before the result");
    }

    #[test]
    fn an_error_is_one_sentence_and_a_hint_in_every_voice() {
        for voice in [Voice::Plain, Voice::Json, Voice::Quiet] {
            let (mut console, out, err) = taped(voice, false);
            console.error(&EngineError::EmptyPrompt, 2);
            let said = err.text();
            assert_eq!(said.lines().count(), 2, "{said}");
            assert!(said.starts_with("The prompt is empty\n"), "{said}");
            let is_json = out.text().contains("\"exit_code\":2");
            assert_eq!(is_json, voice == Voice::Json, "{}", out.text());
        }
    }
}
