//! Which datagrams of a path are lost.

use crate::sim::Dice;

/// Independent loss: how many datagrams pass until the next one is lost is drawn at once, so that
/// those which pass cost nothing.
#[derive(Debug)]
pub(super) struct Loss {
    dice: Dice,
    /// ln(1 - p); 0 where nothing is lost.
    ln_pass: f64,
    passing: u64,
}

impl Loss {
    pub(super) fn new(probability: f64, dice: Dice) -> Self {
        let mut loss = Self {
            dice,
            ln_pass: (1.0 - probability).ln(),
            passing: 0,
        };
        loss.draw();
        loss
    }

    /// The geometric distribution by inversion: P(at least n pass) = (1 - p)^n.
    fn draw(&mut self) {
        self.passing = if self.ln_pass == 0.0 {
            u64::MAX
        } else {
            ((1.0 - self.dice.unit()).ln() / self.ln_pass) as u64
        };
    }

    /// Of `count` datagrams in a row, how many of the next ones arrive; the one behind them, if
    /// there is one, is lost.
    pub(super) fn pass(&mut self, count: usize) -> usize {
        if self.passing < count as u64 {
            let passed = usize::try_from(self.passing).expect("below a count");
            self.draw();
            return passed;
        }
        self.passing -= count as u64;
        count
    }

    /// Whether one datagram is lost.
    pub(super) fn loses(&mut self) -> bool {
        self.pass(1) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(probability: f64, bursts: usize, of: usize) -> usize {
        let mut loss = Loss::new(probability, Dice::new(1));
        let mut lost = 0;
        for _ in 0..bursts {
            let mut at = 0;
            while at < of {
                let passed = loss.pass(of - at);
                at += passed + 1;
                lost += usize::from(at <= of);
            }
        }
        lost
    }

    #[test]
    fn the_share_is_kept_across_bursts_of_any_size() {
        assert_eq!(lost(0.0, 10_000, 44), 0);
        for (bursts, of) in [(10_000, 44), (440_000, 1)] {
            let lost = lost(0.05, bursts, of);
            // Mean 22,000, standard deviation 145.
            assert!((21_500..22_500).contains(&lost), "{lost}");
        }
    }
}
