//! Blocks that did not have their digest: what of them is kept, and what is not.

use super::{Assembly, BufferId, EMPTY, Ledger, Stage};
use crate::units::{BlockNumber, Esi};

impl Ledger {
    /// A block that was handed out does not have its digest. Its buffer holds the symbols `esis`,
    /// which wait for their digests. Returns false if the block was not kept, because half of the
    /// buffers hold such blocks already.
    pub(in super::super) fn spoil(&mut self, block: BlockNumber, esis: &[Esi]) -> bool {
        let spoiled = |assembly: &&Assembly| assembly.stage == Stage::Spoiled;
        let count = self.assemblies.values().filter(spoiled).count();
        let may_keep = count < self.buffers as usize / 2;
        match self.assemblies.get_mut(&block) {
            Some(assembly) if may_keep && esis.len() == usize::from(assembly.k) => {
                assembly.stage = Stage::Spoiled;
                assembly.slots[..esis.len()].copy_from_slice(esis);
                true
            }
            _ => {
                self.drop_block(block);
                false
            }
        }
    }

    /// The buffer of a spoiled block, and which symbols it holds.
    pub(in super::super) fn spoiled(&self, block: BlockNumber) -> Option<(BufferId, &[Esi])> {
        let assembly = self.assemblies.get(&block)?;
        let slots = &assembly.slots[..usize::from(assembly.k)];
        (assembly.stage == Stage::Spoiled).then_some((assembly.buffer, slots))
    }

    /// The symbols of a spoiled block for which this says that they are the sender's are kept, and
    /// the others are collected anew. Returns how many those are.
    pub(in super::super) fn sift(
        &mut self,
        block: BlockNumber,
        mut is_right: impl FnMut(u8, Esi) -> bool,
    ) -> u8 {
        let Some(assembly) = self.assemblies.get_mut(&block) else {
            return 0;
        };
        let mut forged = 0;
        let slots = assembly.slots[..usize::from(assembly.k)].iter_mut();
        for (number, slot) in (0..).zip(slots) {
            if *slot != EMPTY && !is_right(number, *slot) {
                *slot = EMPTY;
                forged += 1;
            }
        }
        assembly.held -= forged;
        assembly.is_sifted = true;
        assembly.stage = Stage::Collecting;
        forged
    }

    /// Whether a block holds a buffer.
    pub(in super::super) fn is_assembled(&self, block: BlockNumber) -> bool {
        self.assemblies.contains_key(&block)
    }

    /// From now on the symbols of a block come under the receiver's own key; what there is of it is
    /// dropped.
    pub(in super::super) fn set_alone(&mut self, block: BlockNumber) {
        self.drop_block(block);
        self.alone.insert(block);
    }

    /// Whether the symbols of a block come under the receiver's own key.
    pub(in super::super) fn is_alone(&self, block: BlockNumber) -> bool {
        self.alone.contains(&block)
    }
}
