//! In a large room reports are far apart, and one that gets lost holds the room up until the next:
//! the sender asks for it before that.

use std::time::{Duration, Instant};

use super::{Session, Transmit};
use crate::ids::{ReceiverNumber, Seq, Slot};
use crate::sender::roster::Member;
use crate::units::GROUP;
use crate::wire::ToReceiver;

/// In rooms up to this size the next report comes soon by itself.
const SMALL_ROOM: usize = 20;

/// Receivers that have something to say say it R x 0.25 ms x 1.25 after their last report at the
/// latest, which is later than this in rooms of more than 700 ...
const REPORTS_WITHIN: Duration = Duration::from_millis(230);
/// ... and this much later it did not get through.
const ON_THE_WAY: Duration = Duration::from_millis(20);

/// Where the stream was when it was looked for receivers to be asked.
#[derive(Debug, Default)]
pub(super) struct Looked {
    slot: Slot,
    seq: Seq,
}

impl Session {
    /// Asks those that were due to report and would hold up the stream before it is looked for them
    /// twice more, at its present pace.
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
        if receivers <= SMALL_ROOM {
            return;
        }
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
            now.saturating_duration_since(member.heard_at) >= overdue && is_brake(member)
        });
        let silent: Vec<ReceiverNumber> = silent.map(|(number, _)| number).collect();
        let ask = |to| Transmit::Unicast {
            to,
            message: ToReceiver::Ask,
        };
        self.outbox.extend(silent.into_iter().map(ask));
    }
}
