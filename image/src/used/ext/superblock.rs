//! The superblock, and where it puts things.

use std::ops::Range;

use super::features::{
    BIGALLOC, BITS_64, CSUM_SEED, GDT_CSUM, META_BG, METADATA_CSUM, SPARSE_SUPER, SPARSE_SUPER2,
    check_features, features,
};
use super::group::Group;
use crate::used::Distrust;
use crate::used::checksum::{crc16, crc32c_raw};
use crate::used::read::Fields;

/// How descriptors and bitmaps are protected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Checksums {
    /// Not at all.
    None,
    /// Descriptors with CRC-16, from this state on.
    Crc16 { seed: u16 },
    /// Both with CRC-32C, from this state on.
    Crc32c { seed: u32 },
}

impl Checksums {
    /// Whether descriptors have a checksum: only then the flag that a bitmap
    /// was never written counts.
    pub(super) fn is_any(self) -> bool {
        !matches!(self, Self::None)
    }

    /// Checks the descriptor of group `number`.
    pub(super) fn matches_descriptor(self, number: u64, bytes: &[u8]) -> Result<bool, Distrust> {
        let is = bytes.le16(Group::CHECKSUM)?;
        let (before, after) = (&bytes[..Group::CHECKSUM], &bytes[Group::CHECKSUM + 2..]);
        let number = (number as u32).to_le_bytes();
        Ok(match self {
            Self::None => true,
            Self::Crc16 { seed } => {
                let crc = crc16(crc16(seed, &number), before);
                is == crc16(crc, after)
            }
            Self::Crc32c { seed } => {
                let crc = crc32c_raw(crc32c_raw(seed, &number), before);
                let crc = crc32c_raw(crc32c_raw(crc, &[0; 2]), after);
                is == crc as u16
            }
        })
    }
}

/// What of the superblock the map depends on.
#[derive(Debug)]
pub(super) struct Superblock {
    /// Bytes.
    pub(super) block_size: u64,
    /// Bytes that a bit stands for: a block, or several with bigalloc.
    pub(super) cluster_size: u64,
    /// Blocks of the filesystem, those in front of the first group included.
    pub(super) blocks: u64,
    pub(super) free_blocks: u64,
    /// The block that the first group begins with.
    pub(super) first_block: u64,
    /// Blocks.
    group_size: u64,
    pub(super) inode_table_blocks: u64,
    pub(super) inodes: Inodes,
    pub(super) descriptor_len: usize,
    /// Groups whose descriptors lie in a block of their own group's beginning start
    /// with this number of descriptor blocks; `None` without meta_bg.
    first_meta_group: Option<u64>,
    reserved_descriptor_blocks: u64,
    backups: Backups,
    pub(super) checksums: Checksums,
}

/// How many inodes there are, and how large they are.
#[derive(Debug)]
pub(super) struct Inodes {
    pub(super) count: u64,
    pub(super) per_group: u64,
    /// Bytes.
    pub(super) size: u64,
}

impl Inodes {
    fn parse(bytes: &[u8]) -> Result<Self, Distrust> {
        Ok(Self {
            count: bytes.le32(0x0)?.into(),
            per_group: bytes.le32(0x28)?.into(),
            size: match bytes.le32(0x4c)? {
                0 => 128,
                _ => bytes.le16(0x58)?.into(),
            },
        })
    }
}

/// Which groups begin with a copy of the superblock.
#[derive(Debug)]
enum Backups {
    All,
    /// 0, 1 and the powers of 3, 5 and 7.
    Sparse,
    /// 0 and these.
    Two([u32; 2]),
}

impl Superblock {
    /// Parses and checks it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Distrust> {
        let checksums = checksums(bytes)?;
        check_features(bytes)?;
        let [compat, incompat, ro_compat] = features(bytes)?;
        let has = |set: u32, flag: u32| set & flag != 0;
        let shift = |at: usize, what: &'static str| match bytes.le32(at)? {
            // Blocks are at most 64 KiB; clusters of more than 1 GiB are not made.
            shift if shift <= 20 => Ok(1024_u64 << shift),
            shift => Err(Distrust::Range {
                what,
                value: shift.into(),
            }),
        };
        let block_size = shift(0x18, "the block size")?;
        let cluster_size = if has(ro_compat, BIGALLOC) {
            shift(0x1c, "the cluster size")?
        } else {
            block_size
        };
        let high = |at: usize| -> Result<u64, Distrust> {
            let is_wide = has(incompat, BITS_64);
            Ok(if is_wide {
                u64::from(bytes.le32(at)?) << 32
            } else {
                0
            })
        };
        let inodes = Inodes::parse(bytes)?;
        let superblock = Self {
            block_size,
            cluster_size,
            blocks: u64::from(bytes.le32(0x4)?) | high(0x150)?,
            free_blocks: u64::from(bytes.le32(0xc)?) | high(0x158)?,
            first_block: bytes.le32(0x14)?.into(),
            group_size: bytes.le32(0x20)?.into(),
            inode_table_blocks: (inodes.per_group * inodes.size).div_ceil(block_size),
            inodes,
            descriptor_len: if has(incompat, BITS_64) {
                bytes.le16(0xfe)?.into()
            } else {
                32
            },
            first_meta_group: if has(incompat, META_BG) {
                Some(bytes.le32(0x104)?.into())
            } else {
                None
            },
            reserved_descriptor_blocks: bytes.le16(0xce)?.into(),
            backups: if has(compat, SPARSE_SUPER2) {
                Backups::Two([bytes.le32(0x24c)?, bytes.le32(0x250)?])
            } else if has(ro_compat, SPARSE_SUPER) {
                Backups::Sparse
            } else {
                Backups::All
            },
            checksums,
        };
        superblock.check_geometry(bytes.le32(0x24)?.into())?;
        Ok(superblock)
    }

    /// Whether the numbers fit each other, so that none of them overflows later.
    fn check_geometry(&self, clusters_per_group: u64) -> Result<(), Distrust> {
        let bad = |what, value| Err(Distrust::Range { what, value });
        if self.block_size > 65_536 {
            return bad("the block size", self.block_size);
        }
        if self.cluster_size < self.block_size {
            return bad("the cluster size", self.cluster_size);
        }
        // A group's bitmap is one block.
        let clusters = self.group_size * self.block_size / self.cluster_size;
        let is_whole = clusters * self.cluster_size == self.group_size * self.block_size;
        if clusters == 0
            || !clusters.is_multiple_of(8)
            || clusters > self.block_size * 8
            || !is_whole
        {
            return bad("the size of a group", self.group_size);
        }
        if self.cluster_size > self.block_size && clusters_per_group != clusters {
            return bad("the number of clusters in a group", clusters_per_group);
        }
        let is_power = self.descriptor_len.is_power_of_two();
        if !is_power || !(32..=1024).contains(&self.descriptor_len) {
            return bad(
                "the length of a group descriptor",
                self.descriptor_len as u64,
            );
        }
        // 1 only with blocks of 1 KiB, where the superblock is block 1.
        if self.first_block > u64::from(self.block_size == 1024) {
            return bad("the first data block", self.first_block);
        }
        // 1 EiB, more than ext4 can address.
        if self.blocks <= self.first_block || self.blocks > (1 << 60) / self.block_size {
            return bad("the number of blocks", self.blocks);
        }
        if self.groups() > u64::from(u32::MAX) {
            return bad("the number of groups", self.groups());
        }
        if self.free_blocks > self.blocks {
            return bad("the number of free blocks", self.free_blocks);
        }
        Ok(())
    }

    pub(super) fn groups(&self) -> u64 {
        (self.blocks - self.first_block).div_ceil(self.group_size)
    }

    /// Bytes of a whole group.
    pub(super) fn group_bytes(&self) -> u64 {
        self.group_size * self.block_size
    }

    /// Bytes of a bitmap that count.
    pub(super) fn bitmap_len(&self) -> usize {
        (self.group_bytes() / self.cluster_size / 8) as usize
    }

    fn descriptors_per_block(&self) -> u64 {
        self.block_size / self.descriptor_len as u64
    }

    /// Number of the block with the superblock, which lies 1024 bytes behind the start.
    pub(super) fn superblock_block(&self) -> u64 {
        u64::from(self.block_size == 1024)
    }

    /// Byte offset of a group's descriptor.
    pub(super) fn descriptor_at(&self, group: u64) -> u64 {
        let per_block = self.descriptors_per_block();
        let index = group / per_block;
        let block = match self.first_meta_group {
            Some(first) if index >= first => {
                let owner = index * per_block;
                let start = self.first_block + owner * self.group_size;
                // With clusters of several 1 KiB blocks the first group begins with the boot block.
                let boot = u64::from(owner == 0 && self.superblock_block() > self.first_block);
                start + boot + u64::from(self.has_superblock(owner))
            }
            _ => self.superblock_block() + 1 + index,
        };
        block * self.block_size + group % per_block * self.descriptor_len as u64
    }

    fn has_superblock(&self, group: u64) -> bool {
        let is_power = |base: u64| {
            let mut power = base;
            while power < group {
                power *= base;
            }
            power == group
        };
        match &self.backups {
            Backups::All => true,
            Backups::Sparse => group <= 1 || [3, 5, 7].into_iter().any(is_power),
            Backups::Two(groups) => group == 0 || groups.iter().any(|it| u64::from(*it) == group),
        }
    }

    /// Blocks at the start of a group for superblock and descriptors.
    fn head_blocks(&self, group: u64) -> u64 {
        let per_block = self.descriptors_per_block();
        let superblock = u64::from(self.has_superblock(group));
        match self.first_meta_group {
            Some(first) if group / per_block >= first => {
                let is_holder =
                    matches!(group % per_block, 0 | 1) || group % per_block == per_block - 1;
                superblock + u64::from(is_holder)
            }
            _ if superblock == 0 => 0,
            meta => {
                let all = self.groups().div_ceil(per_block);
                superblock + meta.unwrap_or(all) + self.reserved_descriptor_blocks
            }
        }
    }

    /// Clusters, counted from the group that begins at `start`, that blocks lie in.
    pub(super) fn clusters(&self, start: u64, blocks: Range<u64>) -> Range<u64> {
        let ratio = self.cluster_size / self.block_size;
        let at = |block: u64| block.saturating_sub(start);
        at(blocks.start) / ratio..at(blocks.end.max(blocks.start)).div_ceil(ratio)
    }

    /// The first block of a group, and the one behind its last.
    pub(super) fn blocks_of(&self, group: u64) -> Range<u64> {
        let start = self.first_block + group * self.group_size;
        start..self.blocks.min(start + self.group_size)
    }

    /// The group that a block lies in.
    pub(super) fn group_of(&self, block: u64) -> u64 {
        block.saturating_sub(self.first_block) / self.group_size
    }

    /// The bitmap of a group that was never written to (`BLOCK_UNINIT`): used
    /// are the copies at its start, and its own bitmaps and inode table where
    /// they lie in it. That nothing else does shows in its count of free clusters.
    pub(super) fn initial_bitmap(&self, number: u64, group: &Group) -> Result<Vec<u8>, Distrust> {
        let Range { start, end } = self.blocks_of(number);
        let boot = u64::from(number == 0 && self.superblock_block() > self.first_block);
        let parts = [
            (start, boot + self.head_blocks(number)),
            (group.block_bitmap, 1),
            (group.inode_bitmap, 1),
            (group.inode_table, self.inode_table_blocks),
        ];
        let mut bitmap = vec![0; self.bitmap_len()];
        for (block, len) in parts {
            let stop = block.saturating_add(len).min(end);
            for cluster in self.clusters(start, block.max(start)..stop) {
                let byte = bitmap.get_mut((cluster / 8) as usize);
                *byte.ok_or(Distrust::Damaged {
                    what: "a group is longer than its bitmap",
                })? |= 1 << (cluster % 8);
            }
        }
        Ok(bitmap)
    }
}

/// Which checksums there are; that of the superblock itself is checked.
fn checksums(bytes: &[u8]) -> Result<Checksums, Distrust> {
    let [_, incompat, ro_compat] = features(bytes)?;
    let uuid = bytes.part(0x68, 16)?;
    if ro_compat & METADATA_CSUM != 0 {
        let kind = bytes.byte(0x175)?;
        if kind != 1 {
            return Err(Distrust::Feature {
                what: "checksum type",
                value: kind.into(),
            });
        }
        if crc32c_raw(!0, bytes.part(0, 0x3fc)?) != bytes.le32(0x3fc)? {
            return Err(Distrust::Checksum {
                what: "the superblock",
            });
        }
        let seed = if incompat & CSUM_SEED != 0 {
            bytes.le32(0x270)?
        } else {
            crc32c_raw(!0, uuid)
        };
        return Ok(Checksums::Crc32c { seed });
    }
    if ro_compat & GDT_CSUM != 0 {
        return Ok(Checksums::Crc16 {
            seed: crc16(!0, uuid),
        });
    }
    Ok(Checksums::None)
}
