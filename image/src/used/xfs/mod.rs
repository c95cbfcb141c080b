//! XFS: in each allocation group a btree of its free space, by block number.
//!
//! What is not in that tree is used: the tree's own blocks, the free list
//! (AGFL) and the log too. Source: "XFS Algorithms & Data Structures"
//! (xfs-documentation), chapters "Allocation Groups" and "Journaling Log".

mod free_space;
mod log;
mod superblock;

use std::ops::Range;
use std::sync::Arc;

use super::map::Allocation;
use super::read::{Reader, read};
use super::{Distrust, checksum};
use free_space::Group;
use superblock::Superblock;

/// A filesystem whose superblock and group headers are believed.
#[derive(Debug)]
struct Xfs {
    volume: Reader,
    superblock: Superblock,
    /// Blocks that the group headers call free.
    free: u64,
}

/// Reads the superblock, the headers of all groups, and the end of the log.
pub(crate) fn open(volume: Reader) -> Result<Arc<dyn Allocation>, Distrust> {
    let bytes = read(&*volume, 0, superblock::LEN, "the superblock")?;
    let superblock = Superblock::parse(&bytes, &*volume)?;
    log::check(&superblock, &*volume)?;
    let mut xfs = Xfs {
        volume,
        superblock,
        free: 0,
    };
    // What the superblock counts includes the blocks that the trees and the free lists hold.
    let mut available = 0_u64;
    for number in 0..xfs.superblock.groups {
        let group = xfs.group(number)?;
        xfs.free += u64::from(group.free);
        available += u64::from(group.free) + u64::from(group.kept);
    }
    if available != xfs.superblock.free_blocks {
        return Err(Distrust::Count {
            what: "the number of free blocks",
            expected: xfs.superblock.free_blocks,
            found: available,
        });
    }
    xfs.check_known()?;
    Ok(Arc::new(xfs))
}

impl Xfs {
    /// What the filesystem itself lies in has to be used by its own map: headers and roots of the
    /// trees of all groups, and the log.
    fn check_known(&self) -> Result<(), Distrust> {
        let superblock = &self.superblock;
        let headers = (4 * superblock.sector).div_ceil(superblock.block);
        for number in 0..superblock.groups {
            let root = u64::from(self.group(number)?.root);
            self.check_used(number, 0..headers)?;
            self.check_used(number, root..root + 1)?;
        }
        let (start, len) = superblock.log;
        let number = start / superblock.group_at(1);
        let first = (start - superblock.group_at(number)) / superblock.block;
        self.check_used(number, first..first + len / superblock.block)
    }

    /// Whether no block of these is free.
    fn check_used(&self, number: u64, blocks: Range<u64>) -> Result<(), Distrust> {
        let superblock = &self.superblock;
        let group = self.group(number)?;
        let start = superblock.group_at(number);
        let mut at = blocks.start;
        while at < blocks.end.min(superblock.group_len(number)) {
            let leaf = group.leaf(&*self.volume, superblock, start, at)?;
            let overlaps = |free: &Range<u64>| free.start < blocks.end && free.end > at;
            if leaf.free.iter().any(overlaps) {
                return Err(Distrust::Damaged {
                    what: "the map calls blocks unused that the filesystem itself lies in",
                });
            }
            at = leaf.end;
        }
        Ok(())
    }

    /// The header of a group's free space.
    fn group(&self, number: u64) -> Result<Group, Distrust> {
        let superblock = &self.superblock;
        let at = superblock.group_at(number) + superblock.sector;
        let bytes = read(&*self.volume, at, superblock.sector as usize, "an AGF")?;
        Group::parse(&bytes, number, superblock)
    }
}

impl Allocation for Xfs {
    fn extent(&self) -> u64 {
        self.superblock.blocks * self.superblock.block
    }

    /// A leaf of the tree of a group.
    fn piece(&self, from: u64, used: &mut Vec<Range<u64>>) -> Result<u64, Distrust> {
        let superblock = &self.superblock;
        let number = from / superblock.group_at(1);
        let start = superblock.group_at(number);
        let group = self.group(number)?;
        let block = (from - start) / superblock.block;
        let leaf = group.leaf(&*self.volume, superblock, start, block)?;
        // What lies between the free extents is used.
        let at = |block: u64| start + block * superblock.block;
        let mut used_from = block;
        for free in leaf.free {
            if free.end <= block {
                continue;
            }
            if free.start > used_from {
                used.push(at(used_from)..at(free.start));
            }
            used_from = free.end;
        }
        let end = leaf.end.max(used_from);
        if used_from < end {
            used.push(at(used_from)..at(end));
        }
        Ok(at(end))
    }

    fn expected(&self) -> Option<u64> {
        Some(self.extent() - self.free * self.superblock.block)
    }
}

/// Whether a block of version 5 has the checksum that stands at `place` in it, little-endian.
fn checksum_matches(bytes: &[u8], place: usize) -> bool {
    let (before, rest) = bytes.split_at(place);
    let (is, after) = rest.split_at(4);
    let crc = checksum::crc32c_raw(checksum::crc32c_raw(!0, before), &[0; 4]);
    (!checksum::crc32c_raw(crc, after)).to_le_bytes() == *is
}
