//! The btree of a group's free extents, by block number.

use std::ops::Range;

use super::checksum_matches;
use super::superblock::Superblock;
use crate::used::read::{Fields, read};
use crate::used::{Distrust, ReadAt};

/// Levels of a tree; those of free space have at most nine (`XFS_BTREE_MAXLEVELS`).
const MAX_LEVELS: u32 = 9;

/// The header of a group's free space (AGF).
#[derive(Debug)]
pub(super) struct Group {
    number: u64,
    /// Blocks of the group.
    len: u64,
    pub(super) root: u32,
    levels: u32,
    /// Blocks in the tree.
    pub(super) free: u32,
    /// Blocks that the free list and the trees themselves hold.
    pub(super) kept: u32,
}

/// A leaf, and how far it speaks: up to where the next leaf begins.
pub(super) struct Leaf {
    pub(super) free: Vec<Range<u64>>,
    pub(super) end: u64,
}

impl Group {
    pub(super) fn parse(
        bytes: &[u8],
        number: u64,
        superblock: &Superblock,
    ) -> Result<Self, Distrust> {
        let be32 = |at| bytes.take(at).map(u32::from_be_bytes);
        if bytes.part(0, 4)? != b"XAGF" || be32(4)? != 1 {
            return Err(Distrust::Damaged {
                what: "a group has no header of its free space",
            });
        }
        if superblock.has_checksums && !checksum_matches(bytes, 216) {
            return Err(Distrust::Checksum { what: "an AGF" });
        }
        let len = superblock.group_len(number);
        if u64::from(be32(8)?) != number || u64::from(be32(12)?) != len {
            return Err(Distrust::Count {
                what: "the length of a group",
                expected: len,
                found: be32(12)?.into(),
            });
        }
        let levels = be32(28)?;
        if !(1..=MAX_LEVELS).contains(&levels) {
            return Err(Distrust::Range {
                what: "the height of a tree",
                value: levels.into(),
            });
        }
        let (free, kept) = (be32(52)?, be32(48)?.saturating_add(be32(60)?));
        if u64::from(free) > len {
            return Err(Distrust::Range {
                what: "the number of free blocks in a group",
                value: free.into(),
            });
        }
        Ok(Self {
            number,
            len,
            root: be32(16)?,
            levels,
            free,
            kept,
        })
    }

    /// The leaf that speaks of a block. `start` is the byte offset of the group.
    pub(super) fn leaf(
        &self,
        volume: &dyn ReadAt,
        superblock: &Superblock,
        start: u64,
        block: u64,
    ) -> Result<Leaf, Distrust> {
        let what = "the tree of free space";
        let (mut node, mut begin, mut end) = (self.root, 0, self.len);
        for level in (0..self.levels).rev() {
            if u64::from(node) >= self.len {
                return Err(Distrust::Range {
                    what,
                    value: node.into(),
                });
            }
            let at = start + u64::from(node) * superblock.block;
            let bytes = read(volume, at, superblock.block as usize, what)?;
            let head = self.check(&bytes, level, at, superblock)?;
            let count = usize::from(bytes.take(6).map(u16::from_be_bytes)?);
            if level == 0 {
                let free = self.extents(bytes.part(head, count * 8)?, begin..end)?;
                // Only a tree without extents has a leaf without any. So no leaf is one of several
                // pointers, and there are no more steps through a tree than it has blocks.
                if free.is_empty() && self.levels > 1 {
                    return Err(Distrust::Damaged {
                        what: "a leaf of the tree of free space is empty",
                    });
                }
                return Ok(Leaf { free, end });
            }
            // Keys, room for as many as fit, then as many pointers.
            let most = (bytes.len() - head) / 12;
            if count == 0 || count > most {
                return Err(Distrust::Range {
                    what,
                    value: count as u64,
                });
            }
            let key = |index: usize| bytes.take(head + index * 8).map(u32::from_be_bytes);
            let mut child = 0;
            for index in 1..count {
                let first = u64::from(key(index)?);
                if first > block {
                    end = end.min(first);
                    break;
                }
                (child, begin) = (index, begin.max(first));
            }
            node = bytes
                .take(head + most * 8 + child * 4)
                .map(u32::from_be_bytes)?;
        }
        Err(Distrust::Damaged {
            what: "the tree of free space has no leaves",
        })
    }

    /// Checks the head of a block of the tree and returns its length.
    fn check(
        &self,
        bytes: &[u8],
        level: u32,
        at: u64,
        superblock: &Superblock,
    ) -> Result<usize, Distrust> {
        let (magic, head) = if superblock.has_checksums {
            (b"AB3B", 56)
        } else {
            (b"ABTB", 16)
        };
        let is = bytes.take(4).map(u16::from_be_bytes)?;
        if bytes.part(0, 4)? != magic || u32::from(is) != level {
            return Err(Distrust::Damaged {
                what: "a block of the tree of free space is not one",
            });
        }
        if superblock.has_checksums {
            let what = "the tree of free space";
            if !checksum_matches(bytes, 52) {
                return Err(Distrust::Checksum { what });
            }
            // An old copy has the right checksum too, but not the right place.
            let place = bytes.take(16).map(u64::from_be_bytes)?;
            let owner = bytes.take(48).map(u32::from_be_bytes)?;
            if place != at / 512 || u64::from(owner) != self.number {
                return Err(Distrust::Damaged {
                    what: "a block of the tree of free space belongs elsewhere",
                });
            }
        }
        Ok(head)
    }

    /// The free extents of a leaf, in order and inside of what it speaks for.
    fn extents(&self, records: &[u8], within: Range<u64>) -> Result<Vec<Range<u64>>, Distrust> {
        let mut free: Vec<Range<u64>> = Vec::with_capacity(records.len() / 8);
        for record in records.chunks_exact(8) {
            let start = u64::from(record.take(0).map(u32::from_be_bytes)?);
            let len = u64::from(record.take(4).map(u32::from_be_bytes)?);
            let before = free.last().map_or(within.start, |run| run.end);
            if start < before || len == 0 || start + len > within.end {
                return Err(Distrust::Range {
                    what: "a free extent",
                    value: start,
                });
            }
            free.push(start..start + len);
        }
        Ok(free)
    }
}
