//! Who is too slow for the room, and why; who keeps up again.
//!
//! A few receivers are too slow when the sender waits for them and everybody else could go much
//! faster: when the capacities of the receivers, in order, have a gap with at most half of those
//! present below it. All of them are found at once, so that the room does not wait for one after
//! the other. What a receiver takes at most is known of its parts while they are not the brake:
//! amount by time busy, for the disk, the writer and the session's thread; what its path carries
//! is known from the controller's trials.
//!
//! Receivers of the same kind differ, but not by half: a room of equals is never parted, however
//! slow it is. Nor is one of which most are slow: it is theirs, and the operator is told who they are.

mod record;
mod rules;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

pub(super) use record::Totals;
use record::{LONG, Record, SHORT, Speed, brake_share};
pub use rules::{SlowPolicy, SlowRules};

use crate::ids::ReceiverNumber;
use crate::pacing::{Carries, SYMBOL_BITS};
use crate::units::BLOCK_SIZE;
use crate::wire::SlowReason;

/// A receiver that was demoted returns once it has kept up for this long; twice as long each time.
const KEEP_UP: Duration = Duration::from_secs(5);

/// It keeps up if it loses at most this much more than the worst of the others.
const EXTRA_LOSS: f64 = 0.02;

/// The most doublings of [`KEEP_UP`]: five minutes.
const MOST_DOUBLINGS: u32 = 6;

/// Between challenges of the paths, first and at most: one costs what the slow ones lose in 40 ms.
const FIRST_CHALLENGE: Duration = Duration::from_secs(2);
const LAST_CHALLENGE: Duration = Duration::from_secs(60);

/// Shortest period between two looks.
const SHORTEST_PERIOD: Duration = Duration::from_millis(20);

/// Datagrams of a full block, where nothing is known of those that are sent.
const FULL_BLOCK: f64 = 187.0;

/// A group that is begun counts whole, though little of it may have been sent: no block has more
/// datagrams in a pass.
const MOST_SYMBOLS: f64 = 255.0;

/// What kept the sender from sending although it had something to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brake {
    /// A receiver has granted no slot for the next blocks.
    Credit,
    /// A receiver's socket may be full.
    Window,
}

/// What is known of a receiver at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) number: ReceiverNumber,
    /// Whether it is demoted.
    pub(super) demoted: bool,
    pub(super) totals: Totals,
    /// Whether somebody else reads what it writes.
    pub(super) piped: bool,
    /// Datagrams that its socket holds.
    pub(super) window: u32,
    pub(super) carries: Carries,
    /// Whether its path keeps the rate from rising.
    pub(super) limits_rate: bool,
    /// What its link takes, in datagrams per second; 0 where unknown.
    pub(super) link: f64,
    /// Whether it has granted more than is needed now.
    pub(super) ahead: bool,
    /// When its newest report came.
    pub(super) heard_at: Instant,
}

/// What is known of the stream at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// Blocks begun.
    pub(super) slots: u32,
    /// Datagrams of them that were sent.
    pub(super) datagrams: u64,
    /// What the controller allows and the operator's cap, in datagrams per second.
    pub(super) rate: f64,
    pub(super) cap: f64,
    /// Receivers that were sent away as too slow.
    pub(super) dropped: usize,
    /// Receivers that lack nothing any more: these were fast enough.
    pub(super) done: usize,
}

/// What the stream was like lately.
#[derive(Debug, Clone, Copy)]
struct Stream {
    /// Datagrams of a pass per second that were sent.
    pace: f64,
    datagrams_per_block: f64,
    rate: f64,
    cap: f64,
}

/// A receiver that is too slow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// What makes it slow.
    pub reason: SlowReason,
    /// What it takes: bytes of the image per second, or bits per second of the network where
    /// that is the reason.
    pub own: u64,
    /// What all others could take, in the same unit.
    pub room: u64,
    /// What it takes, in datagrams per second.
    pub datagrams: f64,
}

/// What a look at the room comes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Finding {
    /// This one is too slow.
    Slow(ReceiverNumber, Slow),
    /// These are, the slowest first, but too many for the others to go on without them.
    HoldUp(Vec<(ReceiverNumber, Slow)>),
    /// Some paths seem to be slow, but it is not known what the others carry.
    Challenge,
    /// This one was demoted and has kept up for long enough.
    KeepsUp(ReceiverNumber),
}

/// See the module's page.
#[derive(Debug)]
pub(super) struct Stragglers {
    rules: SlowRules,
    last: Option<Instant>,
    positions: VecDeque<(Instant, Position)>,
    records: BTreeMap<ReceiverNumber, Record>,
    /// How long the sender could not send in this period, whoever was the brake.
    blocked: Duration,
    challenge_at: Option<Instant>,
    challenge_wait: Duration,
}

impl Stragglers {
    pub(super) fn new(rules: SlowRules) -> Self {
        Self {
            rules,
            last: None,
            positions: VecDeque::new(),
            records: BTreeMap::new(),
            blocked: Duration::ZERO,
            challenge_at: None,
            challenge_wait: FIRST_CHALLENGE,
        }
    }

    pub(super) fn rules(&self) -> SlowRules {
        self.rules
    }

    /// The sender could not send for some time, because of these receivers.
    pub(super) fn on_blocked(
        &mut self,
        brake: Brake,
        time: Duration,
        by: impl Iterator<Item = ReceiverNumber>,
    ) {
        self.blocked += time;
        for number in by {
            let record = self.records.entry(number).or_default();
            record.on_blocked(brake, time);
        }
    }

    /// The standing of a receiver has changed: what it did before does not count.
    pub(super) fn on_standing(&mut self, number: ReceiverNumber) {
        self.records.entry(number).or_default().start_over();
    }

    /// Time has passed in which nobody was watched.
    pub(super) fn start_over(&mut self) {
        self.last = None;
        self.blocked = Duration::ZERO;
        self.positions.clear();
        for record in self.records.values_mut() {
            record.start_over();
        }
    }

    /// Whether it is time for another look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let period = (self.rules.after / SHORT as u32).max(SHORTEST_PERIOD);
        self.last.is_none_or(|last| now >= last + period)
    }

    /// Takes a look at everybody who has not got everything.
    pub(super) fn look(
        &mut self,
        now: Instant,
        position: Position,
        looks: &[Look],
    ) -> Vec<Finding> {
        let period = self
            .last
            .map_or(Duration::ZERO, |last| now.duration_since(last));
        self.last = Some(now);
        let blocked = std::mem::take(&mut self.blocked);
        let open = 1.0 - (blocked.as_secs_f64() / period.as_secs_f64().max(1e-6)).min(1.0);
        self.records
            .retain(|number, _| looks.iter().any(|look| look.number == *number));
        for look in looks {
            let record = self.records.entry(look.number).or_default();
            record.sample(now, look, period, open);
        }
        self.positions.push_back((now, position));
        if self.positions.len() > LONG + 1 {
            self.positions.pop_front();
        }
        let mut findings = self.find_kept_up(period, looks);
        if let Some(stream) = self.stream() {
            findings.extend(self.find_slow(now, &stream, position, looks));
        }
        findings
    }

    fn stream(&self) -> Option<Stream> {
        let (&(from, first), &(to, last)) = (self.positions.front()?, self.positions.back()?);
        let seconds = to.duration_since(from).as_secs_f64();
        if self.positions.len() <= SHORT || seconds <= 0.0 {
            return None;
        }
        let datagrams = last.datagrams.saturating_sub(first.datagrams) as f64;
        let slots = last.slots.saturating_sub(first.slots);
        Some(Stream {
            pace: datagrams / seconds,
            datagrams_per_block: if slots == 0 {
                FULL_BLOCK
            } else {
                (datagrams / f64::from(slots)).clamp(1.0, MOST_SYMBOLS)
            },
            rate: last.rate,
            cap: last.cap,
        })
    }

    /// Those that were demoted and keep up.
    fn find_kept_up(&mut self, period: Duration, looks: &[Look]) -> Vec<Finding> {
        let gating = looks.iter().filter(|look| !look.demoted);
        let losses = gating.filter_map(|look| self.records[&look.number].last_loss());
        let bearable = losses.fold(0.0, f64::max) + EXTRA_LOSS;
        let mut findings = Vec::new();
        for look in looks.iter().filter(|look| look.demoted) {
            let Some(record) = self.records.get_mut(&look.number) else {
                continue;
            };
            // Where nothing is sent everybody keeps up.
            let Some(loss) = record.last_loss() else {
                continue;
            };
            record.kept = if loss <= bearable && look.ahead {
                record.kept + period
            } else {
                Duration::ZERO
            };
            let doublings = record.found.saturating_sub(1).min(MOST_DOUBLINGS);
            if record.kept >= KEEP_UP * (1 << doublings) {
                findings.push(Finding::KeepsUp(look.number));
            }
        }
        findings
    }

    /// Those that are too slow.
    fn find_slow(
        &mut self,
        now: Instant,
        stream: &Stream,
        Position { dropped, done, .. }: Position,
        looks: &[Look],
    ) -> Vec<Finding> {
        let below = self.rules.below;
        let gating = looks.iter().filter(|look| !look.demoted);
        let mut speeds: Vec<(ReceiverNumber, Speed)> = gating
            .filter_map(|look| {
                let speed = self.records[&look.number].speed(look, stream, below)?;
                Some((look.number, speed))
            })
            .collect();
        speeds.sort_by(|a, b| a.1.most.total_cmp(&b.1.most));
        let out = dropped + looks.iter().filter(|look| look.demoted).count();
        // At most half of all; those that were not watched for long enough count with the fast.
        let most = ((looks.len() + dropped + done) / 2).saturating_sub(out);
        let few = slowest(&speeds, most, below);
        let Some(slow) = few.or_else(|| slowest(&speeds, speeds.len(), below)) else {
            return Vec::new();
        };
        let (slow, others) = speeds.split_at(slow);
        let fastest = slow.last().expect("there are some").1.most;
        let room = |of: fn(&Speed) -> f64| {
            others
                .iter()
                .map(|(_, speed)| of(speed))
                .fold(f64::INFINITY, f64::min)
        };
        let braking = |speed: &Speed| speed.bound >= brake_share(below) && speed.by_path;
        if slow.iter().any(|(_, speed)| braking(speed))
            && room(|speed| speed.proven) * below <= fastest
        {
            // What a challenge costs the slow ones is worth it where the others can leave them.
            let challenge = few.and_then(|_| self.challenge(now));
            return challenge.into_iter().collect();
        }
        let room = room(|speed| speed.most);
        let found = slow
            .iter()
            .map(|(number, speed)| (*number, slow_of(speed, room, stream)));
        if few.is_none() {
            return vec![Finding::HoldUp(found.collect())];
        }
        for (number, _) in slow {
            if let Some(record) = self.records.get_mut(number) {
                record.found += 1;
            }
        }
        found
            .map(|(number, slow)| Finding::Slow(number, slow))
            .collect()
    }

    /// A challenge that was found to be of use has begun: the next one waits.
    pub(super) fn on_challenged(&mut self, now: Instant) {
        self.challenge_at = Some(now + self.challenge_wait);
        self.challenge_wait = (2 * self.challenge_wait).min(LAST_CHALLENGE);
    }

    fn challenge(&self, now: Instant) -> Option<Finding> {
        let may = self.challenge_at.is_none_or(|at| now >= at);
        may.then_some(Finding::Challenge)
    }
}

/// How many of the receivers, the slowest first, are too slow: as many as there are below a gap,
/// if the sender waits for any of them.
fn slowest(speeds: &[(ReceiverNumber, Speed)], most: usize, below: f64) -> Option<usize> {
    let most = most.min(speeds.len().saturating_sub(1));
    let brakes = |speed: &Speed| speed.bound >= brake_share(below);
    (1..=most).rev().find(|&slow| {
        let gap = speeds[slow - 1].1.most < below * speeds[slow].1.most;
        gap && speeds[..slow].iter().any(|(_, speed)| brakes(speed))
    })
}

fn slow_of(speed: &Speed, room: f64, stream: &Stream) -> Slow {
    let room = room.min(stream.cap);
    let unit = match speed.reason {
        SlowReason::Network => SYMBOL_BITS as f64,
        _ => BLOCK_SIZE as f64 / stream.datagrams_per_block.max(1.0),
    };
    // Where nothing is known of the others they take what is allowed.
    let room = if room.is_finite() { room } else { stream.rate };
    Slow {
        reason: speed.reason,
        own: (unit * speed.most) as u64,
        room: (unit * room) as u64,
        datagrams: speed.most,
    }
}

#[cfg(test)]
mod tests;
