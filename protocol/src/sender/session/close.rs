//! How a session ends: well, or by an abort that every receiver is told of.

use std::time::{Duration, Instant};

use super::{Event, Phase, Session, Transmit};
use crate::ids::ReceiverNumber;
use crate::sender::roster::{Member, MemberState};
use crate::wire::{FailCode, ToReceiver};

/// Acknowledgements are repeated to those who ask for this long after the last settled
/// receiver: twice the interval at which receivers repeat a confirmation.
const CLOSING: Duration = Duration::from_millis(450);

/// But no longer than this, whoever goes on asking: receivers repeat their last word for 5 s.
const LONGEST_CLOSING: Duration = Duration::from_secs(6);

/// An abort is repeated this often ...
const ABORT_EVERY: Duration = Duration::from_millis(200);
/// ... for this long, unless every receiver has seen it.
const ABORT_FOR: Duration = Duration::from_secs(2);

impl Session {
    /// Gives the session up; every receiver is told why.
    pub fn handle_abort(&mut self, now: Instant, code: FailCode, text: &str) {
        if matches!(self.phase, Phase::Aborting(_) | Phase::Over) {
            return;
        }
        self.abort = Some((code, text.to_owned()));
        self.phase = Phase::Aborting(now + ABORT_FOR);
        self.abort_repeat = now;
        self.consider_end(now);
    }

    /// Gives the session up when it cannot know any more what it has sent.
    pub(super) fn end_if_pages_are_lost(&mut self, now: Instant) {
        if let Some(lost) = self.manifest.lost() {
            let text = lost.to_string();
            self.handle_abort(now, FailCode::Internal, &text);
        }
    }

    pub(super) fn consider_end(&mut self, now: Instant) {
        match self.phase {
            Phase::Running if self.room_is_done(now) => self.close(now),
            Phase::Lingering(until) if now >= until => self.begin_closing(now),
            Phase::Closing(until) if now >= until => self.over(),
            Phase::Aborting(until) => self.repeat_abort(now, until),
            _ => {}
        }
    }

    /// Nothing is expected of any receiver. Receivers that were lost may come back until then.
    fn room_is_done(&self, now: Instant) -> bool {
        let mut members = self.roster.members();
        members.all(|(_, member)| member.state.is_settled() && !self.waits_for(now, member))
    }

    /// Whether a receiver was lost so lately that it may come back.
    fn waits_for(&self, now: Instant, member: &Member) -> bool {
        let patience = self.config.lost_timeout.max(self.config.linger);
        let is_lost = member.state == MemberState::Lost;
        is_lost && self.config.seekable && now < member.heard_at + patience
    }

    fn close(&mut self, now: Instant) {
        if self.config.linger.is_zero() || !self.config.seekable || self.end.is_none() {
            self.begin_closing(now);
        } else {
            self.phase = Phase::Lingering(now + self.config.linger);
        }
    }

    fn begin_closing(&mut self, now: Instant) {
        self.phase = Phase::Closing(now + CLOSING);
        self.closing_ends = now + LONGEST_CLOSING;
    }

    /// Somebody still repeats its last word: stay to answer.
    pub(super) fn prolong_closing(&mut self, now: Instant) {
        if let Phase::Closing(until) = &mut self.phase {
            *until = (*until).max((now + CLOSING).min(self.closing_ends));
        }
    }

    fn repeat_abort(&mut self, now: Instant, until: Instant) {
        let told = |state: &MemberState| state.is_final() || *state == MemberState::Lost;
        let open: Vec<ReceiverNumber> = self
            .roster
            .members()
            .filter(|(_, member)| !told(&member.state))
            .map(|(number, _)| number)
            .collect();
        if open.is_empty() || now >= until {
            self.over();
        } else if now >= self.abort_repeat {
            self.abort_repeat = now + ABORT_EVERY;
            let (code, text) = self.abort.clone().expect("set when the abort began");
            for to in open {
                let message = ToReceiver::Abort {
                    code,
                    text: text.clone(),
                };
                self.outbox.push_back(Transmit::Unicast { to, message });
            }
        }
    }

    pub(super) fn over(&mut self) {
        self.phase = Phase::Over;
        self.events.push_back(Event::Over);
    }
}
