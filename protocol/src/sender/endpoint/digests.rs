//! Digests of symbols that wait to be sent, signed.

use std::collections::HashMap;

use crate::keys::Signer;
use crate::sender::interleave::Share;
use crate::units::BlockNumber;
use crate::wire::{DIGESTS_PER_PART, DigestPart, SymbolDigest};

/// Parts of digests, each as it stands in the place of a symbol. The session bounds how many there
/// are at a time.
#[derive(Debug, Default)]
pub(super) struct SignedDigests(HashMap<(BlockNumber, u8), Vec<u8>>);

impl SignedDigests {
    /// Signs the digests of a share, which begins with a part.
    pub(super) fn sign(&mut self, share: &Share, digests: &[SymbolDigest], signer: &Signer) {
        let first = usize::from(share.first.0) / DIGESTS_PER_PART;
        for (part, some) in (first..).zip(digests.chunks(DIGESTS_PER_PART)) {
            let mut digests = [SymbolDigest::default(); DIGESTS_PER_PART];
            digests[..some.len()].copy_from_slice(some);
            let part = DigestPart {
                block: share.block,
                part: u8::try_from(part).expect("there are four"),
                digests,
            };
            self.0.insert((part.block, part.part), part.seal(signer));
        }
    }

    /// A part as it stands in the place of a symbol.
    pub(super) fn part(&self, block: BlockNumber, part: u8) -> Option<&[u8]> {
        self.0.get(&(block, part)).map(Vec::as_slice)
    }

    /// A part was sent.
    pub(super) fn forget(&mut self, block: BlockNumber, part: u8) {
        self.0.remove(&(block, part));
    }
}
