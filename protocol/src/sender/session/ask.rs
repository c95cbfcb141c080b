//! Receivers report what the sender will need, and it asks where it needs more: a receiver whose reports
//! are overdue; in a large room one whose report got lost and would hold the room up until the next; in a
//! small one all, while another rate is tried, which lasts as long as the reports on it take.

use std::time::{Duration, Instant};

use super::{Phase, Session, Transmit};
use crate::ids::{ReceiverNumber, Seq, Slot};
use crate::sender::roster::{Member, keepalive};
use crate::units::GROUP;
use crate::wire::ToReceiver;

/// In rooms up to this size the next report comes soon by itself.
const SMALL_ROOM: usize = 20;

/// Receivers that have something to say say it R x 0.25 ms x 1.25 after their last report at the
/// latest, which is later than this in rooms of more than 700 ...
const REPORTS_WITHIN: Duration = Duration::from_millis(230);
/// ... and this much later it did not get through.
const ON_THE_WAY: Duration = Duration::from_millis(20);

/// While another rate is tried no report of a small room is older than this.
const TRIAL_EVERY: Duration = Duration::from_millis(10);

/// Where the stream was when it was looked for receivers to be asked.
#[derive(Debug, Default)]
pub(super) struct Looked {
    slot: Slot,
    seq: Seq,
}

impl Session {
    /// When those are asked of whom the trial of a rate knows too little.
    pub(super) fn trial_moment(&self) -> Option<Instant> {
        let here = self.phase == Phase::Running && self.roster.present() <= SMALL_ROOM;
        (here && self.controller.is_risking()).then_some(self.timers.trial)
    }

    pub(super) fn ask_about_the_trial(&mut self, now: Instant) {
        if self.trial_moment().is_none_or(|at| now < at) {
            return;
        }
        self.timers.trial = now + TRIAL_EVERY;
        let gating = self.roster.gating();
        let old = gating.filter(|(_, member)| {
            member.seq_seen() < self.last_seq
                && now.saturating_duration_since(member.heard_at) >= TRIAL_EVERY
        });
        let old: Vec<ReceiverNumber> = old.map(|(number, _)| number).collect();
        self.ask(old);
    }

    fn ask(&mut self, receivers: Vec<ReceiverNumber>) {
        let ask = |to| Transmit::Unicast {
            to,
            message: ToReceiver::Ask,
        };
        self.outbox.extend(receivers.into_iter().map(ask));
    }

    /// Asks those that were due to report and would hold up the stream before it is looked for them
    /// twice more, at its present pace; and all who should have reported by now whatever they have to
    /// say. Their reports got lost, or somebody made them believe that the room is a large one.
    pub(super) fn ask_the_silent(&mut self, now: Instant) {
        let slot = self.pass.slot();
        let before = std::mem::replace(
            &mut self.looked,
            Looked {
                slot,
                seq: self.last_seq,
            },
        );
        let receivers = self.roster.present();
        let is_large = receivers > SMALL_ROOM;
        let missing = keepalive(receivers) * 5 / 4;
        let longest = Duration::from_micros(250 * receivers as u64) * 5 / 4;
        let overdue = longest.max(REPORTS_WITHIN) + ON_THE_WAY;
        let slots = u64::from(slot.0) + 2 * u64::from(slot.0 - before.slot.0) + u64::from(GROUP);
        let datagrams = self.last_seq.0 + 2 * (self.last_seq.0 - before.seq.0);
        let is_brake = |member: &Member| {
            let report = member.report.as_ref();
            report.is_some_and(|report| {
                u64::from(report.credit.0) < slots
                    || member.seq_seen().0 + u64::from(report.window) < datagrams
            })
        };
        let silent = self.roster.gating().filter(|(_, member)| {
            let since = now.saturating_duration_since(member.heard_at);
            since >= missing || is_large && since >= overdue && is_brake(member)
        });
        let silent: Vec<ReceiverNumber> = silent.map(|(number, _)| number).collect();
        self.ask(silent);
    }
}
