//! The sender's cable, and how long a datagram takes on it.

use std::time::{Duration, Instant};

/// Bytes on the wire beside the payload of UDP: preamble and gap 20, Ethernet with its check sum 18,
/// IPv4 20, UDP 8.
pub(super) const OVERHEAD: usize = 66;

/// From one end of the room to the other: cables, a switch, two kernels.
pub(super) const DELAY: Duration = Duration::from_micros(100);

/// What waits for a cable at most: the send buffer that the sender asks for, which the kernel doubles.
const SEND_BUFFER: usize = 2 * (4 << 20);

/// One direction of a cable and the queue before it.
#[derive(Debug)]
pub(super) struct Cable {
    bits_per_second: u64,
    free_at: Instant,
}

impl Cable {
    pub(super) fn new(now: Instant, bits_per_second: u64) -> Self {
        Self {
            bits_per_second,
            free_at: now,
        }
    }

    /// Sends datagrams of so many bytes of UDP payload; the moment at which the last arrives.
    pub(super) fn send(&mut self, now: Instant, datagrams: usize, payload: usize) -> Instant {
        let bytes = datagrams * (payload + OVERHEAD);
        self.free_at = self.free_at.max(now) + self.takes(bytes);
        self.free_at + DELAY
    }

    /// When the send buffer takes something again; `None`: it does now.
    pub(super) fn full_until(&self, now: Instant) -> Option<Instant> {
        let at = self.free_at.checked_sub(self.takes(SEND_BUFFER))?;
        (at > now).then_some(at)
    }

    fn takes(&self, bytes: usize) -> Duration {
        Duration::from_nanos(8 * bytes as u64 * 1_000_000_000 / self.bits_per_second)
    }
}
