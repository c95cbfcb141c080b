//! The digest of the image, from those of its blocks and runs in the order of their places.
//!
//! Runs of zeros, and what is unused and counts as zeros, are sent without their digests, which
//! come when the processor has time for them. What lies behind a run waits for that.

use std::collections::{BTreeMap, VecDeque};

use mimeo_protocol::block::{BlockDigest, ImageDigest, ImageHasher, ZerosDigest};
use mimeo_protocol::manifest::Run;
use mimeo_protocol::units::Place;

use super::queue::Expected;

/// What the image consists of, as far as its digests are not known up to there.
#[derive(Debug)]
enum Link {
    /// Blocks that are sent, by their numbers: their digests are kept anyway.
    Blocks { first: usize, end: usize },
    /// A block that was read and is zeros.
    Zero(BlockDigest),
    /// A run that was not read.
    Run { place: Place, count: u32 },
}

/// Puts digests together.
#[derive(Debug, Default)]
pub(super) struct DigestChain {
    /// What is known without, or not wanted.
    given: Option<Option<ImageDigest>>,
    hasher: ImageHasher,
    open: VecDeque<Link>,
    /// Parts of runs by their places.
    early: BTreeMap<Place, ZerosDigest>,
}

impl DigestChain {
    /// Puts nothing together: the image has this digest, or nobody wants one.
    pub(super) fn given(digest: Option<ImageDigest>) -> Self {
        Self {
            given: Some(digest),
            ..Self::default()
        }
    }

    /// Whether digests of runs are needed.
    pub(super) fn needs_runs(&self) -> bool {
        self.given.is_none()
    }

    /// The next block, the last of those that were sent.
    pub(super) fn push_block(&mut self, sent: &[Expected]) {
        if self.given.is_some() {
            return;
        }
        let end = sent.len();
        match self.open.back_mut() {
            Some(Link::Blocks { end: last, .. }) => *last = end,
            _ => self.open.push_back(Link::Blocks {
                first: end - 1,
                end,
            }),
        }
        self.advance(sent);
    }

    /// The next block, which was read and is zeros.
    pub(super) fn push_zero(&mut self, digest: BlockDigest, sent: &[Expected]) {
        if self.given.is_some() {
            return;
        }
        self.open.push_back(Link::Zero(digest));
        self.advance(sent);
    }

    /// The next blocks, of which digests will come.
    pub(super) fn push_run(&mut self, run: Run, sent: &[Expected]) {
        if self.given.is_some() {
            return;
        }
        self.open.push_back(Link::Run {
            place: run.place,
            count: run.count,
        });
        self.advance(sent);
    }

    /// The digest of a part of a run.
    pub(super) fn on_zeros(&mut self, place: Place, digest: ZerosDigest, sent: &[Expected]) {
        self.early.insert(place, digest);
        self.advance(sent);
    }

    /// The digest of all that was pushed, once it is known: none if nobody wants it.
    pub(super) fn finish(&mut self) -> Option<Option<ImageDigest>> {
        if let Some(given) = self.given {
            return Some(given);
        }
        let known = self.open.is_empty();
        known.then(|| Some(std::mem::take(&mut self.hasher).finish()))
    }

    fn advance(&mut self, sent: &[Expected]) {
        while let Some(link) = self.open.front_mut() {
            match link {
                Link::Blocks { first, end } => {
                    for block in &sent[*first..*end] {
                        self.hasher.push(block.digest);
                    }
                }
                Link::Zero(digest) => self.hasher.push(*digest),
                Link::Run { place, count } => {
                    while *count > 0 {
                        let Some(digest) = self.early.remove(place) else {
                            return;
                        };
                        self.hasher.push_zeros(&digest);
                        place.0 += digest.count();
                        *count -= digest.count();
                    }
                }
            }
            self.open.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimeo_protocol::block::{Coding, Level};
    use mimeo_protocol::units::BLOCK_SIZE;

    fn expected(place: u32, raw: &[u8]) -> Expected {
        Expected {
            digest: BlockDigest::of(Place(place), raw, false),
            coding: Coding::Raw,
            level: Level::DEFAULT,
            raw_len: BLOCK_SIZE as u32,
            only: false,
        }
    }

    #[test]
    fn digests_of_runs_may_come_late_and_in_any_order() {
        let data = vec![7; BLOCK_SIZE];
        // Two blocks, a run of 600, a block of zeros that was read, a block, a run of 3.
        let mut image = vec![0; 607 * BLOCK_SIZE];
        let mut sent = Vec::new();
        let mut chain = DigestChain::default();
        let mut block = |place: u32, chain: &mut DigestChain, sent: &mut Vec<Expected>| {
            let from = place as usize * BLOCK_SIZE;
            image[from..from + BLOCK_SIZE].copy_from_slice(&data);
            sent.push(expected(place, &data));
            chain.push_block(sent);
        };
        let run = |place, count| Run {
            place: Place(place),
            count,
        };
        block(0, &mut chain, &mut sent);
        block(1, &mut chain, &mut sent);
        assert!(chain.open.is_empty());
        chain.push_run(run(2, 600), &sent);
        let zeros = BlockDigest::of_zeros(Place(602), BLOCK_SIZE, false);
        chain.push_zero(zeros, &sent);
        block(603, &mut chain, &mut sent);
        chain.push_run(run(604, 3), &sent);
        let len = image.len() as u64;
        for (place, count) in [(604, 3), (256, 256), (512, 90), (2, 254)] {
            assert!(chain.finish().is_none());
            let digest = ZerosDigest::of(Place(place), count, len);
            chain.on_zeros(Place(place), digest, &sent);
        }
        let mut plain = ImageHasher::default();
        for (place, raw) in (0..).zip(image.chunks(BLOCK_SIZE)) {
            plain.push(BlockDigest::of(Place(place), raw, false));
        }
        assert_eq!(chain.finish(), Some(Some(plain.finish())));
        assert!(chain.early.is_empty());
    }
}
