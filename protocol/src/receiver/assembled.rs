//! Whole blocks on their way from the network to the disk.

use super::endpoint::SymbolBuffer;
use super::finding::is_block;
use super::session::BufferId;
use crate::block::{Decoder, content_size};
use crate::fec::Code;
use crate::manifest::StoredBlock;
use crate::units::{BlockNumber, Esi, MAX_SOURCE_SYMBOLS, SYMBOL_SIZE};

/// A block with as many symbols as it has source symbols, to be decoded, checked and written.
#[derive(Debug)]
pub struct Assembled {
    /// Its number.
    pub block: BlockNumber,
    /// Its entry in the manifest.
    pub entry: StoredBlock,
    /// Which symbol each slot of the buffer holds; as many as the block has source symbols.
    pub esis: Vec<Esi>,
    /// The symbols.
    pub symbols: SymbolBuffer,
    /// Where the buffer belongs; hand both back with [`super::Endpoint::give_back`].
    pub buffer: BufferId,
}

impl Assembled {
    /// The raw block, if it is what its entry says: it stands among the symbols where it was not
    /// compressed, else in the decoder.
    ///
    /// Without `image_len`, for an image of unknown length, the body tells the block's length.
    pub fn decode<'a>(
        &'a mut self,
        image_len: Option<u64>,
        decoder: &'a mut Decoder,
    ) -> Option<&'a [u8]> {
        let k = self.esis.len();
        let code = Code::new(u8::try_from(k).ok()?).ok()?;
        let symbols = self.symbols.get_mut(..k * SYMBOL_SIZE)?;
        // What was held is needed again if the block turns out to be spoiled.
        let mut esis = [Esi(0); MAX_SOURCE_SYMBOLS];
        let esis = esis.get_mut(..k)?;
        esis.copy_from_slice(&self.esis);
        code.recover(symbols, esis).ok()?;
        let entry = &self.entry;
        let body = self.symbols.get(..entry.stored_len as usize)?;
        let raw_len = match image_len {
            Some(len) => entry.place.raw_len(len),
            None => content_size(entry.coding, body)?,
        };
        let raw = decoder.decode(entry.coding, body, raw_len).ok()?;
        is_block(entry, raw, image_len).then_some(raw)
    }

    /// After a failed [`Self::decode`]: makes the symbols again that were held, as recovery has worked
    /// in their places. Each source symbol then stands in its own slot, and repair symbols in the
    /// others.
    ///
    /// The k symbols that were held determine all others, forged ones among them included, so what
    /// was recovered yields exactly the repair symbols that it was recovered from.
    pub fn restore(&mut self) {
        let k = self.esis.len();
        let is_source = |esi: &Esi| usize::from(esi.0) < k;
        let mut held = [false; MAX_SOURCE_SYMBOLS];
        for esi in self.esis.iter().filter(|esi| is_source(esi)) {
            held[usize::from(esi.0)] = true;
        }
        let mut repairs: Vec<Esi> = self.esis.clone();
        repairs.retain(|esi| !is_source(esi));
        let Some(symbols) = self.symbols.get_mut(..k * SYMBOL_SIZE) else {
            return;
        };
        let rows = repair_rows(symbols, k, &repairs);
        let slots = (0..k).filter(|&slot| !held[slot]);
        let rows = repairs.iter().zip(rows.chunks_exact(SYMBOL_SIZE));
        for (esi, i) in self.esis.iter_mut().zip(0..) {
            *esi = Esi(i);
        }
        for (slot, (&esi, row)) in slots.zip(rows) {
            symbols[slot * SYMBOL_SIZE..][..SYMBOL_SIZE].copy_from_slice(row);
            self.esis[slot] = esi;
        }
    }
}

/// Repair symbols of a body that fills `k` symbols.
fn repair_rows(body: &[u8], k: usize, repairs: &[Esi]) -> Vec<u8> {
    let mut rows = vec![0; repairs.len() * SYMBOL_SIZE];
    let code = u8::try_from(k).ok().and_then(|k| Code::new(k).ok());
    if let Some(code) = code {
        for (esi, row) in repairs.iter().zip(rows.chunks_exact_mut(SYMBOL_SIZE)) {
            let made = usize::from(esi.0)
                .checked_sub(k)
                .and_then(|row| u8::try_from(row).ok())
                .map(|number| code.repair(number, body, row));
            debug_assert_eq!(made, Some(Ok(())), "{esi:?} of {k}");
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aligned::AlignedBytes;
    use crate::block::{BlockDigest, Coding};
    use crate::receiver::BUFFER_SIZE;
    use crate::units::Place;

    /// A block of `k` symbols of noise in a buffer that holds the given ones.
    fn assembled(k: u8, esis: &[u8]) -> Assembled {
        let len = usize::from(k) * SYMBOL_SIZE;
        let body: Vec<u8> = (0..len).map(|i| ((i * i) >> 5) as u8 ^ i as u8).collect();
        let mut symbols = AlignedBytes::zeroed(BUFFER_SIZE);
        let code = Code::new(k).unwrap();
        for (slot, &esi) in symbols.chunks_exact_mut(SYMBOL_SIZE).zip(esis) {
            match esi.checked_sub(k) {
                None => {
                    let from = usize::from(esi) * SYMBOL_SIZE;
                    slot.copy_from_slice(&body[from..][..SYMBOL_SIZE]);
                }
                Some(row) => code.repair(row, &body, slot).unwrap(),
            }
        }
        Assembled {
            block: BlockNumber(0),
            entry: StoredBlock {
                place: Place(0),
                stored_len: len as u32,
                coding: Coding::Raw,
                digest: BlockDigest([0; 32]),
            },
            esis: esis.iter().copied().map(Esi).collect(),
            symbols,
            buffer: BufferId(0),
        }
    }

    fn held(assembled: &Assembled) -> Vec<(Esi, Vec<u8>)> {
        let symbols = assembled.symbols.chunks_exact(SYMBOL_SIZE);
        let symbols = symbols.map(<[u8]>::to_vec);
        let mut held: Vec<_> = assembled.esis.iter().copied().zip(symbols).collect();
        held.sort();
        held
    }

    #[test]
    fn a_block_that_fails_gives_back_the_symbols_that_it_was_made_of() {
        // In their slots, in others, with repair symbols between them, with nothing else.
        let sets: [&[u8]; 5] = [
            &[0, 1, 2, 3, 4],
            &[4, 3, 2, 1, 0],
            &[7, 0, 2, 254, 3],
            &[0, 200, 1, 2, 4],
            &[9, 8, 7, 6, 5],
        ];
        for esis in sets {
            for forged in [None, Some(0), Some(3)] {
                let mut block = assembled(5, esis);
                if let Some(slot) = forged {
                    block.symbols[slot * SYMBOL_SIZE + 77] ^= 0x40;
                }
                let before = held(&block);
                assert_eq!(block.decode(None, &mut Decoder::new()), None);
                block.restore();
                assert_eq!(held(&block), before, "{esis:?}, {forged:?}");
                let sources = block.esis.iter().zip(0..).filter(|(esi, _)| esi.0 < 5);
                assert!(sources.clone().all(|(esi, slot)| esi.0 == slot));
            }
        }
    }
}
