//! What the filesystem itself lies in has to be used by its own map: the superblock, descriptors,
//! bitmaps and tables of inodes.

use std::collections::VecDeque;
use std::ops::Range;

use super::Ext;
use crate::used::Distrust;

/// Bitmaps that are kept: the first group has all descriptors as a rule, and those of 16 groups lie
/// in one or two.
const KEPT: usize = 4;

/// Bitmaps of groups by number, the latest used one first.
struct Bitmaps<'a> {
    ext: &'a Ext,
    kept: VecDeque<(u64, Vec<u8>)>,
}

/// Checks it group by group.
pub(super) fn check(ext: &Ext) -> Result<(), Distrust> {
    let superblock = &ext.superblock;
    let mut bitmaps = Bitmaps {
        ext,
        kept: VecDeque::new(),
    };
    let table_len = superblock.inode_table_blocks;
    // As many inodes as a bitmap of one block has bits, of a block each.
    if table_len > superblock.block_size * 8 {
        return Err(Distrust::Range {
            what: "the number of inodes in a group",
            value: superblock.inodes.per_group,
        });
    }
    bitmaps.check(superblock.superblock_block(), 1)?;
    let mut descriptors = 0;
    for number in 0..superblock.groups() {
        let block = superblock.descriptor_at(number) / superblock.block_size;
        if block != descriptors {
            bitmaps.check(block, 1)?;
            descriptors = block;
        }
        let group = ext.group(number)?;
        bitmaps.check(group.block_bitmap, 1)?;
        bitmaps.check(group.inode_bitmap, 1)?;
        bitmaps.check(group.inode_table, table_len)?;
    }
    Ok(())
}

impl Bitmaps<'_> {
    /// Checks that blocks are used.
    fn check(&mut self, first: u64, len: u64) -> Result<(), Distrust> {
        let superblock = &self.ext.superblock;
        let end = first
            .checked_add(len)
            .filter(|end| *end <= superblock.blocks);
        let end = end.filter(|_| first >= superblock.first_block);
        let end = end.ok_or(Distrust::Range {
            what: "a block of the filesystem itself",
            value: first,
        })?;
        let mut at = first;
        while at < end {
            let number = superblock.group_of(at);
            let group = superblock.blocks_of(number);
            let clusters = superblock.clusters(group.start, at..end.min(group.end));
            if !self.are_used(number, clusters)? {
                return Err(Distrust::Damaged {
                    what: "the bitmap calls blocks unused that the filesystem itself lies in",
                });
            }
            at = group.end;
        }
        Ok(())
    }

    fn are_used(&mut self, number: u64, mut clusters: Range<u64>) -> Result<bool, Distrust> {
        let known = self.kept.iter().position(|(of, _)| *of == number);
        let entry = match known.and_then(|index| self.kept.remove(index)) {
            Some(entry) => entry,
            None => {
                let group = self.ext.group(number)?;
                (number, self.ext.bitmap(number, &group)?)
            }
        };
        let is_used = |cluster: u64| {
            let byte = entry.1.get((cluster / 8) as usize);
            byte.is_some_and(|byte| byte >> (cluster % 8) & 1 == 1)
        };
        let all = clusters.all(is_used);
        self.kept.push_front(entry);
        self.kept.truncate(KEPT);
        Ok(all)
    }
}
