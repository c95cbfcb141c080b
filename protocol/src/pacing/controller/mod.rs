//! Finds a rate that all gating receivers can take, by a model of the path to each of them.
//!
//! A path delivers what is sent, less a loss that does not depend on the rate, up to its limit.
//! Whether a path is at its limit is found by changing the rate: below the limit delivery follows,
//! at the limit it does not. Loss by itself says nothing: parity mends it. The idea to probe for a
//! model instead of answering losses is that of BBR (Cardwell and others, ACM Queue 14(5), 2016).
//!
//! ```text
//! Rising --- a path does not follow, or the rate is not used --> Holding
//! Holding -- it is time ---------------> Probing -- all follow --> Rising
//!                                                -- one does not -> Holding
//! Holding -- loss rises, or is high ---> Easing -- all follow: it is the path's loss --> Holding
//!                                               -- one does not: its limit sank -------> Holding
//! ```

mod path;
mod round;
mod trial;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub use self::path::Carries;
use self::path::Path;
pub use self::round::PathReport;
use self::round::{Outcome, Round, Sample};
use self::trial::Trial;
use super::Rate;
use crate::ids::{ReceiverNumber, Seq};

/// A round of rising lasts at least this long: two reports of a small room.
const RISING_ROUND: Duration = Duration::from_millis(10);
/// In a room of more than `LARGE` receivers a round of rising ends once so many told enough: those
/// that report at start-up are about twice as many. A path that is at its limit and was not heard of
/// is found in the next rounds, by its loss.
const LARGE: usize = 16;
const QUORUM: usize = 8;
/// Other rounds.
const ROUND: Duration = Duration::from_millis(20);
/// A round tests the rate only if at least this share of it was sent.
const FILLED: f64 = 0.7;
/// What is sent of what the slowest path carries, so that queues drain.
const MARGIN: f64 = 0.95;
/// How far a probe goes beyond the rate.
const PROBE: f64 = 1.25;
/// How far a challenge goes: beyond twice the rate, by what is lost of it in a round.
const CHALLENGE: f64 = 2.3;
/// Rounds of a probe: one may be a burst of loss that has nothing to do with the rate.
const PROBE_ROUNDS: usize = 2;
/// Rounds of easing, which costs less than a probe and compares smaller differences.
const EASE_ROUNDS: usize = 4;
/// A probe that shows a limit lowers the rate to this share at most, and raises it no further.
const LEAST_STEP: f64 = 0.9;
/// Easing goes at least this far below the rate.
const EASE: f64 = 0.8;
/// Rounds in a row with remarkable loss before the rate is eased.
const REMARKABLE: u32 = 3;
/// Before a probe of a rate that no path was found to limit.
const SHORTEST_WAIT: Duration = Duration::from_millis(60);
/// Between probes of a rate that a path limits, first and at most: it loses a fifth of what is sent
/// in a probe of 50 ms, which is 0.5 % of what is sent in 2 s.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Loss above this is looked into now and then: it may have come so slowly that no round stood
/// out.
const HIGH_LOSS: f64 = 0.03;
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// See the module's page.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// The rate doubles every round; `doubted` says that a path did not
    /// follow the last time, or that the rate was not used.
    Rising { doubted: bool },
    /// The rate stays.
    Holding,
    /// The rate is raised for some rounds.
    Probing,
    /// The rate is lowered for some rounds.
    Easing,
}

/// Decides on the rate; see the module's page.
#[derive(Debug)]
pub struct Controller {
    cap: Rate,
    /// The rate that is held.
    base: Rate,
    rate: Rate,
    phase: Phase,
    round: Round,
    paths: BTreeMap<ReceiverNumber, Path>,
    trial: Trial,
    wait: Duration,
    probe_at: Instant,
    /// When high loss was looked into last.
    looked_at: Option<Instant>,
}

impl Controller {
    /// A controller that begins at `first` and never exceeds `cap`.
    #[must_use]
    pub fn new(now: Instant, first: Rate, cap: Option<Rate>) -> Self {
        let cap = cap.unwrap_or(Rate(u64::MAX));
        Self {
            cap,
            base: first.min(cap),
            rate: first.min(cap),
            phase: Phase::Rising { doubted: false },
            round: Round::new(now, Seq(0)),
            paths: BTreeMap::new(),
            trial: Trial::default(),
            wait: SHORTEST_WAIT,
            probe_at: now,
            looked_at: None,
        }
    }

    /// The rate to send at.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Bytes held for receivers.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.paths.len() * size_of::<(ReceiverNumber, Path)>() + self.round.state_bytes()
    }

    /// Notes symbol datagrams that were sent.
    pub fn on_sent(&mut self, datagrams: u64) {
        self.round.on_sent(datagrams);
    }

    /// Forgets a receiver that no longer gates the stream.
    pub fn on_gone(&mut self, receiver: ReceiverNumber) {
        self.round.on_gone(receiver);
        self.paths.remove(&receiver);
    }

    /// What the path to a receiver is known to carry.
    #[must_use]
    pub fn carries(&self, receiver: ReceiverNumber) -> Carries {
        self.paths
            .get(&receiver)
            .map_or(Carries::default(), Path::known)
    }

    /// Whether the path to a receiver is what keeps the rate from rising.
    #[must_use]
    pub fn is_limit(&self, receiver: ReceiverNumber) -> bool {
        let held = self.phase != (Phase::Rising { doubted: false });
        let most = self.carries(receiver).at_most;
        held && most.is_some_and(|most| MARGIN * MARGIN * most <= self.base.datagrams())
    }

    /// Whether another rate than the one that is held is tried where a path is known to have a limit:
    /// reports are wanted soon then, since what is beyond the limit is lost.
    #[must_use]
    pub fn is_risking(&self) -> bool {
        let mut paths = self.paths.values();
        match self.phase {
            Phase::Holding => false,
            // A path is taken to have one, and everybody waits until that is known.
            Phase::Easing => true,
            _ => paths.any(|path| path.known().at_most.is_some()),
        }
    }

    /// Shows which paths carry more than twice the rate, where a few seem to limit it: a single
    /// probe that goes further than others. Returns whether it begins, behind `last_seq`: while
    /// another rate is tried it does not.
    pub fn challenge(&mut self, now: Instant, last_seq: Seq) -> bool {
        let begins = self.phase == Phase::Holding && self.base < self.cap;
        if begins {
            self.rate = Rate::of_datagrams(CHALLENGE * self.base.datagrams()).min(self.cap);
            self.phase = Phase::Probing;
            self.probe_at = now;
            // What was sent at the rate that was held says nothing of this one.
            self.round = Round::new(now, last_seq);
        }
        begins
    }

    /// What limited the rate is gone: the rate rises as at the start.
    pub fn rise(&mut self) {
        self.wait = SHORTEST_WAIT;
        self.trial.clear();
        self.rate = self.base;
        self.phase = Phase::Rising { doubted: false };
        for path in self.paths.values_mut() {
            path.start_over();
        }
    }

    /// Receivers begin to gate the stream of which the slowest carries so many datagrams per
    /// second.
    pub fn settle(&mut self, now: Instant, datagrams: f64) {
        self.wait = FIRST_WAIT;
        self.hold(now, (MARGIN * datagrams).min(self.base.datagrams()));
    }

    /// Takes in a report; `gating` is the number of receivers that gate the stream and
    /// `last_seq` the last datagram sent.
    pub fn on_report(
        &mut self,
        now: Instant,
        receiver: ReceiverNumber,
        report: PathReport,
        gating: usize,
        last_seq: Seq,
    ) {
        self.round.on_report(now, receiver, report);
        let (shortest, needed) = match self.phase {
            Phase::Rising { .. } if gating > LARGE => (RISING_ROUND, QUORUM),
            Phase::Rising { .. } => (RISING_ROUND, gating),
            _ => (ROUND, gating),
        };
        let datagrams = self.rate.datagrams();
        if let Some(outcome) = self.round.poll(now, shortest, datagrams, needed) {
            self.round = Round::new(now, last_seq);
            self.on_round(now, outcome);
            self.rate = self.rate.clamp(Rate::FLOOR.min(self.cap), self.cap);
        }
    }

    fn on_round(&mut self, now: Instant, outcome: Outcome) {
        for &receiver in outcome.samples.keys() {
            self.paths.entry(receiver).or_default();
        }
        // A receiver whose kernel drops datagrams says plainly that they are too many.
        if let Some(least) = self.least_carried(&outcome, |_, sample| sample.dropped) {
            return self.hold(now, least);
        }
        let filled = outcome.sent >= FILLED * self.rate.datagrams();
        match self.phase {
            Phase::Rising { doubted } if filled => self.on_risen(now, &outcome, doubted),
            // Nothing is learned from a rate that was not used.
            Phase::Rising { doubted: false } => self.phase = Phase::Rising { doubted: true },
            Phase::Rising { doubted: true } => self.hold(now, self.rate.datagrams()),
            Phase::Holding => self.on_held(now, &outcome, filled),
            Phase::Probing if !filled => self.hold(now, self.base.datagrams()),
            Phase::Probing => {
                if let Some(mean) = self.trial.add(outcome, PROBE_ROUNDS) {
                    self.on_probed(now, &mean);
                }
            }
            Phase::Easing => {
                if let Some(mean) = self.trial.add(outcome, EASE_ROUNDS) {
                    self.on_eased(now, &mean);
                }
            }
        }
    }

    fn on_risen(&mut self, now: Instant, outcome: &Outcome, doubted: bool) {
        self.note_tried(outcome);
        let limited = |path: &Path, sample: &Sample| path.is_limited(outcome.sent, sample);
        if self.least_carried(outcome, limited).is_some() {
            if !doubted {
                self.phase = Phase::Rising { doubted: true };
                return;
            }
            let held = match self.least_overflowing(outcome) {
                Some(least) => {
                    self.wait = FIRST_WAIT;
                    // The rate before was carried. But a queue hides for some rounds that it was only
                    // just too much.
                    let base = self.base.datagrams();
                    match base > least && LEAST_STEP * base < least {
                        true => least,
                        false => (MARGIN * least).max(base),
                    }
                }
                None => self.rate.datagrams(),
            };
            return self.hold(now, held);
        }
        self.tell_paths(outcome, |path, sample| path.on_raised(outcome.sent, sample));
        self.base = self.rate;
        if self.rate == self.cap {
            return self.hold(now, self.cap.datagrams());
        }
        self.phase = Phase::Rising { doubted: false };
        self.rate = Rate(self.rate.0.saturating_mul(2));
    }

    fn on_held(&mut self, now: Instant, outcome: &Outcome, filled: bool) {
        self.tell_paths(outcome, |path, sample| path.on_held(outcome.sent, sample));
        let looked = self.looked_at.is_some_and(|at| now < at + LOOK_AGAIN);
        let suspect =
            |path: &Path| path.is_remarkable(REMARKABLE) || (!looked && path.loss() > HIGH_LOSS);
        let delivered = outcome.samples.iter().filter_map(|(receiver, sample)| {
            let path = self.paths.get(receiver)?;
            suspect(path).then_some(sample.delivered)
        });
        let calm = !self.paths.values().any(|path| path.is_remarkable(1));
        if let Some(least) = delivered.min_by(f64::total_cmp) {
            self.looked_at = Some(now);
            for path in self.paths.values_mut() {
                path.doubt();
            }
            // At what arrives now, a path that is at its limit would lose nothing.
            self.rate = Rate::of_datagrams((EASE * outcome.sent).min(MARGIN * least));
            self.phase = Phase::Easing;
        } else if now >= self.probe_at && filled && calm && self.base < self.cap {
            self.rate = Rate::of_datagrams(PROBE * self.base.datagrams()).min(self.cap);
            self.phase = Phase::Probing;
        }
    }

    fn on_probed(&mut self, now: Instant, outcome: &Outcome) {
        self.note_tried(outcome);
        let limited = |path: &Path, sample: &Sample| path.is_limited(outcome.sent, sample);
        if self.least_carried(outcome, limited).is_some() {
            let base = self.base.datagrams();
            let held = match self.least_overflowing(outcome) {
                // It was held without remarkable loss, so it is not far from what is carried.
                Some(least) => {
                    self.wait = self.wait.max(FIRST_WAIT);
                    (MARGIN * least).clamp(LEAST_STEP * base, base / LEAST_STEP)
                }
                None => self.rate.datagrams(),
            };
            self.wait = (2 * self.wait).min(LONGEST_WAIT);
            return self.hold(now, held);
        }
        self.wait = SHORTEST_WAIT;
        self.on_risen(now, outcome, false);
    }

    fn on_eased(&mut self, now: Instant, outcome: &Outcome) {
        let relieved = |path: &Path, sample: &Sample| path.is_relieved(outcome.sent, sample);
        self.tell_paths(outcome, |path, sample| {
            if relieved(path, sample) {
                path.on_relieved(sample);
                path.on_tried(true, sample);
            }
        });
        if let Some(least) = self.least_carried(outcome, relieved) {
            self.wait = (2 * self.wait).clamp(FIRST_WAIT, LONGEST_WAIT);
            return self.hold(now, MARGIN * least);
        }
        self.tell_paths(outcome, Path::accept);
        self.hold(now, self.base.datagrams());
    }

    /// A higher rate was tried: notes which paths deliver it and which are at their limit.
    fn note_tried(&mut self, outcome: &Outcome) {
        self.tell_paths(outcome, |path, sample| {
            let limited = path.is_limited(outcome.sent, sample) && path.overflows(sample);
            path.on_tried(limited, sample);
        });
    }

    /// Tells every path what a round showed of it.
    fn tell_paths(&mut self, outcome: &Outcome, mut tell: impl FnMut(&mut Path, &Sample)) {
        for (receiver, sample) in &outcome.samples {
            if let Some(path) = self.paths.get_mut(receiver) {
                tell(path, sample);
            }
        }
    }

    /// The least that a path carries which is at its limit and loses more than at any rate.
    ///
    /// A path that is at its limit and loses nothing ends in a receiver whose processor is busy;
    /// then the receiver's window is the brake, and a lower rate would only keep the sender from
    /// using the moments at which it gets on. Or it has a long queue, which overflows before long.
    fn least_overflowing(&self, outcome: &Outcome) -> Option<f64> {
        self.least_carried(outcome, |path, sample| {
            path.is_limited(outcome.sent, sample) && path.overflows(sample)
        })
    }

    /// The least that a path of the given kind carries, in datagrams per second.
    fn least_carried(
        &self,
        outcome: &Outcome,
        is_one: impl Fn(&Path, &Sample) -> bool,
    ) -> Option<f64> {
        let paths = outcome.samples.iter().filter_map(|(receiver, sample)| {
            let path = self.paths.get(receiver)?;
            is_one(path, sample).then(|| path.carries(sample))
        });
        paths.min_by(f64::total_cmp)
    }

    fn hold(&mut self, now: Instant, datagrams: f64) {
        self.base = Rate::of_datagrams(datagrams).clamp(Rate::FLOOR.min(self.cap), self.cap);
        self.rate = self.base;
        self.phase = Phase::Holding;
        self.trial.clear();
        self.probe_at = now + self.wait;
        for path in self.paths.values_mut() {
            path.start_over();
        }
    }
}

#[cfg(test)]
mod tests;
