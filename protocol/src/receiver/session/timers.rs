//! What happens as time passes, and when it is to be looked at again.

use std::time::Instant;

use super::Session;
use crate::units::BlockNumber;
use crate::wire::Deficit;

impl Session {
    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.notice_standstill(now);
        while let Some(&(at, horizon)) = self.passed.front() {
            if now < at {
                break;
            }
            self.passed.pop_front();
            self.reportable = self.reportable.max(horizon);
            if self.ledger.complete_up_to() < horizon {
                self.urge_if_needed(horizon);
            }
        }
        self.look_for_unknown(now);
        self.consider_leaving(now);
        self.consider_silence(now);
    }

    /// Reports soon if blocks whose pass is over need anything.
    fn urge_if_needed(&mut self, horizon: BlockNumber) {
        let (deficits, _) = self.needs(horizon, 2);
        let (first, end) = self.repaired_now();
        let repaired = |run: &Deficit| run.first.0 + run.count > first.0 && run.first < end;
        if deficits.iter().any(repaired) {
            self.schedule.urge();
        }
    }

    /// When to call `handle_timeout` and `poll_transmit` at the latest.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.is_over && self.last_word.is_none() {
            return None;
        }
        let mut next = match &self.last_word {
            Some(word) => word.next(),
            None if self.needs_sender() => self
                .schedule
                .due(now)
                .min(self.heard_at + self.config.idle_timeout),
            None => self.schedule.due(now),
        };
        if let Some(&(at, _)) = self.passed.front() {
            next = next.min(at);
        }
        Some(next)
    }
}
