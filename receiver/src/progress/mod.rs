//! Shows a receiver while it runs.

mod bar;
#[cfg(test)]
pub(crate) mod example;
pub(crate) mod json;
mod plain;
mod screen;
mod trend;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use mimeo_image::ByteSize;

pub(crate) use screen::Screen;
#[cfg(test)]
pub(crate) use screen::tests::screen_sink;

use crate::report::Report;
use crate::run::{Outcome, Severity, Update};
use crate::status::{Phase, Status};
use crate::{human, summary};
use screen::Size;
use trend::Trend;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// A bar on a terminal, plain lines elsewhere
    Auto,
    /// A bar that is redrawn in place
    Bar,
    /// A line for every event, and a status line every 5 seconds
    Plain,
    /// A JSON object per line
    Json,
    /// Errors only
    None,
}

impl Mode {
    /// What `Auto` means where standard error is what it is.
    pub(crate) fn resolve(self) -> Mode {
        match self {
            Mode::Auto if io::stderr().is_terminal() && !dumb() => Mode::Bar,
            Mode::Auto => Mode::Plain,
            mode => mode,
        }
    }
}

/// A terminal that says it cannot move its cursor.
fn dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The display of one run.
pub(crate) struct Progress {
    mode: Mode,
    screen: Screen,
    trend: Trend,
    shown: Option<Shown>,
}

/// The last status line of the modes that print lines.
struct Shown {
    at: Instant,
    phase: Phase,
    text: String,
}

impl Progress {
    /// A display on `screen`, in any mode but [`Mode::Auto`].
    pub(crate) fn new(mode: Mode, screen: Screen) -> Self {
        Self {
            mode,
            screen,
            trend: Trend::default(),
            shown: None,
        }
    }

    /// Shows what the engine tells.
    pub(crate) fn handle_update(&mut self, update: Update) {
        match update {
            Update::Status(status) => self.on_status(&status),
            Update::Line(severity, text) => self.on_line(severity, &text),
        }
    }

    fn on_status(&mut self, status: &Status) {
        self.trend.observe(status);
        match self.mode {
            Mode::Bar => {
                let size = Size::of_stderr();
                let block = bar::block(status, &self.trend, size);
                self.screen.draw(block, size);
            }
            Mode::Plain | Mode::Auto => {
                let line = plain::status(status, &self.trend);
                let repeat = plain::repeat(status.phase);
                self.print_if_due(status.phase, line, plain::EVERY, repeat);
            }
            Mode::Json => {
                let line = json::status_line(status);
                self.print_if_due(status.phase, line, json::EVERY, json::EVERY);
            }
            Mode::None => {}
        }
    }

    /// Prints a status line in a new phase, after `every` where it changed, and in any case
    /// after `repeat`.
    fn print_if_due(&mut self, phase: Phase, text: String, every: Duration, repeat: Duration) {
        let due = match &self.shown {
            None => true,
            Some(shown) => {
                let since = shown.at.elapsed();
                let changed = shown.text != text;
                shown.phase != phase || since >= repeat || (since >= every && changed)
            }
        };
        if due {
            self.screen.print(&text);
            let at = Instant::now();
            self.shown = Some(Shown { at, phase, text });
        }
    }

    fn on_line(&mut self, severity: Severity, text: &str) {
        let line = match self.mode {
            Mode::Json => json::event_line(severity, text),
            Mode::None if severity != Severity::Error => return,
            _ => plain::event(severity, text),
        };
        self.screen.print(&line);
    }

    /// Takes the picture away and leaves the summary.
    pub(crate) fn finish(&self, outcome: &Outcome, report: &Report<'_>) {
        match self.mode {
            Mode::Json => self.screen.print(&json::result_line(report)),
            Mode::None => {
                if let Some(error) = summary::error(outcome) {
                    self.screen.print(&error);
                }
            }
            Mode::Bar => {
                self.screen.clear();
                self.screen.print(&summary::lines(outcome).join("\n"));
            }
            Mode::Plain | Mode::Auto => {
                self.screen.print(&summary::lines(outcome).join("\n"));
            }
        }
    }
}

/// What the receiver does, and with whom.
fn doing(status: &Status) -> String {
    let session = match status.sender {
        Some(sender) => format!("{} from {sender}", human::clean(&status.session_name)),
        None => human::clean(&status.session_name),
    };
    match status.phase {
        Phase::Searching => "looking for a sender".to_owned(),
        Phase::Joining => format!("asking to be admitted: {session}"),
        Phase::Waiting => format!("joined, waiting for the start: {session}"),
        Phase::Receiving => format!("receiving, cycle {}: {session}", status.cycle),
        Phase::Flushing => format!("flushing the target: {session}"),
        Phase::Confirming => format!("verified, telling the sender: {session}"),
        Phase::Done => format!("done: {session}"),
        Phase::Failed => format!("failed: {session}"),
    }
}

/// How far it is, once data flows.
fn figures(status: &Status, trend: &Trend) -> Vec<String> {
    if status.transfer_time.is_zero() {
        return Vec::new();
    }
    let mut parts = vec![match status.image_len {
        Some(len) => human::percent(status.bytes_written, len),
        None => ByteSize(status.bytes_written).to_string(),
    }];
    parts.extend(trend.rate().map(human::rate));
    parts.push(human::clock(status.transfer_time));
    if trend.rate().is_some() {
        let left = trend.remaining(status);
        parts.extend(left.map(|time| format!("{} left", human::clock(time))));
        parts.push(format!("loss {}", human::share(status.loss)));
    }
    parts
}

#[cfg(test)]
mod tests;
