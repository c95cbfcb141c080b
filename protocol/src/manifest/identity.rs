//! The identity of an image: a hash of its manifest.
//!
//! Receivers confirm the identity at the end, so it must be the same for all who hold the same
//! image, however the manifest was cut into pages and runs and however the blocks were
//! compressed. It is BLAKE3 in its mode of key derivation (BLAKE3 paper, section 2.6) under the
//! context of this module, of these items in the order of their places, all numbers big-endian:
//!
//! | item | bytes |
//! |---|---|
//! | block that is sent | 1, place (4), digest (32) |
//! | longest run of zeros | 2, place (4), number of blocks (4) |
//! | longest unused run | 3, place (4), number of blocks (4) |
//! | end | 0, block size (4), length of the image in bytes (8) |
//!
//! The first byte of an item tells its length, so no two manifests have the same bytes.

use core::fmt;

use super::entry::{Entry, Run};
use crate::block::write_hex;
use crate::units::{BLOCK_SIZE, Place};

/// Separates these hashes from all others.
const CONTEXT: &str = "mimeo 2026-11-20 identity of an image v1";

/// The identity of an image. Equal identities mean equal bytes in all used areas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(pub [u8; 32]);

/// Why entries are not the manifest of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// An entry leaves a gap behind its predecessor or overlaps it.
    #[error("expected an entry of place {expected}, found one of place {found}")]
    Place {
        /// Place behind the last entry.
        expected: Place,
        /// Place of the entry.
        found: Place,
    },
    /// An entry ends behind the largest place.
    #[error(
        "expected an entry that ends below place {}, found {count} blocks from {place}",
        u32::MAX
    )]
    PastEnd {
        /// Place of the entry.
        place: Place,
        /// Its number of blocks.
        count: u32,
    },
    /// The entries do not end where the image does.
    #[error("expected entries for all {image_len} bytes of the image, found {found} blocks")]
    End {
        /// Length of the image in bytes.
        image_len: u64,
        /// Number of blocks that entries were about.
        found: u32,
    },
}

/// Computes the [`Identity`] from all entries of a manifest.
#[derive(Debug, Clone)]
pub struct IdentityHasher {
    hasher: blake3::Hasher,
    /// Place behind the last entry.
    next: Place,
    /// The run that the last entry ends, which the next one may continue.
    run: Option<(Kind, Run)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    End = 0,
    Block = 1,
    Zero = 2,
    Unused = 3,
}

impl Default for IdentityHasher {
    fn default() -> IdentityHasher {
        let hasher = blake3::Hasher::new_derive_key(CONTEXT);
        IdentityHasher {
            hasher,
            next: Place(0),
            run: None,
        }
    }
}

impl IdentityHasher {
    /// Takes the next entry. Entries cover the image without gaps, in order.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Place`] and [`IdentityError::PastEnd`]; the entry does not count then.
    pub fn push(&mut self, entry: &Entry) -> Result<(), IdentityError> {
        let (place, count) = (entry.place(), entry.count());
        if place != self.next {
            return Err(IdentityError::Place {
                expected: self.next,
                found: place,
            });
        }
        self.next = entry.end().ok_or(IdentityError::PastEnd { place, count })?;
        match entry {
            Entry::Block(block) => {
                self.flush_run();
                self.item(Kind::Block, place, &block.digest.0);
            }
            Entry::Zero(run) => self.push_run(Kind::Zero, *run),
            Entry::Unused(run) => self.push_run(Kind::Unused, *run),
        }
        Ok(())
    }

    /// The identity of an image of `image_len` bytes, every place of which an entry covered.
    ///
    /// # Errors
    ///
    /// [`IdentityError::End`] where the entries end elsewhere.
    pub fn finish(mut self, image_len: u64) -> Result<Identity, IdentityError> {
        if u64::from(self.next.0) != image_len.div_ceil(BLOCK_SIZE as u64) {
            return Err(IdentityError::End {
                image_len,
                found: self.next.0,
            });
        }
        self.flush_run();
        self.hasher.update(&[Kind::End as u8]);
        self.hasher.update(&(BLOCK_SIZE as u32).to_be_bytes());
        self.hasher.update(&image_len.to_be_bytes());
        Ok(Identity(self.hasher.finalize().into()))
    }

    fn push_run(&mut self, kind: Kind, run: Run) {
        match &mut self.run {
            Some((last_kind, last)) if *last_kind == kind => last.count += run.count,
            _ => {
                self.flush_run();
                self.run = Some((kind, run));
            }
        }
    }

    fn flush_run(&mut self) {
        if let Some((kind, run)) = self.run.take() {
            self.item(kind, run.place, &run.count.to_be_bytes());
        }
    }

    fn item(&mut self, kind: Kind, place: Place, rest: &[u8]) {
        self.hasher.update(&[kind as u8]);
        self.hasher.update(&place.0.to_be_bytes());
        self.hasher.update(rest);
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{BlockDigest, Coding};
    use crate::manifest::StoredBlock;

    const BLOCK: u64 = BLOCK_SIZE as u64;

    fn block(place: u32, digest: u8) -> Entry {
        let (place, digest) = (Place(place), BlockDigest([digest; 32]));
        Entry::Block(StoredBlock {
            place,
            stored_len: 1000,
            coding: Coding::Zstd,
            digest,
        })
    }

    fn zero(place: u32, count: u32) -> Entry {
        Entry::Zero(Run {
            place: Place(place),
            count,
        })
    }

    fn unused(place: u32, count: u32) -> Entry {
        Entry::Unused(Run {
            place: Place(place),
            count,
        })
    }

    fn identity(entries: &[Entry], image_len: u64) -> Result<Identity, IdentityError> {
        let mut hasher = IdentityHasher::default();
        entries.iter().try_for_each(|entry| hasher.push(entry))?;
        hasher.finish(image_len)
    }

    #[test]
    fn an_identity_has_golden_bytes() {
        let entries = [block(0, 0xaa), zero(1, 2), unused(3, 5), block(8, 0xbb)];
        let len = 8 * BLOCK + 77;
        let found = identity(&entries, len).unwrap();
        let message = [
            &b"\x01\x00\x00\x00\x00"[..],
            &[0xaa; 32],
            b"\x02\x00\x00\x00\x01\x00\x00\x00\x02",
            b"\x03\x00\x00\x00\x03\x00\x00\x00\x05",
            b"\x01\x00\x00\x00\x08",
            &[0xbb; 32],
            b"\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x20\x00\x4d",
        ];
        assert_eq!(found.0, blake3::derive_key(CONTEXT, &message.concat()));
        assert_eq!(found.to_string(), GOLDEN);
    }

    const GOLDEN: &str = "4606ca352c9e62d125d4b10f4ab181cd0ee905221c7f43096f3ceb06c5fcf11e";

    #[test]
    fn cuts_and_compression_do_not_matter() {
        let whole = [zero(0, 6), unused(6, 3), block(9, 1)];
        let mut raw = block(9, 1);
        if let Entry::Block(block) = &mut raw {
            (block.stored_len, block.coding) = (70_000, Coding::Raw);
        }
        let cut = [
            zero(0, 1),
            zero(1, 2),
            zero(3, 3),
            unused(6, 2),
            unused(8, 1),
            raw,
        ];
        assert_eq!(
            identity(&whole, 10 * BLOCK).unwrap(),
            identity(&cut, 10 * BLOCK).unwrap()
        );
    }

    #[test]
    fn everything_else_matters() {
        let manifests = [
            (vec![zero(0, 1), zero(1, 1)], 2 * BLOCK),
            (vec![zero(0, 2)], 2 * BLOCK - 1),
            (vec![zero(0, 1), unused(1, 1)], 2 * BLOCK),
            (vec![unused(0, 1), zero(1, 1)], 2 * BLOCK),
            (vec![unused(0, 2)], 2 * BLOCK),
            (vec![block(0, 1), zero(1, 1)], 2 * BLOCK),
            (vec![zero(0, 1), block(1, 1)], 2 * BLOCK),
            (vec![block(0, 1), block(1, 2)], 2 * BLOCK),
            (vec![block(0, 2), block(1, 1)], 2 * BLOCK),
            (vec![zero(0, 3)], 3 * BLOCK),
        ];
        let identities: Vec<_> = manifests
            .iter()
            .map(|(entries, len)| identity(entries, *len).unwrap())
            .collect();
        for (n, identity) in identities.iter().enumerate() {
            assert!(!identities[..n].contains(identity), "{:?}", manifests[n]);
        }
    }

    #[test]
    fn gaps_and_wrong_ends_are_refused() {
        let place = |expected, found| {
            Err(IdentityError::Place {
                expected: Place(expected),
                found: Place(found),
            })
        };
        assert_eq!(identity(&[block(1, 1)], 2 * BLOCK), place(0, 1));
        assert_eq!(identity(&[zero(0, 2), block(3, 1)], 4 * BLOCK), place(2, 3));
        assert_eq!(identity(&[zero(0, 2), block(1, 1)], 2 * BLOCK), place(2, 1));
        let past = IdentityError::PastEnd {
            place: Place(2),
            count: u32::MAX,
        };
        assert_eq!(identity(&[zero(0, 2), zero(2, u32::MAX)], BLOCK), Err(past));
        for image_len in [0, BLOCK, 2 * BLOCK + 1, u64::MAX] {
            let end = IdentityError::End {
                image_len,
                found: 2,
            };
            assert_eq!(identity(&[zero(0, 2)], image_len), Err(end));
        }
    }
}
