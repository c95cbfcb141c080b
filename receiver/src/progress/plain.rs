//! Lines for logs and for terminals that cannot move their cursor.

use std::time::Duration;

use mimeo_console::plain::EVERY;

use super::{doing, figures};
use crate::progress::trend::Trend;
use crate::status::{Phase, Status};

/// How often it is told although nothing changed: a receiver may wait for hours.
pub(crate) fn repeat(phase: Phase) -> Duration {
    match phase {
        Phase::Searching | Phase::Joining | Phase::Waiting => Duration::from_secs(60),
        Phase::Receiving
        | Phase::Flushing
        | Phase::Verifying
        | Phase::Confirming
        | Phase::Done
        | Phase::Failed => EVERY,
    }
}

/// The receiver in a line.
pub(crate) fn status(status: &Status, trend: &Trend) -> String {
    let figures = figures(status, trend).join(", ");
    if figures.is_empty() {
        doing(status)
    } else {
        format!("{}: {figures}", doing(status))
    }
}
