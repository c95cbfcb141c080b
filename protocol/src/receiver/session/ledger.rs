//! Which blocks are written, which are being put together, and what each still needs.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::hash::NumberMap;
use crate::units::{BlockNumber, Esi, MAX_SOURCE_SYMBOLS};

/// A slot of a block's buffer that holds no symbol.
const EMPTY: Esi = Esi(u8::MAX);

/// Where a symbol belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Into this slot of this buffer.
    Slot(BufferId, u8),
    /// The first symbol of its block: a buffer is taken once it has checked out.
    First,
    /// It is not needed, or no buffer is free.
    Redundant,
}

/// One of the receiver's block buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BufferId(pub u32);

/// Where a block that holds a buffer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its symbols come, or it waits for its page.
    Collecting,
    /// It was handed out to be decoded and written.
    HandedOut,
    /// It did not have its digest; which of its symbols are the sender's is not known yet.
    Spoiled,
}

/// A block that is being put together.
#[derive(Debug)]
struct Assembly {
    buffer: BufferId,
    k: u8,
    held: u8,
    /// Which symbol each slot holds: source symbols in their own where it is free, repair
    /// symbols from the end.
    slots: [Esi; MAX_SOURCE_SYMBOLS],
    stage: Stage,
    /// Whether symbols were taken out of it, so that a source symbol may stand elsewhere than in its
    /// own slot although that is empty.
    is_sifted: bool,
    /// Whether no page knew it when that was last looked at.
    unknown: bool,
    /// Whether no symbol came for it in this cycle.
    idle: bool,
}

impl Assembly {
    fn new(buffer: BufferId, k: u8) -> Self {
        Self {
            buffer,
            k,
            held: 0,
            slots: [EMPTY; MAX_SOURCE_SYMBOLS],
            stage: Stage::Collecting,
            is_sifted: false,
            unknown: false,
            idle: false,
        }
    }

    /// Whether it has all its symbols and can be handed out.
    fn is_whole(&self) -> bool {
        self.held == self.k && self.stage == Stage::Collecting
    }

    fn slot_for(&self, esi: Esi) -> Option<u8> {
        let slots = &self.slots[..usize::from(self.k)];
        let own_is_free = slots.get(usize::from(esi.0)) == Some(&EMPTY);
        // A source symbol whose slot was always empty came nowhere else: it would have taken the slot.
        if own_is_free && !self.is_sifted {
            return Some(esi.0);
        }
        if self.held == self.k || slots.contains(&esi) {
            return None;
        }
        if own_is_free {
            return Some(esi.0);
        }
        let free = slots.iter().rposition(|&slot| slot == EMPTY)?;
        u8::try_from(free).ok()
    }
}

/// Incomplete blocks that give up their buffers to others when none is free.
#[derive(Debug, Clone, Copy)]
pub(super) struct GivenUp {
    /// Those below this one.
    pub(super) below: BlockNumber,
    /// Of those from this one on, what was caught in the cycles before.
    pub(super) idle_from: BlockNumber,
}

impl GivenUp {
    fn holds(&self, block: BlockNumber, assembly: &Assembly) -> bool {
        let given_up = block < self.below || (assembly.idle && block >= self.idle_from);
        given_up && assembly.held < assembly.k
    }
}

/// Which blocks give up their buffers to others when none is free.
#[derive(Debug, Clone, Copy)]
pub(super) struct Yielding {
    /// To any block.
    pub(super) given_up: GivenUp,
    /// To blocks below this one, of which pages came: those from here on.
    pub(super) unknown_from: BlockNumber,
}

/// See the module's page.
#[derive(Debug)]
pub(super) struct Ledger {
    /// One bit per block; the vector grows as blocks become known.
    done: Vec<u64>,
    done_count: u32,
    complete_up_to: u32,
    assemblies: NumberMap<BlockNumber, Assembly>,
    free: Vec<BufferId>,
    buffers: u32,
    /// Blocks whose symbols come under the receiver's own key, and are not asked for of the group.
    alone: BTreeSet<BlockNumber>,
}

impl Ledger {
    pub(super) fn new(buffers: u32) -> Self {
        Self {
            done: Vec::new(),
            done_count: 0,
            complete_up_to: 0,
            assemblies: NumberMap::default(),
            free: (0..buffers).rev().map(BufferId).collect(),
            buffers,
            alone: BTreeSet::new(),
        }
    }

    /// Buffers altogether.
    pub(super) fn buffers(&self) -> u32 {
        self.buffers
    }

    /// Blocks that hold a buffer.
    pub(super) fn in_use(&self) -> u32 {
        self.buffers - u32::try_from(self.free.len()).expect("at most all buffers are free")
    }

    /// Whether any block was handed out and is not written yet.
    pub(super) fn is_writing(&self) -> bool {
        self.assemblies
            .values()
            .any(|assembly| assembly.stage == Stage::HandedOut)
    }

    pub(super) fn is_done(&self, block: BlockNumber) -> bool {
        let word = self.done.get(block.0 as usize / 64).copied().unwrap_or(0);
        word >> (block.0 % 64) & 1 == 1
    }

    /// Blocks that are on the target.
    pub(super) fn done_count(&self) -> u32 {
        self.done_count
    }

    /// All blocks below this one are on the target.
    pub(super) fn complete_up_to(&self) -> BlockNumber {
        BlockNumber(self.complete_up_to)
    }

    /// Where a symbol would go; nothing is changed.
    pub(super) fn place(
        &self,
        block: BlockNumber,
        k: u8,
        esi: Esi,
        yielding: Yielding,
    ) -> Placement {
        match self.assemblies.get(&block) {
            Some(assembly) if assembly.k != k || assembly.stage != Stage::Collecting => {
                Placement::Redundant
            }
            Some(assembly) => match assembly.slot_for(esi) {
                Some(slot) => Placement::Slot(assembly.buffer, slot),
                None => Placement::Redundant,
            },
            None if self.is_done(block) => Placement::Redundant,
            None if !self.free.is_empty() => Placement::First,
            None => match self.yields_to(block, yielding) {
                Some(_) => Placement::First,
                None => Placement::Redundant,
            },
        }
    }

    /// The block that gives up its buffer to another one.
    fn yields_to(&self, block: BlockNumber, yielding: Yielding) -> Option<BlockNumber> {
        let given_up = self.least_complete(yielding.given_up);
        let unknown = || {
            let blocks = self.assemblies.keys().copied();
            let known = block < yielding.unknown_from;
            let unknown = blocks.filter(|&other| known && other >= yielding.unknown_from);
            unknown.max()
        };
        given_up.filter(|&other| other != block).or_else(unknown)
    }

    /// Drops the blocks that are still unknown, as they were when this was called before.
    pub(super) fn drop_unknown(&mut self, is_known: impl Fn(BlockNumber) -> bool) {
        let mut dropped = Vec::new();
        for (&block, assembly) in &mut self.assemblies {
            let unknown = !is_known(block);
            if unknown && assembly.unknown {
                dropped.push(block);
            }
            assembly.unknown = unknown;
        }
        // In order, as the buffers are taken again in the order in which they came free.
        dropped.sort_unstable();
        for block in dropped {
            self.drop_block(block);
        }
    }

    /// Drops the blocks from this one on: there are none.
    pub(super) fn drop_from(&mut self, end: BlockNumber) {
        let mut beyond: Vec<_> = self.assemblies.keys().copied().collect();
        beyond.retain(|&block| block >= end);
        beyond.sort_unstable();
        for block in beyond {
            self.drop_block(block);
        }
    }

    fn incomplete(&self, of: GivenUp) -> impl Iterator<Item = (&BlockNumber, &Assembly)> {
        self.assemblies
            .iter()
            .filter(move |&(&block, assembly)| of.holds(block, assembly))
    }

    /// A cycle begins, in which nothing has come yet.
    pub(super) fn on_cycle(&mut self) {
        for assembly in self.assemblies.values_mut() {
            assembly.idle = true;
        }
    }

    /// Buffers that would be given up for other blocks.
    pub(super) fn given_up(&self, of: GivenUp) -> u32 {
        u32::try_from(self.incomplete(of).count()).expect("at most all buffers")
    }

    /// The block that lacks most of those that are given up.
    fn least_complete(&self, of: GivenUp) -> Option<BlockNumber> {
        let incomplete = self.incomplete(of);
        let lacks = |&(&block, assembly): &(&BlockNumber, &Assembly)| {
            // The number decides between equals, so that a room's history depends on nothing else.
            (assembly.k - assembly.held, block)
        };
        incomplete.max_by_key(lacks).map(|(&block, _)| block)
    }

    /// Takes a buffer for a block whose first symbol checked out.
    pub(super) fn begin(
        &mut self,
        block: BlockNumber,
        k: u8,
        esi: Esi,
        yielding: Yielding,
    ) -> Placement {
        if self.place(block, k, esi, yielding) == Placement::First {
            if self.free.is_empty()
                && let Some(other) = self.yields_to(block, yielding)
            {
                self.drop_block(other);
            }
            if let Some(buffer) = self.free.pop() {
                self.assemblies.insert(block, Assembly::new(buffer, k));
            }
        }
        self.place(block, k, esi, yielding)
    }

    /// A symbol that checked out stands in the slot that [`Self::place`] gave. Returns whether
    /// it completed its block.
    pub(super) fn on_symbol(&mut self, block: BlockNumber, esi: Esi, slot: u8) -> bool {
        let Some(assembly) = self.assemblies.get_mut(&block) else {
            return false;
        };
        assembly.slots[usize::from(slot)] = esi;
        assembly.held += 1;
        assembly.idle = false;
        assembly.held == assembly.k
    }

    /// Hands a complete block out to be decoded; its `k` is what its entry says.
    pub(super) fn hand_out(&mut self, block: BlockNumber) -> Option<(BufferId, Vec<Esi>)> {
        let assembly = self.assemblies.get_mut(&block)?;
        if !assembly.is_whole() {
            return None;
        }
        assembly.stage = Stage::HandedOut;
        Some((
            assembly.buffer,
            assembly.slots[..usize::from(assembly.k)].to_vec(),
        ))
    }

    /// The source symbols of a block under assembly.
    pub(super) fn k(&self, block: BlockNumber) -> Option<u8> {
        self.assemblies.get(&block).map(|assembly| assembly.k)
    }

    /// Complete blocks that were not handed out: their pages are missing.
    pub(super) fn complete(&self) -> Vec<BlockNumber> {
        let mut blocks: Vec<_> = self
            .assemblies
            .iter()
            .filter(|(_, assembly)| assembly.is_whole())
            .map(|(&block, _)| block)
            .collect();
        blocks.sort_unstable();
        blocks
    }

    /// Drops what was collected of a block: it is missing again.
    pub(super) fn drop_block(&mut self, block: BlockNumber) {
        if let Some(assembly) = self.assemblies.remove(&block) {
            self.free.push(assembly.buffer);
        }
    }

    /// A block is written.
    pub(super) fn on_written(&mut self, block: BlockNumber) {
        self.drop_block(block);
        self.alone.remove(&block);
        if self.is_done(block) {
            return;
        }
        let word = block.0 as usize / 64;
        if self.done.len() <= word {
            self.done.resize(word + 1, 0);
        }
        self.done[word] |= 1 << (block.0 % 64);
        self.done_count += 1;
        while self.is_done(BlockNumber(self.complete_up_to)) {
            self.complete_up_to += self.done_run(self.complete_up_to);
        }
    }

    /// Blocks from `from` to the end of its word of the bitmap that are done.
    fn done_run(&self, from: u32) -> u32 {
        let word = self.done.get(from as usize / 64).copied().unwrap_or(0) >> (from % 64);
        word.trailing_ones().max(1).min(64 - from % 64)
    }

    /// Whether nothing can come of a look at the target: the block is written, or being written.
    pub(super) fn is_settled(&self, block: BlockNumber) -> bool {
        let assembly = self.assemblies.get(&block);
        self.is_done(block) || assembly.is_some_and(|assembly| assembly.stage == Stage::HandedOut)
    }

    /// Whether a block is not on the target and no symbol of it came.
    pub(super) fn lacks(&self, block: BlockNumber) -> bool {
        !self.is_done(block) && !self.assemblies.contains_key(&block)
    }

    /// The first block of a range that is not on the target and of which no symbol came.
    pub(super) fn first_lacking(&self, range: Range<u32>) -> Option<BlockNumber> {
        let mut block = range.start.max(self.complete_up_to);
        while block < range.end {
            if self.is_done(BlockNumber(block)) {
                block += self.done_run(block);
            } else if self.lacks(BlockNumber(block)) {
                return Some(BlockNumber(block));
            } else {
                block += 1;
            }
        }
        None
    }
}

mod deficits;
mod spoiled;
#[cfg(test)]
mod tests;
