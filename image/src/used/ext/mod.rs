//! ext2, ext3, ext4: a bitmap for each block group.
//!
//! The source of every field is the kernel's Documentation/filesystems/ext4
//! (super.rst, group_descr.rst, bitmaps.rst, checksums.rst, bigalloc.rst).

mod features;
mod group;
mod inode;
mod known;
mod superblock;

use std::ops::Range;
use std::sync::Arc;

use super::bits::set_runs;
use super::map::Allocation;
use super::read::{Reader, read};
use super::{Distrust, checksum};
use group::Group;
use superblock::{Checksums, Superblock};

pub(crate) use inode::{CLASSIC, Inode};

/// Where the superblock lies, and how long it is.
const SUPERBLOCK: (u64, usize) = (1024, 1024);

/// A filesystem whose superblock is believed.
#[derive(Debug)]
pub(crate) struct Ext {
    pub(crate) volume: Reader,
    superblock: Superblock,
}

/// Reads the superblock of a filesystem that has to be clean.
pub(crate) fn open(volume: Reader) -> Result<Arc<dyn Allocation>, Distrust> {
    let ext = Ext::read(volume)?;
    ext.check_clean()?;
    known::check(&ext)?;
    Ok(Arc::new(ext))
}

impl Ext {
    /// Reads the superblock. What it says may lag behind if the filesystem is not clean.
    pub(crate) fn read(volume: Reader) -> Result<Self, Distrust> {
        let superblock = Superblock::parse(&superblock(&volume)?)?;
        let filesystem = superblock.blocks * superblock.block_size;
        if filesystem > volume.size() {
            return Err(Distrust::Size {
                filesystem,
                volume: volume.size(),
            });
        }
        Ok(Self { volume, superblock })
    }

    /// Whether it was unmounted and found to be whole.
    pub(crate) fn check_clean(&self) -> Result<(), Distrust> {
        features::check_clean(&superblock(&self.volume)?)
    }

    /// Bytes of a block.
    pub(crate) fn block_size(&self) -> u64 {
        self.superblock.block_size
    }

    /// Blocks of the filesystem.
    pub(crate) fn blocks(&self) -> u64 {
        self.superblock.blocks
    }

    /// The descriptor of a group, checked.
    fn group(&self, number: u64) -> Result<Group, Distrust> {
        let at = self.superblock.descriptor_at(number);
        let what = "a group descriptor";
        let bytes = read(&*self.volume, at, self.superblock.descriptor_len, what)?;
        if !self
            .superblock
            .checksums
            .matches_descriptor(number, &bytes)?
        {
            return Err(Distrust::Checksum { what });
        }
        Group::parse(&bytes)
    }

    /// The bitmap of a group, a bit for each of its clusters.
    fn bitmap(&self, number: u64, group: &Group) -> Result<Vec<u8>, Distrust> {
        let superblock = &self.superblock;
        if group.is_uninitialized && superblock.checksums.is_any() {
            return superblock.initial_bitmap(number, group);
        }
        let what = "a block bitmap";
        if group.block_bitmap >= superblock.blocks {
            return Err(Distrust::Range {
                what,
                value: group.block_bitmap,
            });
        }
        let at = group.block_bitmap * superblock.block_size;
        let bitmap = read(&*self.volume, at, superblock.bitmap_len(), what)?;
        if let Checksums::Crc32c { seed } = superblock.checksums {
            let is = checksum::crc32c_raw(seed, &bitmap);
            if !group.matches_bitmap(is) {
                return Err(Distrust::Checksum { what });
            }
        }
        Ok(bitmap)
    }
}

fn superblock(volume: &Reader) -> Result<Vec<u8>, Distrust> {
    let (at, len) = SUPERBLOCK;
    read(&**volume, at, len, "the superblock")
}

impl Allocation for Ext {
    fn extent(&self) -> u64 {
        self.superblock.blocks * self.superblock.block_size
    }

    /// A group; for the first one with what lies in front of it.
    fn piece(&self, from: u64, used: &mut Vec<Range<u64>>) -> Result<u64, Distrust> {
        let superblock = &self.superblock;
        let first = superblock.first_block * superblock.block_size;
        if from < first {
            // Block 0 at 1 KiB blocks: the boot sector, of which no bitmap speaks.
            used.push(0..first);
            return Ok(first);
        }
        let number = (from - first) / superblock.group_bytes();
        let group = self.group(number)?;
        let bitmap = self.bitmap(number, &group)?;
        let start = first + number * superblock.group_bytes();
        let end = self.extent().min(start + superblock.group_bytes());
        let cluster = superblock.cluster_size;
        let clusters = (end - start).div_ceil(cluster);
        let mut taken = 0;
        for run in set_runs(&bitmap, clusters) {
            taken += run.end - run.start;
            let place = start + run.start * cluster..end.min(start + run.end * cluster);
            if place.end > from {
                used.push(place);
            }
        }
        if clusters - taken != u64::from(group.free_clusters) {
            return Err(Distrust::Count {
                what: "the number of free clusters in a group",
                expected: u64::from(group.free_clusters),
                found: clusters - taken,
            });
        }
        Ok(end)
    }

    fn expected(&self) -> Option<u64> {
        Some(self.extent() - self.superblock.free_blocks * self.superblock.block_size)
    }
}
