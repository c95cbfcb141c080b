//! Bitmaps turned into runs.

use std::ops::Range;

/// The runs of bits that are 1 among the first `count` of `bitmap`, the lowest
/// bit of a byte first. Bits that `bitmap` does not have are 0.
pub(crate) fn set_runs(bitmap: &[u8], count: u64) -> impl Iterator<Item = Range<u64>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = find(bitmap, at, count, true);
        let end = find(bitmap, start, count, false);
        at = end;
        (start < count).then_some(start..end)
    })
}

/// The first bit at or after `at` that is `wanted`, else `count`.
fn find(bitmap: &[u8], mut at: u64, count: u64, wanted: bool) -> u64 {
    let dull = if wanted { 0 } else { 0xff };
    while at < count {
        let byte = usize::try_from(at / 8)
            .ok()
            .and_then(|index| bitmap.get(index))
            .copied()
            .unwrap_or(0);
        if byte == dull {
            at = (at / 8 + 1) * 8;
            continue;
        }
        if (byte >> (at % 8) & 1 == 1) == wanted {
            return at;
        }
        at += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bits_beyond_the_count_are_not_told() {
        let runs = |bitmap: &[u8], count| {
            let runs = set_runs(bitmap, count);
            runs.map(|run| (run.start, run.end)).collect::<Vec<_>>()
        };
        assert_eq!(runs(&[0xff; 3], 20), [(0, 20)]);
        assert_eq!(runs(&[0b0110_0001, 0], 16), [(0, 1), (5, 7)]);
        assert_eq!(runs(&[0xff], 12), [(0, 8)]);
        assert_eq!(runs(&[], 9), []);
    }

    proptest! {
        #[test]
        fn runs_are_the_bits(bitmap: Vec<u8>, cut in 0_u64..8) {
            let count = (bitmap.len() as u64 * 8).saturating_sub(cut);
            let bit = |at: u64| bitmap[(at / 8) as usize] >> (at % 8) & 1 == 1;
            let told: Vec<u64> = set_runs(&bitmap, count).flatten().collect();
            let set: Vec<u64> = (0..count).filter(|at| bit(*at)).collect();
            prop_assert_eq!(told, set);
            let runs: Vec<_> = set_runs(&bitmap, count).collect();
            prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
