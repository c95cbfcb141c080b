//! Digests of a block's symbols, signed by the sender, and what a receiver says of blocks that were
//! spoiled.

use super::{Reader, WireError, Write};
use crate::keys::{Context, SIGNATURE_LEN, Signer, Verifier};
use crate::units::{BlockNumber, Esi, MAX_SYMBOLS, SYMBOL_SIZE, Symbol};

/// Bytes of the digest of a symbol: nobody finds other bytes for a given one in less than 2^128 tries.
pub const SYMBOL_DIGEST: usize = 16;

/// Symbols whose digests one datagram carries. With 84 it would be full; with 64 the three parts that
/// a block of 187 source symbols needs take 5 repair symbols to be made, not 65.
pub const DIGESTS_PER_PART: usize = 64;

/// Parts that hold the digests of all symbols of a block.
pub const DIGEST_PARTS: u8 = MAX_SYMBOLS.div_ceil(DIGESTS_PER_PART) as u8;

/// Bytes in front of the signature: block, part, digests.
const SIGNED: usize = 4 + 1 + DIGESTS_PER_PART * SYMBOL_DIGEST;

const _: () = assert!(SIGNED + SIGNATURE_LEN <= SYMBOL_SIZE && DIGEST_PARTS == 4);

/// The first bytes of BLAKE3 of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SymbolDigest(pub [u8; SYMBOL_DIGEST]);

impl SymbolDigest {
    /// Of a symbol, or of the beginning of one whose other bytes are zeros.
    ///
    /// # Panics
    ///
    /// If there are more bytes than a symbol has.
    #[must_use]
    pub fn of(symbol: &[u8]) -> Self {
        let hash = match symbol.len() {
            SYMBOL_SIZE => blake3::hash(symbol),
            len => {
                let mut padded: Symbol = [0; SYMBOL_SIZE];
                padded[..len].copy_from_slice(symbol);
                blake3::hash(&padded)
            }
        };
        let (digest, _) = hash
            .as_bytes()
            .split_first_chunk()
            .expect("a hash has 32 bytes");
        Self(*digest)
    }
}

/// Some of the parts of a block's digests, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts(pub u8);

impl Parts {
    /// The part that holds the digest of a symbol.
    #[must_use]
    pub fn of(esi: Esi) -> Self {
        Self(1 << (usize::from(esi.0) / DIGESTS_PER_PART))
    }

    /// One part by its number.
    ///
    /// # Panics
    ///
    /// Unless it is below [`DIGEST_PARTS`].
    #[must_use]
    pub fn number(part: u8) -> Self {
        assert!(part < DIGEST_PARTS, "a block has four parts");
        Self(1 << part)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are among these.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without those.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Their numbers, ascending.
    pub fn numbers(self) -> impl Iterator<Item = u8> {
        (0..DIGEST_PARTS).filter(move |part| self.0 >> part & 1 == 1)
    }
}

/// The digests of 64 neighbouring symbols of a block; those behind symbol 254 mean nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestPart {
    /// The block.
    pub block: BlockNumber,
    /// Which of its parts: the first digest is that of symbol `part * 64`.
    pub part: u8,
    /// The digests.
    pub digests: [SymbolDigest; DIGESTS_PER_PART],
}

impl DigestPart {
    /// The part as it stands in the place of a symbol, signed.
    #[must_use]
    pub fn seal(&self, signer: &Signer) -> Vec<u8> {
        let mut out = Vec::with_capacity(SYMBOL_SIZE);
        out.put_u32(self.block.0);
        out.push(self.part);
        for digest in &self.digests {
            out.extend_from_slice(&digest.0);
        }
        let signature = signer.sign(Context::Digests, &out);
        out.extend_from_slice(&signature);
        out.resize(SYMBOL_SIZE, 0);
        out
    }

    /// The part that stands in the place of a symbol, if the sender has signed it.
    #[must_use]
    pub fn open(symbol: &[u8], verifier: &Verifier) -> Option<Self> {
        let (signed, rest) = symbol.split_at_checked(SIGNED)?;
        let signature = rest.first_chunk::<SIGNATURE_LEN>()?;
        if !verifier.accepts(Context::Digests, signed, signature) {
            return None;
        }
        let mut reader = Reader::new(signed);
        let block = BlockNumber(reader.u32("block").ok()?);
        let part = reader.u8("part").ok().filter(|&part| part < DIGEST_PARTS)?;
        let mut digests = [SymbolDigest::default(); DIGESTS_PER_PART];
        for digest in &mut digests {
            *digest = SymbolDigest(reader.array("digest").ok()?);
        }
        Some(Self {
            block,
            part,
            digests,
        })
    }
}

/// What a receiver needs for a block that did not have its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The digests of its symbols, these parts of them.
    Digests(Parts),
    /// So many symbols under its own key.
    OwnSymbols(u8),
}

/// A block that did not have its digest, and what its receiver needs for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoiled {
    /// The block.
    pub block: BlockNumber,
    /// What is needed.
    pub remedy: Remedy,
}

impl Spoiled {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (parts, symbols) = match self.remedy {
            Remedy::Digests(parts) => (parts.0, 0),
            Remedy::OwnSymbols(symbols) => (0, symbols),
        };
        out.put_u32(self.block.0);
        out.extend_from_slice(&[parts, symbols]);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let block = BlockNumber(reader.u32("spoiled block")?);
        let (parts, symbols) = (reader.u8("digest parts")?, reader.u8("own symbols")?);
        let remedy = match (parts, symbols) {
            (1.., 0) if parts < 1 << DIGEST_PARTS => Remedy::Digests(Parts(parts)),
            (0, 1..) => Remedy::OwnSymbols(symbols),
            _ => return Err(WireError::Value { field: "remedy" }),
        };
        Ok(Self { block, remedy })
    }
}

/// A symbol of a block for one receiver alone, under its own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSymbol {
    /// The block.
    pub block: BlockNumber,
    /// Which symbol.
    pub esi: Esi,
    /// Source symbols of the block.
    pub k: u8,
    /// Its bytes.
    pub symbol: Box<Symbol>,
}

impl OwnSymbol {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.block.0);
        out.extend_from_slice(&[self.esi.0, self.k]);
        out.extend_from_slice(&*self.symbol);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let block = BlockNumber(reader.u32("block")?);
        let (esi, k) = (reader.u8("esi")?, reader.u8("k")?);
        if usize::from(esi) >= MAX_SYMBOLS {
            return Err(WireError::Value { field: "esi" });
        }
        Ok(Self {
            block,
            esi: Esi(esi),
            k,
            symbol: Box::new(reader.array("symbol")?),
        })
    }
}

#[cfg(test)]
mod tests;
