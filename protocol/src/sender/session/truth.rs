//! Reports that say more than can be: of a receiver that was deceived by another one, as all hold
//! the group key, or that lies.
//!
//! Nothing of the kind is believed, and the receiver is told where the stream is, under its own
//! key. One that was deceived goes on from there.

use std::time::{Duration, Instant};

use super::{Session, Transmit};
use crate::ids::{Cycle, ReceiverNumber, Seq, Slot};
use crate::sender::roster::Member;
use crate::units::{BlockNumber, GROUP, PageNumber};
use crate::wire::{Report, ToReceiver};

/// A receiver that goes on saying what cannot be is told so at most this often: it reports more
/// often where much is due.
const TELL_EVERY: Duration = Duration::from_millis(50);

/// What no report exceeds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    seq: Seq,
    slot: Slot,
    pages: PageNumber,
    /// Blocks that there are, and those of which needs are stated.
    blocks: BlockNumber,
    stated: BlockNumber,
}

impl Limits {
    /// Takes out of a report what cannot be. Returns whether there was anything.
    pub(super) fn apply(&self, member: &Member, report: &mut Report) -> bool {
        let mut wrong = false;
        if report.seq_seen > self.seq {
            let last = member.report.as_ref();
            report.seq_seen = member.seq_seen();
            report.received = last.map_or(0, |last| last.received);
            report.expected = last.map_or(0, |last| last.expected);
            wrong = true;
        }
        let credit = self.slot.0.saturating_add(report.buffers.max(GROUP));
        if report.credit.0 > credit {
            report.credit = Slot(credit);
            wrong = true;
        }
        let asked = report.missing_pages.last();
        wrong |= asked.is_some_and(|run| run.first.0 + run.count > self.pages.0);
        wrong |= report.covered_up_to > self.stated.max(report.complete_up_to);
        report.cut_off(self.blocks);
        wrong
    }
}

impl Session {
    /// What no report of now exceeds.
    pub(super) fn limits(&self) -> Limits {
        let blocks = self.manifest.known_blocks();
        let is_first = self.pass.cycle() == Cycle(1);
        Limits {
            seq: self.last_seq,
            slot: self.pass.slot(),
            pages: self.manifest.pages(),
            blocks,
            stated: if is_first {
                self.pass.horizon()
            } else {
                blocks
            },
        }
    }

    /// Tells a receiver where the stream is.
    pub(super) fn tell_truth(&mut self, now: Instant, to: ReceiverNumber) {
        let (seq, position) = (self.last_seq, self.position());
        let Some(member) = self.roster.member_mut(to) else {
            return;
        };
        if member.put_right_at.is_some_and(|at| now < at + TELL_EVERY) {
            return;
        }
        member.put_right_at = Some(now);
        let message = ToReceiver::Position { seq, position };
        self.outbox.push_back(Transmit::Unicast { to, message });
    }
}
