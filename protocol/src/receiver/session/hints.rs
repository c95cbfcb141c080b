//! What any member of the room could forge, and how it is put right.
//!
//! Whoever was admitted holds the group key. Pages and the end record are signed, and nothing is
//! written but by them; everything else that comes to the group is a hint: where the stream is, how
//! large the room is, that a block of some number and size exists. A false hint costs time and
//! nothing else:
//!
//! * A sequence number, cycle, slot, horizon or number of pages that is ahead of the sender shows
//!   in the next report. The sender then tells the truth under the receiver's own key, and
//!   [`Session::on_told`] takes its place.
//! * What follows from a number is bounded: see [`Session::plausible`] and the pages' `MAX_AHEAD`.
//! * A block with a forged symbol fails its digest; see the module `spoiled`.
//! * A block that no page knows gives up its buffer to one that a page knows, or is dropped when no
//!   page has come for it.

use std::time::{Duration, Instant};

use super::Session;
use super::ledger::Yielding;
use super::pages::MAX_AHEAD;
use crate::ids::{Cycle, Seq};
use crate::units::{BlockNumber, ENTRIES_PER_PAGE};
use crate::wire::{EndRecord, Position, SymbolHeader};

/// A block of which no page has come in two looks is dropped; a page that was lost comes after a
/// round trip or some.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Blocks that the pages of which parts may be held are about.
const BLOCKS_AHEAD: u32 = MAX_AHEAD * ENTRIES_PER_PAGE as u32;

/// When blocks that no page knows are looked for.
#[derive(Debug)]
pub(super) struct Look {
    next: Instant,
}

impl Look {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            next: now + LOOK_EVERY,
        }
    }
}

impl Session {
    /// The sender says where the stream is, because a report showed that this receiver believes
    /// something else.
    pub(super) fn on_told(&mut self, seq: Seq, position: Position) {
        self.path.put_right(seq);
        self.cycle = position.cycle;
        self.in_joined_cycle = self.cycle == self.joined_cycle;
        self.slot = position.slot;
        self.horizon = position.horizon;
        self.passed.clear();
        self.reportable = if self.cycle == Cycle(1) {
            position.horizon
        } else {
            BlockNumber(0)
        };
        self.pages.put_right(position.pages);
        self.schedule.on_receivers(position.receivers);
        self.schedule.put_right(position.slot);
        self.consider_later_cycle();
        self.schedule.on_asked();
    }

    /// An end record arrived: the first that is the sender's counts.
    pub(super) fn on_end(&mut self, end: EndRecord) {
        if self.end.is_some() {
            return;
        }
        if !end.is_signed(self.pages.verifier()) {
            self.forged_ends += 1;
            return;
        }
        self.end = Some(end);
        self.ledger.drop_from(end.blocks);
        self.schedule.urge();
    }

    /// Pages, digests and end records that the sender did not sign.
    pub(super) fn forged(&self) -> u64 {
        self.forged_before + self.forged_ends + self.suspects.forged_parts() + self.pages.forged()
    }

    /// No block from this one on is spoken of: no sender is so far ahead of the pages that came.
    pub(super) fn plausible(&self) -> BlockNumber {
        BlockNumber(self.pages.sent_blocks().0.saturating_add(BLOCKS_AHEAD))
    }

    /// Whether the first symbol of a block may be one, by what is known from signed pages.
    pub(super) fn may_exist(&self, header: &SymbolHeader) -> bool {
        let block = BlockNumber(header.number);
        let entry = self.pages.block(block);
        self.end.is_none_or(|end| block < end.blocks)
            && entry.is_none_or(|entry| entry.source_symbols() == usize::from(header.k))
    }

    /// Which blocks give up their buffers to others.
    pub(super) fn yielding(&self) -> Yielding {
        Yielding {
            given_up: self.given_up(),
            unknown_from: self.pages.sent_blocks(),
        }
    }

    /// Pages have come: drops what was collected of blocks that are of another size.
    pub(super) fn drop_contradicting(&mut self, from: BlockNumber) {
        for block in (from.0..self.pages.sent_blocks().0).map(BlockNumber) {
            let Some(entry) = self.pages.block(block) else {
                continue;
            };
            let k = self.ledger.k(block).map(usize::from);
            if k.is_some_and(|k| k != entry.source_symbols()) {
                self.ledger.drop_block(block);
            }
        }
    }

    /// Now and then drops blocks that no page knows.
    pub(super) fn look_for_unknown(&mut self, now: Instant) {
        if now < self.look.next {
            return;
        }
        self.look.next = now + LOOK_EVERY;
        let known = self.pages.known_ranges();
        self.ledger.drop_unknown(|block| {
            let at = known.partition_point(|range| range.end <= block);
            known.get(at).is_some_and(|range| range.contains(&block))
        });
    }
}
