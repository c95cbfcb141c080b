//! What is known of every place of the image, in eight bytes for each.

use core::fmt;

use crate::manifest::{Entry, Run};
use crate::units::Place;

/// The most tags that are kept, 8 MiB: one for every block of 256 GiB. For a larger image those
/// of every second, fourth .. place are kept.
const MAX_TAGS: usize = 1 << 20;

const UNKNOWN: u64 = 0;
const ZEROS: u64 = 1;

/// Tags of the entries of a manifest by place: the first 64 bits of a block's digest, or that it
/// is zeros.
///
/// Two images that differ at a place have different tags there, but for one pair in 2^64; a tag
/// is no proof against somebody who looks for such a pair.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DigestTags {
    /// Tags of the places that are multiples of 2^`shift`.
    tags: Vec<u64>,
    shift: u32,
}

impl DigestTags {
    /// Notes what the image holds where the entry says.
    pub fn note(&mut self, entry: &Entry) {
        let tag = tag(entry);
        self.make_room(entry);
        let indices = self.indices(entry);
        if indices.is_empty() {
            return;
        }
        if self.tags.len() < indices.end {
            self.tags.resize(indices.end, UNKNOWN);
        }
        self.tags[indices].fill(tag);
    }

    /// Whether the entry says what was noted. `None`: nothing was noted where it is about.
    #[must_use]
    pub fn agrees(&self, entry: &Entry) -> Option<bool> {
        let tag = tag(entry);
        let known = |index: usize| {
            let noted = *self.tags.get(index)?;
            (noted != UNKNOWN).then_some(noted == tag)
        };
        let mut end = self.indices(entry);
        end.end = end.end.min(self.tags.len());
        end.filter_map(known).reduce(|all, one| all && one)
    }

    /// Whether nothing was noted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// The part of a run from the first to the last of its places of which nothing is known.
    #[must_use]
    pub fn unknown_of(&self, run: Run) -> Option<Run> {
        let mut places = run.place.0..run.place.0 + run.count;
        let is_unknown = |place: &u32| !self.is_known(Place(*place));
        let first = places.find(is_unknown)?;
        let last = places.rfind(is_unknown).unwrap_or(first);
        Some(Run {
            place: Place(first),
            count: last - first + 1,
        })
    }

    fn is_known(&self, place: Place) -> bool {
        let place = u64::from(place.0);
        let tag = self.tags.get((place / self.stride()) as usize);
        place.is_multiple_of(self.stride()) && tag.is_some_and(|&tag| tag != UNKNOWN)
    }

    /// Blocks between two places whose tags are kept: 1 up to 256 GiB.
    #[must_use]
    pub fn stride(&self) -> u64 {
        1 << self.shift
    }

    /// Drops every second tag until the last place of an entry has room.
    fn make_room(&mut self, entry: &Entry) {
        let last = entry.place().0.saturating_add(entry.count() - 1) as usize;
        while last >> self.shift >= MAX_TAGS {
            self.shift += 1;
            let mut at = 0..;
            self.tags
                .retain(|_| at.next().is_some_and(|at: usize| at.is_multiple_of(2)));
        }
    }

    /// Where the tags of an entry's places stand.
    fn indices(&self, entry: &Entry) -> core::ops::Range<usize> {
        let from = u64::from(entry.place().0);
        let end = from + u64::from(entry.count());
        let index = |place: u64| place.div_ceil(self.stride()) as usize;
        index(from)..index(end)
    }
}

fn tag(entry: &Entry) -> u64 {
    match entry {
        Entry::Block(block) => {
            let (first, _) = block.digest.0.split_first_chunk().expect("32 bytes hold 8");
            u64::from_be_bytes(*first).max(ZEROS + 1)
        }
        // Of an unused run something is known only where it was made zeros.
        Entry::Zero(_) | Entry::Unused(_) => ZEROS,
    }
}

impl fmt::Debug for DigestTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = Place(u32::try_from(self.tags.len()).unwrap_or(u32::MAX));
        write!(f, "DigestTags(up to {last} x {})", self.stride())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{BlockDigest, Coding};
    use crate::manifest::{Run, StoredBlock};

    fn block(place: u32, digest: u8) -> Entry {
        Entry::Block(StoredBlock {
            place: Place(place),
            stored_len: 1,
            coding: Coding::Raw,
            digest: BlockDigest([digest; 32]),
        })
    }

    fn run(place: u32, count: u32) -> Run {
        Run {
            place: Place(place),
            count,
        }
    }

    #[test]
    fn what_was_noted_is_recognised_and_what_was_not_is_unknown() {
        let mut tags = DigestTags::default();
        assert_eq!(tags.agrees(&block(0, 1)), None);
        tags.note(&block(3, 1));
        tags.note(&Entry::Zero(run(5, 4)));
        tags.note(&Entry::Unused(run(9, 1)));
        assert_eq!(tags.agrees(&block(3, 1)), Some(true));
        assert_eq!(tags.agrees(&block(3, 2)), Some(false));
        assert_eq!(tags.agrees(&Entry::Zero(run(3, 1))), Some(false));
        assert_eq!(tags.agrees(&block(2, 1)), None);
        assert_eq!(tags.agrees(&block(99, 1)), None);
        assert_eq!(tags.agrees(&Entry::Zero(run(6, 2))), Some(true));
        assert_eq!(
            tags.agrees(&Entry::Zero(run(4, 5))),
            Some(true),
            "4 is unknown"
        );
        assert_eq!(tags.agrees(&Entry::Zero(run(3, 2))), Some(false));
        assert_eq!(tags.agrees(&Entry::Unused(run(9, 1))), Some(true));
        assert_eq!(tags.agrees(&Entry::Zero(run(9, 1))), Some(true));
        assert_eq!(tags.agrees(&block(9, 1)), Some(false));
        assert_eq!(tags.agrees(&block(7, 1)), Some(false));
    }

    #[test]
    fn what_is_unknown_of_a_run_is_found_from_both_ends() {
        let mut tags = DigestTags::default();
        assert!(tags.is_empty());
        assert_eq!(tags.unknown_of(run(4, 5)), Some(run(4, 5)));
        tags.note(&Entry::Zero(run(3, 2)));
        tags.note(&Entry::Zero(run(6, 1)));
        assert!(!tags.is_empty());
        assert_eq!(tags.unknown_of(run(3, 2)), None);
        assert_eq!(tags.unknown_of(run(3, 3)), Some(run(5, 1)));
        assert_eq!(tags.unknown_of(run(4, 4)), Some(run(5, 3)));
        assert_eq!(tags.unknown_of(run(3, 4)), Some(run(5, 1)));
        // Of a large image the places between two that are kept are unknown.
        tags.note(&block(u32::try_from(MAX_TAGS).unwrap(), 1));
        assert_eq!(tags.unknown_of(run(3, 4)), Some(run(3, 3)));
    }

    #[test]
    fn digests_that_look_like_runs_do_not_count_as_such() {
        for first in [UNKNOWN, ZEROS] {
            let mut digest = [7; 32];
            digest[..8].copy_from_slice(&first.to_be_bytes());
            let Entry::Block(mut stored) = block(0, 0) else {
                unreachable!("it is a block")
            };
            stored.digest = BlockDigest(digest);
            let entry = Entry::Block(stored);
            let mut tags = DigestTags::default();
            tags.note(&entry);
            assert_eq!(tags.agrees(&entry), Some(true));
            assert_eq!(tags.agrees(&Entry::Zero(run(0, 1))), Some(false));
            assert_eq!(tags.agrees(&Entry::Unused(run(0, 1))), Some(false));
        }
    }

    #[test]
    fn a_large_image_is_sampled_and_takes_no_more_memory() {
        let mut tags = DigestTags::default();
        let max = u32::try_from(MAX_TAGS).unwrap();
        for place in [0, 1, 2, 3, 4, max - 1] {
            tags.note(&block(place, 1 + (place % 200) as u8));
        }
        assert_eq!((tags.stride(), tags.tags.len()), (1, MAX_TAGS));
        tags.note(&block(max, 77));
        assert_eq!(tags.stride(), 2);
        assert_eq!(tags.agrees(&block(max, 77)), Some(true));
        assert_eq!(tags.agrees(&block(max, 78)), Some(false));
        for (place, known) in [(0, true), (1, false), (2, true), (3, false), (4, true)] {
            let agrees = tags.agrees(&block(place, 1 + (place % 200) as u8));
            assert_eq!(agrees, known.then_some(true), "place {place}");
        }
        tags.note(&Entry::Zero(run(max + 1, u32::MAX - max - 1)));
        assert!(tags.tags.len() <= MAX_TAGS);
        assert_eq!(tags.stride(), 1 << 12);
        assert_eq!(tags.agrees(&block(0, 1)), Some(true));
        assert_eq!(tags.agrees(&Entry::Zero(run(max + 1, 1 << 20))), Some(true));
        assert_eq!(tags.agrees(&block(1 << 31, 1)), Some(false));
    }
}
