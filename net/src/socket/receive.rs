//! Receiving in batches: many datagrams per system call.

use std::{
    array,
    io::{self, IoSliceMut},
    net::SocketAddr,
};

use quinn_udp::{BATCH_SIZE, RecvMeta};

use super::Socket;

/// Bytes per message. The kernel coalesces datagrams of one flow (GRO) up to the
/// largest IP packet; a smaller buffer would truncate without notice.
///
/// 23 cache lines more than 64 KiB: at a distance of a power of two, single
/// datagrams of all messages would compete for the same few lines of a cache.
const MESSAGE_SIZE: usize = 64 * 1024 + 23 * 64;

/// Bytes that are received at once where messages are large: what is in a batch is
/// still in the second-level cache when it is looked at.
const BATCH_BYTES: usize = 256 * 1024;

/// How many errors in a row are skipped before a caller gets to know. Each is
/// the echo of one datagram sent earlier, so there are rarely two.
const MAX_ECHOES: usize = 16;

/// Buffers for one batched receive, 2 MiB; allocated once, reused for ever.
pub struct ReceiveBatch {
    bytes: Box<[u8]>,
    meta: [RecvMeta; BATCH_SIZE],
    /// How many of the messages hold something.
    filled: usize,
    /// How many messages the next receive asks for.
    wanted: usize,
}

impl ReceiveBatch {
    /// Allocates the buffers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: vec![0; BATCH_SIZE * MESSAGE_SIZE].into_boxed_slice(),
            meta: [RecvMeta::default(); BATCH_SIZE],
            filled: 0,
            wanted: BATCH_SIZE,
        }
    }

    /// Messages are all of a kind for a while: coalesced, or single datagrams.
    fn expect_more_of_the_same(&mut self) {
        let bytes: usize = self.meta[..self.filled].iter().map(|meta| meta.len).sum();
        let messages = BATCH_BYTES * self.filled / bytes.max(1);
        self.wanted = messages.clamp(1, BATCH_SIZE);
    }

    /// The datagrams of the last [`Socket::recv`] and where each came from, in the
    /// order of arrival. Empty datagrams are left out.
    pub fn datagrams(&mut self) -> impl Iterator<Item = (SocketAddr, &mut [u8])> {
        let messages = self.bytes.chunks_exact_mut(MESSAGE_SIZE);
        messages
            .zip(&self.meta[..self.filled])
            .flat_map(|(bytes, meta)| {
                // An empty datagram has stride 0 and yields no chunk.
                let datagrams = bytes[..meta.len].chunks_mut(meta.stride.max(1));
                datagrams.map(|datagram| (meta.addr, datagram))
            })
    }
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl Socket {
    /// Receives what waits, as much as fits into `batch`, without blocking, and
    /// replaces what the batch held. Returns how many messages arrived, each one or
    /// more datagrams; 0 means that nothing waits.
    ///
    /// ICMP errors that answer earlier datagrams ("port unreachable") are skipped:
    /// a receiver that left must not end the session of the others.
    ///
    /// # Errors
    ///
    /// What else the kernel reports; the batch is then empty.
    pub fn recv(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        batch.filled = 0;
        for _ in 0..MAX_ECHOES {
            let mut messages = batch.bytes.chunks_exact_mut(MESSAGE_SIZE);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] = array::from_fn(|_| {
                IoSliceMut::new(messages.next().expect("the batch has BATCH_SIZE messages"))
            });
            match self.state.recv(
                (&self.socket).into(),
                &mut slices[..batch.wanted],
                &mut batch.meta,
            ) {
                Ok(filled) => {
                    batch.filled = filled;
                    batch.expect_more_of_the_same();
                    return Ok(filled);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) if is_echo(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(0)
    }
}

/// Whether `error` is the ICMP answer to a datagram sent earlier.
fn is_echo(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(
        error.kind(),
        ConnectionRefused | HostUnreachable | NetworkUnreachable
    )
}
