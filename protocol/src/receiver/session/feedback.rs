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

/// Up to this many receivers report as often as the sender can make use of.
const SMALL_ROOM: u16 = 20;

/// No room is taken to be larger, whatever the group is told: those in it report at least every
/// 8.2 s, before they are taken to be lost.
const LARGEST_ROOM: u16 = 4096;

/// In a larger room each receiver leaves the sender so much longer without a report that only keeps
/// the stream flowing, for every receiver beyond those: at most 400 of these reports a second.
const LONGER: f64 = 0.0025;

/// Of a room so many report how the first datagrams come, which is what the sender's start-up goes
/// by; the others would say the same.
const SCOUTS: f64 = 16.0;

/// The window that is told is at most so many times what the socket holds.
const MOST_WINDOWS: u32 = 4;

/// A socket that has dropped datagrams is not relied on for this long.
const CAREFUL: Duration = Duration::from_secs(10);

/// In a large room the sender's start-up is over after so many datagrams, 0.4 s of a Gigabit.
const START_UP: u64 = 1 << 15;

/// They are so few that they report as in a small room.
const SCOUT_INTERVAL: Duration = Duration::from_micros(6250);

/// How soon the next report is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// There is nothing to say but that the receiver is there.
    Regular,
    /// The sender can make use of it.
    Soon,
    /// The sender's start-up goes by it.
    Scout,
    /// The sender misses it.
    Asked,
}

/// When reports are sent.
#[derive(Debug)]
pub(super) struct Schedule {
    receivers: u16,
    jitter: u64,
    /// This receiver's part, 0 to 1: it is a scout in rooms of up to `SCOUTS` divided by this.
    part: f64,
    /// Datagrams that the sender may send beyond what the socket holds, if it did not drop any.
    ahead: u32,
    dropped_at: Option<Instant>,
    last: Option<Instant>,
    urgency: Urgency,
    /// Datagrams that had arrived when the last report was made.
    received: u64,
    /// What the last report granted.
    granted: Slot,
    /// Blocks that the sender will repair in this cycle, wholly lost, and others.
    lost: u32,
    repairs_due: bool,
    /// Whether the last report asked for something for blocks that were spoiled.
    spoiled: bool,
    min_interval: Duration,
    max_interval: Duration,
}

impl Schedule {
    pub(super) fn new(seed: u64, receivers: u16, slot: Slot) -> Self {
        let mut schedule = Self {
            receivers,
            jitter: seed | 1,
            part: 0.0,
            ahead: 0,
            dropped_at: None,
            last: None,
            urgency: Urgency::Soon,
            received: 0,
            granted: slot,
            lost: 0,
            repairs_due: false,
            spoiled: false,
            min_interval: Duration::ZERO,
            max_interval: Duration::ZERO,
        };
        schedule.part = schedule.draw();
        schedule.draw_intervals();
        schedule
    }

    pub(super) fn on_receivers(&mut self, receivers: u16) {
        self.receivers = receivers.min(LARGEST_ROOM);
    }

    /// Credit is granted anew from where the stream really is.
    pub(super) fn put_right(&mut self, slot: Slot) {
        self.granted = slot;
        // What was drawn for a room of another size does not count either.
        self.draw_intervals();
    }

    pub(super) fn urge(&mut self) {
        self.urgency = self.urgency.max(Urgency::Soon);
    }

    /// The sender misses a report.
    pub(super) fn on_asked(&mut self) {
        self.urgency = Urgency::Asked;
    }

    /// The socket dropped datagrams: this receiver does not read as fast as they come.
    pub(super) fn on_socket_drops(&mut self, now: Instant) {
        self.dropped_at = Some(now);
        self.urge();
    }

    /// Even in 0..1.
    fn draw(&mut self) -> f64 {
        // xorshift64 (Marsaglia 2003): evenly spread is all that is asked of it.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        (self.jitter >> 40) as f64 / (1u64 << 24) as f64
    }

    /// At most one report per max(5 ms, R x 0.25 ms), at least one per max(200 ms, R x 2 ms);
    /// both vary so that a room does not report in step.
    fn draw_intervals(&mut self) {
        let part = self.draw();
        let receivers = f64::from(self.receivers);
        let shortest = f64::max(0.005, receivers * 0.000_25);
        let longest = f64::max(0.2, receivers * 0.002);
        self.min_interval = Duration::from_secs_f64(shortest * (1.0 + 0.25 * part));
        self.max_interval = Duration::from_secs_f64(longest * (1.0 - 0.15 * part));
    }

    fn is_large(&self) -> bool {
        self.receivers > SMALL_ROOM
    }

    /// Whether this receiver reports how the first datagrams come.
    fn scouts(&self) -> bool {
        let chosen = self.part * f64::from(self.receivers) <= SCOUTS;
        chosen && (!self.is_large() || self.received < START_UP)
    }

    /// Seconds that the sender can do without a report of this receiver, beyond what a small room
    /// needs.
    fn longer(&self) -> f64 {
        f64::from(self.receivers.saturating_sub(SMALL_ROOM)) * LONGER
    }

    /// Datagrams that this receiver will have read before its next report, as far as it may wait
    /// for that in a large room: so many more than its socket holds may be under way to it.
    fn reads_ahead(&self, now: Instant, received: u64) -> u32 {
        let since = self.last.map_or(0.0, |last| (now - last).as_secs_f64());
        if since == 0.0 {
            return 0;
        }
        let pace = (received - self.received) as f64 / since;
        // The conversion ends at the largest number.
        (pace * self.longer()) as u32
    }

    /// The window to tell the sender.
    fn window(&self, now: Instant, received: u64, socket: u32) -> u32 {
        let most = socket.saturating_mul(MOST_WINDOWS);
        if !self.is_large() || self.dropped_at.is_some_and(|at| now < at + CAREFUL) {
            socket
        } else if received < START_UP {
            // There is no pace to go by yet, and the sender begins slowly.
            most
        } else {
            socket.saturating_add(self.ahead).min(most)
        }
    }

    /// The longest pause between two reports.
    pub(super) fn longest(&self) -> Duration {
        self.max_interval
    }

    pub(super) fn due(&self, now: Instant) -> Instant {
        let interval = match self.urgency {
            Urgency::Regular => self.max_interval,
            Urgency::Soon => self.min_interval,
            Urgency::Scout => self.min_interval.min(SCOUT_INTERVAL),
            Urgency::Asked => Duration::ZERO,
        };
        self.last.map_or(now, |last| last + interval)
    }
}

impl Session {
    /// Datagrams arrived: decides whether the sender should hear of it soon.
    pub(super) fn after_datagrams(&mut self) {
        let fresh = self.path.received() - self.schedule.received;
        // Spaced geometrically, so that the sender's start-up has something to go by.
        let milestone = self.schedule.scouts() && fresh >= 32 + self.schedule.received / 4;
        // Before the sender runs out of what it may have under way to this receiver.
        let share = if self.schedule.is_large() { 2 } else { 4 };
        let enough = (self.config.window / share).max(1);
        let ahead = self.schedule.ahead.min(enough.saturating_mul(MOST_WINDOWS));
        let window = fresh >= u64::from(enough) + u64::from(ahead);
        let repairs = self.schedule.repairs_due && fresh > 0;
        if window || repairs || self.pages.has_missing() || self.schedule.spoiled {
            self.schedule.urge();
        }
        if milestone {
            self.schedule.urgency = self.schedule.urgency.max(Urgency::Scout);
        }
    }

    /// Buffers came free: tells the sender before it runs out of credit.
    pub(super) fn after_writes(&mut self) {
        let gained = self.credit().0.saturating_sub(self.schedule.granted.0);
        let buffers = self.ledger.buffers();
        let worth_telling = if self.schedule.is_large() {
            buffers / 8 * 3
        } else {
            buffers / 4
        };
        if gained >= worth_telling {
            self.schedule.urge();
        }
    }

    /// Slots that the sender may begin: what it has begun, and what is free beyond the blocks
    /// that are not written.
    fn credit(&self) -> Slot {
        let buffers = self.ledger.buffers();
        let free = buffers
            .saturating_sub(RESERVE.min(buffers / 2))
            .saturating_sub(self.ledger.in_use() - self.ledger.given_up(self.given_up()))
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
        let spoiled = self.spoiled();
        self.schedule.spoiled = !spoiled.is_empty();
        self.schedule.granted = self.credit();
        let received = self.path.received();
        self.schedule.ahead = self.schedule.reads_ahead(now, received);
        let window = self.schedule.window(now, received, self.config.window);
        self.schedule.last = Some(now);
        self.schedule.urgency = Urgency::Regular;
        self.schedule.received = received;
        self.schedule.draw_intervals();
        if let Some(checks) = &mut self.checks {
            checks.on_report();
        }
        Report {
            stage: self.stage,
            seq_seen: self.path.highest(),
            held_us: self.path.held_us(now),
            received,
            expected: self.path.expected(),
            socket_drops: self.socket_drops,
            window,
            credit: self.schedule.granted,
            blocks_done: self.ledger.done_count(),
            bytes_written: self.written.bytes,
            bytes_kept: self.kept().1 + self.zeros_kept,
            busy_ms: self.stand.busy_ms(self.written.busy),
            bytes_verified: self.written.verified,
            effort: self.stand.effort,
            buffers: self.ledger.buffers(),
            turn: self.stand.turn,
            bad_blocks: self.suspects.bad_blocks(),
            forged_symbols: self.suspects.forged(),
            pages_up_to: self.pages.up_to(),
            missing_pages: self.pages.missing(MAX_PAGE_RUNS),
            spoiled,
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

    fn schedule(seed: u64, receivers: u16) -> Schedule {
        Schedule::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), receivers, Slot(0))
    }

    #[test]
    fn all_of_a_small_room_are_scouts_and_some_of_a_large_one() {
        let scouts = |receivers: u16| {
            let room = (1..=u64::from(receivers)).map(|seed| schedule(seed, receivers));
            room.filter(Schedule::scouts).count()
        };
        assert_eq!(scouts(16), 16);
        assert!((8..=28).contains(&scouts(100)), "{}", scouts(100));
        assert!((8..=28).contains(&scouts(1000)), "{}", scouts(1000));
    }

    #[test]
    fn the_window_grows_with_the_room_and_with_what_is_read() {
        let (now, second) = (epoch() + Duration::from_secs(60), Duration::from_secs(1));
        let window = |receivers, read: u64| {
            let mut schedule = schedule(1, receivers);
            schedule.last = Some(now - second);
            schedule.received = START_UP;
            schedule.ahead = schedule.reads_ahead(now, START_UP + read);
            schedule.window(now, START_UP + read, 10_000)
        };
        assert_eq!(window(20, 80_000), 10_000);
        // 60 beyond 20, 2.5 ms each, of 80,000 a second.
        assert_eq!(window(80, 80_000), 22_000);
        assert_eq!(window(80, 8_000), 11_200);
        assert_eq!(
            window(1000, 80_000),
            40_000,
            "at most four times the socket"
        );
    }

    #[test]
    fn a_socket_that_drops_is_not_relied_on_for_a_while() {
        let now = epoch() + Duration::from_secs(60);
        let mut schedule = schedule(1, 1000);
        assert_eq!(schedule.window(now, 0, 100), 400);
        schedule.on_socket_drops(now);
        assert_eq!(schedule.window(now, 0, 100), 100);
        assert_eq!(schedule.window(now + CAREFUL, 0, 100), 400);
    }

    #[test]
    fn who_is_asked_reports_at_once_and_a_scout_before_others() {
        let now = epoch();
        let mut schedule = schedule(1, 1000);
        schedule.last = Some(now);
        let mut due = |urgency| {
            schedule.urgency = urgency;
            schedule.due(now) - now
        };
        let (scout, soon) = (due(Urgency::Scout), due(Urgency::Soon));
        assert!(scout <= Duration::from_micros(6250));
        assert!(soon >= Duration::from_millis(250));
        assert!(due(Urgency::Regular) >= Duration::from_millis(1700));
        schedule.on_asked();
        assert_eq!(schedule.due(now), now);
    }
}
