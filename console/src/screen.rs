//! Standard error as a place for lines that stay and a block below them that is redrawn.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use rustix::termios::tcgetwinsize;

use crate::human;

/// Cells of the longest bar; more would not show more.
const LONGEST_BAR: usize = 40;

/// Cells of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Cells in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

impl Size {
    /// What every terminal has at least, and what is taken where nothing is known.
    pub const USUAL: Size = Size {
        columns: 80,
        rows: 24,
    };

    /// The size of the terminal behind standard error.
    #[must_use]
    pub fn of_stderr() -> Size {
        match tcgetwinsize(io::stderr()) {
            // Serial consoles say 0 x 0.
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size {
                columns: size.ws_col.into(),
                rows: size.ws_row.into(),
            },
            _ => Size::USUAL,
        }
    }

    /// Cells of a bar beside figures.
    #[must_use]
    pub fn bar_cells(self) -> usize {
        (self.columns / 3).min(LONGEST_BAR)
    }

    /// Cuts a block so that the terminal shows all of it where it was drawn.
    #[must_use]
    pub fn fit(self, mut block: Vec<String>) -> Vec<String> {
        // The last row stays free: the cursor rests there.
        block.truncate(self.rows.saturating_sub(1).max(1));
        for line in &mut block {
            // A terminal may wrap a line that fills its last cell.
            *line = human::fit(line, self.columns.saturating_sub(1));
        }
        block
    }
}

/// The one way to standard error, shared by the progress display, the log and the threads that
/// watch keys and signals. A failure to write is ignored: nobody is left to tell.
#[derive(Clone)]
pub struct Screen(Arc<Mutex<Inner>>);

struct Inner {
    out: Box<dyn Write + Send>,
    /// The block as it stands on the terminal.
    block: Vec<String>,
    /// Rows that the terminal itself added below the block, by echoing Enter.
    echoed: usize,
    columns: usize,
}

impl Screen {
    /// Standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self::new(Box::new(io::stderr()))
    }

    /// Anywhere.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            out,
            block: Vec::new(),
            echoed: 0,
            columns: Size::USUAL.columns,
        })))
    }

    /// A screen that nobody sees and what it shows: for tests of what is shown.
    #[must_use]
    pub fn captured() -> (Self, Captured) {
        let captured = Captured::default();
        (Self::new(Box::new(captured.clone())), captured)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every state of the block can be drawn over.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes lines that stay, above the block.
    pub fn print(&self, text: &str) {
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
    pub fn draw(&self, block: Vec<String>, size: Size) {
        let mut inner = self.lock();
        inner.columns = size.columns;
        let redraws = !inner.block.is_empty();
        let frame = inner.back_to_top();
        inner.block = block;
        inner.write_frame(frame, redraws);
    }

    /// Takes the block away; afterwards the screen is only written to line by line.
    pub fn clear(&self) {
        self.draw(Vec::new(), Size::of_stderr());
    }

    /// The terminal echoed this many line feeds.
    pub fn on_echo(&self, lines: usize) {
        self.lock().echoed += lines;
    }

    /// Writes a last line although the screen may be stuck in another thread; for the exit that
    /// waits for nobody.
    pub fn last_words(&self, text: &str) {
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
    fn back_to_top(&mut self) -> String {
        let wrapped = |line: &String| human::width(line).div_ceil(self.columns.max(1)).max(1);
        let rows = self.block.iter().map(wrapped).sum::<usize>();
        let echoed = std::mem::take(&mut self.echoed);
        if rows == 0 {
            return String::new();
        }
        format!("\r\x1b[{}A", rows + echoed)
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

/// What a captured screen was given.
#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// What was written since the last call.
    pub fn take(&self) -> String {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&std::mem::take(&mut *bytes)).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn lines_without_a_block_carry_no_escape_codes() {
        let (screen, shown) = Screen::captured();
        screen.print("one\ntwo");
        assert_eq!(shown.take(), "one\ntwo\n");
    }

    #[test]
    fn a_block_is_drawn_over_itself_and_lines_go_above_it() {
        let (screen, shown) = Screen::captured();
        screen.draw(lines(&["a", "b"]), Size::USUAL);
        assert_eq!(shown.take(), "a\x1b[K\nb\x1b[K\n");
        screen.draw(lines(&["c"]), Size::USUAL);
        assert_eq!(shown.take(), "\r\x1b[2Ac\x1b[K\n\x1b[J");
        screen.print("joined");
        assert_eq!(shown.take(), "\r\x1b[1Ajoined\x1b[K\nc\x1b[K\n\x1b[J");
        screen.on_echo(1);
        screen.clear();
        assert_eq!(shown.take(), "\r\x1b[2A\x1b[J");
        screen.print("done");
        assert_eq!(shown.take(), "done\n");
    }

    #[test]
    fn a_terminal_that_became_narrower_has_wrapped_the_block() {
        let (screen, shown) = Screen::captured();
        screen.draw(lines(&["0123456789", "x"]), Size::USUAL);
        shown.take();
        let narrow = Size {
            columns: 4,
            rows: 24,
        };
        screen.draw(lines(&["0123"]), narrow);
        assert_eq!(shown.take(), "\r\x1b[4A0123\x1b[K\n\x1b[J");
    }
}
