//! Whole blocks on their way from the network to the disk.

use super::endpoint::SymbolBuffer;
use super::finding::is_block;
use super::session::BufferId;
use crate::block::{Decoder, content_size};
use crate::fec::Code;
use crate::manifest::StoredBlock;
use crate::units::{BlockNumber, Esi, SYMBOL_SIZE};

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
        code.recover(symbols, &mut self.esis).ok()?;
        let entry = &self.entry;
        let body = self.symbols.get(..entry.stored_len as usize)?;
        let raw_len = match image_len {
            Some(len) => entry.place.raw_len(len),
            None => content_size(entry.coding, body)?,
        };
        let raw = decoder.decode(entry.coding, body, raw_len).ok()?;
        is_block(entry, raw, image_len).then_some(raw)
    }
}
