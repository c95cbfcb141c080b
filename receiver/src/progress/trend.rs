//! A rate that does not flicker, and how long it will still take.

use std::time::Duration;

use mimeo_console::trend;

use crate::status::{Phase, Status};

/// Exponential average of the rate, in bits of the image per second.
#[derive(Debug, Default)]
pub(crate) struct Trend {
    average: Option<f64>,
    last: Duration,
}

impl Trend {
    /// Takes a picture of the receiver into account.
    pub(crate) fn observe(&mut self, status: &Status) {
        let weight = trend::weight(status.elapsed.saturating_sub(self.last));
        self.last = status.elapsed;
        if status.phase != Phase::Receiving {
            self.average = None;
            return;
        }
        let now = status.write_rate as f64;
        let average = self.average.get_or_insert(now);
        *average += weight * (now - *average);
    }

    /// The image rate in bit/s, while data is received.
    pub(crate) fn rate(&self) -> Option<u64> {
        self.average.map(|rate| rate as u64)
    }

    /// Until everything is written.
    pub(crate) fn remaining(&self, status: &Status) -> Option<Duration> {
        let left = status.image_len?.saturating_sub(status.bytes_written);
        trend::remaining(left, self.average?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::example::receiving;

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
