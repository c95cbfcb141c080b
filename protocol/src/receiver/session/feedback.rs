//! When a receiver reports and what it says.

use std::time::{Duration, Instant};

use super::Session;
use crate::ids::Slot;
use crate::units::{BlockNumber, GROUP};
use crate::wire::{ALL_SYMBOLS, Report};

/// Runs of deficits looked for; no more fit a datagram.
const MAX_RUNS: usize = 480;

/// Runs of missing pages that a report names.
const MAX_PAGE_RUNS: usize = 16;

/// Buffers that are not granted: blocks of the groups under way that are not known to be
/// lost yet, two groups, and at most half of all.
const RESERVE: u32 = 2 * GROUP;

/// Pause after the end of a group before its deficits are reported: datagrams may overtake.
pub(super) const HOLDOFF: Duration = Duration::from_millis(2);

/// When reports are sent.
#[derive(Debug)]
pub(super) struct Schedule {
    receivers: u16,
    jitter: u64,
    last: Option<Instant>,
    urgent: bool,
    /// Datagrams that had arrived when the last report was made.
    received: u64,
    /// What the last report granted.
    granted: Slot,
    /// Blocks that the sender will repair in this cycle, wholly lost, and others.
    lost: u32,
    repairs_due: bool,
    min_interval: Duration,
    max_interval: Duration,
}

impl Schedule {
    pub(super) fn new(seed: u64, receivers: u16, slot: Slot) -> Self {
        let mut schedule = Self {
            receivers,
            jitter: seed | 1,
            last: None,
            urgent: true,
            received: 0,
            granted: slot,
            lost: 0,
            repairs_due: false,
            min_interval: Duration::ZERO,
            max_interval: Duration::ZERO,
        };
        schedule.draw_intervals();
        schedule
    }

    pub(super) fn on_receivers(&mut self, receivers: u16) {
        self.receivers = receivers;
    }

    pub(super) fn urge(&mut self) {
        self.urgent = true;
    }

    /// At most one report per max(5 ms, R x 0.25 ms), at least one per max(200 ms, R x 2 ms);
    /// both vary by a quarter so that a room does not report in step.
    fn draw_intervals(&mut self) {
        // xorshift64 (Marsaglia 2003): evenly spread is all that is asked of it.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        let part = (self.jitter >> 40) as f64 / (1u64 << 24) as f64;
        let receivers = f64::from(self.receivers);
        let shortest = f64::max(0.005, receivers * 0.000_25);
        let longest = f64::max(0.2, receivers * 0.002);
        self.min_interval = Duration::from_secs_f64(shortest * (1.0 + 0.25 * part));
        self.max_interval = Duration::from_secs_f64(longest * (1.0 - 0.25 * part));
    }

    pub(super) fn due(&self, now: Instant) -> Instant {
        let interval = if self.urgent {
            self.min_interval
        } else {
            self.max_interval
        };
        self.last.map_or(now, |last| last + interval)
    }
}

impl Session {
    /// Datagrams arrived: decides whether the sender should hear of it soon.
    pub(super) fn after_datagrams(&mut self) {
        let fresh = self.path.received() - self.schedule.received;
        // Spaced geometrically at first, so that the sender's start-up has something to go by;
        // then before the sender runs out of what this receiver's socket can hold.
        let milestone = 32 + self.schedule.received / 4;
        let window = u64::from(self.config.window / 4).max(1);
        let repairs = self.schedule.repairs_due && fresh > 0;
        if fresh >= milestone.min(window) || repairs || self.pages.has_missing() {
            self.schedule.urge();
        }
    }

    /// Buffers came free: tells the sender before it runs out of credit.
    pub(super) fn after_writes(&mut self) {
        let gained = self.credit().0.saturating_sub(self.schedule.granted.0);
        if gained >= self.ledger.buffers() / 4 {
            self.schedule.urge();
        }
    }

    /// Slots that the sender may begin: what it has begun, and what is free beyond the blocks
    /// that are not written.
    fn credit(&self) -> Slot {
        let buffers = self.ledger.buffers();
        let free = buffers
            .saturating_sub(RESERVE.min(buffers / 2))
            .saturating_sub(self.ledger.in_use() - self.ledger.given_up(self.given_up_below()))
            .saturating_sub(self.schedule.lost);
        // With nothing on its way to the disk no waiting frees a buffer: blocks that lack symbols
        // hold them all, and only further symbols help, perhaps those of the next cycle.
        let least = if self.ledger.is_writing() { 0 } else { GROUP };
        let free = free.max(least);
        Slot(self.slot.0.saturating_add(free)).max(self.schedule.granted)
    }

    /// The report that is due, if one is.
    pub(super) fn poll_report(&mut self, now: Instant) -> Option<Report> {
        (now >= self.schedule.due(now)).then(|| self.report(now))
    }

    pub(super) fn report(&mut self, now: Instant) -> Report {
        // What is of no use now is not asked for now.
        let end = self.reportable.min(self.takes_below());
        let (deficits, covered_up_to) = self.needs(end, MAX_RUNS);
        let repaired = self.repaired_now();
        self.schedule.lost = 0;
        self.schedule.repairs_due = false;
        for run in &deficits {
            let first = run.first.0.max(repaired.0.0);
            let blocks = (run.first.0 + run.count)
                .min(repaired.1.0)
                .saturating_sub(first);
            self.schedule.repairs_due |= blocks > 0;
            self.schedule.lost += if run.symbols == ALL_SYMBOLS {
                blocks
            } else {
                0
            };
        }
        self.schedule.granted = self.credit();
        self.schedule.last = Some(now);
        self.schedule.urgent = false;
        self.schedule.received = self.path.received();
        self.schedule.draw_intervals();
        if let Some(checks) = &mut self.checks {
            checks.on_report();
        }
        Report {
            stage: self.stage,
            seq_seen: self.path.highest(),
            held_us: self.path.held_us(now),
            received: self.path.received(),
            expected: self.path.expected(),
            socket_drops: self.socket_drops,
            window: self.config.window,
            credit: self.schedule.granted,
            blocks_done: self.ledger.done_count(),
            bytes_written: self.written.bytes,
            bytes_kept: self.kept().1 + self.zeros_kept,
            busy_ms: u32::try_from(self.written.busy.as_millis()).unwrap_or(u32::MAX),
            bytes_verified: self.written.verified,
            effort: self.stand.effort,
            buffers: self.ledger.buffers(),
            turn: self.stand.turn,
            pages_up_to: self.pages.up_to(),
            missing_pages: self.pages.missing(MAX_PAGE_RUNS),
            complete_up_to: self.ledger.complete_up_to(),
            covered_up_to,
            deficits,
        }
    }

    /// Blocks whose deficits the sender answers in this cycle.
    pub(super) fn repaired_now(&self) -> (BlockNumber, BlockNumber) {
        if self.stand.demoted.is_some() {
            return (BlockNumber(0), BlockNumber(0));
        }
        let first = if self.in_joined_cycle {
            self.joined_at
        } else {
            BlockNumber(0)
        };
        (first, self.horizon)
    }
}
