//! What the engine and its operator tell each other: pictures of the receiver, lines, and orders.

use std::net::SocketAddr;
use std::time::Duration;

use mimeo_protocol::receiver::Unused;
use mimeo_protocol::wire::{ReadBack, SlowReason};

pub use mimeo_console::Severity;

/// What a person can do while a receiver runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Give up and tell the sender.
    Interrupt,
}

/// What a running receiver tells.
pub type Update = mimeo_console::Update<Status>;

/// How a receiver ended.
pub type Outcome = mimeo_console::Outcome<Status>;

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
    /// Sessions that it was a member of: more than one if the sender was started again.
    pub sessions: u32,
    /// Since the program started.
    pub elapsed: Duration,
    /// From the first data to now, or to the end, without reading back; zero before.
    pub transfer_time: Duration,
    /// How long it was doing what.
    pub times: PhaseTimes,
    /// Bytes of the image, once known.
    pub image_len: Option<u64>,
    /// Bytes that are written, zeros included.
    pub bytes_written: u64,
    /// Bytes that the target held already, zeros included.
    pub bytes_kept: u64,
    /// Bytes of the image that are unused, as far as the manifest is known; they count as neither.
    pub bytes_unused: u64,
    /// What becomes of what the target holds there.
    pub unused: Unused,
    /// Bits per second of the image that were written or kept since the last picture.
    pub write_rate: u64,
    /// Bytes that were read back from the target and found right.
    pub bytes_verified: u64,
    /// Bits per second of the image that were read back since the last picture.
    pub verify_rate: u64,
    /// Whether all of the target was read back and found right.
    pub read_back: ReadBack,
    /// Share of the datagrams that were lost, 0 to 1.
    pub loss: f64,
    /// Group datagrams that arrived.
    pub received: u64,
    /// Group datagrams that were sent since the first that arrived.
    pub expected: u64,
    /// Datagrams that the own kernel dropped.
    pub socket_drops: u32,
    /// Blocks that failed their digest and were mended.
    pub bad_blocks: u32,
    /// Symbols of blocks that were not the sender's and were left out.
    pub forged_symbols: u32,
    /// Manifest pages, digests of symbols and end records that the sender did not sign: an attack from within.
    pub forged: u64,
    /// Blocks that could not be read from the target to be compared, and were written again.
    pub unreadable_blocks: u32,
    /// Datagrams that could not be read: noise or attacks.
    pub strays: u64,
    /// Time spent in writing.
    pub busy: Duration,
    /// The cycle under way, from 1.
    pub cycle: u32,
    /// Why the group does not wait for this receiver, if it does not.
    pub slow: Option<SlowReason>,
    /// BLAKE3 of the image in hexadecimal, as `b3sum` prints it, once the sender told it.
    pub digest: Option<String>,
    /// Identity of the image in hexadecimal, once the sender told it.
    pub identity: Option<String>,
}

impl Status {
    /// Bytes of the image of which the target lacks nothing: written, kept as they were, or unused.
    #[must_use]
    pub fn bytes_done(&self) -> u64 {
        self.bytes_held() + self.bytes_unused
    }

    /// Bytes of the image that the target was found or made to hold: what is unused takes no time.
    #[must_use]
    pub fn bytes_held(&self) -> u64 {
        self.bytes_written + self.bytes_kept
    }
}

/// How long a receiver was doing what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PhaseTimes {
    /// From the program's start to the first data: searching, joining, waiting.
    pub waiting: Duration,
    /// To the last block written.
    pub receiving: Duration,
    /// Waiting for the disk.
    pub flushing: Duration,
    /// Reading back.
    pub verifying: Duration,
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
    /// Everything is flushed; the target is being read back.
    Verifying,
    /// Verified and flushed; telling the sender.
    Confirming,
    /// Done.
    Done,
    /// Failed.
    Failed,
}
