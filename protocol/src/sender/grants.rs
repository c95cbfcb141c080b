//! What the room grants, looked up for every burst and changed by every report.

use super::member::Member;
use crate::ids::{Seq, Slot};

/// What holds for all receivers that gate the stream together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grants {
    /// How many they are.
    pub(super) receivers: usize,
    /// Slots that all of them have granted.
    pub(super) credit: Option<Slot>,
    /// The last datagram that fits the window of all of them.
    pub(super) window_end: Seq,
}

impl Grants {
    pub(super) fn of<'a>(gating: impl Iterator<Item = &'a Member>) -> Self {
        let none = Self {
            receivers: 0,
            credit: None,
            window_end: Seq(u64::MAX),
        };
        gating.fold(none, |grants, member| {
            let (credit, window) = match &member.report {
                Some(report) => (report.credit, u64::from(report.window)),
                None => (Slot(0), 0),
            };
            Self {
                receivers: grants.receivers + 1,
                credit: Some(grants.credit.map_or(credit, |least| least.min(credit))),
                window_end: grants.window_end.min(Seq(member.seq_seen().0 + window)),
            }
        })
    }
}
