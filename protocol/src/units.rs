//! The numbers of a session as types of their own, and the sizes that tie them together.
//!
//! A place counts blocks of the *image*, a block number counts blocks that are *sent*; mixing
//! them up would write the right bytes to the wrong part of a disk, so the compiler keeps them
//! apart.

use core::fmt;

/// Bytes of the image in one block; only the last block of an image is shorter.
///
/// The unit of compression, coding, digest, repair and writing. A power of two times 1 KiB, as
/// the chaining values of [`crate::block::BlockDigest`] require.
pub const BLOCK_SIZE: usize = 256 * 1024;

/// Bytes in one encoding symbol, the payload of one datagram.
///
/// With header and tag the datagram is 1448 bytes: 1500 - 40 (IPv6) - 8 (UDP) leaves 1452.
/// A multiple of 64, so that the widest vector kernels have no tail.
pub const SYMBOL_SIZE: usize = 1408;

/// Largest body of a block in bytes: that of a block which does not compress.
pub const MAX_BODY: usize = BLOCK_SIZE;

/// Largest number of source symbols of a block: 262,144 / 1408, rounded up.
pub const MAX_SOURCE_SYMBOLS: usize = MAX_BODY.div_ceil(SYMBOL_SIZE);

/// Largest number of encoding symbols (source and repair) of a block.
///
/// GF(2^8) has 256 points; one is left unused so that a count of symbols fits a byte.
pub const MAX_SYMBOLS: usize = 255;

/// Largest number of entries in a manifest page, chosen so that a page fits one symbol: it is then the
/// sender's or not by itself, and no forged symbol can spoil it.
pub const ENTRIES_PER_PAGE: usize = 32;

const _: () = assert!(MAX_SOURCE_SYMBOLS == 187 && SYMBOL_SIZE.is_multiple_of(64));

/// Blocks that are interleaved: 16 x 256 KiB = 4 MiB, so that 200 lost datagrams in a row cost
/// a block about 12 symbols. More would delay repairs and take more of the receivers' credit.
///
/// The sender begins the blocks of a group together, so it waits for credit for all of them.
pub const GROUP: u32 = 16;

/// One encoding symbol.
pub type Symbol = [u8; SYMBOL_SIZE];

/// Number of source symbols that `len` bytes of a body fill; the last is padded with zeros.
#[must_use]
pub const fn source_symbols(len: usize) -> usize {
    len.div_ceil(SYMBOL_SIZE)
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Dense number, from 0, of a block that is sent; what RFC 5052 calls the source block
    /// number.
    BlockNumber(u32)
}

number! {
    /// Index of a block of [`BLOCK_SIZE`] bytes in the image, whether it is sent or not.
    Place(u32)
}

number! {
    /// Number, from 0, of a manifest page.
    PageNumber(u32)
}

number! {
    /// Encoding symbol id: `0..k` are the source symbols, `k..255` repair row `esi - k`.
    Esi(u8)
}

impl Place {
    /// Offset of this place in the image, in bytes.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.0 as u64 * BLOCK_SIZE as u64
    }

    /// Number of bytes that an image of `image_len` bytes has at this place: [`BLOCK_SIZE`],
    /// fewer at its last place, 0 behind its end.
    #[must_use]
    pub fn raw_len(self, image_len: u64) -> usize {
        let rest = image_len.saturating_sub(self.offset());
        usize::try_from(rest).map_or(BLOCK_SIZE, |rest| rest.min(BLOCK_SIZE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_place_is_short() {
        let len = 2 * BLOCK_SIZE as u64 + 5;
        let lens: Vec<_> = (0..4).map(|place| Place(place).raw_len(len)).collect();
        assert_eq!(lens, [BLOCK_SIZE, BLOCK_SIZE, 5, 0]);
        assert_eq!(Place(u32::MAX).offset(), 0xffff_ffff * 0x4_0000);
    }

    #[test]
    fn symbols_round_up() {
        assert_eq!(
            [0, 1, 1408, 1409, MAX_BODY].map(source_symbols),
            [0, 1, 1, 2, 187]
        );
    }
}
