//! A quick hash for maps whose keys are numbers of blocks.
//!
//! The keys come from authenticated datagrams only, and the maps are bounded by buffers and credit:
//! who holds the group's key and chooses numbers that collide makes a receiver look through some
//! hundred entries for one, which is less than it costs to open the datagram. So the keyed hash of
//! the standard library, a fifth of what a receiver does for a symbol, is not needed.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from numbers.
pub(crate) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Multiplies by 2^64 divided by the golden ratio, made odd (Knuth, The Art of Computer Programming
/// 3, section 6.4), and folds the high half down, as maps look at the lowest and the highest bits.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        let product = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ product >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::BlockNumber;
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault};

    #[test]
    fn neighbours_spread_over_the_lowest_and_the_highest_bits() {
        let build = BuildHasherDefault::<NumberHasher>::default();
        for first in [0, 190_000, u32::MAX - 255] {
            let hashes = (first..=first + 255).map(|i| build.hash_one(BlockNumber(i)));
            let hashes: Vec<u64> = hashes.collect();
            let low: HashSet<u64> = hashes.iter().map(|hash| hash & 0xff).collect();
            let high: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
            // 256 thrown at random into 256 bins leave 162 of them filled, into 128 all but 17.
            assert!(
                low.len() > 140 && high.len() > 100,
                "{} {}",
                low.len(),
                high.len()
            );
        }
    }
}
