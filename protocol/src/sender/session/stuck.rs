//! Receivers that are there and get on with nothing: their disk hangs, or they only say that they are
//! there. Without an end to that one of them would hold the sender for ever.

use std::time::{Duration, Instant};

use super::{Event, Phase, Session};
use crate::ids::ReceiverNumber;
use crate::pacing::Circuit;
use crate::sender::roster::{LOST_AFTER, Member};
use crate::wire::{FailCode, Stage};

/// How long a receiver may get on with nothing while the sender could go on, at least; longer where
/// lost ones are waited for longer.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// What the sender itself is doing meanwhile.
#[derive(Debug)]
pub(super) struct Movement {
    /// Symbols that were sent.
    sent: u64,
    /// Since when none was, and it was not the sender that had none to send.
    still_since: Instant,
    /// Symbols that were asked for and are not at hand.
    pub(super) fetching: usize,
}

impl Movement {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sent: 0,
            still_since: now,
            fetching: 0,
        }
    }

    /// The sender stood still for this long.
    pub(super) fn forgive(&mut self, now: Instant, gap: Duration) {
        self.still_since = (self.still_since + gap).min(now);
    }
}

impl Session {
    /// Ends the part of receivers that nothing can be expected of. Who flushes is waited for, however
    /// long that takes: nobody can tell how far it is.
    pub(super) fn end_the_stuck(&mut self, now: Instant) {
        let sent = self.counters.symbols_sent();
        if sent != self.movement.sent || !self.is_held_up() {
            self.movement.sent = sent;
            self.movement.still_since = now;
            return;
        }
        let patience = self.config.lost_timeout.max(STUCK_AFTER);
        let still = self.movement.still_since;
        if now < still + patience {
            return;
        }
        let stuck: Vec<ReceiverNumber> = self
            .roster
            .members()
            .filter(|(_, member)| {
                now >= still.max(member.moved_at) + patience && self.holds_up(now, member)
            })
            .map(|(number, _)| number)
            .collect();
        for number in stuck {
            let text = format!(
                "it got on with nothing for {} s: its disk hangs, or nothing of the stream reaches it",
                patience.as_secs()
            );
            let code = FailCode::TooSlow;
            let state = super::MemberState::Failed {
                code,
                text: text.clone(),
            };
            self.settle(now, number, state);
            self.send_away(now, number, code, text);
        }
    }

    /// Whether the sender does nothing because of its receivers.
    fn is_held_up(&self) -> bool {
        let waits_for_nothing_else =
            self.movement.fetching == 0 && self.breaker.circuit() != Circuit::Open;
        let all_is_sent = self.end.is_some() && self.first_pass_done();
        self.phase == Phase::Running
            && waits_for_nothing_else
            && (all_is_sent || self.needed_credit().is_some())
    }

    /// Whether it is this one that is waited for.
    fn holds_up(&self, now: Instant, member: &Member) -> bool {
        let is_there = now < member.heard_at + LOST_AFTER;
        let Some(report) = member.report.as_ref() else {
            return false;
        };
        let grants = self
            .needed_credit()
            .is_none_or(|needed| report.credit >= needed);
        let gates = member.is_gating();
        !member.state.is_settled()
            && is_there
            && report.stage != Stage::Flushing
            // One that grants what the next slot needs waits for another.
            && !(gates && grants && self.needed_credit().is_some())
    }

    /// A receiver cost the room more than a sound one does: the operator should know before it is sent
    /// away.
    pub(super) fn tell_of_cost(&mut self, number: ReceiverNumber) {
        let image = self.manifest.source_symbols();
        if let Some(member) = self.roster.member_mut(number)
            && member.account.is_notable(image)
            && !member.told_of_cost
        {
            member.told_of_cost = true;
            self.events.push_back(Event::Costly(number));
        }
    }
}
