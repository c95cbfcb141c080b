//! Absolute deadlines for bursts.

use std::time::{Duration, Instant};

use super::{Rate, SYMBOL_BITS};

/// The most symbol datagrams in a burst: one GSO super-packet holds at most 65,507 bytes of
/// UDP payload, 45 datagrams of 1448 bytes; 44 keep to 64 segments and 64,000 bytes.
pub const MAX_BURST: usize = 44;

/// A sender that was held up sends at most this much of what it missed, also after a suspend.
const MAX_CATCH_UP: Duration = Duration::from_millis(2);

/// A burst lasts at most this long at the current rate, so that queues on the way stay short.
const BURST_TIME: f64 = 0.001;

/// Says when the next burst may go and how large it may be.
#[derive(Debug)]
pub struct Pacer {
    next: Instant,
}

impl Pacer {
    /// A pacer that may send at once.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { next: now }
    }

    /// When the next burst may go.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// Datagrams that the next burst may hold.
    #[must_use]
    pub fn burst(rate: Rate) -> usize {
        ((rate.datagrams() * BURST_TIME) as usize).clamp(1, MAX_BURST)
    }

    /// Books a burst of symbol datagrams.
    pub fn on_sent(&mut self, now: Instant, datagrams: usize, rate: Rate) {
        let nanos = datagrams as u64 * SYMBOL_BITS * 1_000_000_000 / rate.0.max(1);
        let from = now
            .checked_sub(MAX_CATCH_UP)
            .map_or(self.next, |early| self.next.max(early));
        self.next = from + Duration::from_nanos(nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_within(rate: Rate, stall: Duration) -> usize {
        let start = Instant::now_for_tests();
        let mut pacer = Pacer::new(start);
        let mut sent = 0;
        let mut now = start;
        while now < start + Duration::from_secs(1) {
            let burst = Pacer::burst(rate);
            pacer.on_sent(now, burst, rate);
            sent += burst;
            now = now.max(pacer.deadline());
            if sent > 1000 && now < start + stall {
                now = start + stall;
            }
        }
        sent
    }

    #[test]
    fn a_second_holds_a_second_of_the_rate() {
        for bits in [1_000_000, 30_000_000, 900_000_000, 5_000_000_000] {
            let rate = Rate(bits);
            let sent = sent_within(rate, Duration::ZERO) as f64;
            let goal = rate.datagrams();
            assert!(
                (sent - goal).abs() <= 0.01 * goal + 44.0,
                "{bits}: {sent} of {goal}"
            );
        }
    }

    #[test]
    fn a_suspended_sender_does_not_make_up_for_it() {
        let rate = Rate(900_000_000);
        let sent = sent_within(rate, Duration::from_millis(500)) as f64;
        let stalled = 1000.0 / rate.datagrams();
        let goal = rate.datagrams() * (1.0 - 0.5 + stalled + 0.002);
        assert!(
            (sent - goal).abs() <= 0.01 * goal + 44.0,
            "{sent} of {goal}"
        );
    }

    #[test]
    fn a_burst_is_at_most_a_millisecond_and_one_super_packet() {
        assert_eq!(Pacer::burst(Rate(1_000_000)), 1);
        assert_eq!(Pacer::burst(Rate(100_000_000)), 8);
        assert_eq!(Pacer::burst(Rate(10_000_000_000)), MAX_BURST);
    }

    trait Epoch {
        fn now_for_tests() -> Instant;
    }

    impl Epoch for Instant {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test needs some instant to start from"
        )]
        fn now_for_tests() -> Instant {
            Instant::now()
        }
    }
}
