//! What a running receiver looks like from outside: for progress displays and reports.

use std::net::SocketAddr;
use std::time::Duration;

/// A picture of the receiver at a moment.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The session's name, once joined.
    pub session_name: String,
    /// The target, as it describes itself.
    pub target: String,
    /// What the receiver is doing.
    pub phase: Phase,
    /// Where the sender is, once found.
    pub sender: Option<SocketAddr>,
    /// Since the program started.
    pub elapsed: Duration,
    /// From the first data to now, or to the end; zero before.
    pub transfer_time: Duration,
    /// Bytes of the image, once known.
    pub image_len: Option<u64>,
    /// Bytes that are written, zeros included.
    pub bytes_written: u64,
    /// Bits per second of the image that were written since the last picture.
    pub write_rate: u64,
    /// Share of the datagrams that were lost, 0 to 1.
    pub loss: f64,
    /// Group datagrams that arrived.
    pub received: u64,
    /// Group datagrams that were sent since the first that arrived.
    pub expected: u64,
    /// Datagrams that the own kernel dropped.
    pub socket_drops: u32,
    /// Blocks that failed their digest and were collected anew.
    pub bad_blocks: u32,
    /// Datagrams that could not be read: noise or attacks.
    pub strays: u64,
    /// Time spent in writing.
    pub busy: Duration,
    /// The cycle under way, from 1.
    pub cycle: u32,
    /// BLAKE3 of the image in hexadecimal, as `b3sum` prints it, once the sender told it.
    pub digest: Option<String>,
}

/// What the receiver is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Looking for a sender.
    #[default]
    Searching,
    /// Asking to be admitted.
    Joining,
    /// Admitted; the session has not started.
    Waiting,
    /// Receiving.
    Receiving,
    /// Everything is written; the target is being flushed.
    Flushing,
    /// Verified and flushed; telling the sender.
    Confirming,
    /// Done.
    Done,
    /// Failed.
    Failed,
}
