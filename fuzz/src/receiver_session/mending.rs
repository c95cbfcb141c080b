//! Digests of symbols and symbols under the receiver's own key, as the sender sends them, and
//! digests as members of the room forge them.

use mimeo_protocol::ids::SessionId;
use mimeo_protocol::units::{BlockNumber, Esi, SYMBOL_SIZE};
use mimeo_protocol::wire::{DIGEST_PARTS, OwnSymbol, Remedy, SymbolKind, ToReceiver};

use super::Signed;
use super::image::{content, digests};
use super::room::Room;
use crate::setup;

impl Room {
    /// Forged symbols in the place of a block's.
    pub(super) fn spoil(&mut self, block: u8, first: u8, count: u8) {
        let (number, entry) = self.image.block(block);
        let k = entry.source_symbols() as u8;
        for n in 0..1 + count % 4 {
            let esi = ((u32::from(first) + u32::from(n)) % 255) as u8;
            self.seq += 1;
            let header = self.header(SymbolKind::Block, number, (esi, k));
            self.hear_forged_symbol(&header);
        }
    }

    /// Digests of a block by any numbers: mostly all that the sender has, or one part of any.
    pub(super) fn hear_digests(&mut self, block: u8, part: u8, signed: Signed) {
        let (number, _) = self.image.block(block);
        if part >= 128 {
            (0..DIGEST_PARTS).for_each(|part| self.hear_true_digests(number, part));
            return;
        }
        let part = part % DIGEST_PARTS;
        let session = self.session();
        let forged = match signed {
            Signed::Truly => return self.hear_true_digests(number, part),
            Signed::ForOthers => {
                let (number, part) = ((number + 1) % self.image.blocks(), part ^ 1);
                self.image.digests(session, number, part).to_vec()
            }
            Signed::ByOthers => digests(number ^ 1, part).seal(&setup::other_signer(session)),
            Signed::Elsewhere => {
                let other = SessionId([0xee; 16]);
                digests(number ^ 1, part).seal(&setup::signer(other))
            }
        };
        self.forged = true;
        self.hear_as_digests(number, part, &forged);
    }

    fn hear_true_digests(&mut self, number: u32, part: u8) {
        let image = self.image;
        self.hear_as_digests(number, part, image.digests(self.session(), number, part));
    }

    fn hear_as_digests(&mut self, number: u32, part: u8, symbol: &[u8]) {
        let entry = self.image.entry(BlockNumber(number));
        let k = entry.map_or(1, |entry| entry.source_symbols() as u8);
        self.seq += 1;
        let header = self.header(SymbolKind::Digests, number, (part, k));
        self.hear_symbol(header, symbol);
    }

    /// Symbols under the own key.
    pub(super) fn hear_own(&mut self, number: u32, (first, count): (u8, u8), right: bool) {
        let Some(entry) = self.image.entry(BlockNumber(number)) else {
            return;
        };
        let k = entry.source_symbols() as u8;
        for n in 0..count.min(k) {
            let esi = ((u32::from(first) + u32::from(n)) % 255) as u8;
            self.hear_message(&ToReceiver::Symbol(OwnSymbol {
                block: BlockNumber(number),
                esi: Esi(esi),
                k: if right { k } else { k.wrapping_add(first) },
                symbol: Box::new([content(number, esi); SYMBOL_SIZE]),
            }));
        }
    }

    /// What the last report has asked for.
    pub(super) fn mend(&mut self) {
        for spoiled in std::mem::take(&mut self.spoiled) {
            let number = spoiled.block.0;
            if number >= self.image.blocks() {
                continue;
            }
            match spoiled.remedy {
                Remedy::Digests(parts) => {
                    for part in parts.numbers() {
                        self.hear_true_digests(number, part);
                    }
                }
                Remedy::OwnSymbols(symbols) => self.hear_own(number, (0, symbols), true),
            }
        }
    }

    /// What every spoiled block can need.
    pub(super) fn mend_all(&mut self) {
        for number in 0..self.image.blocks() {
            for part in 0..DIGEST_PARTS {
                self.hear_true_digests(number, part);
            }
            self.hear_own(number, (0, u8::MAX), true);
        }
    }
}
