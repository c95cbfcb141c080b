//! Group descriptors: 32 bytes, or 64 and more with the feature `64BIT`.

use crate::used::Distrust;
use crate::used::read::Fields;

/// `BLOCK_UNINIT`: the bitmap was never written.
const BLOCK_UNINIT: u16 = 2;

/// What of a descriptor the map depends on. Numbers of blocks are absolute.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) block_bitmap: u64,
    pub(super) inode_bitmap: u64,
    pub(super) inode_table: u64,
    pub(super) free_clusters: u32,
    pub(super) is_uninitialized: bool,
    bitmap_checksum: u32,
    /// 16 bits in the short form, else 32.
    bitmap_mask: u32,
}

impl Group {
    /// Byte offset of the descriptor's own checksum, of 16 bits.
    pub(super) const CHECKSUM: usize = 0x1e;

    /// Parses a descriptor of a length that was checked.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Distrust> {
        let is_long = bytes.len() >= 64;
        let block = |low: usize, high: usize| -> Result<u64, Distrust> {
            let high = if is_long { bytes.le32(high)? } else { 0 };
            Ok(u64::from(bytes.le32(low)?) | u64::from(high) << 32)
        };
        let half = |low: usize, high: usize| -> Result<u32, Distrust> {
            let high = if is_long { bytes.le16(high)? } else { 0 };
            Ok(u32::from(bytes.le16(low)?) | u32::from(high) << 16)
        };
        Ok(Self {
            block_bitmap: block(0x0, 0x20)?,
            inode_bitmap: block(0x4, 0x24)?,
            inode_table: block(0x8, 0x28)?,
            free_clusters: half(0xc, 0x2c)?,
            is_uninitialized: bytes.le16(0x12)? & BLOCK_UNINIT != 0,
            bitmap_checksum: half(0x18, 0x38)?,
            bitmap_mask: if is_long { !0 } else { 0xffff },
        })
    }

    /// Whether the bitmap has this checksum.
    pub(super) fn matches_bitmap(&self, checksum: u32) -> bool {
        checksum & self.bitmap_mask == self.bitmap_checksum
    }
}
