//! The header of a symbol datagram.

use super::{Kind, Reader, VERSION, WireError};
use crate::ids::{Seq, Slot};
use crate::units::{BlockNumber, Esi};

/// Bytes of the header of a symbol datagram.
pub const SYMBOL_HEADER: usize = 24;

/// What a symbol belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolKind {
    /// A block of the image.
    Block,
    /// A manifest page; its number stands where a block's would.
    Page,
    /// The digests of a block's symbols; the number of a part stands where an ESI would.
    Digests,
}

/// FEC payload id and stream position of one symbol (RFC 5052 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolHeader {
    /// Block or page.
    pub kind: SymbolKind,
    /// First bytes of the session id.
    pub session_tag: u16,
    /// Number of the datagram.
    pub seq: Seq,
    /// Blocks begun so far over all cycles.
    pub slot: Slot,
    /// Every block below this number has had its pass in this cycle.
    pub horizon: BlockNumber,
    /// Block or page number.
    pub number: u32,
    /// Encoding symbol id: below `k` a source symbol, else a repair symbol.
    pub esi: Esi,
    /// Source symbols of the block.
    pub k: u8,
}

impl SymbolHeader {
    /// Writes the header into the first bytes of a datagram.
    pub fn encode(&self, out: &mut [u8; SYMBOL_HEADER]) {
        let kind = match self.kind {
            SymbolKind::Block => Kind::Symbol,
            SymbolKind::Page => Kind::PageSymbol,
            SymbolKind::Digests => Kind::Digests,
        };
        out[0] = VERSION;
        out[1] = kind as u8;
        out[2..4].copy_from_slice(&self.session_tag.to_be_bytes());
        out[4..10].copy_from_slice(&self.seq.0.to_be_bytes()[2..]);
        out[10..14].copy_from_slice(&self.slot.0.to_be_bytes());
        out[14..18].copy_from_slice(&self.horizon.0.to_be_bytes());
        out[18..22].copy_from_slice(&self.number.to_be_bytes());
        out[22] = self.esi.0;
        out[23] = self.k;
    }

    /// Reads the header of a symbol datagram; the length of the datagram is checked too.
    pub fn decode(datagram: &[u8]) -> Result<Self, WireError> {
        if datagram.len() != super::SYMBOL_DATAGRAM {
            return Err(WireError::Value { field: "length" });
        }
        let mut reader = Reader::new(datagram);
        let version = reader.u8("version")?;
        if version != VERSION {
            return Err(WireError::Version { found: version });
        }
        let kind = match reader.u8("kind")? {
            byte if byte == Kind::Symbol as u8 => SymbolKind::Block,
            byte if byte == Kind::PageSymbol as u8 => SymbolKind::Page,
            byte if byte == Kind::Digests as u8 => SymbolKind::Digests,
            _ => return Err(WireError::Value { field: "kind" }),
        };
        let header = Self {
            kind,
            session_tag: reader.u16("session tag")?,
            seq: Seq(reader.u48("sequence number")?),
            slot: Slot(reader.u32("slot")?),
            horizon: BlockNumber(reader.u32("horizon")?),
            number: reader.u32("number")?,
            esi: Esi(reader.u8("esi")?),
            k: reader.u8("k")?,
        };
        if header.k == 0 || usize::from(header.k) > crate::units::MAX_SOURCE_SYMBOLS {
            return Err(WireError::Value { field: "k" });
        }
        if usize::from(header.esi.0) >= crate::units::MAX_SYMBOLS {
            return Err(WireError::Value { field: "esi" });
        }
        Ok(header)
    }
}
