//! What the sender does with receivers that are too slow for the room.

use std::time::{Duration, Instant};

use super::{Event, Phase, Session, Transmit};
use crate::ids::{ReceiverNumber, Slot};
use crate::pacing::{Circuit, Pacer, Rate};
use crate::sender::roster::{Member, MemberState};
use crate::sender::stragglers::{Brake, Finding, Look, Position, Slow, SlowPolicy, Totals};
use crate::units::BlockNumber;
use crate::wire::{FailCode, Report, SlowReason, Stage, Standing, ToReceiver};

/// A receiver that does not know its standing is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(200);

impl Session {
    /// What becomes of slow receivers: without a second cycle none can be served later.
    #[must_use]
    pub fn slow_policy(&self) -> SlowPolicy {
        match self.stragglers.rules().policy {
            SlowPolicy::Demote if !self.config.seekable => SlowPolicy::Wait,
            policy => policy,
        }
    }

    /// The pacer would let the next burst go; notes if the receivers do not.
    pub(super) fn note_blocked(&mut self, now: Instant) {
        if self.blocked_since.is_none()
            && now >= self.pacer.deadline()
            && self.brake().is_some()
            && !self.has_symbols()
        {
            self.blocked_since = Some(now);
        }
    }

    /// What keeps the sender from sending may change now: accounts for the time up to here.
    pub(super) fn account_blocked(&mut self, now: Instant) {
        let Some(since) = self.blocked_since.take() else {
            return;
        };
        let time = now.saturating_duration_since(since);
        let (last, burst) = (self.last_burst(), Pacer::burst(self.rate()));
        match self.brake() {
            Some(Some(needed)) => {
                let short = |member: &Member| {
                    let report = member.report.as_ref();
                    report.is_none_or(|report| report.credit < needed)
                };
                let by = self
                    .roster
                    .gating()
                    .filter(|(_, member)| short(member))
                    .map(|(number, _)| number);
                self.stragglers.on_blocked(Brake::Credit, time, by);
            }
            Some(None) => {
                let by = self
                    .roster
                    .gating()
                    .filter(|(_, member)| !member.window_fits(last, burst))
                    .map(|(number, _)| number);
                self.stragglers.on_blocked(Brake::Window, time, by);
            }
            None => {}
        }
    }

    /// What would be needed to go on, if there is anything to send: credit up to a slot, or
    /// nothing but room in the receivers' sockets.
    fn brake(&self) -> Option<Option<Slot>> {
        if self.phase != Phase::Running || self.breaker.circuit() == Circuit::Open {
            return None;
        }
        let credit = self.roster.credit();
        let open =
            !self.page_queue.is_empty() || self.repairs.has_ready() || self.pass.is_ready(credit);
        if open {
            return Some(None);
        }
        self.pass.wanted_credit().map(Some)
    }

    /// The credit that the receivers do not grant and without which nothing more is sent.
    pub(super) fn needed_credit(&self) -> Option<Slot> {
        self.brake().flatten()
    }

    /// Looks for receivers that are too slow, and for those that keep up again.
    pub(super) fn look_for_stragglers(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        if self.roster.present() == 0 && self.roster.demoted().next().is_some() {
            // Nobody is left whom they could hold up.
            self.restore_all(now);
        }
        if !self.stragglers.is_due(now) {
            return;
        }
        let looks = self.looks();
        let findings = self
            .stragglers
            .look(now, self.stream_position(looks.len()), &looks);
        let mut found = false;
        for finding in findings {
            match finding {
                Finding::Slow(number, slow) => found |= self.on_slow(now, number, slow),
                Finding::HoldUp(slow) => self.on_held_up(&slow),
                Finding::Challenge if self.slow_policy() == SlowPolicy::Wait => {}
                Finding::Challenge => {
                    if self.controller.challenge(now, self.last_seq) {
                        self.stragglers.on_challenged(now);
                    }
                }
                Finding::KeepsUp(number) => self.restore(now, number, self.pass.begun()),
            }
        }
        if found {
            self.controller.rise();
        }
    }

    /// Where the stream is, of which so many receivers lack something.
    fn stream_position(&self, lacking: usize) -> Position {
        let dropped = |state: &MemberState| {
            let code = FailCode::TooSlow;
            matches!(state, MemberState::Failed { code: found, .. } if *found == code)
        };
        let dropped = self
            .roster
            .members()
            .filter(|(_, member)| dropped(&member.state));
        let has_it = |state: &MemberState| *state == MemberState::Confirmed || state.is_heard();
        let served = self
            .roster
            .members()
            .filter(|(_, member)| has_it(&member.state));
        Position {
            slots: self.pass.slot().0,
            datagrams: self.counters.pass_symbols,
            rate: self.rate().datagrams(),
            cap: self.config.rate_cap.map_or(f64::INFINITY, Rate::datagrams),
            dropped: dropped.count(),
            done: served.count().saturating_sub(lacking),
        }
    }

    /// Everybody who is heard and lacks something.
    fn looks(&self) -> Vec<Look> {
        let blocks = self.end.map(|end| end.blocks.0);
        let lacks = |report: &Report| {
            matches!(report.stage, Stage::Waiting | Stage::Receiving)
                && blocks != Some(report.blocks_done)
        };
        let look = |(number, member): (ReceiverNumber, &Member)| {
            let report = member.report.as_ref().filter(|report| lacks(report))?;
            Some(Look {
                number,
                demoted: member.state.is_demoted(),
                totals: Totals::of(report),
                piped: member.about.piped,
                window: report.window,
                carries: self.controller.carries(number),
                limits_rate: self.controller.is_limit(number),
                link: Rate(u64::from(member.about.link_speed) * 1_000_000).datagrams(),
                ahead: member.ahead,
                heard_at: member.heard_at,
            })
        };
        let heard = self.roster.members();
        heard
            .filter(|(_, member)| member.state.is_heard())
            .filter_map(look)
            .collect()
    }

    /// A receiver is too slow. Returns whether the others no longer wait for it.
    fn on_slow(&mut self, now: Instant, number: ReceiverNumber, slow: Slow) -> bool {
        let policy = self.slow_policy();
        let Some(member) = self.roster.member_mut(number) else {
            return false;
        };
        match policy {
            SlowPolicy::Wait => {
                // What was told of it stays: while the room waits, others of its parts may come to
                // look as if they were the reason.
                if member.slow.is_none() {
                    member.slow = Some(slow);
                    self.events.push_back(Event::Slow(number));
                }
                return false;
            }
            SlowPolicy::Demote => {
                member.slow = Some(slow);
                member.state = MemberState::Demoted {
                    reason: slow.reason,
                };
                member.turn = member.turn.saturating_add(1);
                self.controller.on_gone(number);
                self.events.push_back(Event::Slow(number));
                self.tell_standing(now, number);
            }
            SlowPolicy::Drop => {
                member.slow = Some(slow);
                let code = FailCode::TooSlow;
                let text = format!("too slow for the room ({})", slow.reason.name());
                let state = MemberState::Failed {
                    code,
                    text: text.clone(),
                };
                self.settle(now, number, state);
                self.send_away(now, number, code, text);
            }
        }
        self.stragglers.on_standing(number);
        true
    }

    /// Most of the room is slow: it waits for them, and the operator is told of each once.
    fn on_held_up(&mut self, slow: &[(ReceiverNumber, Slow)]) {
        let mut by = Vec::new();
        for &(number, slow) in slow {
            let member = self.roster.member_mut(number);
            if let Some(member) = member.filter(|member| member.slow.is_none()) {
                member.slow = Some(slow);
                by.push(number);
            }
        }
        if !by.is_empty() {
            self.events.push_back(Event::HeldUp(by));
        }
    }

    /// A receiver that was demoted counts again; blocks of this cycle below `from` come to it
    /// in a later one.
    fn restore(&mut self, now: Instant, number: ReceiverNumber, from: BlockNumber) {
        let cycle = self.pass.cycle();
        if let Some(member) = self.roster.member_mut(number) {
            member.state = MemberState::Active;
            member.turn = member.turn.saturating_add(1);
            member.joined_in = (cycle, from);
            member.caught_at = now;
            self.stragglers.on_standing(number);
            self.events.push_back(Event::Restored(number));
            self.tell_standing(now, number);
        }
    }

    /// All that were demoted count again, at the pace of the slowest.
    pub(super) fn restore_all(&mut self, now: Instant) {
        let demoted = self.roster.demoted();
        let all: Vec<_> = demoted
            .map(|(number, member)| (number, member.slow))
            .collect();
        let paths = all.iter().filter_map(|(_, slow)| *slow);
        let paths = paths.filter(|slow| slow.reason == SlowReason::Network);
        if let Some(least) = paths.map(|slow| slow.datagrams).min_by(f64::total_cmp) {
            self.controller.settle(now, least);
        }
        let from = self.pass.begun();
        for (number, _) in all {
            self.restore(now, number, from);
        }
    }

    /// Whether only receivers that were demoted lack anything of this cycle.
    pub(super) fn only_stragglers_lack(&self) -> bool {
        let (Some(end), Some(ended)) = (self.end, self.pass_end_seq) else {
            return false;
        };
        let has_all = |member: &Member, report: &Report| {
            member.seq_seen() >= ended
                && report.pages_up_to >= end.pages
                && report.covered_up_to >= end.blocks
                && report.deficits.is_empty()
        };
        self.roster.demoted().next().is_some()
            && self
                .roster
                .wanting()
                .all(|(_, member, report)| has_all(member, report))
    }

    /// A receiver reported: it is told how it stands unless it knows.
    pub(super) fn remind_of_standing(&mut self, now: Instant, number: ReceiverNumber) {
        let Some(member) = self.roster.member(number) else {
            return;
        };
        let knows = member
            .report
            .as_ref()
            .is_none_or(|report| report.turn == member.turn);
        let told = member.told_at.is_some_and(|at| now < at + TELL_EVERY);
        if !knows && !told {
            self.tell_standing(now, number);
        }
    }

    pub(super) fn tell_standing(&mut self, now: Instant, number: ReceiverNumber) {
        let Some(member) = self.roster.member_mut(number) else {
            return;
        };
        member.told_at = Some(now);
        let standing = match member.state {
            MemberState::Demoted { reason } => Standing::Demoted(reason),
            _ => Standing::Member {
                cycle: member.joined_in.0,
                from: member.joined_in.1,
            },
        };
        let message = ToReceiver::Standing {
            turn: member.turn,
            standing,
        };
        self.outbox.push_back(Transmit::Unicast {
            to: number,
            message,
        });
    }
}
