//! What the sender shows of a session while it runs.

mod bar;
#[cfg(test)]
pub(crate) mod example;
mod plain;
mod start;
pub(crate) mod tally;
mod trend;

use std::time::Duration;

use jiff::Zoned;
use mimeo_console::{Program, Size, human};

use crate::config::StartRules;
use crate::report::StatusDoc;
use crate::status::{Command, Outcome};
use crate::status::{Phase, Status};
use crate::summary;
use trend::Trend;

/// What the display has to know beside the session's status.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// What a session that waits is waiting for.
    pub(crate) start: StartRules,
    /// Whether Enter starts it.
    pub(crate) keys: bool,
}

/// The sender as its operator sees it.
#[derive(Debug)]
pub(crate) struct Sender {
    plan: Plan,
    trend: Trend,
}

impl Sender {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            trend: Trend::default(),
        }
    }
}

impl Program for Sender {
    const NAME: &'static str = "mimeo-sender";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const INTERRUPTED: &'static str =
        "interrupted, the receivers are being told; press Ctrl-C again to stop at once";
    const STOPPED: &'static str = "stopped at once; nobody was told";
    const NOT_STARTED: &'static str = "the system refused to start the session";
    const INTERRUPT: Command = Command::Interrupt;
    const ON_USR1: Option<Command> = Some(Command::NewCode);
    type Command = Command;
    type Status = Status;
    type Phase = Phase;
    type Doc<'a> = StatusDoc<'a>;

    fn doc(status: &Status) -> StatusDoc<'_> {
        StatusDoc::new(status)
    }

    fn phase(status: &Status) -> Phase {
        status.phase
    }

    fn repeat(phase: Phase) -> Duration {
        plain::repeat(phase)
    }

    fn observe(&mut self, status: &Status) {
        self.trend.observe(status);
    }

    fn block(&self, status: &Status, size: Size) -> Vec<String> {
        bar::block(status, &self.trend, &self.plan, &Zoned::now(), size)
    }

    fn line(&self, status: &Status) -> Option<String> {
        plain::status(status, &self.trend, &self.plan, &Zoned::now())
    }

    fn summary(outcome: &Outcome) -> Vec<String> {
        summary::lines(outcome)
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
