//! What is needed of the blocks, as it is reported.

use std::ops::Range;

use super::Ledger;
use crate::units::BlockNumber;
use crate::wire::{ALL_SYMBOLS, Deficit};

impl Ledger {
    /// What is needed below `end`, oldest first and at most `max` runs, and the block below
    /// which that is everything. Blocks that wait for their page, are being written or were spoiled
    /// need nothing, nor do unchecked ones of which no symbol came; `unchecked` is the first run of
    /// them that does not end before a block.
    ///
    /// `end` may be any: it costs no more than there are runs.
    pub(in super::super) fn deficits(
        &self,
        end: BlockNumber,
        max: usize,
        unchecked: impl Fn(BlockNumber) -> Range<u32>,
    ) -> (Vec<Deficit>, BlockNumber) {
        let mut runs: Vec<Deficit> = Vec::new();
        let mut block = self.complete_up_to;
        let begun = self.assemblies.keys().chain(&self.alone);
        let mut begun: Vec<u32> = begun.map(|block| block.0).collect();
        begun.sort_unstable();
        while block < end.0 {
            if self.is_done(BlockNumber(block)) {
                block += self.done_run(block);
                continue;
            }
            let first = BlockNumber(block);
            let symbols = self.deficit(first);
            let mut count = 1;
            if symbols == ALL_SYMBOLS {
                let unchecked = unchecked(first);
                if unchecked.start <= block {
                    block = unchecked.end;
                    continue;
                }
                let known = unchecked.start.min(end.0) - block;
                count = self.lacking_run(block, &begun).min(known);
            }
            block += count;
            let full = runs.len() == max;
            match runs.last_mut() {
                _ if symbols == 0 => {}
                Some(run) if run.first.0 + run.count == first.0 && run.symbols == symbols => {
                    run.count += count;
                }
                _ if full => return (runs, first),
                _ => runs.push(Deficit {
                    first,
                    count,
                    symbols,
                }),
            }
        }
        (runs, end.max(BlockNumber(self.complete_up_to)))
    }

    /// Blocks of which nothing came, from `from` to the next of those that were `begun` or come alone,
    /// in order, or to the next that is done; or to the end of its word of the bitmap.
    fn lacking_run(&self, from: u32, begun: &[u32]) -> u32 {
        let next = begun.get(begun.partition_point(|&block| block <= from));
        let word = self.done.get(from as usize / 64);
        let to_done = word.map_or(u32::MAX, |word| {
            let behind = word >> (from % 64);
            behind.trailing_zeros().min(64 - from % 64)
        });
        next.map_or(u32::MAX, |next| next - from).min(to_done)
    }

    fn deficit(&self, block: BlockNumber) -> u8 {
        if self.alone.contains(&block) {
            return 0;
        }
        self.lacking(block)
    }

    /// Symbols that a block still needs, whoever sends them; [`ALL_SYMBOLS`] if there are none.
    pub(in super::super) fn lacking(&self, block: BlockNumber) -> u8 {
        let assembly = self.assemblies.get(&block);
        assembly.map_or(ALL_SYMBOLS, |assembly| assembly.k - assembly.held)
    }
}
