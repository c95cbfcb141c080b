//! What is known of one receiver: how long it was the brake, and how fast its parts are.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Brake, Look, Stream};
use crate::units::BLOCK_SIZE;
use crate::wire::{Report, SlowReason};

/// Periods over which a receiver must be the brake before it is judged.
pub(super) const SHORT: usize = 5;

/// Periods over which the speed of its parts is taken: what a medium takes is told in pieces of
/// 8 MiB, which a short time would count wrongly.
pub(super) const LONG: usize = 4 * SHORT;

/// A part that worked for less than this in all that time, in seconds, has shown nothing new of its
/// speed.
const TOO_SHORT: f64 = 0.02;

/// A part that is busy for this share of the time is what makes its receiver slow.
const BUSY: f64 = 0.5;

/// A receiver that loses this share is slow because of that, where nothing else explains it.
const LOSES: f64 = 0.25;

/// A socket that holds fewer datagrams than this makes a receiver slow by itself: 12 ms of a
/// Gigabit.
const SMALL_WINDOW: u32 = 1024;

/// Totals of a report, of which only differences are used.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sender) struct Totals {
    blocks: f64,
    write: f64,
    decode: f64,
    session: f64,
    disk_blocks: f64,
    disk: f64,
    received: f64,
    expected: f64,
    drops: f64,
}

impl Totals {
    pub(in crate::sender) fn of(report: &Report) -> Self {
        let seconds = |ms: u32| f64::from(ms) / 1000.0;
        let effort = &report.effort;
        Self {
            blocks: f64::from(report.blocks_done),
            write: seconds(report.busy_ms),
            decode: seconds(effort.decode_ms),
            session: seconds(effort.session_ms),
            disk_blocks: effort.disk_bytes as f64 / BLOCK_SIZE as f64,
            disk: seconds(effort.disk_ms),
            received: report.received as f64,
            expected: report.expected as f64,
            drops: f64::from(report.socket_drops),
        }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            blocks: self.blocks - before.blocks,
            write: self.write - before.write,
            decode: self.decode - before.decode,
            session: self.session - before.session,
            disk_blocks: self.disk_blocks - before.disk_blocks,
            disk: self.disk - before.disk,
            received: self.received - before.received,
            expected: self.expected - before.expected,
            drops: self.drops - before.drops,
        }
    }

    fn loss(&self) -> f64 {
        if self.expected <= 0.0 {
            // Nothing is known to have been sent, so nothing is known to be lost.
            return 0.0;
        }
        1.0 - self.received.min(self.expected) / self.expected.max(1.0)
    }
}

/// How long a receiver was the brake, in seconds, by what braked.
#[derive(Debug, Clone, Copy, Default)]
struct Bound {
    credit: f64,
    window: f64,
    path: f64,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    totals: Totals,
    bound: Bound,
    /// Whether a report came in this period.
    heard: bool,
}

/// How fast a receiver is, in datagrams of the stream per second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speed {
    /// What it takes at most, as far as is known; infinite where nothing is.
    pub(super) most: f64,
    /// The same, but its path is only trusted with what it has carried.
    pub(super) proven: f64,
    /// Share of the time in which the sender waited for it.
    pub(super) bound: f64,
    /// Whether its path was the brake.
    pub(super) by_path: bool,
    /// What makes it slow, if it is.
    pub(super) reason: SlowReason,
}

/// What the parts were last seen to do: blocks per second of the disk and of the writer, datagrams
/// per second of the session's thread.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    disk: Option<f64>,
    writer: Option<f64>,
    session: Option<f64>,
}

impl Parts {
    fn learn(&mut self, done: &Totals) {
        let learn = |known: &mut Option<f64>, amount: f64, seconds: f64| {
            if seconds >= TOO_SHORT {
                *known = Some(amount / seconds);
            }
        };
        learn(&mut self.disk, done.disk_blocks, done.disk);
        learn(&mut self.writer, done.blocks, done.write + done.decode);
        learn(&mut self.session, done.received, done.session);
    }
}

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Record {
    parts: Parts,
    samples: VecDeque<Sample>,
    heard_at: Option<Instant>,
    current: Bound,
    /// How often it was found to be slow.
    pub(super) found: u32,
    /// How long it has kept up while it was demoted.
    pub(super) kept: Duration,
}

impl Record {
    pub(super) fn on_blocked(&mut self, brake: Brake, time: Duration) {
        let time = time.as_secs_f64();
        match brake {
            Brake::Credit => self.current.credit += time,
            Brake::Window => self.current.window += time,
        }
    }

    /// Notes where a receiver is at the end of a period; `open` is the share of the period in
    /// which nothing but the rate kept the sender from sending.
    pub(super) fn sample(&mut self, now: Instant, look: &Look, period: Duration, open: f64) {
        let mut bound = std::mem::take(&mut self.current);
        if look.limits_rate {
            bound.path = open * period.as_secs_f64();
        }
        let totals = look.totals;
        let sample = Sample {
            at: now,
            totals,
            bound,
            heard: self.heard_at.replace(look.heard_at) != Some(look.heard_at),
        };
        self.samples.push_back(sample);
        if self.samples.len() > LONG + 1 {
            self.samples.pop_front();
        }
        if let Some(first) = self.samples.front() {
            self.parts.learn(&totals.since(&first.totals));
        }
    }

    /// Its standing has changed: how long it was the brake before does not count.
    pub(super) fn start_over(&mut self) {
        self.samples.clear();
        self.current = Bound::default();
        self.kept = Duration::ZERO;
    }

    fn short(&self) -> Option<(&Sample, &Sample)> {
        let first = self.samples.len().checked_sub(SHORT + 1)?;
        Some((&self.samples[first], self.samples.back()?))
    }

    /// Loss in the last period, if anything was sent in it.
    pub(super) fn last_loss(&self) -> Option<f64> {
        let before = self.samples.len().checked_sub(2)?;
        let passed = self
            .samples
            .back()?
            .totals
            .since(&self.samples[before].totals);
        (passed.expected > 0.0).then(|| passed.loss())
    }

    /// How fast the receiver is, once it was watched for long enough.
    pub(super) fn speed(&self, look: &Look, stream: &Stream, below: f64) -> Option<Speed> {
        let (first, last) = self.short()?;
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        let recent = last.totals.since(&first.totals);
        let bound = self.bound();
        let mut share = (bound.credit + bound.window + bound.path) / seconds;
        let by_path = bound.path > bound.credit.max(bound.window);
        let unknown = f64::INFINITY;
        let disk = self.parts.disk.unwrap_or(unknown);
        let writer = disk.min(self.parts.writer.unwrap_or(unknown)) * stream.datagrams_per_block;
        let session = self.parts.session.unwrap_or(unknown);
        let mut parts = writer.min(session);
        let loss = recent.loss();
        let arrived = recent.received / seconds;
        if recent.expected >= 100.0 && loss > 1.0 - below {
            // Most of what is sent are repairs for it, and it takes what arrives, whatever its link.
            share = 1.0;
            parts = parts.min(arrived);
        }
        let busy = (recent.disk.max(recent.write + recent.decode)).max(recent.session);
        if !by_path && share >= brake_share(below) && busy < BUSY * seconds {
            // None of its parts explains it: all that is known is what it lets pass.
            parts = parts.min(stream.pace);
        }
        let carries = look.carries;
        let trusted = carries.at_most.unwrap_or(carries.at_least);
        let link = if look.link > 0.0 { look.link } else { unknown };
        let hoped = carries.at_most.unwrap_or(link.max(stream.rate));
        // What a path at its limit loses was sent too fast: it still carries what arrives.
        let through = |carries: f64| (carries * (1.0 - loss)).max(arrived.min(carries));
        Some(Speed {
            most: parts.min(through(hoped)).min(stream.cap),
            proven: parts.min(through(trusted)).min(stream.cap),
            bound: share,
            by_path: by_path || loss > 1.0 - below,
            reason: reason(&bound, &recent, seconds, look, writer < session),
        })
    }

    /// Without the time since it was last heard: who says nothing any more is not slow but silent,
    /// and stops gating for that.
    fn bound(&self) -> Bound {
        let newest = self.samples.iter().rev().take(SHORT);
        let known = newest.skip_while(|sample| !sample.heard);
        known.fold(Bound::default(), |sum, sample| Bound {
            credit: sum.credit + sample.bound.credit,
            window: sum.window + sample.bound.window,
            path: sum.path + sample.bound.path,
        })
    }
}

/// Share of the time that the sender waits for a receiver which takes `below` of what the others
/// do: all but that, less a tenth for moments at which both wait.
pub(super) fn brake_share(below: f64) -> f64 {
    0.9 * (1.0 - below)
}

/// What is behind its target.
fn disk_of(look: &Look) -> SlowReason {
    if look.piped {
        SlowReason::Output
    } else {
        SlowReason::Disk
    }
}

/// What makes a receiver slow, as what braked and what was busy show.
fn reason(
    bound: &Bound,
    recent: &Totals,
    seconds: f64,
    look: &Look,
    writer_is_slower: bool,
) -> SlowReason {
    let busy = |part: f64| part / seconds >= BUSY;
    let longest = bound.credit.max(bound.window).max(bound.path);
    if longest <= 0.0 {
        // It was not the brake yet, or its loss is.
        return match () {
            () if recent.loss() > LOSES => SlowReason::Network,
            () if writer_is_slower => disk_of(look),
            () => SlowReason::Processor,
        };
    }
    if longest == bound.path {
        return match recent.drops > 0.0 {
            true => SlowReason::Processor,
            false => SlowReason::Network,
        };
    }
    if longest == bound.window {
        return match () {
            () if recent.drops > 0.0 || busy(recent.session) => SlowReason::Processor,
            () if look.window < SMALL_WINDOW => SlowReason::Memory,
            () => SlowReason::Network,
        };
    }
    let processor = recent.decode.max(recent.session);
    let disk = recent.disk.max(recent.write);
    match () {
        () if busy(disk) && disk >= processor => disk_of(look),
        () if busy(processor) => SlowReason::Processor,
        // Its buffers wait for what the network lost.
        () if recent.loss() > LOSES => SlowReason::Network,
        () => SlowReason::Memory,
    }
}
