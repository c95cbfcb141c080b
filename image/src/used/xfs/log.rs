//! The log: it is clean if the last record is that of an unmount.
//!
//! The log is a ring of basic blocks. The first word of each is the number of
//! the turn (cycle) that wrote it; a record's header has a magic number there,
//! and the cycle in the second word. Where the cycle falls is the head.

use super::superblock::Superblock;
use crate::used::read::{Fields, read};
use crate::used::{Distrust, ReadAt};

/// Bytes of a basic block.
const BLOCK: u64 = 512;

const RECORD: u32 = 0xfeed_babe;

/// The flag of an operation that stands for an unmount.
const UNMOUNT: u8 = 0x20;

/// Bytes of a record's data that one block of its header describes.
const DESCRIBED: u64 = 32 * 1024;

/// Blocks of the largest record (256 KiB) with its header, and as much for the padding.
const LONGEST: u64 = 1100;

/// The ring.
struct Log<'a> {
    volume: &'a dyn ReadAt,
    start: u64,
    blocks: u64,
}

/// Checks that nothing in the log waits to be done again.
pub(super) fn check(superblock: &Superblock, volume: &dyn ReadAt) -> Result<(), Distrust> {
    let (start, len) = superblock.log;
    let log = Log {
        volume,
        start,
        blocks: len / BLOCK,
    };
    if log.is_clean()? {
        return Ok(());
    }
    Err(Distrust::Unclean {
        what: "its log has to be replayed",
        remedy: "shut the system down properly, or mount and unmount it",
    })
}

impl Log<'_> {
    fn block(&self, index: u64) -> Result<Vec<u8>, Distrust> {
        read(
            self.volume,
            self.start + index * BLOCK,
            BLOCK as usize,
            "the log",
        )
    }

    fn cycle(&self, index: u64) -> Result<u32, Distrust> {
        let block = self.block(index)?;
        let first = block.take(0).map(u32::from_be_bytes)?;
        if first == RECORD {
            return block.take(4).map(u32::from_be_bytes);
        }
        Ok(first)
    }

    /// The block behind the last one that was written: the first whose cycle is another than that
    /// of block 0. Found by halves; in a clean log all blocks in front of it are of one cycle, and
    /// all behind it of the one before, or zero.
    fn head(&self) -> Result<u64, Distrust> {
        let first = self.cycle(0)?;
        let (mut same, mut other) = (0, self.blocks);
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if self.cycle(middle)? == first {
                same = middle;
            } else {
                other = middle;
            }
        }
        Ok(other)
    }

    fn is_clean(&self) -> Result<bool, Distrust> {
        if self.cycle(0)? == 0 {
            // Never used: all zeros, which is how some tools leave it.
            return Ok(self.cycle(self.blocks - 1)? == 0);
        }
        let head = self.head()?;
        // The last record may begin before the end of the ring and end at its start.
        for back in 1..=LONGEST.min(self.blocks) {
            let index = (head + self.blocks - back) % self.blocks;
            let header = self.block(index)?;
            if header.take(0).map(u32::from_be_bytes)? == RECORD {
                return self.is_unmount(&header, index, back);
            }
        }
        Ok(false)
    }

    /// Whether a record `back` blocks before the head ends there and is that of an unmount.
    fn is_unmount(&self, header: &[u8], index: u64, back: u64) -> Result<bool, Distrust> {
        let be32 = |at| header.take(at).map(u32::from_be_bytes);
        let (version, len, operations) = (be32(8)?, u64::from(be32(12)?), be32(40)?);
        let described = u64::from(be32(320)?);
        let head = if version & 2 != 0 && described > DESCRIBED {
            described.div_ceil(DESCRIBED)
        } else {
            1
        };
        if operations != 1 || head + len.div_ceil(BLOCK) != back {
            return Ok(false);
        }
        let operation = self.block((index + head) % self.blocks)?;
        Ok(operation.byte(9)? & UNMOUNT != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::memory::Memory;
    use super::*;

    /// Blocks of the ring.
    const BLOCKS: u64 = 64;

    /// A ring whose blocks in front of `head` are of `cycle`, the others of the one before, and
    /// whose last record, of `blocks` of data, ends at `head` with an operation of `flags`.
    fn is_clean(head: u64, cycle: u32, blocks: u64, flags: u8) -> bool {
        let cycle_of = |index: u64| if index < head { cycle } else { cycle - 1 };
        let mut ring = vec![0; (BLOCKS * BLOCK) as usize];
        let mut put = |index: u64, at: usize, bytes: &[u8]| {
            let start = (index * BLOCK) as usize + at;
            ring[start..start + bytes.len()].copy_from_slice(bytes);
        };
        for index in 0..BLOCKS {
            put(index, 0, &cycle_of(index).to_be_bytes());
        }
        let header = (head + BLOCKS - blocks - 1) % BLOCKS;
        put(header, 0, &RECORD.to_be_bytes());
        put(header, 4, &cycle_of(header).to_be_bytes());
        put(header, 12, &((blocks * BLOCK) as u32).to_be_bytes());
        put(header, 40, &1_u32.to_be_bytes());
        put((header + 1) % BLOCKS, 9, &[flags]);
        let volume = Memory::new(BLOCKS * BLOCK, &[(0, &ring)]);
        let log = Log {
            volume: &volume,
            start: 0,
            blocks: BLOCKS,
        };
        log.is_clean().unwrap()
    }

    #[test]
    fn the_last_record_is_found_wherever_the_ring_turns() {
        for head in 1..=BLOCKS {
            for blocks in [1, 2, 8] {
                // In the first turn nothing lies before the start.
                let cycle = if head > blocks { 1 } else { 5 };
                assert!(is_clean(head, cycle, blocks, UNMOUNT), "{head} {blocks}");
                assert!(is_clean(head, 5, blocks, UNMOUNT), "{head} {blocks}");
                assert!(!is_clean(head, 5, blocks, 1), "{head} {blocks}");
            }
        }
    }

    #[test]
    fn a_log_that_was_never_used_is_clean() {
        let volume = Memory::new(BLOCKS * BLOCK, &[]);
        let log = Log {
            volume: &volume,
            start: 0,
            blocks: BLOCKS,
        };
        assert!(log.is_clean().unwrap());
    }
}
