//! The superblock.

use crate::used::checksum::crc32c_raw;
use crate::used::read::{Fields, read};
use crate::used::{Distrust, ReadAt};

/// Where the superblock and its copies lie; devices that are too small have fewer.
pub(super) const MIRRORS: [u64; 3] = [64 << 10, 64 << 20, 256 << 30];

/// Bytes of it.
pub(super) const SUPERBLOCK_LEN: u64 = 4096;

/// Incompatible features that change nothing here, or are followed: `MIXED_BACKREF`,
/// `DEFAULT_SUBVOL`, `MIXED_GROUPS`, `COMPRESS_LZO`, `COMPRESS_ZSTD`, `BIG_METADATA`,
/// `EXTENDED_IREF`, `RAID56`, `SKINNY_METADATA`, `NO_HOLES`, `METADATA_UUID`, `RAID1C34`,
/// `SIMPLE_QUOTA`.
const INCOMPAT: u64 = 0xfff | 0x1_0000;
const METADATA_UUID: u64 = 0x400;

/// `FREE_SPACE_TREE`, `FREE_SPACE_TREE_VALID`, `VERITY`, `BLOCK_GROUP_TREE`.
const RO_COMPAT: u64 = 0xf;

/// Flags of the superblock: `WRITTEN`, `RELOC`, and `SEEDING`, none of which changes anything.
const FLAGS: u64 = 1 | 2 | 1 << 32;
const ERROR: u64 = 1 << 2;

/// The one type of checksum that is followed.
const CRC32C: u16 = 0;

/// What of the superblock the map depends on.
#[derive(Debug)]
pub(super) struct Superblock {
    /// Identifies nodes of this filesystem.
    pub(super) node_id: [u8; 16],
    /// Logical addresses and levels of the roots of two trees.
    pub(super) root: (u64, u8),
    pub(super) chunk_root: (u64, u8),
    /// Bytes of the device.
    pub(super) len: u64,
    /// Bytes of all extents, each counted once.
    pub(super) used: u64,
    pub(super) devices: u64,
    /// Number of this device.
    pub(super) device: u64,
    /// Bytes of a node.
    pub(super) node: u64,
    /// The chunks that the tree of chunks lies in.
    pub(super) system_chunks: Vec<u8>,
}

impl Superblock {
    pub(super) fn read(volume: &dyn ReadAt) -> Result<Self, Distrust> {
        let bytes = read(
            volume,
            MIRRORS[0],
            SUPERBLOCK_LEN as usize,
            "the superblock",
        )?;
        if bytes.le16(0xc4)? != CRC32C {
            return Err(Distrust::Feature {
                what: "checksum type",
                value: bytes.le16(0xc4)?.into(),
            });
        }
        if !crc32c_raw(!0, bytes.part(32, 4096 - 32)?) != bytes.le32(0)? {
            return Err(Distrust::Checksum {
                what: "the superblock",
            });
        }
        check_features(&bytes)?;
        let range = |what, value: u64| Err(Distrust::Range { what, value });
        let len = bytes.le64(0xd1)?;
        if len > volume.size() {
            return Err(Distrust::Size {
                filesystem: len,
                volume: volume.size(),
            });
        }
        let node = u64::from(bytes.le32(0x94)?);
        if !node.is_power_of_two() || !(4096..=65_536).contains(&node) {
            return range("the size of nodes", node);
        }
        if len < MIRRORS[0] + SUPERBLOCK_LEN {
            return range("the size of the device", len);
        }
        let system = bytes.le32(0xa0)? as usize;
        if system > 2048 {
            return range("the length of the list of system chunks", system as u64);
        }
        let id = if bytes.le64(0xbc)? & METADATA_UUID != 0 {
            0x23b
        } else {
            0x20
        };
        Ok(Self {
            node_id: bytes.take(id)?,
            root: (bytes.le64(0x50)?, bytes.byte(0xc6)?),
            chunk_root: (bytes.le64(0x58)?, bytes.byte(0xc7)?),
            len,
            used: bytes.le64(0x78)?,
            devices: bytes.le64(0x88)?,
            device: bytes.le64(0xc9)?,
            node,
            system_chunks: bytes.part(0x32b, system)?.to_vec(),
        })
    }
}

fn check_features(bytes: &[u8]) -> Result<(), Distrust> {
    let known = |what, value: u64| match value {
        0 => Ok(()),
        value => Err(Distrust::Feature { what, value }),
    };
    known("incompatible feature", bytes.le64(0xbc)? & !INCOMPAT)?;
    known(
        "read-only compatible feature",
        bytes.le64(0xb4)? & !RO_COMPAT,
    )?;
    let flags = bytes.le64(0x38)?;
    let unclean = |what| {
        Err(Distrust::Unclean {
            what,
            remedy: "mount and unmount it, or run btrfs check on it",
        })
    };
    if flags & ERROR != 0 {
        return unclean("errors were found in it");
    }
    known("flag", flags & !FLAGS)?;
    if bytes.le64(0x60)? != 0 {
        return unclean("its log has to be replayed");
    }
    Ok(())
}
