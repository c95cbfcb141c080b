//! A circuit breaker: the last resort where a network does not carry the stream at all (RFC 8085
//! section 3.1.10).
//!
//! The controller answers loss by a model, and takes loss that does not follow the rate for the
//! path's own. Where hardly anything arrives at anybody that model is not trusted: the stream
//! goes down to its floor, and if that does not help it pauses, but for the datagrams that tell
//! its position, and is tried again at the floor. What counts is the receiver that gets most: one
//! that gets nothing is its own trouble, and silent ones do not gate the stream at all.
//!
//! ```text
//! Closed -- 3 s --> Floor -- 10 s --> Open -- 30 s --> Floor
//! Floor --- enough arrives at somebody ---> Closed
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Rate;
use crate::ids::ReceiverNumber;

/// If everybody gets less than this share, hardly anything arrives. The controller finds a port
/// that is slower than the rate within a second, whatever it loses until then; and no parity mends
/// four fifths: k source symbols and their repairs are at most 255.
const HARDLY: f64 = 0.2;

/// For this long at the rate that the controller allows ...
const PATIENCE: Duration = Duration::from_secs(3);
/// ... and for this long at the floor.
const FLOOR_PATIENCE: Duration = Duration::from_secs(10);
/// Then the stream pauses.
const PAUSE: Duration = Duration::from_secs(30);

/// What arrives is looked at this often; the floor sends 84 datagrams in that time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Fewer datagrams mean nothing.
const FEWEST: u64 = 20;

/// Whether the stream flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// As the controller allows.
    Closed,
    /// At its floor: hardly anything arrives at anybody.
    Floor,
    /// Not at all: hardly anything arrives even at the floor.
    Open,
}

/// See the module's page.
#[derive(Debug)]
pub struct Breaker {
    circuit: Circuit,
    /// When the circuit came to be as it is, or when something arrived since.
    since: Instant,
    looked: Instant,
    /// Datagrams received and sent, by the receivers' last reports.
    seen: BTreeMap<ReceiverNumber, (u64, u64)>,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            circuit: Circuit::Closed,
            since: now,
            looked: now,
            seen: BTreeMap::new(),
        }
    }

    /// Whether the stream flows.
    #[must_use]
    pub fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// The rate, where the controller allows `rate`.
    #[must_use]
    pub fn limit(&self, rate: Rate) -> Rate {
        match self.circuit {
            Circuit::Closed => rate,
            Circuit::Floor | Circuit::Open => rate.min(Rate::FLOOR),
        }
    }

    /// Whether it is time for another look.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.looked + LOOK_EVERY
    }

    /// Takes a look at the receivers that gate the stream: datagrams that each has received, and
    /// that were sent to it, since its join. Returns how the circuit is, if that has changed.
    pub fn look(
        &mut self,
        now: Instant,
        receivers: impl Iterator<Item = (ReceiverNumber, u64, u64)>,
    ) -> Option<Circuit> {
        self.looked = now;
        let best = self.best(receivers);
        let age = now.saturating_duration_since(self.since);
        let hardly = best.is_some_and(|best| best < HARDLY);
        let next = match self.circuit {
            // Where nothing is sent nothing is learned, and no time counts.
            Circuit::Closed | Circuit::Floor if best.is_none() => {
                self.since += LOOK_EVERY.min(age);
                return None;
            }
            Circuit::Closed if !hardly => {
                self.since = now;
                return None;
            }
            Circuit::Floor if !hardly => Circuit::Closed,
            Circuit::Closed if age >= PATIENCE => Circuit::Floor,
            Circuit::Floor if age >= FLOOR_PATIENCE => Circuit::Open,
            Circuit::Open if age >= PAUSE => Circuit::Floor,
            Circuit::Closed | Circuit::Floor | Circuit::Open => return None,
        };
        self.circuit = next;
        self.since = now;
        Some(next)
    }

    /// The largest share of what was sent since the last look that arrived at anybody.
    fn best(&mut self, receivers: impl Iterator<Item = (ReceiverNumber, u64, u64)>) -> Option<f64> {
        let before = std::mem::take(&mut self.seen);
        let mut best = None;
        for (number, received, expected) in receivers {
            let (received_before, expected_before) =
                *before.get(&number).unwrap_or(&(received, expected));
            let sent = expected.saturating_sub(expected_before);
            if sent < FEWEST && before.contains_key(&number) {
                // Too few to tell: they count at the next look.
                self.seen.insert(number, (received_before, expected_before));
                continue;
            }
            self.seen.insert(number, (received, expected));
            if sent >= FEWEST {
                let share = received.saturating_sub(received_before) as f64 / sent as f64;
                best = Some(f64::max(best.unwrap_or(0.0), share));
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::SYMBOL_BITS;

    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn epoch() -> Instant {
        Instant::now()
    }

    /// Links of which each lets the given share through, at 100 Mbit/s but for the breaker.
    /// Returns the changes with their seconds.
    fn run(seconds: u64, through: impl Fn(u64) -> Vec<f64>) -> Vec<(u64, Circuit)> {
        let start = epoch();
        let mut breaker = Breaker::new(start);
        let mut sent = 0.0;
        let mut received = vec![0.0; through(0).len()];
        let mut changes = Vec::new();
        for second in 1..=seconds {
            if breaker.circuit() != Circuit::Open {
                let rate = breaker.limit(Rate(100_000_000));
                let fresh = rate.0 as f64 / SYMBOL_BITS as f64;
                sent += fresh;
                for (received, share) in received.iter_mut().zip(through(second)) {
                    *received += fresh * share;
                }
            }
            let now = start + Duration::from_secs(second);
            assert!(breaker.is_due(now));
            let links = (1..).zip(&received);
            let links = links.map(|(n, &got)| (ReceiverNumber(n), got as u64, sent as u64));
            changes.extend(breaker.look(now, links).map(|to| (second, to)));
        }
        changes
    }

    #[test]
    fn a_network_that_carries_nothing_is_left_alone_and_tried_again() {
        let changes = run(100, |_| vec![0.05, 0.1]);
        let expected = [
            (4, Circuit::Floor),
            (14, Circuit::Open),
            (44, Circuit::Floor),
            (54, Circuit::Open),
            (84, Circuit::Floor),
            (94, Circuit::Open),
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn it_closes_once_something_arrives() {
        let changes = run(100, |second| vec![if second < 40 { 0.01 } else { 0.9 }; 3]);
        let (floor, open) = (Circuit::Floor, Circuit::Open);
        let expected = [(4, floor), (14, open), (44, floor), (45, Circuit::Closed)];
        assert_eq!(changes, expected);
    }

    #[test]
    fn one_broken_receiver_does_not_trip_it() {
        assert_eq!(run(100, |_| vec![0.02, 0.0, 0.95]), []);
    }

    #[test]
    fn heavy_loss_and_a_bad_moment_do_not_trip_it() {
        assert_eq!(run(100, |_| vec![0.3]), []);
        assert_eq!(
            run(100, |second| vec![if second % 3 == 0 { 0.5 } else { 0.0 }]),
            []
        );
    }

    #[test]
    fn where_nothing_is_sent_nothing_is_learned() {
        let start = epoch();
        let mut breaker = Breaker::new(start);
        for second in 1..60 {
            let now = start + Duration::from_secs(second);
            let same = std::iter::once((ReceiverNumber(1), 1, 1000));
            assert_eq!(breaker.look(now, same), None);
        }
    }
}
