//! Receivers that ask for more than anybody may: the others do not wait for them, and in the end they
//! are sent away.

use std::time::{Duration, Instant};

use super::Session;
use crate::ids::ReceiverNumber;
use crate::sender::budget::IMAGES;
use crate::sender::roster::{Member, MemberState};
use crate::sender::stragglers::SlowPolicy;
use crate::wire::FailCode;

/// A receiver whose repairs are put off is told so at most this often.
const TELL_EVERY: Duration = Duration::from_millis(200);

impl Session {
    /// Symbols of a pass are sent because of these receivers alone.
    pub(super) fn charge_pass(&mut self, alone: &[(ReceiverNumber, u8)]) {
        for &(number, symbols) in alone {
            if let Some(member) = self.roster.member_mut(number) {
                member.account.charge_pass(symbols.into());
            }
        }
    }

    /// Symbols of a repair are sent because of this receiver alone.
    pub(super) fn charge_repair(&mut self, number: ReceiverNumber, symbols: u8) {
        let cycle = self.pass.cycle();
        if let Some(member) = self.roster.member_mut(number) {
            member.account.charge_repair(cycle, symbols.into());
        }
    }

    /// Sends a receiver away that has cost too much. Returns whether it did.
    pub(super) fn has_asked_too_much(&mut self, now: Instant, number: ReceiverNumber) -> bool {
        let image = self.manifest.source_symbols();
        let exhausted = |member: &Member| member.account.is_exhausted(image);
        if !self.roster.member(number).is_some_and(exhausted) {
            return false;
        }
        let code = FailCode::TooMuch;
        let text = format!(
            "more than {IMAGES} times the image was sent for this receiver alone: most of it is lost \
             on the way, or its memory spoils what it gets, or it asks for what it has"
        );
        let state = MemberState::Failed {
            code,
            text: text.clone(),
        };
        self.settle(now, number, state);
        self.send_away(now, number, code, text);
        true
    }

    /// Whether repairs for this receiver are put off to a later cycle, as the others would wait for
    /// them. It is told so, once there is something to tell.
    pub(super) fn puts_off(&mut self, now: Instant, number: ReceiverNumber) -> bool {
        let (cycle, begun) = (self.pass.cycle(), self.pass.begun());
        let passed = self.counters.pass_symbols - self.passed_before;
        let ahead = |member: &Member| member.account.is_ahead(cycle, passed);
        if self.slow_policy() == SlowPolicy::Wait
            || !self.roster.member(number).is_some_and(ahead)
            || self.roster.wanting().nth(1).is_none()
        {
            return false;
        }
        let Some(member) = self.roster.member_mut(number) else {
            return false;
        };
        let told = member.told_at.is_some_and(|at| now < at + TELL_EVERY);
        if member.joined_in != (cycle, begun) && !told {
            member.joined_in = (cycle, begun);
            member.turn = member.turn.saturating_add(1);
            self.tell_standing(now, number);
        }
        true
    }
}
