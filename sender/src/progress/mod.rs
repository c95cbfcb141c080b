//! Shows a session while it runs.

mod bar;
#[cfg(test)]
pub(crate) mod example;
pub(crate) mod json;
mod plain;
mod screen;
mod start;
mod tally;
mod trend;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use jiff::Zoned;

pub(crate) use screen::Screen;
#[cfg(test)]
pub(crate) use screen::tests::screen_sink;

use crate::config::StartRules;
use crate::report::Report;
use crate::run::{Outcome, Severity, Update};
use crate::status::{Phase, Status};
use crate::{human, summary};
use screen::Size;
use trend::Trend;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Bars on a terminal, plain lines elsewhere
    Auto,
    /// A picture of the room that is redrawn in place
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

/// What the display has to know beside the session's status.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// What a session that waits is waiting for.
    pub(crate) start: StartRules,
    /// Whether Enter starts it.
    pub(crate) keys: bool,
}

/// The display of one session.
pub(crate) struct Progress {
    mode: Mode,
    screen: Screen,
    plan: Plan,
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
    pub(crate) fn new(mode: Mode, screen: Screen, plan: Plan) -> Self {
        Self {
            mode,
            screen,
            plan,
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
                let block = bar::block(status, &self.trend, &self.plan, &Zoned::now(), size);
                self.screen.draw(block, size);
            }
            Mode::Plain | Mode::Auto => {
                let line = plain::status(status, &self.trend, &self.plan, &Zoned::now());
                if let Some(line) = line {
                    let repeat = plain::repeat(status.phase);
                    self.print_if_due(status.phase, line, plain::EVERY, repeat);
                }
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
    pub(crate) fn finish(self, outcome: &Outcome, report: &Report<'_>) {
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

/// `name: source` of a session.
fn title(status: &Status) -> String {
    format!(
        "{}: {}",
        human::clean(&status.session_name),
        human::clean(&status.source)
    )
}

#[cfg(test)]
mod tests;
