//! Finds a rate that all gating receivers can take.
//!
//! Start-up: the rate doubles every round until delivery stops rising or a receiver drops
//! datagrams itself. Then it creeps up and steps back to what was delivered when receivers drop,
//! or when loss rises well above what it was at lower rates. Loss alone is no reason to slow
//! down: parity mends it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::Rate;
use crate::ids::{ReceiverNumber, Seq};

/// A round lasts at least this long, so that it holds several reports of a small room.
const MIN_ROUND: Duration = Duration::from_millis(20);
/// A round ends after this long without the reports of a receiver that says nothing.
const MAX_ROUND: Duration = Duration::from_millis(600);
/// Datagrams that a receiver must have been sent in a round for its loss to mean anything: the
/// standard deviation at 20 % loss is then below 2 points.
const MIN_DATAGRAMS: u64 = 400;
/// Start-up goes on while doubling the rate raises delivery by at least this factor.
const RISING: f64 = 1.3;
/// A round tests the rate only if at least this share of it was sent.
const FILLED: f64 = 0.7;
/// Loss counts as congestion when it exceeds the lowest of recent rounds by this much.
const EXCESS_LOSS: f64 = 0.05;
/// Rounds whose lowest loss is the loss of the path.
const BASELINE_ROUNDS: usize = 16;
/// Growth per round after start-up.
const GROWTH: f64 = 1.1;
/// Step back to this share of what was delivered.
const STEP_BACK: f64 = 0.95;

/// What one report says about the path to its receiver; totals since the join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathReport {
    /// Highest datagram seen.
    pub seq_seen: Seq,
    /// Datagrams that arrived.
    pub received: u64,
    /// Datagrams that were sent to it.
    pub expected: u64,
    /// Datagrams that its own kernel dropped.
    pub drops: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Doubling; holds the delivery, in datagrams per second, of the last round.
    StartUp { delivered: f64 },
    /// Near the limit.
    Steady,
}

/// First and last report of a receiver within a round.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: (Instant, PathReport),
    last: (Instant, PathReport),
}

impl Span {
    fn expected(&self) -> u64 {
        self.last.1.expected.saturating_sub(self.first.1.expected)
    }

    fn received(&self) -> u64 {
        self.last
            .1
            .received
            .saturating_sub(self.first.1.received)
            .min(self.expected())
    }

    fn loss(&self) -> f64 {
        1.0 - self.received() as f64 / self.expected().max(1) as f64
    }

    fn delivered(&self) -> f64 {
        let elapsed = self.last.0.duration_since(self.first.0).as_secs_f64();
        self.received() as f64 / elapsed.max(0.001)
    }

    fn dropped(&self) -> bool {
        self.last.1.drops > self.first.1.drops
    }
}

#[derive(Debug)]
struct Round {
    from: Instant,
    from_seq: Seq,
    sent: u64,
    spans: BTreeMap<ReceiverNumber, Span>,
}

/// What a round showed about the receiver that takes least.
struct Verdict {
    filled: bool,
    loss: f64,
    delivered: f64,
    dropped: bool,
}

/// Decides on the rate; see the module's page.
#[derive(Debug)]
pub struct Controller {
    cap: Rate,
    rate: Rate,
    phase: Phase,
    round: Round,
    recent_loss: VecDeque<f64>,
    congested_rounds: u32,
}

impl Controller {
    /// A controller that never exceeds `cap`.
    #[must_use]
    pub fn new(now: Instant, cap: Option<Rate>) -> Self {
        let cap = cap.unwrap_or(Rate(u64::MAX));
        Self {
            cap,
            rate: Rate::START.min(cap),
            phase: Phase::StartUp { delivered: 0.0 },
            round: Round {
                from: now,
                from_seq: Seq(0),
                sent: 0,
                spans: BTreeMap::new(),
            },
            recent_loss: VecDeque::new(),
            congested_rounds: 0,
        }
    }

    /// The rate to send at.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Notes symbol datagrams that were sent.
    pub fn on_sent(&mut self, datagrams: u64) {
        self.round.sent += datagrams;
    }

    /// Forgets a receiver that no longer gates the stream.
    pub fn on_gone(&mut self, receiver: ReceiverNumber) {
        self.round.spans.remove(&receiver);
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
        // A report on datagrams of an earlier round says nothing about the present rate.
        if report.seq_seen >= self.round.from_seq {
            let span = Span {
                first: (now, report),
                last: (now, report),
            };
            self.round.spans.entry(receiver).or_insert(span).last = (now, report);
        }
        let age = now.duration_since(self.round.from);
        let told = self
            .round
            .spans
            .values()
            .filter(|s| s.expected() >= MIN_DATAGRAMS.min(self.enough()));
        let complete = told.count() >= gating.max(1);
        if (complete && age >= MIN_ROUND) || age >= MAX_ROUND {
            self.end_round(now, last_seq);
        }
    }

    /// Datagrams that make a round at the present rate worth judging.
    fn enough(&self) -> u64 {
        (self.rate.datagrams() * MIN_ROUND.as_secs_f64() / 2.0) as u64
    }

    fn end_round(&mut self, now: Instant, last_seq: Seq) {
        if let Some(verdict) = self.verdict(now) {
            let rate = self.next_rate(&verdict);
            self.rate = rate.clamp(Rate::FLOOR.min(self.cap), self.cap);
        }
        self.round = Round {
            from: now,
            from_seq: last_seq,
            sent: 0,
            spans: BTreeMap::new(),
        };
    }

    fn verdict(&self, now: Instant) -> Option<Verdict> {
        let enough = MIN_DATAGRAMS.min(self.enough());
        let spans = self
            .round
            .spans
            .values()
            .filter(|span| span.expected() >= enough.max(1));
        let slowest = spans.min_by(|a, b| a.delivered().total_cmp(&b.delivered()))?;
        let elapsed = now.duration_since(self.round.from).as_secs_f64().max(0.001);
        Some(Verdict {
            filled: self.round.sent as f64 / elapsed >= FILLED * self.rate.datagrams(),
            loss: slowest.loss(),
            delivered: slowest.delivered(),
            dropped: self.round.spans.values().any(Span::dropped),
        })
    }

    fn next_rate(&mut self, verdict: &Verdict) -> Rate {
        let baseline = self
            .recent_loss
            .iter()
            .copied()
            .fold(verdict.loss, f64::min);
        self.recent_loss.push_back(verdict.loss);
        if self.recent_loss.len() > BASELINE_ROUNDS {
            self.recent_loss.pop_front();
        }
        // What the path carries, before the loss that it has at any rate.
        let carried = Rate::of_datagrams(verdict.delivered / (1.0 - baseline).max(0.1));
        let stepped_back = Rate((carried.as_f64() * STEP_BACK) as u64).min(self.rate);
        if verdict.dropped {
            self.phase = Phase::Steady;
            return stepped_back;
        }
        if !verdict.filled {
            return self.rate;
        }
        match self.phase {
            Phase::StartUp { delivered } if verdict.delivered >= RISING * delivered => {
                self.phase = Phase::StartUp {
                    delivered: verdict.delivered,
                };
                Rate(self.rate.0.saturating_mul(2))
            }
            Phase::StartUp { .. } => {
                self.phase = Phase::Steady;
                carried.min(self.rate)
            }
            Phase::Steady => self.steady(verdict.loss > baseline + EXCESS_LOSS, stepped_back),
        }
    }

    fn steady(&mut self, congested: bool, stepped_back: Rate) -> Rate {
        self.congested_rounds = if congested {
            self.congested_rounds + 1
        } else {
            0
        };
        match self.congested_rounds {
            0 => Rate((self.rate.as_f64() * GROWTH) as u64),
            // One round may be a burst of loss that has nothing to do with the rate.
            1 => self.rate,
            _ => stepped_back,
        }
    }
}

#[cfg(test)]
mod tests;
