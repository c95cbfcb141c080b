//! Blocks of the image: how their bytes travel and how they are proved.
//!
//! * [`Encoder`] and [`Decoder`] turn the raw bytes of a block into its *body* and back. A body
//!   is one standard zstd frame (RFC 8878) that states its content size, or the block itself
//!   where that is not longer.
//! * [`BlockDigest`] is what the manifest says about a block, [`ImageHasher`] combines these
//!   into the plain BLAKE3 hash of the image, [`ImageTree`] does so in any order.

mod coding;
mod digest;
mod level;
mod probe;
mod tree;

pub use coding::{Coding, DecodeError, Decoder, Encoder, content_size};
pub(crate) use digest::write_hex;
pub use digest::{BlockDigest, ImageDigest, ImageHasher, ZerosDigest};
pub use level::{Level, LevelError};
pub use tree::ImageTree;

/// Whether all bytes are zero. Stops within 128 bytes of the first that is not.
#[must_use]
pub fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<128>();
    let zero = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all | byte) == 0;
    chunks.iter().all(|chunk| zero(chunk)) && zero(rest)
}

#[cfg(test)]
mod tests {
    use super::is_zero;

    #[test]
    fn one_bit_anywhere_is_found() {
        let mut bytes = vec![0; 1000];
        for len in [0, 1, 127, 128, 129, 1000] {
            assert!(is_zero(&bytes[..len]));
            for n in 0..len {
                bytes[n] = 1 << (n % 8);
                assert!(!is_zero(&bytes[..len]), "byte {n} of {len}");
                bytes[n] = 0;
            }
        }
    }
}
