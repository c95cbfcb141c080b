//! What goes into the sender's state machine and comes out of it.

use std::time::{Duration, Instant};

use crate::ids::{Cycle, ReceiverNumber, Seq, Slot};
use crate::manifest::StoredBlock;
use crate::pacing::{Circuit, Rate};
use crate::sender::interleave::Share;
use crate::sender::roster::About;
use crate::sender::start::StartPolicy;
use crate::sender::stragglers::SlowRules;
use crate::units::{BlockNumber, Esi};
use crate::wire::{GroupControl, SymbolKind, ToReceiver};

/// Repair symbols that go out with a block before anybody asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// None, but for the last group of a cycle where loss was seen: there they save a round.
    Auto,
    /// This many for every block.
    Fixed(u8),
}

/// What the operator chose and what the source is.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Bytes of the image, `None` for a stream of unknown length.
    pub image_len: Option<u64>,
    /// Whether blocks can be read again: without it there is no second cycle.
    pub seekable: bool,
    /// When to start.
    pub start: StartPolicy,
    /// Never send faster.
    pub rate_cap: Option<Rate>,
    /// Proactive repair symbols.
    pub parity: Parity,
    /// What becomes of receivers that are too slow for the others.
    pub slow: SlowRules,
    /// Stay this long for late receivers after all others are done.
    pub linger: Duration,
    /// Once nobody else is left, stay this long after the last word of a receiver that is lost: it may
    /// stand still, be started again, or sit behind a switch that is. Not for a stream, which it
    /// cannot come back to.
    pub lost_timeout: Duration,
}

/// Where the session is.
///
/// ```text
/// Waiting -> Running -> Closing -> Over
///    |          |  ^         |
///    |          v  |         | somebody comes back: Running
///    |       Lingering -> Closing
///    +--> Aborting (from any but Over) -> Over
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Receivers join; the start rule has not let the session start.
    Waiting,
    /// Cycles.
    Running,
    /// Everybody is done; late receivers may still come until the given moment.
    Lingering(Instant),
    /// Everybody is done; acknowledgements are repeated where asked for until the given moment.
    Closing(Instant),
    /// Receivers are told that the session failed, until they have seen it or the given moment.
    Aborting(Instant),
    /// Nothing further happens.
    Over,
}

/// One symbol of a burst; the endpoint seals it into the burst's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolRef {
    /// Block or page.
    pub kind: SymbolKind,
    /// Its number.
    pub number: u32,
    /// Which symbol.
    pub esi: Esi,
    /// Source symbols of the block or page.
    pub k: u8,
    /// Stream position of the header.
    pub slot: Slot,
    /// Stream position of the header.
    pub horizon: BlockNumber,
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// The burst in the caller's vector; its datagrams are numbered from here.
    Symbols {
        /// Number of the first datagram.
        first: Seq,
    },
    /// A group control datagram.
    Control {
        /// Its number.
        seq: Seq,
        /// Its body.
        control: GroupControl,
    },
    /// A message to one receiver.
    Unicast {
        /// To whom.
        to: ReceiverNumber,
        /// The message.
        message: ToReceiver,
    },
    /// A symbol to one receiver, under its own key.
    OwnSymbol {
        /// To whom.
        to: ReceiverNumber,
        /// Of what it is one.
        share: Share,
        /// Which symbol.
        esi: Esi,
    },
    /// The announce, to the control group.
    Announce,
}

/// Work for the caller's threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Have the symbols of a share at hand, reading the block again where it is not, then call
    /// [`super::Session::handle_fetched`].
    Fetch {
        /// Which symbols.
        share: Share,
        /// What the block is.
        block: StoredBlock,
        /// What they are for.
        purpose: Purpose,
    },
    /// The pass is done with a block's body.
    Unpin(BlockNumber),
    /// A part of the digests of a block's symbols was sent.
    DigestsSent(BlockNumber, u8),
    /// Blocks below this one are not needed any more (streams only).
    Discard(BlockNumber),
}

/// What symbols are fetched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be sent in a pass.
    Pass,
    /// To be sent as a repair.
    Repair,
    /// Their digests are to be sent.
    Digests,
    /// To be sent to one receiver under its own key.
    Alone(ReceiverNumber),
}

/// What the operator is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first data may flow.
    Started,
    /// Everybody resumes: only blocks that somebody asks for are sent.
    OnDemand,
    /// A cycle begins.
    Cycle(Cycle),
    /// The state of a receiver changed.
    Member(ReceiverNumber),
    /// A receiver is too slow: it is demoted, or the room waits for it.
    Slow(ReceiverNumber),
    /// These are too slow, too, the slowest first, but most of the room is: it waits for them,
    /// whatever is to become of slow ones.
    HeldUp(Vec<ReceiverNumber>),
    /// Blocks of a receiver did not have their digest, the first, or many more than before.
    Spoiled(ReceiverNumber),
    /// A receiver that was demoted counts again.
    Restored(ReceiverNumber),
    /// Hardly anything arrives at anybody: the stream goes on at its floor or pauses, or flows
    /// again.
    Circuit(Circuit),
    /// Much was sent for this receiver alone.
    Costly(ReceiverNumber),
    /// A receiver was started again: this one took the place of another, of which nothing is kept.
    Rejoined(ReceiverNumber),
    /// The first says that it is the machine and target of the second, but from another address:
    /// both are kept.
    Disputed(ReceiverNumber, ReceiverNumber),
    /// Somebody was welcomed and never proved that it holds the secret.
    Unproven(About),
    /// Too many joins with a wrong code: nobody is admitted until there is another one.
    GuessesExhausted,
    /// The session is over.
    Over,
}

/// Counters of the session, for reports; datagrams unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Source symbols of all blocks and pages: what a lossless room needs once.
    pub symbols_needed: u64,
    /// Block symbols sent in passes.
    pub pass_symbols: u64,
    /// Block symbols sent as repairs.
    pub repair_symbols: u64,
    /// Page symbols sent.
    pub page_symbols: u64,
    /// Datagrams of digests of symbols sent.
    pub digest_symbols: u64,
    /// Block symbols sent to one receiver alone.
    pub own_symbols: u64,
    /// Group control datagrams sent.
    pub control_datagrams: u64,
    /// Reports that came in.
    pub reports: u64,
}

impl Counters {
    /// All datagrams of the size of a symbol.
    #[must_use]
    pub fn symbols_sent(&self) -> u64 {
        let of_blocks = self.pass_symbols + self.repair_symbols + self.own_symbols;
        of_blocks + self.page_symbols + self.digest_symbols
    }
}
