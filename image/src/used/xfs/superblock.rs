//! The superblock.

use super::checksum_matches;
use crate::used::read::{Fields, read};
use crate::used::{Distrust, ReadAt};

/// Bytes that are read, the smallest sector.
pub(super) const LEN: usize = 512;

/// Version 4: `ATTR`, `NLINK`, `QUOTA`, `ALIGN`, `DALIGN`, `LOGV2`, `SECTOR`, `EXTFLG`, `DIRV2`,
/// `BORG`, `MOREBITS`.
const VERSION_4: u16 =
    0x10 | 0x20 | 0x40 | 0x80 | 0x100 | 0x400 | 0x800 | 0x1000 | 0x2000 | 0x4000 | 0x8000;

/// Version 5, incompatible: `FTYPE`, `SPINODES`, `META_UUID`, `BIGTIME`, `NREXT64`, `EXCHRANGE`,
/// `PARENT`.
const INCOMPAT: u32 = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80;
const NEEDS_REPAIR: u32 = 0x10;

/// Read-only compatible: `FINOBT`, `RMAPBT`, `REFLINK`, `INOBTCNT`.
const RO_COMPAT: u32 = 0x1 | 0x2 | 0x4 | 0x8;

/// Of the log: `XATTRS`, which says nothing once the log is clean.
const LOG_INCOMPAT: u32 = 0x1;

/// Groups that a filesystem may have; of at least 16 MiB each they make 64 TiB, and of usual
/// ones far more.
const MAX_GROUPS: u64 = 1 << 22;

/// What of the superblock the map depends on.
#[derive(Debug)]
pub(super) struct Superblock {
    /// Bytes of a block.
    pub(super) block: u64,
    /// Bytes of a sector.
    pub(super) sector: u64,
    /// Blocks of the filesystem.
    pub(super) blocks: u64,
    /// Blocks of a group; the last one may have fewer.
    group_blocks: u64,
    pub(super) groups: u64,
    /// By its own count, lists and trees of free space included.
    pub(super) free_blocks: u64,
    /// Version 5: everything has a checksum.
    pub(super) has_checksums: bool,
    /// Byte offset and bytes of the log.
    pub(super) log: (u64, u64),
}

impl Superblock {
    /// Parses and checks the superblock of group 0.
    pub(super) fn parse(bytes: &[u8], volume: &dyn ReadAt) -> Result<Self, Distrust> {
        let be16 = |at| bytes.take(at).map(u16::from_be_bytes);
        let be32 = |at| bytes.take(at).map(u32::from_be_bytes);
        let be64 = |at| bytes.take(at).map(u64::from_be_bytes);
        let range = |what, value: u64| Err(Distrust::Range { what, value });
        let block = u64::from(be32(4)?);
        let sector = u64::from(be16(102)?);
        if !block.is_power_of_two() || !(512..=65_536).contains(&block) {
            return range("the block size", block);
        }
        if !sector.is_power_of_two() || !(512..=block.min(32_768)).contains(&sector) {
            return range("the sector size", sector);
        }
        let has_checksums = check_features(bytes)?;
        if has_checksums {
            let whole = read(volume, 0, sector as usize, "the superblock")?;
            if !checksum_matches(&whole, 224) {
                return Err(Distrust::Checksum {
                    what: "the superblock",
                });
            }
        }
        if be64(16)? != 0 {
            return Err(Distrust::Arrangement("a realtime device"));
        }
        let (blocks, group_blocks, groups) = (be64(8)?, u64::from(be32(84)?), u64::from(be32(88)?));
        let filesystem = blocks.saturating_mul(block);
        if filesystem > volume.size() {
            return Err(Distrust::Size {
                filesystem,
                volume: volume.size(),
            });
        }
        // A header of four sectors begins each group.
        let has_room = group_blocks * block >= 8 * sector && groups <= MAX_GROUPS;
        if group_blocks == 0 || !has_room || blocks.div_ceil(group_blocks) != groups {
            return range("the number of groups", groups);
        }
        let log = place_of_log(bytes, blocks, group_blocks)?;
        Ok(Self {
            block,
            sector,
            blocks,
            group_blocks,
            groups,
            free_blocks: be64(144)?,
            has_checksums,
            log: (log.0 * block, log.1 * block),
        })
    }

    /// Byte offset of a group.
    pub(super) fn group_at(&self, number: u64) -> u64 {
        number * self.group_blocks * self.block
    }

    /// Blocks of a group.
    pub(super) fn group_len(&self, number: u64) -> u64 {
        self.group_blocks
            .min(self.blocks - number * self.group_blocks)
    }
}

/// The first block of the log and how many it has.
fn place_of_log(bytes: &[u8], blocks: u64, group_blocks: u64) -> Result<(u64, u64), Distrust> {
    let range = |what, value: u64| Err(Distrust::Range { what, value });
    let start = bytes.take(48).map(u64::from_be_bytes)?;
    if start == 0 {
        return Err(Distrust::Arrangement("its log on another device"));
    }
    // A block's number is that of its group and, in the low bits, that in the group.
    let shift = u32::from(bytes.byte(124)?);
    if shift != group_blocks.next_power_of_two().trailing_zeros() {
        return range("the size of a group", group_blocks);
    }
    let first = (start >> shift)
        .checked_mul(group_blocks)
        .and_then(|group| group.checked_add(start & ((1 << shift) - 1)));
    let len = u64::from(bytes.take(96).map(u32::from_be_bytes)?);
    let end = first.and_then(|first| first.checked_add(len));
    match (first, end) {
        (Some(first), Some(end)) if end <= blocks && len > 0 => Ok((first, len)),
        _ => range("the place of the log", start),
    }
}

/// Checks version and features; says whether there are checksums.
fn check_features(bytes: &[u8]) -> Result<bool, Distrust> {
    let be32 = |at| bytes.take(at).map(u32::from_be_bytes);
    let known = |what, unknown: u32| match unknown {
        0 => Ok(()),
        flags => Err(Distrust::Feature {
            what,
            value: flags.into(),
        }),
    };
    if bytes.byte(126)? != 0 {
        return Err(Distrust::Unclean {
            what: "it was not made or grown to its end",
            remedy: "run xfs_repair on it",
        });
    }
    let version = bytes.take(100).map(u16::from_be_bytes)?;
    match version & 0xf {
        4 => {
            known("feature", u32::from(version & !0xf & !VERSION_4))?;
            Ok(false)
        }
        5 => {
            let incompat = be32(216)?;
            if incompat & NEEDS_REPAIR != 0 {
                return Err(Distrust::Unclean {
                    what: "it is marked for repair",
                    remedy: "run xfs_repair on it",
                });
            }
            known("incompatible feature", incompat & !INCOMPAT)?;
            known("read-only compatible feature", be32(212)? & !RO_COMPAT)?;
            known(
                "incompatible feature of the log",
                be32(220)? & !LOG_INCOMPAT,
            )?;
            Ok(true)
        }
        other => Err(Distrust::Feature {
            what: "version",
            value: other.into(),
        }),
    }
}
