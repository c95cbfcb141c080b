//! Lines for logs and for terminals that cannot move their cursor.

use std::time::Duration;

use jiff::Zoned;
use mimeo_console::human;
use mimeo_console::plain::EVERY;
use mimeo_image::ByteSize;

use super::{Plan, start, tally, title};
use crate::progress::trend::Trend;
use crate::status::{Phase, Status};

/// How often it is told although nothing changed: a session may wait for hours.
pub(crate) fn repeat(phase: Phase) -> Duration {
    match phase {
        Phase::Waiting | Phase::Lingering => Duration::from_secs(60),
        Phase::Running | Phase::Closing | Phase::Aborting | Phase::Over => EVERY,
    }
}

/// The session in a line; nothing once it is over, since the summary follows.
pub(crate) fn status(status: &Status, trend: &Trend, plan: &Plan, now: &Zoned) -> Option<String> {
    let doing = match status.phase {
        Phase::Waiting => {
            let waiting = start::waiting(tally::present(status), plan, now);
            let key = if plan.keys {
                "; press Enter to start now"
            } else {
                ""
            };
            return Some(format!("waiting to send {}: {waiting}{key}", title(status)));
        }
        Phase::Running => running(status, trend),
        Phase::Lingering => "waiting for late receivers".to_owned(),
        Phase::Closing => "closing".to_owned(),
        Phase::Aborting => "telling the receivers that the session failed".to_owned(),
        Phase::Over => return None,
    };
    match tally::tally(&status.receivers) {
        nobody if nobody.is_empty() => Some(doing),
        present => Some(format!("{doing}; {present}")),
    }
}

fn running(status: &Status, trend: &Trend) -> String {
    let mut parts = vec![match status.image_len {
        Some(len) => human::percent(status.bytes_passed, len),
        None => ByteSize(status.bytes_passed).to_string(),
    }];
    if let Some(rate) = trend.room(status) {
        parts.push(match rate {
            // Somebody is served who writes nothing.
            0 => format!("nobody writes, {} sent", human::rate(status.sent_rate)),
            _ => human::rate(rate),
        });
    }
    if let Some(time) = trend.remaining(status) {
        parts.push(format!("{} left", human::clock(time)));
    }
    if let Some(loss) = tally::worst_loss(&status.receivers) {
        parts.push(format!("worst loss {loss}"));
    }
    parts.extend(tally::least_proof(status));
    format!("sending, cycle {}: {}", status.cycle, parts.join(", "))
}
