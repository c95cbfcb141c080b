//! Tells blocks that do not compress by a look at a sample of them.
//!
//! Trying to compress 256 KiB of encrypted or already compressed bytes costs as much as digesting
//! and sealing them together. Their bytes are evenly distributed, which the chi-square test of a
//! sample shows (Knuth, The Art of Computer Programming, section 3.3.1).

/// Pieces of a block that are looked at, evenly spread over it.
const PIECES: usize = 16;

/// Bytes of each piece.
const PIECE: usize = 512;

/// The statistic of random bytes has a mean of 255 and a standard deviation of 22.6: this is 6 of
/// these to either side. Above, coding the bytes by their frequency gains something, 0.15 % where
/// it begins. Below, they are too even to be random: a counter, a table.
const RANDOM: std::ops::Range<u32> = 120..391;

/// One block in so many that look random is compressed all the same: bytes may be evenly
/// distributed and come twice.
const CHECKED: u32 = 64;

/// After such a check found that a block did compress, so many blocks are not judged by their
/// looks.
const DISTRUST: u32 = 64;

/// What is remembered from block to block.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// Blocks in a row that looked random.
    random: u32,
    /// Blocks that are compressed whatever they look like.
    distrust: u32,
}

impl Probe {
    /// Whether it is worth trying to compress a block.
    pub(super) fn is_worth_it(&mut self, raw: &[u8]) -> bool {
        if self.distrust > 0 {
            self.distrust -= 1;
            return true;
        }
        if !looks_random(raw) {
            self.random = 0;
            return true;
        }
        self.random += 1;
        self.random.is_multiple_of(CHECKED)
    }

    /// A block was compressed, and became shorter or not.
    pub(super) fn on_compressed(&mut self, shorter: bool) {
        if shorter && self.random > 0 {
            *self = Self {
                random: 0,
                distrust: DISTRUST,
            };
        }
    }
}

/// Whether the sample's bytes are as evenly distributed as random ones.
fn looks_random(raw: &[u8]) -> bool {
    if raw.len() < PIECES * PIECE {
        return false;
    }
    // Four tables, so that equal neighbours do not wait for each other.
    let mut counts = [[0_u32; 256]; 4];
    for piece in raw.chunks_exact(raw.len() / PIECES) {
        for four in piece[..PIECE].as_chunks::<4>().0 {
            for (table, &byte) in counts.iter_mut().zip(four) {
                table[usize::from(byte)] += 1;
            }
        }
    }
    const EXPECTED: u32 = (PIECES * PIECE / 256) as u32;
    let squares = (0..256).map(|byte| {
        let count: u32 = counts.iter().map(|table| table[byte]).sum();
        u64::from(count.abs_diff(EXPECTED)).pow(2)
    });
    let statistic = squares.sum::<u64>() / u64::from(EXPECTED);
    RANDOM.contains(&u32::try_from(statistic).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::BLOCK_SIZE;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn random_bytes_look_random_and_others_do_not() {
        for seed in 0..500 {
            assert!(looks_random(&noise(seed, BLOCK_SIZE)), "seed {seed}");
        }
        let counter: Vec<u8> = (0..BLOCK_SIZE).map(|n| n as u8).collect();
        let text: Vec<u8> = (0..BLOCK_SIZE)
            .map(|n| b"mimeo images rooms"[n % 18])
            .collect();
        let period: Vec<u8> = noise(1, 4096).repeat(BLOCK_SIZE / 4096);
        let no_sevens: Vec<u8> = noise(1, BLOCK_SIZE).iter().map(|&byte| byte & !7).collect();
        for other in [
            counter,
            text,
            period,
            no_sevens,
            vec![0; BLOCK_SIZE],
            noise(1, 8_191),
        ] {
            assert!(!looks_random(&other));
        }
    }

    #[test]
    fn looks_are_checked_now_and_then_and_not_believed_after_they_deceived() {
        let (mut probe, block) = (Probe::default(), noise(3, BLOCK_SIZE));
        let tries = |probe: &mut Probe, shorter| {
            let mut tried = 0;
            for _ in 0..640 {
                if probe.is_worth_it(&block) {
                    probe.on_compressed(shorter);
                    tried += 1;
                }
            }
            tried
        };
        assert_eq!(tries(&mut probe, false), 10);
        // 63 pass unseen, one is found out, 64 are compressed; five times within 640.
        assert_eq!(tries(&mut probe, true), 5 * 65);
    }
}
