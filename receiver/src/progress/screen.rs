//! Standard error as a place for lines that stay and a block below them that is redrawn.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use rustix::termios::tcgetwinsize;

use crate::human;

/// Cells of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl Size {
    /// What every terminal has at least, and what is taken where nothing is known.
    pub(crate) const USUAL: Size = Size {
        columns: 80,
        rows: 24,
    };

    /// The size of the terminal behind standard error.
    pub(crate) fn of_stderr() -> Size {
        match tcgetwinsize(io::stderr()) {
            // Serial consoles say 0 x 0.
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size {
                columns: size.ws_col.into(),
                rows: size.ws_row.into(),
            },
            _ => Size::USUAL,
        }
    }
}

/// The one way to standard error, shared by the progress display, the log and the thread that
/// watches signals. A failure to write is ignored: nobody is left to tell.
#[derive(Clone)]
pub(crate) struct Screen(Arc<Mutex<Inner>>);

struct Inner {
    out: Box<dyn Write + Send>,
    /// The block as it stands on the terminal.
    block: Vec<String>,
    columns: usize,
}

impl Screen {
    /// Standard error.
    pub(crate) fn stderr() -> Self {
        Self::new(Box::new(io::stderr()))
    }

    pub(crate) fn new(out: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            out,
            block: Vec::new(),
            columns: Size::USUAL.columns,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every state of the block can be drawn over.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes lines that stay, above the block.
    pub(crate) fn print(&self, text: &str) {
        let mut inner = self.lock();
        let redraws = !inner.block.is_empty();
        let mut frame = inner.back_to_top();
        // Without a block, text goes out without escape codes: it may be a file.
        let end = if redraws { "\x1b[K" } else { "" };
        for line in text.lines() {
            let _ = writeln!(frame, "{line}{end}");
        }
        inner.write_frame(frame, redraws);
    }

    /// Replaces the block; its lines must fit the width.
    pub(crate) fn draw(&self, block: Vec<String>, size: Size) {
        let mut inner = self.lock();
        inner.columns = size.columns;
        let redraws = !inner.block.is_empty();
        let frame = inner.back_to_top();
        inner.block = block;
        inner.write_frame(frame, redraws);
    }

    /// Takes the block away; afterwards the screen is only written to line by line.
    pub(crate) fn clear(&self) {
        self.draw(Vec::new(), Size::of_stderr());
    }

    /// Writes a last line although the screen may be stuck in another thread; for the exit that
    /// waits for nobody.
    pub(crate) fn last_words(&self, text: &str) {
        let mut inner = match self.0.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(inner)) => inner.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let _ = writeln!(inner.out, "{text}");
    }
}

impl Inner {
    /// The way from below the block to its first row, for the block as the terminal shows it
    /// now: one that became narrower has wrapped the lines.
    fn back_to_top(&self) -> String {
        let wrapped = |line: &String| human::width(line).div_ceil(self.columns.max(1)).max(1);
        let rows = self.block.iter().map(wrapped).sum::<usize>();
        if rows == 0 {
            return String::new();
        }
        format!("\r\x1b[{}A", rows)
    }

    /// Sends the frame and the block below it in one write, so that nothing flickers.
    fn write_frame(&mut self, mut frame: String, redraws: bool) {
        for line in &self.block {
            let _ = writeln!(frame, "{line}\x1b[K");
        }
        if redraws {
            frame.push_str("\x1b[J");
        }
        let _ = self.out.write_all(frame.as_bytes());
        let _ = self.out.flush();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Collects what is written.
    #[derive(Clone, Default)]
    pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        /// What was written since the last call.
        pub(crate) fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
        }
    }

    /// A screen and what it shows.
    pub(crate) fn screen_sink() -> (Screen, Sink) {
        let sink = Sink::default();
        (Screen::new(Box::new(sink.clone())), sink)
    }

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn lines_without_a_block_carry_no_escape_codes() {
        let (screen, sink) = screen_sink();
        screen.print("one\ntwo");
        assert_eq!(sink.take(), "one\ntwo\n");
    }

    #[test]
    fn a_block_is_drawn_over_itself_and_lines_go_above_it() {
        let (screen, sink) = screen_sink();
        screen.draw(lines(&["a", "b"]), Size::USUAL);
        assert_eq!(sink.take(), "a\x1b[K\nb\x1b[K\n");
        screen.draw(lines(&["c"]), Size::USUAL);
        assert_eq!(sink.take(), "\r\x1b[2Ac\x1b[K\n\x1b[J");
        screen.print("joined");
        assert_eq!(sink.take(), "\r\x1b[1Ajoined\x1b[K\nc\x1b[K\n\x1b[J");
        screen.clear();
        assert_eq!(sink.take(), "\r\x1b[1A\x1b[J");
        screen.print("done");
        assert_eq!(sink.take(), "done\n");
    }

    #[test]
    fn a_terminal_that_became_narrower_has_wrapped_the_block() {
        let (screen, sink) = screen_sink();
        screen.draw(lines(&["0123456789", "x"]), Size::USUAL);
        sink.take();
        let narrow = Size {
            columns: 4,
            rows: 24,
        };
        screen.draw(lines(&["0123"]), narrow);
        assert_eq!(sink.take(), "\r\x1b[4A0123\x1b[K\n\x1b[J");
    }
}
