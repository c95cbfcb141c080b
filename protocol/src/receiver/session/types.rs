//! What goes into the receiver's state machine and comes out of it.

use std::time::Duration;

use super::finish::Failure;
use super::ledger::BufferId;
use crate::ids::Cycle;
use crate::manifest::{Run, StoredBlock};
use crate::receiver::read_back::ReadBackPlan;
use crate::units::{BlockNumber, Esi};
use crate::wire::{SlowReason, Stage};

/// What the receiver's machine offers.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Block buffers.
    pub buffers: u32,
    /// Symbol datagrams that the socket can hold.
    pub window: u32,
    /// The target takes blocks in order only: those too far ahead are left for a later cycle.
    pub in_order: bool,
    /// Bytes of a target that has an end of its own. Where the image is longer and was found to
    /// fit all the same, what lies behind it is not written.
    pub target_len: Option<u64>,
    /// What becomes of what the target holds already.
    pub resume: Resume,
    /// Give up after this long without a word of the session.
    pub idle_timeout: Duration,
    /// Random: spreads this receiver's reports.
    pub seed: u64,
    /// Bytes of the image, where the welcome told.
    pub image_len: Option<u64>,
    /// Read the target back before it is confirmed.
    pub verify: bool,
    /// What becomes of what the target holds where the image is unused.
    pub unused: Unused,
}

/// What becomes of what the target holds where the image is unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unused {
    /// It stays.
    #[default]
    Keep,
    /// The target may forget it.
    Discard,
    /// It becomes zeros, which are read back like everything else.
    Zero,
}

/// What becomes of what the target holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resume {
    /// It is overwritten unseen.
    #[default]
    Off,
    /// Blocks of the image are kept, if what the target begins with is a part of the image or
    /// nothing; else nothing is written.
    IfPart,
    /// Blocks of the image are kept, and everything else is overwritten.
    Always,
}

/// What the caller is to do or to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first data arrived.
    Started,
    /// A block has all its symbols: decode it, check it against its entry and write it, then
    /// call `handle_written` or [`crate::receiver::Endpoint::handle_bad_block`].
    Block {
        /// Its number.
        block: BlockNumber,
        /// Where its symbols are.
        buffer: BufferId,
        /// Which symbol each slot holds.
        esis: Vec<Esi>,
        /// Its entry.
        entry: StoredBlock,
    },
    /// Compare what the target holds at the place of a block with its entry, then call
    /// `handle_checked`. Checks are answered in order.
    Check {
        /// Its number.
        block: BlockNumber,
        /// Its entry.
        entry: StoredBlock,
    },
    /// None of so many blocks, the first that the target holds anything of, are those of the
    /// image: nothing was written, and nothing is unless the session goes on without
    /// [`Resume::IfPart`].
    NotThisImage {
        /// Blocks that differ.
        different: u32,
    },
    /// For the first time a symbol of the group is not the sender's: somebody forges them.
    ForgedSymbols,
    /// So many blocks failed their digest and are mended.
    BadBlocks {
        /// How many.
        blocks: u32,
    },
    /// Write zeros, then call `handle_zeroed`.
    Zero(Run),
    /// Tell the target that nobody needs what it holds there; nothing waits for that.
    Discard(Run),
    /// All is written: flush the target, then call `handle_flushed`.
    Flush {
        /// Bytes of the image.
        image_len: u64,
    },
    /// All is flushed: read the target back, tell how far that is with `handle_verifying`, then
    /// call `handle_verified` or `handle_difference`.
    Verify(ReadBackPlan),
    /// The group does not wait for this receiver any more, for the given reason, or does again.
    Standing(Option<SlowReason>),
    /// The sender is heard by unicast, the group is not.
    NoGroupData,
    /// Confirmed; the flag says whether the sender has acknowledged it.
    Finished {
        /// Whether the sender knows.
        acknowledged: bool,
    },
    /// The session failed for this receiver; [`Event::Left`] follows when the sender knows.
    Failed(Failure),
    /// The sender knows of this receiver's failure, or does not answer: nothing further happens.
    Left,
}

/// A part of a run of zeros that is on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zeroed {
    /// The part.
    pub run: Run,
    /// Bytes that were made zero.
    pub written: u64,
    /// Bytes that were zero before.
    pub kept: u64,
    /// How long making them zero took.
    pub busy: Duration,
    /// Whether nothing is left of the run.
    pub done: bool,
}

/// For progress displays and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What the receiver is doing.
    pub stage: Stage,
    /// Blocks that are on the target: written, or kept as they were.
    pub blocks_done: u32,
    /// Of these, blocks that the target held already.
    pub blocks_kept: u32,
    /// Bytes that are written, zeros included.
    pub bytes_written: u64,
    /// Bytes that the target held already, zeros included.
    pub bytes_kept: u64,
    /// Bytes that are unused, as far as the manifest is known; they count as neither.
    pub bytes_unused: u64,
    /// Bytes that were read back and found right.
    pub bytes_verified: u64,
    /// Bytes of the image, once known.
    pub image_len: Option<u64>,
    /// Group datagrams that arrived.
    pub received: u64,
    /// Group datagrams sent since the first that arrived.
    pub expected: u64,
    /// Datagrams that the own socket dropped.
    pub socket_drops: u32,
    /// Blocks that failed their digest and were mended or collected anew.
    pub bad_blocks: u32,
    /// Symbols of such blocks that were not the sender's.
    pub forged_symbols: u32,
    /// Manifest pages, digests of symbols and end records that the sender did not sign: somebody forged them.
    pub forged: u64,
    /// Time spent in writing.
    pub busy: Duration,
    /// The cycle under way.
    pub cycle: Cycle,
    /// Why the group does not wait for this receiver, if it does not.
    pub demoted: Option<SlowReason>,
}
