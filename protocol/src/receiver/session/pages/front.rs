//! The part of an image that is on a target which ends before it.

use crate::manifest::{Entry, Identity, IdentityHasher, Run};
use crate::units::{BLOCK_SIZE, Place};

/// Takes the identity of the image's front, as if it were an image of its own: the whole blocks
/// that are on the target, if the image goes on behind them.
#[derive(Debug)]
pub(super) struct Front {
    /// Whole blocks that the target holds.
    places: Option<u32>,
    identity: Option<Identity>,
}

impl Front {
    pub(super) fn new(target_len: Option<u64>) -> Self {
        let places = target_len.map(|len| len / BLOCK_SIZE as u64);
        Self {
            // No image has more places than that.
            places: places.and_then(|places| u32::try_from(places).ok()),
            identity: None,
        }
    }

    /// Bytes and identity of the front.
    pub(super) fn identity(&self) -> Option<(u64, Identity)> {
        let places = self.places?;
        Some((Place(places).offset(), self.identity?))
    }

    /// An entry of the manifest comes, in order; `before` is what came before it.
    pub(super) fn on_entry(&mut self, before: &IdentityHasher, entry: &Entry) {
        let Some(places) = self.places else {
            return;
        };
        let from = entry.place().0;
        let end = from.saturating_add(entry.count());
        if self.identity.is_some() || !(from..end).contains(&places) {
            return;
        }
        let mut front = before.clone();
        let (place, count) = (Place(from), places - from);
        if count > 0 {
            // Only runs are of several places.
            let part = match entry {
                Entry::Zero(_) => Entry::Zero(Run { place, count }),
                Entry::Unused(_) => Entry::Unused(Run { place, count }),
                Entry::Block(_) => return,
            };
            if front.push(&part).is_err() {
                return;
            }
        }
        self.identity = front.finish(Place(places).offset()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{BlockDigest, Coding};
    use crate::manifest::StoredBlock;

    const BLOCK: u64 = BLOCK_SIZE as u64;

    fn block(place: u32) -> Entry {
        Entry::Block(StoredBlock {
            place: Place(place),
            stored_len: 1,
            coding: Coding::Raw,
            digest: BlockDigest([7; 32]),
        })
    }

    fn zeros(place: u32, count: u32) -> Entry {
        let place = Place(place);
        Entry::Zero(Run { place, count })
    }

    fn of(entries: &[Entry], len: u64) -> Identity {
        let mut hasher = IdentityHasher::default();
        for entry in entries {
            hasher.push(entry).unwrap();
        }
        hasher.finish(len).unwrap()
    }

    fn front(target_len: u64) -> Option<(u64, Identity)> {
        let mut front = Front::new(Some(target_len));
        let mut hasher = IdentityHasher::default();
        for entry in [block(0), block(1), zeros(2, 3), block(5)] {
            front.on_entry(&hasher, &entry);
            hasher.push(&entry).unwrap();
        }
        front.identity()
    }

    #[test]
    fn the_front_is_the_image_of_its_blocks() {
        let two = of(&[block(0), block(1)], 2 * BLOCK);
        assert_eq!(front(2 * BLOCK), Some((2 * BLOCK, two)));
        assert_eq!(front(3 * BLOCK - 1), Some((2 * BLOCK, two)));
        let four = of(&[block(0), block(1), zeros(2, 2)], 4 * BLOCK);
        assert_eq!(front(4 * BLOCK + 9), Some((4 * BLOCK, four)));
        let five = of(&[block(0), block(1), zeros(2, 3)], 5 * BLOCK);
        assert_eq!(front(5 * BLOCK), Some((5 * BLOCK, five)));
        assert_eq!(front(BLOCK - 1), Some((0, of(&[], 0))));
        // Nothing is cut off.
        assert_eq!(front(6 * BLOCK), None);
        assert_eq!(front(u64::MAX), None);
    }
}
