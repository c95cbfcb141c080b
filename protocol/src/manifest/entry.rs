//! Entries of the manifest and their bytes.

use crate::block::{BlockDigest, Coding};
use crate::units::{MAX_BODY, Place, source_symbols};

/// What is wrong with an entry by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A kind of entry that this version does not know.
    #[error("expected a kind from 1 to 4, found {found}")]
    Kind {
        /// The byte that was found.
        found: u8,
    },
    /// No body has this length.
    #[error("expected a body of 1 to {MAX_BODY} bytes, found {found}")]
    StoredLen {
        /// The length that was found.
        found: u32,
    },
    /// A run of no blocks.
    #[error("expected a run of at least one block, found none")]
    EmptyRun,
    /// A run that has bytes where blocks have their digest.
    #[error("expected zeros behind the length of a run, found other bytes")]
    RunWithDigest,
    /// A run that ends behind the largest place.
    #[error("expected at most {} blocks from place {place}, found {count}", u32::MAX - place.0)]
    PastEnd {
        /// First place of the run.
        place: Place,
        /// Its number of blocks.
        count: u32,
    },
}

/// What the image holds at a place, or at a run of places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A block that is sent.
    Block(StoredBlock),
    /// Blocks of zeros, which have no bodies: the target's bytes become zero.
    Zero(Run),
    /// Blocks that no filesystem uses, which are not sent: the target's bytes do not matter.
    Unused(Run),
}

/// A block that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Where in the image it lies.
    pub place: Place,
    /// Length of its body in bytes, 1 to [`MAX_BODY`].
    pub stored_len: u32,
    /// How its body is coded.
    pub coding: Coding,
    /// What its raw bytes hash to.
    pub digest: BlockDigest,
}

/// Consecutive blocks without bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first of them.
    pub place: Place,
    /// How many there are, at least one.
    pub count: u32,
}

/// Bytes of an entry.
pub(super) const ENTRY_LEN: usize = 41;

const KIND_ZSTD: u8 = 1;
const KIND_RAW: u8 = 2;
const KIND_ZERO: u8 = 3;
const KIND_UNUSED: u8 = 4;

impl StoredBlock {
    /// Number of source symbols of its body.
    #[must_use]
    pub fn source_symbols(&self) -> usize {
        source_symbols(self.stored_len as usize)
    }

    /// The same, as headers of symbols state it.
    ///
    /// # Panics
    ///
    /// If its body is longer than any may be.
    #[must_use]
    pub fn k(&self) -> u8 {
        u8::try_from(self.source_symbols()).expect("bodies hold at most 187")
    }
}

impl Entry {
    /// The block, if it is one that is sent.
    #[must_use]
    pub fn as_block(&self) -> Option<&StoredBlock> {
        match self {
            Entry::Block(block) => Some(block),
            Entry::Zero(_) | Entry::Unused(_) => None,
        }
    }

    /// The first place that it is about.
    #[must_use]
    pub fn place(&self) -> Place {
        match self {
            Entry::Block(block) => block.place,
            Entry::Zero(run) | Entry::Unused(run) => run.place,
        }
    }

    /// Number of blocks of the image that it is about.
    #[must_use]
    pub fn count(&self) -> u32 {
        match self {
            Entry::Block(_) => 1,
            Entry::Zero(run) | Entry::Unused(run) => run.count,
        }
    }

    /// The place behind it, where the next entry begins; nothing where that exceeds 32 bits.
    #[must_use]
    pub fn end(&self) -> Option<Place> {
        self.place().0.checked_add(self.count()).map(Place)
    }

    /// Checks all that a single entry can get wrong.
    pub(super) fn validate(&self) -> Result<(), EntryError> {
        match self {
            Entry::Block(block) if !(1..=MAX_BODY).contains(&(block.stored_len as usize)) => {
                Err(EntryError::StoredLen {
                    found: block.stored_len,
                })
            }
            Entry::Zero(Run { count: 0, .. }) | Entry::Unused(Run { count: 0, .. }) => {
                Err(EntryError::EmptyRun)
            }
            _ if self.end().is_none() => Err(EntryError::PastEnd {
                place: self.place(),
                count: self.count(),
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (kind, len, digest) = match self {
            Entry::Block(block) => {
                let kind = match block.coding {
                    Coding::Zstd => KIND_ZSTD,
                    Coding::Raw => KIND_RAW,
                };
                (kind, block.stored_len, block.digest.0)
            }
            Entry::Zero(run) => (KIND_ZERO, run.count, [0; 32]),
            Entry::Unused(run) => (KIND_UNUSED, run.count, [0; 32]),
        };
        out.push(kind);
        out.extend_from_slice(&self.place().0.to_be_bytes());
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&digest);
    }

    /// Whether these bytes are those of a block that is sent.
    pub(super) fn is_block(bytes: &[u8; ENTRY_LEN]) -> bool {
        matches!(bytes[0], KIND_ZSTD | KIND_RAW)
    }

    pub(super) fn decode(bytes: &[u8; ENTRY_LEN]) -> Result<Entry, EntryError> {
        let [kind, p0, p1, p2, p3, l0, l1, l2, l3, digest @ ..] = *bytes;
        let place = Place(u32::from_be_bytes([p0, p1, p2, p3]));
        let len = u32::from_be_bytes([l0, l1, l2, l3]);
        let block = |coding| {
            let digest = BlockDigest(digest);
            Ok(Entry::Block(StoredBlock {
                place,
                stored_len: len,
                coding,
                digest,
            }))
        };
        let run = || {
            let zeros = digest == [0; 32];
            if zeros {
                Ok(Run { place, count: len })
            } else {
                Err(EntryError::RunWithDigest)
            }
        };
        let entry = match kind {
            KIND_ZSTD => block(Coding::Zstd),
            KIND_RAW => block(Coding::Raw),
            KIND_ZERO => run().map(Entry::Zero),
            KIND_UNUSED => run().map(Entry::Unused),
            found => Err(EntryError::Kind { found }),
        }?;
        entry.validate()?;
        Ok(entry)
    }
}
