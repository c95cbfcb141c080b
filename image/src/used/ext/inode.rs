//! Inodes: what a file is, and whether that was written as a whole.
//!
//! Source: the kernel's Documentation/filesystems/ext4 (inodes.rst, checksums.rst, ifork.rst).

use super::Ext;
use super::superblock::Checksums;
use crate::used::Distrust;
use crate::used::checksum::crc32c_raw;
use crate::used::read::{Fields, read};

/// Byte offsets of the two halves of an inode's checksum. The second one lies in what inodes of
/// 128 bytes do not have, and counts if `i_extra_isize` says that it is there.
const CHECKSUM: usize = 0x7c;
const CHECKSUM_HIGH: usize = 0x82;
const EXTRA_SIZE: usize = 0x80;
const GENERATION: usize = 0x64;

/// Bytes that all inodes have.
pub(crate) const CLASSIC: usize = 128;

/// An inode whose checksum is right.
#[derive(Debug)]
pub(crate) struct Inode {
    /// `s_inode_size` bytes.
    pub(crate) bytes: Vec<u8>,
    /// What checksums of its blocks begin with, if they have any.
    seed: Option<u32>,
}

impl Inode {
    /// Bytes behind the first 128 that are fields of the inode; extended attributes follow.
    pub(crate) fn extra(&self) -> Result<usize, Distrust> {
        if self.bytes.len() <= CLASSIC {
            return Ok(0);
        }
        Ok(usize::from(self.bytes.le16(EXTRA_SIZE)?))
    }

    /// Whether a block of its extent tree has its checksum, which follows `used` bytes.
    pub(crate) fn matches_tree_block(&self, block: &[u8], used: usize) -> Result<bool, Distrust> {
        let Some(seed) = self.seed else {
            return Ok(true);
        };
        Ok(crc32c_raw(seed, block.part(0, used)?) == block.le32(used)?)
    }
}

impl Ext {
    /// Reads an inode, by its number from 1.
    pub(crate) fn inode(&self, number: u64) -> Result<Inode, Distrust> {
        let superblock = &self.superblock;
        let range = |what, value| Err(Distrust::Range { what, value });
        let size = superblock.inodes.size;
        if !size.is_power_of_two() || !(128..=superblock.block_size).contains(&size) {
            return range("the size of inodes", size);
        }
        if number == 0 || number > superblock.inodes.count || superblock.inodes.per_group == 0 {
            return range("the number of an inode", number);
        }
        let group = (number - 1) / superblock.inodes.per_group;
        if group >= superblock.groups() {
            return range("the number of an inode", number);
        }
        let table = self.group(group)?.inode_table;
        if table >= superblock.blocks {
            return range("the place of an inode table", table);
        }
        let index = (number - 1) % superblock.inodes.per_group;
        let at = table * superblock.block_size + index * size;
        let bytes = read(&*self.volume, at, size as usize, "an inode")?;
        let mut inode = Inode { bytes, seed: None };
        if let Checksums::Crc32c { seed } = superblock.checksums {
            inode.check(seed, number as u32)?;
        }
        Ok(inode)
    }
}

impl Inode {
    fn check(&mut self, seed: u32, number: u32) -> Result<(), Distrust> {
        let generation = self.bytes.take::<4>(GENERATION)?;
        let seed = crc32c_raw(crc32c_raw(seed, &number.to_le_bytes()), &generation);
        self.seed = Some(seed);
        let is_long = self.extra()? >= CHECKSUM_HIGH + 2 - CLASSIC;
        let mut found = u32::from(self.bytes.le16(CHECKSUM)?);
        let mut blank = self.bytes.clone();
        blank[CHECKSUM..CHECKSUM + 2].fill(0);
        let mut mask = 0xffff;
        if is_long {
            found |= u32::from(self.bytes.le16(CHECKSUM_HIGH)?) << 16;
            blank[CHECKSUM_HIGH..CHECKSUM_HIGH + 2].fill(0);
            mask = u32::MAX;
        }
        if crc32c_raw(seed, &blank) & mask == found {
            Ok(())
        } else {
            Err(Distrust::Checksum { what: "an inode" })
        }
    }
}
