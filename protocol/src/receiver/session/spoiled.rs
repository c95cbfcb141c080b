//! Blocks that did not have their digest, and how they are mended.
//!
//! Any member of the room can forge symbols of the group. A block with one of them decodes to bytes
//! that are not the block's, and which symbol it was does not show. So the symbols are kept, and the
//! digests of all the sender's symbols are asked for; they come to the group, signed, as what spoils
//! a block at one receiver mostly spoils it at all. What does not have its digest is dropped and
//! counted, and the block needs as many further symbols as any that lost some.
//!
//! From then on nothing is taken for the block that does not have its digest: no forged symbol can
//! take the place of one of the sender's again. A block that fails once more was not spoiled by
//! anybody in the room, as far as is known; it is collected anew under the receiver's own key.
//!
//! ```text
//! whole --wrong digest--> spoiled --digests--> collecting, each symbol checked --> whole
//! whole --wrong digest again--> alone: dropped, collected under the own key --> whole
//! ```

use std::collections::BTreeMap;
use std::time::Instant;

use super::ledger::Placement;
use super::{BufferId, Event, Session};
use crate::units::{BlockNumber, Esi, SYMBOL_SIZE};
use crate::wire::{
    ALL_SYMBOLS, DIGEST_PARTS, DIGESTS_PER_PART, DigestPart, MAX_SPOILED, OwnSymbol, Parts, Remedy,
    Spoiled, SymbolDigest, SymbolHeader,
};

/// After so many blocks that failed their digest the person in front of the machine is told: one is a
/// rare accident. The receiver goes on, as any member of the room could forge symbols; whoever asks
/// for ever is sent away by the sender.
pub(super) const MANY_BAD_BLOCKS: u32 = 16;

type Digests = [SymbolDigest; DIGESTS_PER_PART];

/// What is known of a block some of whose symbols may be forged.
#[derive(Debug, Default)]
struct Suspect {
    digests: [Option<Box<Digests>>; DIGEST_PARTS as usize],
    /// Whether it has failed. What cannot be checked is taken before that, and not after.
    failed: bool,
    /// Digests of the symbols that it held when it failed.
    needed: Parts,
    /// Those, and digests of symbols that were not taken because these were not known.
    wanted: Parts,
}

impl Suspect {
    fn held(&self) -> Parts {
        let held = |&part: &u8| self.digests[usize::from(part)].is_some();
        let numbers = (0..DIGEST_PARTS).filter(held).map(Parts::number);
        numbers.fold(Parts::default(), Parts::and)
    }

    /// Digests that are missing.
    fn missing(&self) -> Parts {
        self.wanted.without(self.held())
    }

    fn digest(&self, esi: Esi) -> Option<&SymbolDigest> {
        let at = usize::from(esi.0);
        let part = self.digests[at / DIGESTS_PER_PART].as_ref()?;
        part.get(at % DIGESTS_PER_PART)
    }
}

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// At most as many as there are buffers: 4 KiB each.
    blocks: BTreeMap<BlockNumber, Suspect>,
    bad_blocks: u32,
    forged: u32,
    /// Datagrams of digests that the sender did not sign.
    forged_parts: u64,
}

impl Suspects {
    /// Blocks that failed their digest.
    pub(super) fn bad_blocks(&self) -> u32 {
        self.bad_blocks
    }

    /// Symbols that were dropped because they do not have their digest.
    pub(super) fn forged(&self) -> u32 {
        self.forged
    }

    /// Datagrams of digests that the sender did not sign.
    pub(super) fn forged_parts(&self) -> u64 {
        self.forged_parts
    }

    /// A block is on the target.
    pub(super) fn on_written(&mut self, block: BlockNumber) {
        if !self.blocks.is_empty() {
            self.blocks.remove(&block);
        }
    }

    /// The entry of a block, a new one if there is room.
    fn entry(&mut self, block: BlockNumber, most: u32) -> Option<&mut Suspect> {
        if self.blocks.len() >= most as usize && !self.blocks.contains_key(&block) {
            // What is known of a block that did not fail is of use to nobody yet.
            let spare = self.blocks.iter().find(|(_, suspect)| !suspect.failed);
            let spare = *spare?.0;
            self.blocks.remove(&spare);
        }
        Some(self.blocks.entry(block).or_default())
    }
}

impl Session {
    /// A block that was decoded does not have the digest of its entry. Its buffer, which is back,
    /// holds the symbols `esis`. Returns whether these can be sifted.
    pub fn handle_bad_block(&mut self, block: BlockNumber, esis: &[Esi]) -> bool {
        self.suspects.bad_blocks += 1;
        self.schedule.urge();
        if self.suspects.bad_blocks == MANY_BAD_BLOCKS {
            let blocks = self.suspects.bad_blocks;
            self.events.push_back(Event::BadBlocks { blocks });
        }
        let buffers = self.ledger.buffers();
        let Some(suspect) = self.suspects.entry(block, buffers) else {
            self.ledger.drop_block(block);
            return false;
        };
        if std::mem::replace(&mut suspect.failed, true) {
            self.ledger.set_alone(block);
            return false;
        }
        if !self.ledger.spoil(block, esis) {
            // It is collected anew as if nothing had happened.
            self.suspects.blocks.remove(&block);
            return false;
        }
        let needed = esis.iter().map(|&esi| Parts::of(esi));
        suspect.needed = needed.fold(Parts::default(), Parts::and);
        // What replaces forged symbols comes from behind the source symbols.
        let k = u8::try_from(esis.len()).expect("a block has at most 187");
        suspect.wanted = suspect.needed.and(Parts::of(Esi(k)));
        self.is_siftable(block)
    }

    fn is_siftable(&self, block: BlockNumber) -> bool {
        let suspect = self.suspects.blocks.get(&block);
        self.ledger.spoiled(block).is_some()
            && suspect.is_some_and(|suspect| suspect.held().contains(suspect.needed))
    }

    /// Digests came in the place of a symbol that checked out. Returns the block if it was waiting
    /// for them and its symbols can be sifted.
    pub fn handle_digests(
        &mut self,
        now: Instant,
        header: &SymbolHeader,
        symbol: &[u8],
    ) -> Option<BlockNumber> {
        self.on_group_datagram(now, header.seq, header.slot, header.horizon);
        self.after_datagrams();
        let block = BlockNumber(header.number);
        let part = header.esi.0;
        if part >= DIGEST_PARTS {
            self.suspects.forged_parts += 1;
            return None;
        }
        // They may be of use later to a block that has not failed yet: it failed at somebody else.
        let suspect = self.suspects.blocks.get(&block);
        let known = suspect.is_some_and(|suspect| suspect.held().contains(Parts::number(part)));
        let of_use = suspect.is_some() || self.ledger.is_assembled(block);
        if known || !of_use {
            return None;
        }
        let opened = DigestPart::open(symbol, self.pages.verifier());
        let Some(opened) = opened.filter(|it| (it.block, it.part) == (block, part)) else {
            self.suspects.forged_parts += 1;
            return None;
        };
        let suspect = self.suspects.entry(block, self.ledger.buffers())?;
        suspect.digests[usize::from(part)] = Some(Box::new(opened.digests));
        self.is_siftable(block).then_some(block)
    }

    /// The buffer of a block that can be sifted.
    #[must_use]
    pub fn spoiled_buffer(&self, block: BlockNumber) -> Option<BufferId> {
        self.ledger.spoiled(block).map(|(buffer, _)| buffer)
    }

    /// Drops the symbols of a spoiled block that are not the sender's; `symbols` is what its buffer
    /// holds.
    pub fn sift(&mut self, block: BlockNumber, symbols: &[u8]) {
        let Some(suspect) = self.suspects.blocks.get(&block) else {
            return;
        };
        let forged = self.ledger.sift(block, |slot, esi| {
            let from = usize::from(slot) * SYMBOL_SIZE;
            let symbol = symbols.get(from..from + SYMBOL_SIZE);
            let digest = symbol.map(SymbolDigest::of);
            digest.is_some_and(|digest| suspect.digest(esi) == Some(&digest))
        });
        if forged == 0 {
            // All are the sender's: something else spoils it.
            self.ledger.set_alone(block);
        }
        self.note_forged(forged.into());
        self.schedule.urge();
    }

    fn note_forged(&mut self, symbols: u32) {
        if symbols > 0 && self.suspects.forged == 0 {
            self.events.push_back(Event::ForgedSymbols);
        }
        self.suspects.forged = self.suspects.forged.saturating_add(symbols);
    }

    /// Whether a symbol that is to be kept may be: of a block that was spoiled only what has its
    /// digest. What has another is counted.
    pub fn trusts(&mut self, header: &SymbolHeader, symbol: &[u8]) -> bool {
        if self.suspects.blocks.is_empty() {
            return true;
        }
        let block = BlockNumber(header.number);
        let Some(suspect) = self.suspects.blocks.get_mut(&block) else {
            return true;
        };
        match suspect.digest(header.esi) {
            Some(digest) if *digest == SymbolDigest::of(symbol) => true,
            Some(_) => {
                self.note_forged(1);
                false
            }
            None if suspect.failed => {
                suspect.wanted = suspect.wanted.and(Parts::of(header.esi));
                self.schedule.urge();
                false
            }
            None => true,
        }
    }

    /// Where a symbol under the own key belongs: only what was asked for in this way does.
    pub fn begin_own(&mut self, own: &OwnSymbol) -> Placement {
        let entry = self.pages.block(own.block);
        let right = entry.is_some_and(|entry| entry.source_symbols() == usize::from(own.k));
        if !right || !self.ledger.is_alone(own.block) {
            return Placement::Redundant;
        }
        let yielding = self.yielding();
        self.ledger.begin(own.block, own.k, own.esi, yielding)
    }

    /// A symbol under the own key stands in the slot that [`Self::begin_own`] gave.
    pub fn handle_own_symbol(&mut self, now: Instant, own: &OwnSymbol, slot: Option<u8>) {
        self.heard_at = now;
        if let Some(slot) = slot
            && self.ledger.on_symbol(own.block, own.esi, slot)
        {
            self.hand_out(own.block);
        }
    }

    /// What is needed for blocks that were spoiled, oldest first.
    pub(super) fn spoiled(&self) -> Vec<Spoiled> {
        let spoiled = self.suspects.blocks.iter().filter_map(|(&block, suspect)| {
            let remedy = if self.ledger.is_alone(block) {
                Remedy::OwnSymbols(self.own_symbols(block)?)
            } else {
                let missing = suspect.missing();
                (!missing.is_empty()).then_some(Remedy::Digests(missing))?
            };
            Some(Spoiled { block, remedy })
        });
        spoiled.take(MAX_SPOILED).collect()
    }

    /// Symbols that a block still needs under the own key; `None` if it has all of them.
    fn own_symbols(&self, block: BlockNumber) -> Option<u8> {
        let lacking = match self.ledger.lacking(block) {
            ALL_SYMBOLS => u8::try_from(self.pages.block(block)?.source_symbols()).ok()?,
            lacking => lacking,
        };
        (lacking > 0).then_some(lacking)
    }
}
