//! A round: what every receiver told of the datagrams that were sent at one rate.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::ids::{ReceiverNumber, Seq};

/// A round ends after this long without the reports of a receiver that says nothing.
const MAX_ROUND: Duration = Duration::from_millis(600);

/// Datagrams that a receiver must have been sent in a round for it to mean anything: at slow rates
/// a round lasts longer.
const FEWEST: f64 = 64.0;

/// No more of them are waited for: the standard deviation at 20 % loss is below 2 points.
const MOST: f64 = 400.0;

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
        let received = self.last.1.received.saturating_sub(self.first.1.received);
        received.min(self.expected())
    }

    fn sample(&self) -> Sample {
        let elapsed = self.last.0.duration_since(self.first.0).as_secs_f64();
        Sample {
            delivered: self.received() as f64 / elapsed.max(0.001),
            loss: 1.0 - self.received() as f64 / self.expected().max(1) as f64,
            dropped: self.last.1.drops > self.first.1.drops,
        }
    }
}

/// What a round showed about the path to one receiver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// Datagrams per second that arrived.
    pub(super) delivered: f64,
    /// Share of the datagrams that did not.
    pub(super) loss: f64,
    /// Whether its own kernel dropped some.
    pub(super) dropped: bool,
}

/// What a round showed.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Datagrams per second that were sent.
    pub(super) sent: f64,
    /// What arrived, at the receivers that told enough.
    pub(super) samples: BTreeMap<ReceiverNumber, Sample>,
}

/// The round under way.
#[derive(Debug)]
pub(super) struct Round {
    from: Instant,
    from_seq: Seq,
    sent: u64,
    spans: BTreeMap<ReceiverNumber, Span>,
}

impl Round {
    /// A round of the datagrams after `from_seq`.
    pub(super) fn new(from: Instant, from_seq: Seq) -> Self {
        Self {
            from,
            from_seq,
            sent: 0,
            spans: BTreeMap::new(),
        }
    }

    /// Bytes held for receivers.
    pub(super) fn state_bytes(&self) -> usize {
        self.spans.len() * size_of::<(ReceiverNumber, Span)>()
    }

    pub(super) fn on_sent(&mut self, datagrams: u64) {
        self.sent += datagrams;
    }

    pub(super) fn on_gone(&mut self, receiver: ReceiverNumber) {
        self.spans.remove(&receiver);
    }

    pub(super) fn on_report(&mut self, now: Instant, receiver: ReceiverNumber, report: PathReport) {
        // A report on datagrams of an earlier round says nothing about the present rate.
        if report.seq_seen >= self.from_seq {
            let span = Span {
                first: (now, report),
                last: (now, report),
            };
            self.spans.entry(receiver).or_insert(span).last = (now, report);
        }
    }

    /// What the round showed, once `needed` receivers told enough about at least `shortest` of a
    /// rate of `datagrams` per second, or the round lasts too long. It lasts until somebody told
    /// enough: where a long queue delays all that is sent, silence is no sign that it is carried.
    pub(super) fn poll(
        &self,
        now: Instant,
        shortest: Duration,
        datagrams: f64,
        needed: usize,
    ) -> Option<Outcome> {
        let age = now.duration_since(self.from);
        let enough = (datagrams * shortest.as_secs_f64() / 2.0).clamp(FEWEST, MOST);
        let told = |span: &&Span| span.expected() >= enough as u64;
        let all_told = || self.spans.values().filter(told).count();
        let needed = if age < MAX_ROUND { needed.max(1) } else { 1 };
        if age < shortest || all_told() < needed {
            return None;
        }
        let samples = self.spans.iter().filter(|(_, span)| told(span));
        Some(Outcome {
            sent: self.sent as f64 / age.as_secs_f64().max(0.001),
            samples: samples
                .map(|(&number, span)| (number, span.sample()))
                .collect(),
        })
    }
}
