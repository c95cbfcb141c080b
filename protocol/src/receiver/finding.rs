//! What a target holds at the place of a block.

use crate::block::{BlockDigest, is_zero};
use crate::manifest::StoredBlock;
use crate::units::{BLOCK_SIZE, Place};

/// What a receiver that resumes finds at the place of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The block itself.
    Same,
    /// Something else, or something that cannot be read.
    Different,
    /// Nothing but zeros, or the end of the target.
    Blank,
    /// The target ends before it, and was found to be long enough all the same: the block is not
    /// needed.
    Beyond,
}

impl Finding {
    /// Bytes of a block to look at; the target may hold fewer.
    #[must_use]
    pub fn len_of(entry: &StoredBlock, image_len: Option<u64>) -> usize {
        image_len.map_or(BLOCK_SIZE, |len| entry.place.raw_len(len))
    }

    /// Compares what the target holds at a block's place, [`Self::len_of`] bytes or what there is
    /// of them, with the block's entry.
    #[must_use]
    pub fn of(entry: &StoredBlock, held: &[u8], image_len: Option<u64>) -> Self {
        let whole = image_len.is_none() || held.len() == Self::len_of(entry, image_len);
        if whole && !held.is_empty() && is_block(entry, held, image_len) {
            Self::Same
        } else if is_zero(held) {
            Self::Blank
        } else {
            Self::Different
        }
    }
}

/// Whether raw bytes, at least one, are those of a block.
pub(super) fn is_block(entry: &StoredBlock, raw: &[u8], image_len: Option<u64>) -> bool {
    let is = |only| BlockDigest::of(entry.place, raw, only) == entry.digest;
    match image_len {
        Some(len) => is(len <= BLOCK_SIZE as u64),
        // Whether the first block is the only one is known at the end; either digest binds it.
        None => is(false) || (entry.place == Place(0) && is(true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Coding;

    fn entry(place: u32, raw: &[u8], only: bool) -> StoredBlock {
        StoredBlock {
            place: Place(place),
            stored_len: 1,
            coding: Coding::Raw,
            digest: BlockDigest::of(Place(place), raw, only),
        }
    }

    #[test]
    fn a_block_is_found_where_it_belongs_and_nowhere_else() {
        let (raw, len) = (vec![7; BLOCK_SIZE], Some(3 * BLOCK_SIZE as u64));
        assert_eq!(
            Finding::of(&entry(1, &raw, false), &raw, len),
            Finding::Same
        );
        assert_eq!(
            Finding::of(&entry(2, &raw, false), &raw, Some(1 << 30)),
            Finding::Same
        );
        let elsewhere = entry(0, &raw, false);
        let moved = StoredBlock {
            place: Place(1),
            ..elsewhere
        };
        assert_eq!(Finding::of(&moved, &raw, len), Finding::Different);
    }

    #[test]
    fn the_last_block_is_as_long_as_the_image_says() {
        let (raw, len) = ([9; 100], Some(BLOCK_SIZE as u64 + 100));
        let last = entry(1, &raw, false);
        assert_eq!(Finding::len_of(&last, len), 100);
        assert_eq!(Finding::of(&last, &raw, len), Finding::Same);
        assert_eq!(Finding::of(&last, &raw[..99], len), Finding::Different);
        assert_eq!(Finding::of(&last, &[], len), Finding::Blank);
        assert_eq!(Finding::of(&last, &[0; 100], len), Finding::Blank);
        // A stream's length is not known: as much as the target holds may be all of it.
        assert_eq!(Finding::of(&last, &raw, None), Finding::Same);
    }

    #[test]
    fn the_only_block_has_a_digest_of_its_own_and_may_be_zeros() {
        let only = entry(0, &[0; 10], true);
        assert_eq!(Finding::of(&only, &[0; 10], Some(10)), Finding::Same);
        assert_eq!(Finding::of(&only, &[0; 10], None), Finding::Same);
        assert_eq!(Finding::of(&only, &[0; 10], Some(1 << 20)), Finding::Blank);
    }
}
