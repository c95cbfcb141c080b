//! How far a subcommand is, and whether it is to go on.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use mimeo_image::ByteSize;

use crate::signals;

/// Between two lines where there is no bar, as the other programs do it.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How progress is shown on standard error.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Mode {
    /// A bar on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// A bar that is redrawn in place
    Bar,
    /// A line every 5 s
    Plain,
    /// Nothing
    None,
}

/// Shows how many bytes of a disk are done.
pub(crate) struct Progress {
    shown: Shown,
    len: u64,
    began: Instant,
    stop: Arc<AtomicBool>,
}

enum Shown {
    Bar(ProgressBar),
    Lines { what: &'static str, last: Instant },
    Nothing,
}

impl Progress {
    /// Of something that is done to a disk of `len` bytes. From here on the first signal that
    /// would end the program is an answer of [`Self::on`], the second ends it.
    pub(crate) fn start(mode: Mode, what: &'static str, len: u64) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in signals::ending() {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        let lines = Shown::Lines {
            what,
            last: Instant::now(),
        };
        let shown = match mode {
            Mode::None => Shown::Nothing,
            Mode::Plain => lines,
            Mode::Auto if !io::stderr().is_terminal() => lines,
            Mode::Bar | Mode::Auto => Shown::Bar(bar(what, len)),
        };
        Ok(Self {
            shown,
            len,
            began: Instant::now(),
            stop,
        })
    }

    /// So many bytes are done; false if it is to end.
    pub(crate) fn on(&mut self, done: u64) -> bool {
        match &mut self.shown {
            Shown::Bar(bar) => bar.set_position(done),
            Shown::Lines { what, last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                let line = format!(
                    "{what}: {} of {}, {}",
                    ByteSize(done),
                    ByteSize(self.len),
                    speed(done, self.began.elapsed())
                );
                // Nobody reading it is no reason to stop.
                let _ = writeln!(io::stderr(), "{line}");
            }
            Shown::Lines { .. } | Shown::Nothing => {}
        }
        !self.stop.load(Ordering::Relaxed)
    }

    /// Takes the bar away, and says how long it took: `in 12.3 s, 160.0 MB/s`.
    pub(crate) fn end(self) -> String {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
        let took = self.began.elapsed();
        format!("in {:.1} s, {}", took.as_secs_f64(), speed(self.len, took))
    }
}

fn speed(bytes: u64, time: Duration) -> String {
    let per_second = bytes as f64 / time.as_secs_f64().max(0.001);
    format!("{}/s", ByteSize(per_second as u64))
}

fn bar(what: &'static str, len: u64) -> ProgressBar {
    let style = "{msg} {wide_bar} {decimal_bytes} of {decimal_total_bytes}, \
                 {decimal_bytes_per_sec}, {eta} left";
    let bar = ProgressBar::new(len).with_message(what);
    bar.set_style(ProgressStyle::with_template(style).expect("the template is a good one"));
    bar
}
