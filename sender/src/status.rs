//! What the engine and its operator tell each other: pictures of the session, lines, and orders.

use std::net::SocketAddr;
use std::time::Duration;

use mimeo_protocol::wire::{ReadBack, SlowReason};

pub use mimeo_console::Severity;

/// What the operator can do while a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Start with whoever is here.
    StartNow,
    /// Admit receivers by another join code from now on.
    NewCode,
    /// End the session and tell every receiver.
    Interrupt,
}

/// What a running session tells.
pub type Update = mimeo_console::Update<Status>;

/// How a session ended; its error says what went wrong, where not only receivers failed.
pub type Outcome = mimeo_console::Outcome<Status>;

/// A picture of the session at a moment.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The session's name.
    pub session_name: String,
    /// What is sent, as the source describes itself.
    pub source: String,
    /// The key that `--sign-key` signs with, in hexadecimal, as receivers pin it.
    pub sender_key: Option<String>,
    /// Where the session is.
    pub phase: Phase,
    /// Since the program started.
    pub elapsed: Duration,
    /// From the first data to now, or to the last confirmation; zero before the start.
    pub transfer_time: Duration,
    /// From the program's start to that of the session, or to now.
    pub waiting_time: Duration,
    /// Bytes of the image, once known.
    pub image_len: Option<u64>,
    /// Bytes of the image that had their first pass, zeros included.
    pub bytes_passed: u64,
    /// Bytes of the image that are unused and not sent, as far as it was read.
    pub bytes_unused: u64,
    /// The cycle under way, from 1.
    pub cycle: u32,
    /// Bits per second that the controller allows.
    pub allowed_rate: u64,
    /// Bits per second that were sent since the last picture.
    pub sent_rate: u64,
    /// What was sent.
    pub counters: Counters,
    /// BLAKE3 of the image in hexadecimal, as `b3sum` prints it, once known.
    pub digest: Option<String>,
    /// Identity of the image in hexadecimal, once known.
    pub identity: Option<String>,
    /// The receivers in the order of their numbers.
    pub receivers: Vec<ReceiverStatus>,
}

impl Status {
    /// Bytes of the image that the first pass told of block by block: what is unused takes no time.
    #[must_use]
    pub fn bytes_told(&self) -> u64 {
        self.bytes_passed.saturating_sub(self.bytes_unused)
    }
}

/// Where the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Waiting for receivers.
    #[default]
    Waiting,
    /// Sending.
    Running,
    /// Done with everybody, waiting for late receivers.
    Lingering,
    /// Ending.
    Closing,
    /// Telling the receivers that the session failed.
    Aborting,
    /// Over.
    Over,
}

/// Datagrams of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Source symbols of all blocks and pages: what a room without loss needs once.
    pub symbols_needed: u64,
    /// Block symbols sent in passes.
    pub pass_symbols: u64,
    /// Block symbols sent as repairs.
    pub repair_symbols: u64,
    /// Manifest symbols sent.
    pub page_symbols: u64,
    /// Digests of the symbols of blocks that were spoiled.
    pub digest_symbols: u64,
    /// Block symbols sent to one receiver alone.
    pub own_symbols: u64,
    /// Position and end datagrams sent.
    pub control_datagrams: u64,
    /// Reports that came in.
    pub reports: u64,
    /// Datagrams that could not be read: noise or attacks.
    pub strays: u64,
}

/// One receiver.
#[derive(Debug, Clone)]
pub struct ReceiverStatus {
    /// Its number in the session.
    pub number: u16,
    /// The machine's name.
    pub host_name: String,
    /// Its hardware address.
    pub mac: String,
    /// Where it is reached.
    pub address: SocketAddr,
    /// Mbit/s of its link, 0 where unknown.
    pub link_speed: u32,
    /// What it is doing.
    pub state: ReceiverState,
    /// Bytes of the image that it has written, zeros included.
    pub bytes_written: u64,
    /// Bytes of the image that its target held already, zeros included.
    pub bytes_kept: u64,
    /// Bytes of the image that are unused, of which nothing is sent to it.
    pub bytes_unused: u64,
    /// Bits per second of the image that it wrote or kept since the last picture.
    pub write_rate: u64,
    /// Bytes that it read back from its target and found right.
    pub bytes_verified: u64,
    /// Whether it read all of its target back, as its confirmation says.
    pub read_back: ReadBack,
    /// Share of the datagrams to it that were lost, 0 to 1.
    pub loss: f64,
    /// Datagrams that its own kernel dropped.
    pub socket_drops: u32,
    /// Blocks that failed their digest at it and were mended.
    pub bad_blocks: u32,
    /// Symbols that came to it and were not of this sender.
    pub forged_symbols: u32,
    /// Round trip to it.
    pub round_trip: Option<Duration>,
    /// What holds it back, where anything does.
    pub limit: Option<Limit>,
    /// What made it slow, if it was found to be.
    pub slow: Option<SlowReason>,
    /// From the start of the session to its confirmation or failure.
    pub finished_after: Option<Duration>,
}

impl ReceiverStatus {
    /// Bytes of the image of which its target lacks nothing: written, kept as they were, or unused.
    #[must_use]
    pub fn bytes_done(&self) -> u64 {
        self.bytes_written + self.bytes_kept + self.bytes_unused
    }
}

/// What a receiver is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiverState {
    /// Here, no data yet.
    Waiting,
    /// Receiving.
    Receiving,
    /// Too slow for the others: served after them.
    Demoted,
    /// Everything is written; its disk is being flushed.
    Flushing,
    /// Its disk is flushed and being read back.
    Verifying,
    /// Not heard for some time; the others go on.
    Silent,
    /// Given up.
    Lost,
    /// Verified, flushed and confirmed.
    Confirmed,
    /// It failed, or was failed; the reason.
    Failed(String),
}

impl ReceiverState {
    /// Why a receiver does not have the image, once the session is over. What it is doing before
    /// that is no failure, unless it failed.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        Some(match self {
            Self::Confirmed => return None,
            Self::Failed(reason) => reason,
            Self::Lost => "lost, nothing was heard from it any more",
            Self::Silent => "silent when the session ended",
            Self::Verifying => "still reading its disk back when the session ended",
            Self::Flushing => "still flushing its disk when the session ended",
            Self::Demoted => "too slow, incomplete when the session ended",
            Self::Receiving => "incomplete when the session ended",
            Self::Waiting => "the session did not start",
        })
    }
}

/// What holds a receiver back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Its disk: it has granted no credit for more.
    Disk,
    /// Its socket: datagrams are dropped or not read in time.
    Processor,
    /// Loss on its path.
    Network,
}
