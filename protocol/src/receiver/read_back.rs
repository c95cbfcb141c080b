//! Proves that a target holds the image, from what it reads back.
//!
//! The identity of the image is computed anew from the target's bytes and compared with that of
//! the end record: whole blocks of zeros are runs of zeros, as every sender makes them, everything
//! else is a block with its digest; unused runs are taken from the manifest, and read only where
//! they were made zeros. This needs no memory per block. Tags of the digests, which do, only tell where a difference is.

use core::fmt;
use core::ops::Range;

use super::tags::DigestTags;
use crate::block::{BlockDigest, Coding, is_zero};
use crate::manifest::{Entry, Identity, IdentityHasher, Run, StoredBlock};
use crate::units::{BLOCK_SIZE, Place};

/// What a target is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBackPlan {
    /// Bytes of the image, or of the whole blocks of it that are on a target which ends before it.
    pub image_len: u64,
    /// Whether the image has no second block.
    pub only: bool,
    /// The identity of these bytes.
    pub identity: Identity,
    /// Unused runs, ascending.
    pub unused: Vec<Run>,
    /// Whether they were made zeros, and are to be read like everything else.
    pub unused_is_zero: bool,
    /// Tags of all entries.
    pub tags: DigestTags,
}

/// How a target differs from the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// These bytes of it are others.
    Bytes(Range<u64>),
    /// It has only so many bytes.
    Ends(u64),
    /// Somewhere: the tags of some blocks are not kept.
    Somewhere,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(Range { start, end }) => {
                write!(f, "reads back differently between bytes {start} and {end}")
            }
            Self::Ends(at) => write!(f, "reads back only up to byte {at}"),
            Self::Somewhere => f.write_str("reads back differently"),
        }?;
        f.write_str(
            " from what was written: the disk, its cable or the memory is failing, or another \
             program wrote to it; do not use it",
        )
    }
}

/// The state of the proof: ask [`Self::poll_read`] what to read, hand the bytes to
/// [`Self::handle_read`] until there is nothing to be read, then [`Self::finish`].
#[derive(Debug)]
pub struct ReadBack {
    plan: ReadBackPlan,
    hasher: IdentityHasher,
    next: Place,
    /// Unused runs that were passed, or their last block was.
    passed: usize,
}

impl ReadBack {
    /// A proof at the image's first byte.
    #[must_use]
    pub fn new(plan: ReadBackPlan) -> Self {
        Self {
            plan,
            hasher: IdentityHasher::default(),
            next: Place(0),
            passed: 0,
        }
    }

    /// Bytes of the image that are proved or need no proof.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.next.offset().min(self.plan.image_len)
    }

    /// The bytes to be read next, at most `most`, which holds at least a block. `None`: all is
    /// read.
    pub fn poll_read(&mut self, most: usize) -> Option<Range<u64>> {
        let mut end = self.plan.image_len;
        while !self.plan.unused_is_zero
            && let Some(run) = self.plan.unused.get(self.passed)
        {
            if run.place > self.next {
                end = end.min(run.place.offset());
                break;
            }
            self.push(&Entry::Unused(*run));
            self.passed += 1;
        }
        let start = self.next.offset();
        let whole = most / BLOCK_SIZE * BLOCK_SIZE;
        (start < end).then(|| start..end.min(start + whole as u64))
    }

    /// The bytes that [`Self::poll_read`] asked for; fewer if the target ends before.
    ///
    /// # Errors
    ///
    /// The first difference that can be named.
    pub fn handle_read(&mut self, bytes: &[u8]) -> Result<(), Difference> {
        let only = self.plan.only;
        for raw in bytes.chunks(BLOCK_SIZE) {
            let (place, start) = (self.next, self.next.offset());
            let end = start + raw.len() as u64;
            if raw.len() < place.raw_len(self.plan.image_len) {
                return Err(Difference::Ends(end));
            }
            let is_zeros = raw.len() == BLOCK_SIZE && is_zero(raw);
            let entry = if self.is_unused(place) {
                if !is_zeros {
                    return Err(Difference::Bytes(start..end));
                }
                Entry::Unused(Run { place, count: 1 })
            } else if is_zeros {
                Entry::Zero(Run { place, count: 1 })
            } else {
                Entry::Block(StoredBlock {
                    place,
                    stored_len: raw.len() as u32,
                    coding: Coding::Raw,
                    digest: BlockDigest::of(place, raw, only),
                })
            };
            if self.plan.tags.agrees(&entry) == Some(false) {
                return Err(Difference::Bytes(start..end));
            }
            self.push(&entry);
        }
        Ok(())
    }

    /// Whether all bytes together are the image.
    ///
    /// # Errors
    ///
    /// [`Difference::Ends`] if not all was read, [`Difference::Somewhere`] if it is another image.
    pub fn finish(self) -> Result<(), Difference> {
        let done = self.done();
        match self.hasher.finish(self.plan.image_len) {
            Ok(identity) if identity == self.plan.identity => Ok(()),
            Ok(_) => Err(Difference::Somewhere),
            Err(_) => Err(Difference::Ends(done)),
        }
    }

    /// Whether a place, not before those that were asked for, is in an unused run.
    fn is_unused(&mut self, place: Place) -> bool {
        while let Some(run) = self.plan.unused.get(self.passed) {
            if place.0.saturating_sub(run.place.0) < run.count {
                return run.place <= place;
            }
            self.passed += 1;
        }
        false
    }

    fn push(&mut self, entry: &Entry) {
        // An entry that does not fit is of no manifest, and leaves the identity wrong.
        if self.hasher.push(entry).is_ok() {
            self.next = entry.end().unwrap_or(Place(u32::MAX));
        }
    }
}

#[cfg(test)]
mod tests;
