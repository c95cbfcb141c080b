//! Shows a run while it goes on.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use clap::ValueEnum as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use crate::program::Program;
use crate::report::Report;
use crate::screen::{Screen, Size};
use crate::update::{Outcome, Severity, Update};
use crate::{json, plain};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Bars on a terminal, plain lines elsewhere
    Auto,
    /// A picture that is redrawn in place
    Bar,
    /// A line for every event, and a status line every 5 seconds
    Plain,
    /// A JSON object per line
    Json,
    /// Errors only
    None,
}

impl Mode {
    /// Reads a mode on a command line. The help says `auto` and `bar` of these two modes, since
    /// what they show is not the same in both programs.
    pub fn parser(auto: &'static str, bar: &'static str) -> impl TypedValueParser<Value = Mode> {
        let values = Mode::value_variants().iter().filter_map(move |mode| {
            let value = mode.to_possible_value()?;
            Some(match mode {
                Mode::Auto => value.help(auto),
                Mode::Bar => value.help(bar),
                Mode::Plain | Mode::Json | Mode::None => value,
            })
        });
        PossibleValuesParser::new(values)
            .map(|name| Mode::from_str(&name, false).expect("the parser takes the modes' names"))
    }

    /// What `Auto` means where standard error is what it is.
    #[must_use]
    pub fn resolve(self) -> Mode {
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
pub struct Progress<P: Program> {
    mode: Mode,
    screen: Screen,
    program: P,
    shown: Option<Shown<P::Phase>>,
}

/// The last status line of the modes that print lines.
struct Shown<T> {
    at: Instant,
    phase: T,
    text: String,
}

impl<P: Program> Progress<P> {
    /// A display on `screen`, in any mode but [`Mode::Auto`].
    pub fn new(mode: Mode, screen: Screen, program: P) -> Self {
        Self {
            mode,
            screen,
            program,
            shown: None,
        }
    }

    /// Shows what the engine tells.
    pub fn handle_update(&mut self, update: Update<P::Status>) {
        match update {
            Update::Status(status) => self.on_status(&status),
            Update::Line(severity, text) => self.on_line(severity, &text),
        }
    }

    fn on_status(&mut self, status: &P::Status) {
        self.program.observe(status);
        let phase = P::phase(status);
        match self.mode {
            Mode::Bar => {
                let size = Size::of_stderr();
                let block = self.program.block(status, size);
                self.screen.draw(block, size);
            }
            Mode::Plain | Mode::Auto => {
                if let Some(line) = self.program.line(status) {
                    self.print_if_due(phase, line, plain::EVERY, P::repeat(phase));
                }
            }
            Mode::Json => {
                let line = json::status_line(&P::doc(status));
                self.print_if_due(phase, line, json::EVERY, json::EVERY);
            }
            Mode::None => {}
        }
    }

    /// Prints a status line in a new phase, after `every` where it changed, and in any case
    /// after `repeat`.
    fn print_if_due(&mut self, phase: P::Phase, text: String, every: Duration, repeat: Duration) {
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
    pub fn finish<D: Serialize>(&self, outcome: &Outcome<P::Status>, report: &Report<'_, D>) {
        match self.mode {
            Mode::Json => self.screen.print(&json::result_line(report)),
            Mode::None => {
                if let Some(error) = P::error(outcome) {
                    self.screen.print(&error);
                }
            }
            Mode::Bar => {
                self.screen.clear();
                self.screen.print(&P::closing(outcome).join("\n"));
            }
            Mode::Plain | Mode::Auto => {
                self.screen.print(&P::closing(outcome).join("\n"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;
    use crate::program::example::Counter;

    #[test]
    fn a_line_is_told_when_there_is_one_and_at_once_in_a_new_phase() {
        let (screen, shown) = Screen::captured();
        let mut progress = Progress::new(Mode::Plain, screen, Counter);
        for status in [0, 1, 2, 10, 11] {
            progress.handle_update(Update::Status(status));
        }
        assert_eq!(shown.take(), "at 1\nat 10\n");
    }

    #[test]
    fn the_error_is_told_last() {
        let outcome = |error: Option<&str>| Outcome {
            exit: Exit::Failure,
            status: 3,
            error: error.map(str::to_owned),
        };
        assert_eq!(Counter::closing(&outcome(None)), ["counted 3"]);
        let told = Counter::closing(&outcome(Some("no\u{1b} room")));
        assert_eq!(told, ["counted 3", "counter: error: no? room"]);
    }

    #[test]
    fn the_help_says_what_a_program_shows() {
        let parser = Mode::parser("one", "two");
        let values: Vec<_> = parser.possible_values().unwrap().collect();
        let helps: Vec<_> = values
            .iter()
            .map(|value| value.get_help().unwrap().to_string())
            .collect();
        assert_eq!(helps[..2], ["one", "two"]);
        let names: Vec<_> = values.iter().map(|value| value.get_name()).collect();
        assert_eq!(names, ["auto", "bar", "plain", "json", "none"]);
    }
}
