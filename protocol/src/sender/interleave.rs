//! Interleaving: the symbols of a group of blocks go out column by column, so that a burst of
//! lost datagrams costs each block a few symbols instead of costing one block everything.

use crate::units::{BlockNumber, Esi, MAX_SYMBOLS};

/// Symbols of one block that are to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The block.
    pub block: BlockNumber,
    /// Its source symbols.
    pub k: u8,
    /// The first symbol; the following wrap round behind the last repair symbol.
    pub first: Esi,
    /// How many.
    pub count: u8,
}

impl Share {
    /// The `i`-th symbol.
    #[must_use]
    pub fn esi(&self, i: u8) -> Esi {
        let at = (usize::from(self.first.0) + usize::from(i)) % MAX_SYMBOLS;
        Esi(u8::try_from(at).expect("reduced modulo 255"))
    }
}

/// Walks over the symbols of a group in the order of sending. Blocks with fewer symbols are
/// spread evenly over the columns of the longest one.
#[derive(Debug)]
pub struct Interleaver {
    shares: Vec<Share>,
    columns: usize,
    column: usize,
    row: usize,
}

impl Interleaver {
    /// An interleaver over the blocks of a group.
    #[must_use]
    pub fn new(shares: Vec<Share>) -> Self {
        let columns = shares
            .iter()
            .map(|share| usize::from(share.count))
            .max()
            .unwrap_or(0);
        Self {
            shares,
            columns,
            column: 0,
            row: 0,
        }
    }

    /// The blocks of the group.
    #[must_use]
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.column >= self.columns
    }
}

impl Iterator for Interleaver {
    type Item = (Share, Esi);

    fn next(&mut self) -> Option<Self::Item> {
        while self.column < self.columns {
            while let Some(&share) = self.shares.get(self.row) {
                self.row += 1;
                let count = usize::from(share.count);
                let sent = self.column * count / self.columns;
                if (self.column + 1) * count / self.columns > sent {
                    let i = u8::try_from(sent).expect("below the share's count");
                    self.skip_empty_tail();
                    return Some((share, share.esi(i)));
                }
            }
            self.row = 0;
            self.column += 1;
        }
        None
    }
}

impl Interleaver {
    /// After the last symbol of the last column nothing follows: say so at once.
    fn skip_empty_tail(&mut self) {
        if self.column + 1 == self.columns {
            let rest = self.shares.get(self.row..).unwrap_or_default();
            if rest.iter().all(|share| share.count == 0) {
                self.column = self.columns;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shares(counts: &[u8]) -> Vec<Share> {
        let share = |(i, &count): (usize, &u8)| Share {
            block: BlockNumber(u32::try_from(i).unwrap()),
            k: count.max(1),
            first: Esi(0),
            count,
        };
        counts.iter().enumerate().map(share).collect()
    }

    #[test]
    fn equal_blocks_go_column_by_column() {
        let sent: Vec<_> = Interleaver::new(shares(&[2, 2, 2]))
            .map(|(s, e)| (s.block.0, e.0))
            .collect();
        assert_eq!(sent, [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]);
    }

    #[test]
    fn symbols_wrap_round_behind_the_last_repair_symbol() {
        let share = Share {
            block: BlockNumber(0),
            k: 187,
            first: Esi(253),
            count: 4,
        };
        let sent: Vec<_> = Interleaver::new(vec![share]).map(|(_, e)| e.0).collect();
        assert_eq!(sent, [253, 254, 0, 1]);
    }

    proptest! {
        #[test]
        fn every_symbol_once_in_order_and_evenly(counts in prop::collection::vec(0u8..=187, 1..20)) {
            let mut interleaver = Interleaver::new(shares(&counts));
            let mut seen = vec![0u8; counts.len()];
            let total: usize = counts.iter().map(|&c| usize::from(c)).sum();
            for i in 0..total {
                prop_assert!(!interleaver.is_done());
                let (share, esi) = interleaver.next().unwrap();
                let block = share.block.0 as usize;
                prop_assert_eq!(esi.0, seen[block]);
                seen[block] += 1;
                // A block is never ahead of its even share by more than one column.
                let even = (i + 1) as f64 / total as f64 * f64::from(counts[block]);
                let slack = 1.0 + f64::from(counts[block]) * counts.len() as f64 / total as f64;
                prop_assert!(f64::from(seen[block]) <= even + slack);
            }
            prop_assert!(interleaver.is_done());
            prop_assert!(interleaver.next().is_none());
            prop_assert_eq!(seen, counts);
        }
    }
}
