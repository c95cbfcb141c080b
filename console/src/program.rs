//! What the two programs differ in, where they are run and shown in the same way.

use std::io::{self, Write as _};
use std::time::Duration;

use serde::Serialize;

use crate::human;
use crate::screen::Size;
use crate::update::Outcome;

/// One of the two programs; a value of it shows one run and keeps what it needs for that.
pub trait Program {
    /// The program's name, in front of its errors and in its reports.
    const NAME: &'static str;

    /// The version in its reports.
    const VERSION: &'static str;

    /// What the first of two signals is answered with.
    const INTERRUPTED: &'static str;

    /// The last line after the second signal.
    const STOPPED: &'static str;

    /// What failed when the system did not let it start.
    const NOT_STARTED: &'static str;

    /// What the first of two signals asks the engine for.
    const INTERRUPT: Self::Command;

    /// What SIGUSR1 asks the engine for; without anything the signal does what it does to any program.
    const ON_USR1: Option<Self::Command> = None;

    /// What the operator can ask the engine for.
    type Command: Copy + Send + 'static;

    /// A picture of the run at a moment.
    type Status: Send + 'static;

    /// What the run is doing; a new phase is told at once.
    type Phase: Copy + PartialEq;

    /// A picture with names and units for scripts: an object of texts and numbers.
    type Doc<'a>: Serialize;

    /// The picture for scripts.
    fn doc(status: &Self::Status) -> Self::Doc<'_>;

    /// What the run was doing.
    fn phase(status: &Self::Status) -> Self::Phase;

    /// How often a line about a phase is told although nothing changed.
    fn repeat(phase: Self::Phase) -> Duration;

    /// Takes a picture into account, before it is shown.
    fn observe(&mut self, status: &Self::Status);

    /// The picture for a terminal: lines that [`Size::fit`] it.
    fn block(&self, status: &Self::Status, size: Size) -> Vec<String>;

    /// The picture in a line, where there is something to tell.
    fn line(&self, status: &Self::Status) -> Option<String>;

    /// What the operator is left with before the error.
    fn summary(outcome: &Outcome<Self::Status>) -> Vec<String>;

    /// The error of a run as the operator sees it, if there is one.
    fn error(outcome: &Outcome<Self::Status>) -> Option<String> {
        let error = outcome.error.as_ref()?;
        Some(format!("{}: error: {}", Self::NAME, human::clean(error)))
    }

    /// What the operator is left with: the summary, the error last.
    fn closing(outcome: &Outcome<Self::Status>) -> Vec<String> {
        let mut lines = Self::summary(outcome);
        lines.extend(Self::error(outcome));
        lines
    }

    /// Tells an error that ends the program.
    fn complain(message: &str) {
        // A closed standard error must not turn an exit code into a panic's.
        let _ = writeln!(io::stderr(), "{}: error: {message}", Self::NAME);
    }
}

#[cfg(test)]
pub(crate) mod example {
    use super::*;

    /// A program whose pictures are numbers.
    pub(crate) struct Counter;

    impl Program for Counter {
        const NAME: &'static str = "counter";
        const VERSION: &'static str = "1";
        const INTERRUPTED: &'static str = "interrupted";
        const STOPPED: &'static str = "stopped";
        const NOT_STARTED: &'static str = "not started";
        const INTERRUPT: char = 'i';
        type Command = char;
        type Status = u32;
        type Phase = bool;
        type Doc<'a> = Picture;

        fn doc(status: &u32) -> Picture {
            Picture { count: *status }
        }

        fn phase(status: &u32) -> bool {
            *status > 9
        }

        fn repeat(_: bool) -> Duration {
            Duration::MAX
        }

        fn observe(&mut self, _: &u32) {}

        fn block(&self, status: &u32, size: Size) -> Vec<String> {
            size.fit(vec![format!("counted to {status}")])
        }

        fn line(&self, status: &u32) -> Option<String> {
            (*status > 0).then(|| format!("at {status}"))
        }

        fn summary(outcome: &Outcome<u32>) -> Vec<String> {
            vec![format!("counted {}", outcome.status)]
        }
    }

    #[derive(Serialize)]
    pub(crate) struct Picture {
        count: u32,
    }
}
