//! The digest of an image, from pieces in any order.

use std::collections::BTreeMap;

use blake3::hazmat::{ChainingValue, Mode, merge_subtrees_non_root};

use super::{BlockDigest, ImageDigest, ImageHasher, ZerosDigest};
use crate::units::Place;

/// Puts the digest of an image together from those of its blocks and runs, whichever is known first.
///
/// A subtree and the sibling that ends or begins with it become their parent as soon as both are
/// there. So of each stretch of blocks without a gap at most two subtrees of each size are kept: memory
/// grows with the gaps, not with the blocks.
#[derive(Debug, Default)]
pub struct ImageTree {
    /// Subtrees by their first place, and the number of their blocks: a power of two that divides it.
    subtrees: BTreeMap<u32, (u32, ChainingValue)>,
    blocks: u64,
}

impl ImageTree {
    /// Takes the block at a place, once.
    pub fn push(&mut self, place: Place, digest: BlockDigest) {
        self.push_subtree(place.0, 1, digest.0);
    }

    /// Takes blocks of zeros from a place on, each once.
    pub fn push_zeros(&mut self, place: Place, digest: &ZerosDigest) {
        let mut at = place.0;
        for &(blocks, value) in digest.subtrees() {
            self.push_subtree(at, blocks, value);
            at += blocks;
        }
    }

    fn push_subtree(&mut self, mut at: u32, mut blocks: u32, mut value: ChainingValue) {
        self.blocks += u64::from(blocks);
        // The parent of two subtrees at the image's left edge may be its root, which is hashed in
        // another way: they stay apart until all is there.
        while at > blocks {
            let sibling = at ^ blocks;
            match self.subtrees.get(&sibling) {
                Some(&(as_many, other)) if as_many == blocks => {
                    let (left, right) = if sibling < at {
                        (other, value)
                    } else {
                        (value, other)
                    };
                    value = merge_subtrees_non_root(&left, &right, Mode::Hash);
                    self.subtrees.remove(&sibling);
                }
                _ => break,
            }
            at = at.min(sibling);
            blocks *= 2;
        }
        self.subtrees.insert(at, (blocks, value));
    }

    /// The digest of the image, all `blocks` of which were taken; `None` as long as some were not.
    #[must_use]
    pub fn finish(&self, blocks: u64) -> Option<ImageDigest> {
        if self.blocks != blocks {
            return None;
        }
        let mut hasher = ImageHasher::default();
        for &(blocks, value) in self.subtrees.values() {
            hasher.push_subtree(blocks, value);
        }
        Some(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::BLOCK_SIZE;
    use proptest::prelude::*;

    /// Digests need not be those of any bytes.
    fn digest(place: u32) -> BlockDigest {
        BlockDigest(blake3::hash(&place.to_be_bytes()).into())
    }

    fn in_order(blocks: u32) -> ImageDigest {
        let mut hasher = ImageHasher::default();
        (0..blocks).for_each(|place| hasher.push(digest(place)));
        hasher.finish()
    }

    #[test]
    fn images_of_every_small_size_have_their_digest() {
        for blocks in 0..130 {
            let mut tree = ImageTree::default();
            for place in (0..blocks).rev() {
                assert_eq!(tree.finish(blocks.into()), None);
                tree.push(Place(place), digest(place));
            }
            assert_eq!(tree.finish(blocks.into()), Some(in_order(blocks)));
        }
    }

    #[test]
    fn runs_of_zeros_may_come_late_and_in_parts() {
        let mut image = vec![0; 607 * BLOCK_SIZE];
        for place in [0, 1, 603] {
            image[place * BLOCK_SIZE..][..BLOCK_SIZE].fill(7);
        }
        let len = image.len() as u64;
        let mut tree = ImageTree::default();
        for place in [603, 0, 1, 602] {
            let raw = &image[place as usize * BLOCK_SIZE..][..BLOCK_SIZE];
            tree.push(Place(place), BlockDigest::of(Place(place), raw, false));
        }
        for (place, count) in [(604, 3), (256, 256), (512, 90), (2, 254)] {
            assert_eq!(tree.finish(607), None);
            tree.push_zeros(Place(place), &ZerosDigest::of(Place(place), count, len));
        }
        let plain = ImageDigest(blake3::hash(&image).into());
        assert_eq!(tree.finish(607), Some(plain));
    }

    #[test]
    fn memory_grows_with_gaps_and_not_with_blocks() {
        let mut tree = ImageTree::default();
        for place in (0..100_000).filter(|place| place % 1000 != 500) {
            tree.push(Place(place), digest(place));
            assert!(tree.subtrees.len() <= 34 + 20 * (place as usize / 1000));
        }
        for place in (0..100_000).filter(|place| place % 1000 == 500) {
            tree.push(Place(place), digest(place));
        }
        assert!(tree.subtrees.len() <= 34, "{}", tree.subtrees.len());
        assert_eq!(tree.finish(100_000), Some(in_order(100_000)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_order_gives_the_same(
            order in (1_u32..300).prop_flat_map(|n| Just((0..n).collect::<Vec<_>>()).prop_shuffle()),
        ) {
            let mut tree = ImageTree::default();
            for &place in &order {
                tree.push(Place(place), digest(place));
            }
            let blocks = u32::try_from(order.len()).unwrap();
            prop_assert_eq!(tree.finish(blocks.into()), Some(in_order(blocks)));
        }
    }
}
