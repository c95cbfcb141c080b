//! What arrives of the group's datagrams.

use std::time::Instant;

use crate::ids::Seq;
use crate::keys::ReplayWindow;

/// Counts what was sent and what arrived since the first datagram.
#[derive(Debug, Default)]
pub(super) struct Path {
    first: Option<Seq>,
    highest: Seq,
    highest_at: Option<Instant>,
    received: u64,
    window: ReplayWindow,
}

impl Path {
    /// Notes an authenticated datagram; true if it is the newest so far.
    pub(super) fn on_datagram(&mut self, now: Instant, seq: Seq) -> bool {
        let first = *self.first.get_or_insert(seq);
        if seq >= first && self.window.accept(seq.0) {
            self.received += 1;
        }
        let newest = seq > self.highest;
        if newest {
            self.highest = seq;
            self.highest_at = Some(now);
        }
        newest
    }

    pub(super) fn highest(&self) -> Seq {
        self.highest
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Datagrams sent since the first that arrived.
    pub(super) fn expected(&self) -> u64 {
        self.first.map_or(0, |first| self.highest.0 + 1 - first.0)
    }

    /// Microseconds since the newest arrived.
    pub(super) fn held_us(&self, now: Instant) -> u32 {
        let held = self
            .highest_at
            .map(|at| now.saturating_duration_since(at).as_micros());
        held.map_or(0, |held| u32::try_from(held).unwrap_or(u32::MAX))
    }
}
