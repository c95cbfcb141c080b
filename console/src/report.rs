//! A run as JSON: what stands in the report of both programs. The names of the fields are an
//! interface for scripts; `docs/report.md` describes them.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::program::Program;
use crate::update::Outcome;

/// A run that is over; `D` is its last picture with names and units for scripts.
#[derive(Debug, Serialize)]
pub struct Report<'a, D> {
    program: &'static str,
    version: &'static str,
    result: &'static str,
    exit_code: u8,
    error: Option<&'a str>,
    started: String,
    ended: String,
    #[serde(flatten)]
    status: D,
}

impl<'a, D: Serialize> Report<'a, D> {
    /// The report of an outcome; the moments are those of the program's start and end.
    pub fn new<P: Program<Doc<'a> = D>>(
        outcome: &'a Outcome<P::Status>,
        started: Timestamp,
        ended: Timestamp,
    ) -> Self {
        Self {
            program: P::NAME,
            version: P::VERSION,
            result: outcome.exit.name(),
            exit_code: outcome.exit.code(),
            error: outcome.error.as_deref(),
            started: moment(started),
            ended: moment(ended),
            status: P::doc(&outcome.status),
        }
    }

    /// The content of a report file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("texts and numbers only");
        text.push('\n');
        text
    }
}

/// A moment as RFC 3339 writes it, in UTC, to the millisecond.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Seconds to the millisecond: more digits would only look exact.
#[must_use]
pub fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}

/// Bits of the image per second of the transfer, once there was one.
#[must_use]
pub fn image_rate(bytes: u64, transfer: Duration) -> Option<u64> {
    let bits = bytes as f64 * 8.0;
    let time = transfer.as_secs_f64();
    (time > 0.0).then(|| (bits / time) as u64)
}

/// Transfers that are shorter have no rate that says anything of network or disk: most of their time
/// is the search for a rate, the wait for a page to fill, and the last word.
const TELLING: Duration = Duration::from_millis(500);

/// [`image_rate`] for people, where the transfer took long enough to mean anything.
#[must_use]
pub fn telling_rate(bytes: u64, transfer: Duration) -> Option<u64> {
    image_rate(bytes, transfer).filter(|_| transfer >= TELLING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_no_rate_for_people() {
        let rates = |millis| {
            let time = Duration::from_millis(millis);
            (image_rate(1_000_000, time), telling_rate(1_000_000, time))
        };
        assert_eq!(rates(0), (None, None));
        assert_eq!(rates(100), (Some(80_000_000), None));
        assert_eq!(rates(500), (Some(16_000_000), Some(16_000_000)));
    }
}
