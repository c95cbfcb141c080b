//! Digests of blocks that combine to the plain BLAKE3 hash of the image.
//!
//! BLAKE3 hashes a tree of 1 KiB chunks (BLAKE3 paper, section 2.1). A block is 256 aligned
//! chunks, a power of two, hence a subtree, and its chaining value is what the manifest states.
//! The chunk number enters every chunk, so equal blocks at different places have different
//! digests, and a block that is written to the wrong place does not check out. An image of one
//! block has no tree above it: its digest is the hash itself.

use core::fmt;

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root,
};

use crate::units::{BLOCK_SIZE, Place};

/// What a block at its place hashes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockDigest(pub [u8; 32]);

/// The BLAKE3 hash of an image: what `b3sum` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageDigest(pub [u8; 32]);

static ZEROS: [u8; BLOCK_SIZE] = [0; BLOCK_SIZE];

impl BlockDigest {
    /// The digest of the raw block at a place; `only` says that it is the whole image.
    ///
    /// # Panics
    ///
    /// Unless `raw` has 1 to [`BLOCK_SIZE`] bytes.
    #[must_use]
    pub fn of(place: Place, raw: &[u8], only: bool) -> BlockDigest {
        assert!(
            (1..=BLOCK_SIZE).contains(&raw.len()),
            "a block has 1 to {BLOCK_SIZE} bytes"
        );
        let mut hasher = blake3::Hasher::new();
        if only {
            return BlockDigest(hasher.update(raw).finalize().into());
        }
        BlockDigest(
            hasher
                .set_input_offset(place.offset())
                .update(raw)
                .finalize_non_root(),
        )
    }

    /// The digest of a block of `len` zeros.
    ///
    /// # Panics
    ///
    /// Unless `len` is 1 to [`BLOCK_SIZE`].
    #[must_use]
    pub fn of_zeros(place: Place, len: usize, only: bool) -> BlockDigest {
        assert!(len <= BLOCK_SIZE, "a block has at most {BLOCK_SIZE} bytes");
        BlockDigest::of(place, &ZEROS[..len], only)
    }
}

/// Blocks of zeros that are digested as one subtree: a power of two. More would save less and less
/// memory, 32 bytes for each 8 MiB, and need an image that is larger than the subtree.
const ZERO_SUBTREE: u32 = 32;

/// What a run of zeros at its place hashes to: of each subtree that it consists of the number of
/// blocks and the chaining value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZerosDigest(Vec<(u32, ChainingValue)>);

impl ZerosDigest {
    /// The digest of `count` blocks of zeros at `place` of an image of `image_len` bytes. Nothing but
    /// hashing them tells it, as the chunk number enters every chunk.
    #[must_use]
    pub fn of(place: Place, count: u32, image_len: u64) -> Self {
        let only = image_len <= BLOCK_SIZE as u64;
        // The root of the whole tree is hashed in another way.
        let has_subtrees = image_len > u64::from(ZERO_SUBTREE) * BLOCK_SIZE as u64;
        let (mut at, end) = (place.0, place.0 + count);
        let mut subtrees = Vec::new();
        while at < end {
            let whole = has_subtrees && at.is_multiple_of(ZERO_SUBTREE) && end - at >= ZERO_SUBTREE;
            let (blocks, digest) = if whole {
                (ZERO_SUBTREE, zero_subtree(Place(at)))
            } else {
                (1, BlockDigest::of_zeros(Place(at), BLOCK_SIZE, only).0)
            };
            subtrees.push((blocks, digest));
            at += blocks;
        }
        Self(subtrees)
    }

    /// Of one block, whose digest is known.
    #[must_use]
    pub fn of_block(digest: BlockDigest) -> Self {
        Self(vec![(1, digest.0)])
    }

    /// The subtrees, from left to right.
    pub(super) fn subtrees(&self) -> &[(u32, ChainingValue)] {
        &self.0
    }

    /// How many blocks it is about.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.iter().map(|(blocks, _)| blocks).sum()
    }
}

fn zero_subtree(place: Place) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(place.offset());
    for _ in 0..ZERO_SUBTREE {
        hasher.update(&ZEROS);
    }
    hasher.finalize_non_root()
}

/// Combines the digests of all blocks of an image, in the order of their places.
#[derive(Debug, Clone, Default)]
pub struct ImageHasher {
    /// Chaining values of complete subtrees from left to right, each of a power of two of
    /// blocks. The two last are merged only when another block follows, as the last merge of all
    /// is that of the root.
    stack: Vec<ChainingValue>,
    /// Blocks so far.
    blocks: u64,
}

impl ImageHasher {
    /// Takes the next block. Only the last of an image may be shorter than [`BLOCK_SIZE`].
    pub fn push(&mut self, digest: BlockDigest) {
        self.push_subtree(1, digest.0);
    }

    /// Takes the next blocks, which are zeros.
    pub fn push_zeros(&mut self, digest: &ZerosDigest) {
        for (blocks, value) in &digest.0 {
            self.push_subtree(*blocks, *value);
        }
    }

    /// Takes the next subtree, which lies at a multiple of its length.
    pub(super) fn push_subtree(&mut self, blocks: u32, value: ChainingValue) {
        // A subtree for each bit that is set in the number of blocks: what lies left of the new
        // block is complete.
        while self.stack.len() > self.blocks.count_ones() as usize {
            let right = self
                .stack
                .pop()
                .expect("more than one subtree is on the stack");
            let left = self
                .stack
                .pop()
                .expect("more than one subtree is on the stack");
            self.stack
                .push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
        self.stack.push(value);
        self.blocks += u64::from(blocks);
    }

    /// The hash of the image of which all blocks were pushed.
    #[must_use]
    pub fn finish(mut self) -> ImageDigest {
        let Some(mut right) = self.stack.pop() else {
            return ImageDigest(blake3::hash(&[]).into());
        };
        while let Some(left) = self.stack.pop() {
            right = if self.stack.is_empty() {
                merge_subtrees_root(&left, &right, Mode::Hash).into()
            } else {
                merge_subtrees_non_root(&left, &right, Mode::Hash)
            };
        }
        ImageDigest(right)
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for BlockDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new()
            .update(b"image")
            .finalize_xof()
            .fill(&mut bytes);
        bytes
    }

    fn combined(image: &[u8]) -> ImageDigest {
        let only = image.len() <= BLOCK_SIZE;
        let mut hasher = ImageHasher::default();
        for (place, raw) in (0..).map(Place).zip(image.chunks(BLOCK_SIZE)) {
            hasher.push(BlockDigest::of(place, raw, only));
        }
        hasher.finish()
    }

    #[test]
    fn blocks_combine_to_the_hash_of_the_image() {
        let whole = image(33 * BLOCK_SIZE + 1);
        let around = |blocks: usize| {
            [0, 1, 2, 3, 1023, 1025]
                .into_iter()
                .flat_map(move |odd: usize| {
                    [
                        blocks * BLOCK_SIZE + odd,
                        (blocks * BLOCK_SIZE).saturating_sub(odd),
                    ]
                })
        };
        for len in [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17]
            .into_iter()
            .flat_map(around)
        {
            let hash = ImageDigest(blake3::hash(&whole[..len]).into());
            assert_eq!(combined(&whole[..len]), hash, "{len} bytes");
        }
        assert_eq!(combined(&whole), ImageDigest(blake3::hash(&whole).into()));
    }

    #[test]
    fn zeros_have_the_digest_of_zeros() {
        for (place, len, only) in [(0, 1, true), (0, BLOCK_SIZE, false), (7, BLOCK_SIZE, false)] {
            let zeros = vec![0; len];
            let expected = BlockDigest::of(Place(place), &zeros, only);
            assert_eq!(BlockDigest::of_zeros(Place(place), len, only), expected);
        }
    }

    #[test]
    fn runs_of_zeros_combine_like_their_blocks() {
        // Blocks of zeros at one end, or between two that are not.
        for (before, zeros, behind) in [
            (0, 1, 0),
            (0, 31, 0),
            (0, 32, 0),
            (0, 33, 0),
            (0, 64, 0),
            (0, 64, 1),
            (1, 31, 0),
            (1, 95, 7),
            (3, 200, 1),
            (32, 32, 0),
        ] {
            let len = (before + zeros + behind) * BLOCK_SIZE;
            let mut bytes = image(len);
            let (from, to) = (before * BLOCK_SIZE, (before + zeros) * BLOCK_SIZE);
            bytes[from..to].fill(0);
            let only = len <= BLOCK_SIZE;
            let mut hasher = ImageHasher::default();
            let block = |at: usize| {
                let raw = &bytes[at * BLOCK_SIZE..(at + 1) * BLOCK_SIZE];
                BlockDigest::of(Place(at as u32), raw, only)
            };
            (0..before).for_each(|at| hasher.push(block(at)));
            let run = ZerosDigest::of(Place(before as u32), zeros as u32, len as u64);
            assert_eq!(run.count() as usize, zeros);
            hasher.push_zeros(&run);
            (before + zeros..before + zeros + behind).for_each(|at| hasher.push(block(at)));
            let expected = ImageDigest(blake3::hash(&bytes).into());
            assert_eq!(hasher.finish(), expected, "{before} {zeros} {behind}");
        }
    }

    #[test]
    fn the_place_enters_the_digest() {
        let raw = image(BLOCK_SIZE);
        let places = [0, 1, 2, u32::MAX].map(Place);
        let digests = places.map(|place| BlockDigest::of(place, &raw, false));
        let only = BlockDigest::of(Place(0), &raw, true);
        for (n, digest) in digests.iter().enumerate() {
            assert!(!digests[..n].contains(digest) && *digest != only);
        }
    }

    #[test]
    fn a_digest_is_shown_as_b3sum_does() {
        let empty = ImageHasher::default().finish().to_string();
        assert_eq!(
            empty,
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn images_of_any_length_hash_right(len in 1..6 * BLOCK_SIZE) {
            let image = image(len);
            prop_assert_eq!(combined(&image), ImageDigest(blake3::hash(&image).into()));
        }
    }
}
