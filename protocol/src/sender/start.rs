//! When a session starts: at N receivers, after a time, at a moment, or on a key.

use std::time::{Duration, Instant};

/// The rules that the operator chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPolicy {
    /// Receivers that must be there.
    pub min_receivers: usize,
    /// Wait at least this long after the first receiver joined.
    pub min_wait: Duration,
    /// Start with whoever is there this long after the first receiver joined.
    pub max_wait: Option<Duration>,
    /// Start with whoever is there at this moment, not before.
    pub start_at: Option<Instant>,
    /// Give up after this long without a start.
    pub start_timeout: Duration,
}

impl Default for StartPolicy {
    fn default() -> Self {
        Self {
            min_receivers: 1,
            min_wait: Duration::ZERO,
            max_wait: None,
            start_at: None,
            start_timeout: Duration::from_secs(600),
        }
    }
}

/// What the rules say at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartDecision {
    /// Wait for more receivers, or until the given moment.
    Wait(Instant),
    /// Start with those that are there.
    Start,
    /// The time is up and nothing can start.
    GiveUp,
}

impl StartPolicy {
    /// Decides, `present` receivers being there and the first of them since `first_at`.
    #[must_use]
    pub fn decide(
        &self,
        opened: Instant,
        now: Instant,
        present: usize,
        first_at: Option<Instant>,
    ) -> StartDecision {
        // A moment that was set by the clock may lie beyond the time-out; the time-out then
        // counts from that moment.
        let give_up = opened.max(self.start_at.unwrap_or(opened)) + self.start_timeout;
        let start = match (self.start_at, first_at) {
            (_, None) => None,
            (Some(at), Some(_)) => Some(at),
            (None, Some(first)) if present >= self.min_receivers => Some(first + self.min_wait),
            (None, Some(first)) => self.max_wait.map(|wait| first + wait.max(self.min_wait)),
        };
        match start {
            Some(at) if present > 0 && now >= at => StartDecision::Start,
            _ if now >= give_up => StartDecision::GiveUp,
            Some(at) if now < at => StartDecision::Wait(at.min(give_up)),
            _ => StartDecision::Wait(give_up),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn epoch() -> Instant {
        Instant::now()
    }

    fn secs(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn the_default_starts_with_the_first_receiver() {
        let (t, policy) = (epoch(), StartPolicy::default());
        assert_eq!(
            policy.decide(t, t, 0, None),
            StartDecision::Wait(t + secs(600))
        );
        assert_eq!(
            policy.decide(t, t + secs(3), 1, Some(t + secs(3))),
            StartDecision::Start
        );
        assert_eq!(
            policy.decide(t, t + secs(600), 0, None),
            StartDecision::GiveUp
        );
    }

    #[test]
    fn enough_receivers_wait_for_the_minimum_and_too_few_for_the_maximum() {
        let t = epoch();
        let policy = StartPolicy {
            min_receivers: 3,
            min_wait: secs(5),
            max_wait: Some(secs(20)),
            ..StartPolicy::default()
        };
        let first = Some(t + secs(1));
        assert_eq!(
            policy.decide(t, t + secs(2), 3, first),
            StartDecision::Wait(t + secs(6))
        );
        assert_eq!(
            policy.decide(t, t + secs(6), 3, first),
            StartDecision::Start
        );
        assert_eq!(
            policy.decide(t, t + secs(6), 2, first),
            StartDecision::Wait(t + secs(21))
        );
        assert_eq!(
            policy.decide(t, t + secs(21), 2, first),
            StartDecision::Start
        );
    }

    #[test]
    fn a_moment_outweighs_counts_and_a_room_that_stays_too_small_gives_up() {
        let t = epoch();
        let at = StartPolicy {
            start_at: Some(t + secs(900)),
            min_receivers: 9,
            ..Default::default()
        };
        assert_eq!(
            at.decide(t, t + secs(700), 9, Some(t)),
            StartDecision::Wait(t + secs(900))
        );
        assert_eq!(
            at.decide(t, t + secs(900), 1, Some(t)),
            StartDecision::Start
        );
        let small = StartPolicy {
            min_receivers: 2,
            ..Default::default()
        };
        assert_eq!(
            small.decide(t, t + secs(599), 1, Some(t)),
            StartDecision::Wait(t + secs(600))
        );
        assert_eq!(
            small.decide(t, t + secs(600), 1, Some(t)),
            StartDecision::GiveUp
        );
    }
}
