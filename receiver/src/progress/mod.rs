//! What the receiver shows while it runs.

mod bar;
#[cfg(test)]
pub(crate) mod example;
mod plain;
mod trend;

use std::time::Duration;

use mimeo_console::{Program, Size, human};
use mimeo_image::ByteSize;
use mimeo_protocol::wire::SlowReason;

use crate::report::StatusDoc;
use crate::status::{Command, Outcome};
use crate::status::{Phase, Status};
use crate::summary::{self, kept};
use trend::Trend;

/// The receiver as a person in front of it sees it.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    trend: Trend,
}

impl Program for Receiver {
    const NAME: &'static str = "mimeo-receiver";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const INTERRUPTED: &'static str =
        "interrupted, the sender is being told; press Ctrl-C again to stop at once";
    const STOPPED: &'static str = "stopped at once; the sender was not told";
    const NOT_STARTED: &'static str = "the system refused to start";
    const INTERRUPT: Command = Command::Interrupt;
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
        bar::block(status, &self.trend, size)
    }

    fn line(&self, status: &Status) -> Option<String> {
        Some(plain::status(status, &self.trend))
    }

    fn summary(outcome: &Outcome) -> Vec<String> {
        summary::lines(outcome)
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
        Phase::Receiving if status.slow.is_some() => {
            let reason = status.slow.map_or("slow", SlowReason::name);
            format!("too slow ({reason}), served later: {session}")
        }
        Phase::Receiving => format!("receiving, cycle {}: {session}", status.cycle),
        Phase::Flushing => format!("flushing the target: {session}"),
        Phase::Verifying => format!("verifying the target: {session}"),
        Phase::Confirming => format!("verified, telling the sender: {session}"),
        Phase::Done => format!("done: {session}"),
        Phase::Failed => format!("failed: {session}"),
    }
}

/// Bytes of the image that are done with, in the phase that it is in.
fn bytes_done(status: &Status) -> u64 {
    match status.phase {
        Phase::Verifying => status.bytes_verified,
        _ => status.bytes_done(),
    }
}

/// How far it is, once data flows.
fn figures(status: &Status, trend: &Trend) -> Vec<String> {
    if status.transfer_time.is_zero() {
        return Vec::new();
    }
    let mut parts = vec![match status.image_len {
        Some(len) => human::percent(bytes_done(status), len),
        None => ByteSize(bytes_done(status)).to_string(),
    }];
    parts.extend(trend.rate().map(human::rate));
    parts.push(human::clock(match status.phase {
        Phase::Verifying => status.times.verifying,
        _ => status.transfer_time,
    }));
    if trend.rate().is_some() {
        let left = trend.remaining(status);
        parts.extend(left.map(|time| format!("{} left", human::clock(time))));
    }
    parts.extend(kept(status));
    if status.phase == Phase::Receiving {
        parts.push(format!("loss {}", human::share(status.loss)));
    }
    parts
}

#[cfg(test)]
mod tests;
