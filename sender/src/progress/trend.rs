//! Rates that do not flicker, and how long it will still take.

use std::collections::HashMap;
use std::time::Duration;

use mimeo_console::trend;

use crate::status::{ReceiverState, ReceiverStatus, Status};

/// Exponential averages of the receivers' rates, in bits of the image per second.
#[derive(Debug, Default)]
pub(crate) struct Trend {
    rates: HashMap<u16, f64>,
    last: Duration,
}

impl Trend {
    /// Takes a picture of the session into account.
    pub(crate) fn observe(&mut self, status: &Status) {
        let weight = trend::weight(status.elapsed.saturating_sub(self.last));
        self.last = status.elapsed;
        for receiver in &status.receivers {
            let now = receiver.write_rate as f64;
            let rate = self.rates.entry(receiver.number).or_insert(now);
            *rate += weight * (now - *rate);
        }
    }

    /// A receiver's rate in bit/s.
    pub(crate) fn rate(&self, receiver: &ReceiverStatus) -> u64 {
        let average = self.rates.get(&receiver.number).copied();
        average.map_or(receiver.write_rate, |rate| rate as u64)
    }

    /// The image rate of the room: that of the fastest receiver, since the stream is one.
    pub(crate) fn room(&self, status: &Status) -> Option<u64> {
        let receiving = status.receivers.iter().filter(|r| receives(r));
        receiving.map(|receiver| self.rate(receiver)).max()
    }

    /// Until the last receiver that is heard has written everything.
    pub(crate) fn remaining(&self, status: &Status) -> Option<Duration> {
        let len = status.image_len?;
        let receiving = status.receivers.iter().filter(|r| receives(r));
        let times = receiving.map(|receiver| {
            let left = len.saturating_sub(receiver.bytes_done());
            trend::remaining(left, self.rate(receiver) as f64)
        });
        // One that stands still has no estimate, so neither has the room.
        times.collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

fn receives(receiver: &ReceiverStatus) -> bool {
    receiver.state == ReceiverState::Receiving
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::example::receiver;

    fn status(at_ms: u64, rates: &[u64]) -> Status {
        let receivers = rates.iter().zip(1..).map(|(&write_rate, number)| {
            let mut one = receiver(number, "pc", ReceiverState::Receiving);
            one.write_rate = write_rate;
            one.bytes_written = 500_000_000;
            one
        });
        Status {
            elapsed: Duration::from_millis(at_ms),
            image_len: Some(1_000_000_000),
            receivers: receivers.collect(),
            ..Status::default()
        }
    }

    #[test]
    fn the_first_rate_is_taken_and_later_ones_are_averaged() {
        let mut trend = Trend::default();
        trend.observe(&status(10_000, &[800_000_000]));
        let later = status(10_200, &[0]);
        trend.observe(&later);
        let rate = trend.rate(&later.receivers[0]);
        assert!((740_000_000..760_000_000).contains(&rate), "{rate}");
        for step in 2..100 {
            trend.observe(&status(10_000 + 200 * step, &[400_000_000]));
        }
        let rate = trend.rate(&later.receivers[0]);
        assert!((399_000_000..402_000_000).contains(&rate), "{rate}");
    }

    #[test]
    fn the_fastest_gives_the_rate_and_the_slowest_the_time() {
        let mut trend = Trend::default();
        let status = status(1000, &[800_000_000, 400_000_000]);
        trend.observe(&status);
        assert_eq!(trend.room(&status), Some(800_000_000));
        assert_eq!(trend.remaining(&status), Some(Duration::from_secs(10)));
    }

    #[test]
    fn there_is_no_estimate_for_one_that_stands_still_or_an_unknown_length() {
        let mut trend = Trend::default();
        let still = status(1000, &[800_000_000, 0]);
        trend.observe(&still);
        assert_eq!(trend.remaining(&still), None);
        let mut stream = status(1000, &[800_000_000]);
        stream.image_len = None;
        assert_eq!(trend.remaining(&stream), None);
        assert_eq!(trend.remaining(&Status::default()), None);
        assert_eq!(trend.room(&Status::default()), None);
    }

    #[test]
    fn those_that_are_done_or_lost_hold_up_nothing() {
        let mut trend = Trend::default();
        let mut status = status(1000, &[800_000_000, 0, 0]);
        status.receivers[1].state = ReceiverState::Lost;
        status.receivers[2].state = ReceiverState::Confirmed;
        trend.observe(&status);
        assert_eq!(trend.remaining(&status), Some(Duration::from_secs(5)));
    }
}
