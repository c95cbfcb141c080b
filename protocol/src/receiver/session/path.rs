//! What arrives of the group's datagrams.

use std::time::Instant;

use crate::ids::Seq;
use crate::keys::ReplayWindow;

/// Counts what was sent and what arrived since the first datagram.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// What the counts below are behind of: datagrams sent before what was believed of them had
    /// to be put right.
    before: u64,
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

    /// The sender has sent no datagram above this one. Where one was believed to have come, what
    /// was sent is counted anew from here, as if all that came before had been all that was sent.
    pub(super) fn put_right(&mut self, last: Seq) {
        if self.highest > last {
            self.before = self.received;
            self.first = Some(Seq(last.0 + 1));
            self.highest = last;
            self.window = ReplayWindow::default();
        }
    }

    pub(super) fn highest(&self) -> Seq {
        self.highest
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Datagrams sent since the first that arrived.
    pub(super) fn expected(&self) -> u64 {
        let since = self
            .first
            .map_or(0, |first| (self.highest.0 + 1).saturating_sub(first.0));
        self.before + since
    }

    /// Microseconds since the newest arrived.
    pub(super) fn held_us(&self, now: Instant) -> u32 {
        let held = self
            .highest_at
            .map(|at| now.saturating_duration_since(at).as_micros());
        held.map_or(0, |held| u32::try_from(held).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_never_sent_is_put_right_and_counts_go_on() {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test needs some instant to start from"
        )]
        let now = Instant::now();
        let mut path = Path::default();
        for seq in [5, 6, 8] {
            assert!(path.on_datagram(now, Seq(seq)));
        }
        assert_eq!((path.received(), path.expected()), (3, 4));
        assert!(path.on_datagram(now, Seq(1 << 47)));
        assert!(!path.on_datagram(now, Seq(9)), "it is overshadowed");
        path.put_right(Seq(20));
        assert_eq!(path.highest(), Seq(20));
        assert!(path.received() <= path.expected());
        let (received, expected) = (path.received(), path.expected());
        assert!(path.on_datagram(now, Seq(21)) && path.on_datagram(now, Seq(23)));
        assert_eq!(path.received() - received, 2);
        assert_eq!(path.expected() - expected, 3);
        path.put_right(Seq(30));
        assert_eq!(
            path.highest(),
            Seq(23),
            "the sender is ahead, as it should be"
        );
    }
}
