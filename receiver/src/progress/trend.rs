//! A rate that does not flicker, and how long it will still take.

use std::time::Duration;

use mimeo_console::trend;

use super::bytes_done;
use crate::status::{Phase, Status};

/// Exponential average of the rate at which the image is written, or read back, in bits of it per
/// second.
#[derive(Debug, Default)]
pub(crate) struct Trend {
    /// In the phase that it is of.
    average: Option<(Phase, f64)>,
    last: Duration,
}

impl Trend {
    /// Takes a picture of the receiver into account.
    pub(crate) fn observe(&mut self, status: &Status) {
        let weight = trend::weight(status.elapsed.saturating_sub(self.last));
        self.last = status.elapsed;
        let phase = status.phase;
        let now = match phase {
            Phase::Receiving => status.write_rate as f64,
            Phase::Verifying => status.verify_rate as f64,
            _ => {
                self.average = None;
                return;
            }
        };
        let average = match self.average {
            Some((of, average)) if of == phase => average + weight * (now - average),
            _ => now,
        };
        self.average = Some((phase, average));
    }

    /// The image rate in bit/s, while data is received or read back.
    pub(crate) fn rate(&self) -> Option<u64> {
        self.average.map(|(_, rate)| rate as u64)
    }

    /// Until everything is written, or read back.
    pub(crate) fn remaining(&self, status: &Status) -> Option<Duration> {
        let left = status.image_len?.saturating_sub(bytes_done(status));
        trend::remaining(left, self.average?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::example::{receiving, verifying};

    fn status(at_ms: u64, write_rate: u64) -> Status {
        Status {
            elapsed: Duration::from_millis(at_ms),
            write_rate,
            ..receiving()
        }
    }

    #[test]
    fn the_first_rate_is_taken_and_later_ones_are_averaged() {
        let mut trend = Trend::default();
        trend.observe(&status(10_000, 800_000_000));
        assert_eq!(trend.rate(), Some(800_000_000));
        trend.observe(&status(10_200, 0));
        let rate = trend.rate().unwrap();
        assert!((740_000_000..760_000_000).contains(&rate), "{rate}");
    }

    #[test]
    fn there_is_no_estimate_while_nothing_moves_or_the_length_is_unknown() {
        let mut trend = Trend::default();
        assert_eq!(trend.remaining(&receiving()), None);
        trend.observe(&receiving());
        assert_eq!(trend.remaining(&receiving()), Some(Duration::from_secs(50)));
        let stream = Status {
            image_len: None,
            ..receiving()
        };
        assert_eq!(trend.remaining(&stream), None);
        let mut still = Trend::default();
        still.observe(&status(1000, 0));
        assert_eq!(still.remaining(&receiving()), None);
    }

    #[test]
    fn reading_back_has_a_rate_of_its_own() {
        let mut trend = Trend::default();
        trend.observe(&receiving());
        trend.observe(&verifying());
        assert_eq!(trend.rate(), Some(1_600_000_000));
        assert_eq!(trend.remaining(&verifying()), Some(Duration::from_secs(1)));
    }

    #[test]
    fn the_rate_ends_with_the_data() {
        let mut trend = Trend::default();
        trend.observe(&receiving());
        trend.observe(&Status {
            phase: Phase::Flushing,
            ..receiving()
        });
        assert_eq!(trend.rate(), None);
    }
}
