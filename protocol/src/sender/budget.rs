//! What one receiver may cost the room: symbols that were sent because of it alone.
//!
//! A symbol of a repair is charged to the receiver that needs more of its block than all others
//! whose needs are known by then, as far as it needs more; one of a later pass in the same way. Who
//! reports a loss first that others share pays for these too, which the budget has room for.
//!
//! Of a block of 187 symbols a receiver behind a loss of p at random needs, beyond its pass, this
//! many times 187 symbols, as there are 68 repair symbols and then all 255 come again, of which it
//! holds more and more:
//!
//! | p | 5 % | 20 % | 40 % | 50 % | 60 % | 70 % | 80 % | 85 % |
//! |---|---|---|---|---|---|---|---|---|
//! | times | 0.05 | 0.25 | 1.1 | 1.6 | 2.6 | 4.1 | 7.1 | 10 |
//!
//! Whoever is served in a cycle of its own, as it came late or is slow, needs 1 more for each time.
//! So the budget of 8 images and 65,536 symbols serves every receiver that gets more than a fifth of
//! what is sent, as the circuit breaker asks for too; at 60 % loss, three times over. It ends one that
//! asks for the same blocks for ever: it lies, or its memory spoils what it gets.

use crate::ids::Cycle;

/// Images that may be sent because of one receiver alone ...
pub(super) const IMAGES: u64 = 8;

/// ... and so many symbols, 92 MB, so that a small image, or the beginning of one, may be asked for
/// often.
const SYMBOLS: u64 = 65_536;

/// A word is said of images that were sent because of one receiver alone: one is what a cycle of its
/// own costs.
const NOTABLE_IMAGES: u64 = 2;

/// In a cycle others wait for at most as many repairs of one receiver alone as the pass has symbols,
/// and these, 12 MB: so it costs them no more than the time that they need anyway.
const AHEAD: u64 = 8192;

/// What was sent because of one receiver alone, in symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    total: u64,
    cycle: Cycle,
    /// Repairs of this cycle.
    repairs: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            total: 0,
            cycle: Cycle(1),
            repairs: 0,
        }
    }
}

impl Account {
    /// Symbols of a pass.
    pub(super) fn charge_pass(&mut self, symbols: u64) {
        self.total += symbols;
    }

    /// Symbols of repairs.
    pub(super) fn charge_repair(&mut self, cycle: Cycle, symbols: u64) {
        if self.cycle != cycle {
            (self.cycle, self.repairs) = (cycle, 0);
        }
        self.total += symbols;
        self.repairs += symbols;
    }

    /// Whether it cost more than anybody may, in a session whose image has so many source symbols as
    /// far as it is known: whether or not the others needed them, who comes late may need all.
    #[must_use]
    pub(super) fn is_exhausted(&self, image: u64) -> bool {
        self.total > image.saturating_mul(IMAGES).saturating_add(SYMBOLS)
    }

    /// Whether it cost more than a receiver in a good network that came late, or is slow: worth a
    /// word.
    #[must_use]
    pub(super) fn is_notable(&self, image: u64) -> bool {
        self.total > image.saturating_mul(NOTABLE_IMAGES).saturating_add(AHEAD)
    }

    /// Whether others should not wait for further repairs of it in a cycle whose pass has sent so
    /// many symbols.
    #[must_use]
    pub(super) fn is_ahead(&self, cycle: Cycle, passed: u64) -> bool {
        self.cycle == cycle && self.repairs > passed + AHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_eight_images_and_some() {
        let mut account = Account::default();
        account.charge_pass(8 * 1000);
        account.charge_repair(Cycle(2), SYMBOLS);
        assert!(!account.is_exhausted(1000) && account.is_notable(1000));
        account.charge_repair(Cycle(2), 1);
        assert!(account.is_exhausted(1000));
        assert!(!account.is_exhausted(1001));
    }

    #[test]
    fn repairs_of_a_cycle_are_held_against_its_pass() {
        let mut account = Account::default();
        account.charge_pass(1_000_000);
        assert!(
            !account.is_ahead(Cycle(1), 0),
            "a pass keeps nobody waiting"
        );
        account.charge_repair(Cycle(1), AHEAD + 501);
        assert!(account.is_ahead(Cycle(1), 500) && !account.is_ahead(Cycle(1), 501));
        assert!(
            !account.is_ahead(Cycle(2), 0),
            "each cycle counts by itself"
        );
        account.charge_repair(Cycle(2), 1);
        assert!(!account.is_ahead(Cycle(2), 0));
    }
}
