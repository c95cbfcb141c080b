//! How long datagrams are left to gather in the socket.
//!
//! Waking up for each datagram, as they come where the sender's kernel or card segments, costs
//! more than receiving it. Network cards moderate their interrupts for the same reason.

use std::time::Duration;

/// A tenth of the shortest interval between reports.
const SHORTEST: Duration = Duration::from_micros(500);

/// A tenth of the time after which an idle sender looks after lost last datagrams.
const LONGEST: Duration = Duration::from_millis(2);

/// With fewer datagrams than this at once the pause gets longer; with four times as many it gets
/// shorter, so that what came is still in a cache when it is received.
const FEW: usize = 64;

/// So many messages of the kernel at once show that they gather by themselves.
const MANY_MESSAGES: usize = 64;

/// The pauses between looking at the sockets.
#[derive(Debug)]
pub(super) struct Gather {
    pause: Duration,
    /// Datagrams that the data socket holds.
    window: usize,
    messages: usize,
    datagrams: usize,
}

impl Gather {
    /// For a socket that holds so many datagrams.
    pub(super) fn new(window: u32) -> Self {
        Self {
            pause: SHORTEST,
            window: window as usize,
            messages: 0,
            datagrams: 0,
        }
    }

    /// Something came: messages of the kernel, each one or more datagrams.
    pub(super) fn on_received(&mut self, messages: usize, datagrams: usize) {
        self.messages += messages;
        self.datagrams += datagrams;
    }

    /// How long to pause after what came since the last call. Without a pause, the next datagram
    /// is waited for.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        let messages = std::mem::take(&mut self.messages);
        let datagrams = std::mem::take(&mut self.datagrams);
        if messages == 0 || messages >= MANY_MESSAGES {
            return None;
        }
        // The socket must not come near to overflowing, nor the sender to waiting for a report.
        if datagrams > 4 * FEW || datagrams > self.window / 8 {
            self.pause = SHORTEST.max(self.pause / 2);
        } else if datagrams < FEW {
            self.pause = LONGEST.min(self.pause * 2);
        }
        Some(self.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pause after rounds in each of which so many single datagrams came.
    fn after(window: u32, rounds: &[usize]) -> Option<Duration> {
        let mut gather = Gather::new(window);
        let pauses = rounds.iter().map(|&datagrams| {
            gather.on_received(datagrams, datagrams);
            gather.pause()
        });
        pauses.last().flatten()
    }

    #[test]
    fn the_pause_follows_what_comes() {
        assert_eq!(after(10_000, &[0]), None);
        assert_eq!(after(10_000, &[64]), None);
        assert_eq!(after(10_000, &[40]), Some(2 * SHORTEST));
        assert_eq!(after(10_000, &[1, 1, 1, 1]), Some(LONGEST));
        let mut gather = Gather::new(10_000);
        gather.on_received(1, 1);
        assert_eq!(gather.pause(), Some(2 * SHORTEST));
        // Coalesced: few messages, many datagrams.
        gather.on_received(6, 6 * 44);
        assert_eq!(gather.pause(), Some(SHORTEST));
    }

    #[test]
    fn a_small_socket_is_looked_at_often() {
        assert_eq!(after(138, &[20, 20, 20, 20]), Some(SHORTEST));
    }
}
