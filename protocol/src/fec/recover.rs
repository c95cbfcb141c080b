//! Recovery of missing source symbols, in place and without a matrix.
//!
//! After the present source symbols are taken out of the `e` repair symbols at hand, these are
//! `S_i = sum over j of G_ij d_j` with the missing symbols `d_j` at points `y_j` and
//!
//! ```text
//! G_ij = a_i * b_j / (x_i + y_j)        a_i = P(x_i), b_j = w of y_j
//! ```
//!
//! One step of Gaussian elimination keeps this form. With pivot `t`, the entry `ij` becomes
//!
//! ```text
//! a_i b_j   a_i b_t       a_t b_j       x_t + y_t   a_i (x_i + x_t)   b_j (y_j + y_t)   1
//! ------- + ------- * ------------- * ------------- = --------------- * --------------- * -------
//! x_i+y_j   x_i+y_t      x_t + y_j       a_t b_t        x_i + y_t         x_t + y_j     x_i+y_j
//! ```
//!
//! (in characteristic 2, where sums are differences), so the factors L and U need only the
//! running `a_i` and `b_j`: O(e) memory and O(e^2) scalar work beside the e^2 symbol operations.
//! No pivot vanishes, as all points are distinct. See Boros, Kailath and Olshevsky, "A fast
//! parallel Bjorck-Pereyra-type algorithm for solving Cauchy linear equations" (1999).

use super::code::{Code, FecError, Row};
use super::gf256::Log;
use crate::units::{Esi, MAX_SYMBOLS, SYMBOL_SIZE, Symbol};

/// Most source symbols that can be missing: k of them, and as many repair rows, of 255 in all.
const MAX_ERASURES: usize = MAX_SYMBOLS / 2;

/// Repair symbols that are worked on together: 22 KiB stay in the first-level cache.
const ERASURES_PER_PASS: usize = 16;

/// A missing source symbol, and the repair symbol that lies in its slot.
#[derive(Debug, Clone, Copy)]
struct Erasure {
    /// Slot and number of the source symbol; the point y of the description above.
    slot: u8,
    /// The repair row at hand; its point is x and its scale a.
    row: Row,
}

impl Erasure {
    const UNUSED: Erasure = Erasure {
        slot: 0,
        row: Row::UNUSED,
    };
}

impl Code {
    /// Recovers the source symbols from any `k` distinct encoding symbols, in place.
    ///
    /// `slots` holds one symbol in each of `k` slots and `esis` says which, in any order.
    /// Afterwards slot `i` holds source symbol `i` and `esis[i]` is `i`. With `e` source symbols
    /// missing this costs about `e * k` multiplications of a symbol, nothing where none is
    /// missing, and allocates nothing. The least symbols move where source symbols lie in their
    /// own slots and repair symbols in the others.
    ///
    /// # Errors
    ///
    /// [`FecError::Buffer`] and [`FecError::Esis`] for the wrong number of slots,
    /// [`FecError::EsiRange`] and [`FecError::Duplicate`] for the wrong symbols. Nothing is
    /// changed then.
    pub fn recover(&self, slots: &mut [u8], esis: &mut [Esi]) -> Result<(), FecError> {
        let k = usize::from(self.k);
        if slots.len() != k * SYMBOL_SIZE {
            return Err(FecError::Buffer {
                expected: k * SYMBOL_SIZE,
                found: slots.len(),
            });
        }
        if esis.len() != k {
            return Err(FecError::Esis {
                expected: self.k,
                found: esis.len(),
            });
        }
        check_distinct(esis)?;
        let (symbols, _) = slots.as_chunks_mut::<SYMBOL_SIZE>();
        settle(symbols, esis);

        let mut erasures = [Erasure::UNUSED; MAX_ERASURES];
        let mut count = 0;
        for (slot, esi) in (0..).zip(&*esis).filter(|(_, esi)| esi.0 >= self.k) {
            erasures[count] = Erasure {
                slot,
                row: self.row(esi.0),
            };
            count += 1;
        }
        let erasures = &mut erasures[..count];
        self.remove_present(symbols, esis, erasures);
        self.eliminate(symbols, erasures);
        self.substitute(symbols, erasures);
        for (esi, i) in esis.iter_mut().zip(0..) {
            *esi = Esi(i);
        }
        Ok(())
    }

    /// Takes what the present source symbols contribute out of the repair symbols.
    fn remove_present(&self, symbols: &mut [Symbol], esis: &[Esi], erasures: &[Erasure]) {
        for erasures in erasures.chunks(ERASURES_PER_PASS) {
            for i in (0..self.k).filter(|&i| esis[usize::from(i)] == Esi(i)) {
                let weight = self.weight(i);
                self.add_to(symbols, i, erasures, |_, Erasure { row, .. }| {
                    row.scale * weight / Log::of_difference(row.point, i)
                });
            }
        }
    }

    /// Solves with the factor L, pivot by pivot. Leaves in each `row.scale` the `a` that it has
    /// as a pivot.
    fn eliminate(&self, symbols: &mut [Symbol], erasures: &mut [Erasure]) {
        let mut rest = erasures;
        while let Some((pivot, below)) = rest.split_first_mut() {
            let (x, y) = (pivot.row.point, pivot.slot);
            let inverse = Log::of_difference(x, y) / pivot.row.scale;
            self.add_to(symbols, y, below, |_, Erasure { row, .. }| {
                row.scale * inverse / Log::of_difference(row.point, y)
            });
            for Erasure { row, .. } in &mut *below {
                let factor = Log::of_difference(row.point, x) / Log::of_difference(row.point, y);
                row.scale = row.scale * factor;
            }
            rest = below;
        }
    }

    /// Solves with the factor U, column by column from the last.
    fn substitute(&self, symbols: &mut [Symbol], erasures: &[Erasure]) {
        let mut rest = erasures;
        while let Some((&last, above)) = rest.split_last() {
            let y = last.slot;
            let mut column = [Log::ONE; MAX_ERASURES];
            let mut b = self.weight(y);
            for (entry, Erasure { slot, row }) in column.iter_mut().zip(above) {
                *entry = row.scale * b / Log::of_difference(row.point, y);
                b = b * Log::of_difference(y, *slot) / Log::of_difference(row.point, y);
            }
            let pivot = last.row.scale * b / Log::of_difference(last.row.point, y);
            self.scale(&mut symbols[usize::from(y)], pivot.inverse());
            self.add_to(symbols, y, above, |n, _| column[n]);
            rest = above;
        }
    }

    /// Adds `coefficient(n, erasures[n])` times the symbol in slot `source` to the slot of each
    /// erasure.
    fn add_to(
        &self,
        symbols: &mut [Symbol],
        source: u8,
        erasures: &[Erasure],
        coefficient: impl Fn(usize, &Erasure) -> Log,
    ) {
        const DISTINCT: &str = "the source and the erasures lie in different slots below k";
        let source = usize::from(source);
        let value = |n: usize| coefficient(n, &erasures[n]).value();
        let slot = |n: usize| usize::from(erasures[n].slot);
        let fours = erasures.len() / 4 * 4;
        for n in (0..fours).step_by(4) {
            let slots = [source, slot(n), slot(n + 1), slot(n + 2), slot(n + 3)];
            let [source, a, b, c, d] = symbols.get_disjoint_mut(slots).expect(DISTINCT);
            let coefficients = [value(n), value(n + 1), value(n + 2), value(n + 3)];
            self.kernel.mul_add([a, b, c, d], coefficients, source);
        }
        for n in fours..erasures.len() {
            let [source, a] = symbols.get_disjoint_mut([source, slot(n)]).expect(DISTINCT);
            self.kernel.mul_add([a], [value(n)], source);
        }
    }

    /// Multiplies a symbol by a constant c, as `s + (c - 1) s`.
    fn scale(&self, symbol: &mut Symbol, c: Log) {
        let copy = *symbol;
        self.kernel.mul_add([symbol], [c.value() ^ 1], &copy);
    }
}

fn check_distinct(esis: &[Esi]) -> Result<(), FecError> {
    let mut seen = [false; MAX_SYMBOLS];
    for &esi in esis {
        match seen.get_mut(usize::from(esi.0)) {
            None => return Err(FecError::EsiRange { found: esi }),
            Some(true) => return Err(FecError::Duplicate { found: esi }),
            Some(seen) => *seen = true,
        }
    }
    Ok(())
}

/// Moves each source symbol to its slot; the repair symbols end up in the remaining ones.
fn settle(symbols: &mut [Symbol], esis: &mut [Esi]) {
    for slot in 0..esis.len() {
        // Each swap brings a symbol home for good, so there are at most k in all.
        loop {
            let home = usize::from(esis[slot].0);
            if home >= esis.len() || home == slot {
                break;
            }
            symbols.swap(slot, home);
            esis.swap(slot, home);
        }
    }
}
