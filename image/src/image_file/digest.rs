//! Digests of blocks at their places, which combine to the plain BLAKE3 hash of the disk.
//!
//! A block is 256 aligned chunks of BLAKE3's tree, a subtree; its digest is the subtree's chaining
//! value (BLAKE3 paper, section 2.1), into which the number of each chunk enters. A disk of one
//! block has no tree above it: its digest is the hash itself. These are the digests of the
//! manifest on the wire, so a sender takes them from the file.

use std::fmt;

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root,
};

use super::{BLOCK_SIZE, Place};

/// What a block at its place hashes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockDigest(pub [u8; 32]);

/// The BLAKE3 hash of a disk: what `b3sum` prints of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskDigest(pub [u8; 32]);

static ZEROS: [u8; BLOCK_SIZE] = [0; BLOCK_SIZE];

impl BlockDigest {
    /// The digest of a block at its place on a disk of `disk_len` bytes.
    #[must_use]
    pub fn of(place: Place, raw: &[u8], disk_len: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        if disk_len <= BLOCK_SIZE as u64 {
            return Self(hasher.update(raw).finalize().into());
        }
        hasher.set_input_offset(place.offset());
        Self(hasher.update(raw).finalize_non_root())
    }

    /// The digest of a whole block of zeros.
    #[must_use]
    pub fn of_zeros(place: Place, disk_len: u64) -> Self {
        Self::of(place, &ZEROS, disk_len)
    }
}

/// Combines the digests of all blocks of a disk, in the order of their places.
#[derive(Clone, Debug, Default)]
pub struct DiskHasher {
    /// Complete subtrees from left to right, with the number of blocks below each. Each has
    /// fewer than the one before it, except the last two: which merge is the root's shows only
    /// at the end.
    subtrees: Vec<(ChainingValue, u64)>,
}

impl DiskHasher {
    /// Takes the next block.
    pub fn push(&mut self, digest: BlockDigest) {
        while let [.., (left, a), (right, b)] = self.subtrees[..]
            && a == b
        {
            let merged = merge_subtrees_non_root(&left, &right, Mode::Hash);
            self.subtrees.truncate(self.subtrees.len() - 2);
            self.subtrees.push((merged, a + b));
        }
        self.subtrees.push((digest.0, 1));
    }

    /// The hash of the disk of which all blocks, at least one, were pushed.
    #[must_use]
    pub fn finish(mut self) -> DiskDigest {
        let Some((mut right, _)) = self.subtrees.pop() else {
            return DiskDigest(blake3::hash(&[]).into());
        };
        while let Some((left, _)) = self.subtrees.pop() {
            right = if self.subtrees.is_empty() {
                merge_subtrees_root(&left, &right, Mode::Hash).into()
            } else {
                merge_subtrees_non_root(&left, &right, Mode::Hash)
            };
        }
        DiskDigest(right)
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for DiskDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(disk: &[u8]) -> DiskDigest {
        let (mut hasher, len) = (DiskHasher::default(), disk.len() as u64);
        for (place, raw) in (0..).map(Place).zip(disk.chunks(BLOCK_SIZE)) {
            hasher.push(BlockDigest::of(place, raw, len));
        }
        hasher.finish()
    }

    #[test]
    fn blocks_combine_to_the_hash_of_the_disk() {
        let disk: Vec<u8> = (0..9 * BLOCK_SIZE + 1)
            .map(|at| ((at >> 7) ^ at) as u8)
            .collect();
        for blocks in 0..=9 {
            for len in [blocks * BLOCK_SIZE, blocks * BLOCK_SIZE + 1] {
                let expected = DiskDigest(blake3::hash(&disk[..len]).into());
                assert_eq!(hash(&disk[..len]), expected, "{len} bytes");
            }
        }
    }

    #[test]
    fn a_digest_is_that_of_one_place() {
        let len = 3 * BLOCK_SIZE as u64;
        let zeros = [0, 1, 2].map(|place| BlockDigest::of_zeros(Place(place), len));
        assert!(zeros[0] != zeros[1] && zeros[1] != zeros[2]);
        assert_eq!(zeros[1], BlockDigest::of(Place(1), &ZEROS, len));
    }
}
