//! The code of a block of `k` source symbols, and the making of repair symbols.

use super::gf256::{Kernel, Log};
use crate::units::{Esi, MAX_SOURCE_SYMBOLS, MAX_SYMBOLS, SYMBOL_SIZE, Symbol, source_symbols};

/// Repair symbols that are made in one pass over the body: 22 KiB stay in the first-level cache
/// while the body streams through it once.
const ROWS_PER_PASS: usize = 16;

/// `WEIGHTS[k][i]` is the barycentric weight of point `i` among the points `0..k`, for `i < k`.
/// 35 KB, so that a code costs nothing to make and nobody keeps a cache of codes.
static WEIGHTS: [[Log; MAX_SOURCE_SYMBOLS]; MAX_SOURCE_SYMBOLS + 1] = weights();

const fn weights() -> [[Log; MAX_SOURCE_SYMBOLS]; MAX_SOURCE_SYMBOLS + 1] {
    let mut weights = [[Log::ONE; MAX_SOURCE_SYMBOLS]; MAX_SOURCE_SYMBOLS + 1];
    let mut k = 2;
    while k <= MAX_SOURCE_SYMBOLS {
        let added = k - 1;
        let mut i = 0;
        while i < added {
            let factor = Log::of_difference(i as u8, added as u8).inverse();
            weights[k][i] = weights[k - 1][i].times(factor);
            weights[k][added] = weights[k][added].times(factor);
            i += 1;
        }
        k += 1;
    }
    weights
}

/// The code of blocks with a given number of source symbols. Costs nothing to make or to copy.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    pub(super) k: u8,
    pub(super) kernel: Kernel,
}

/// Why symbols could not be coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FecError {
    /// No block has this many source symbols.
    #[error("expected 1 to {MAX_SOURCE_SYMBOLS} source symbols, found {found}")]
    SourceSymbols {
        /// The number asked for.
        found: u8,
    },
    /// A body does not fill the symbols of its code.
    #[error(
        "expected a body of {expected} symbols, found {found} bytes, which fill {} symbols",
        source_symbols(*found)
    )]
    Body {
        /// Source symbols of the code.
        expected: u8,
        /// Length of the body in bytes.
        found: usize,
    },
    /// A buffer is not the expected number of whole symbols.
    #[error("expected a buffer of {expected} bytes, found {found}")]
    Buffer {
        /// Bytes that the symbols need.
        expected: usize,
        /// Bytes that were passed.
        found: usize,
    },
    /// The list of ESIs does not name each slot once.
    #[error("expected the ESIs of {expected} slots, found {found}")]
    Esis {
        /// Number of slots.
        expected: u8,
        /// Number of ESIs.
        found: usize,
    },
    /// A code has no such repair rows.
    #[error("repair rows up to {last} were asked for, but {k} source symbols leave only {rows}")]
    Rows {
        /// Index of the last row, from 0.
        last: usize,
        /// Source symbols of the code.
        k: u8,
        /// Number of repair rows that the code has.
        rows: u8,
    },
    /// An ESI that no block has.
    #[error("expected an ESI below {MAX_SYMBOLS}, found {found}")]
    EsiRange {
        /// The ESI.
        found: Esi,
    },
    /// Two slots hold the same encoding symbol.
    #[error("ESI {found} is held twice")]
    Duplicate {
        /// The ESI.
        found: Esi,
    },
}

impl Code {
    /// The code of blocks with `k` source symbols, using the fastest kernel of this processor.
    ///
    /// # Errors
    ///
    /// [`FecError::SourceSymbols`] unless `k` is 1 to [`MAX_SOURCE_SYMBOLS`].
    pub fn new(k: u8) -> Result<Code, FecError> {
        if !(1..=MAX_SOURCE_SYMBOLS).contains(&usize::from(k)) {
            return Err(FecError::SourceSymbols { found: k });
        }
        Ok(Code {
            k,
            kernel: Kernel::detect(),
        })
    }

    /// Number of source symbols.
    #[must_use]
    pub fn source_symbols(&self) -> u8 {
        self.k
    }

    /// Number of different repair symbols, at least 68.
    #[must_use]
    pub fn repair_rows(&self) -> u8 {
        MAX_SYMBOLS as u8 - self.k
    }

    /// Makes the repair symbols of rows `first`, `first + 1`, ..., as many as fit `out`.
    ///
    /// `body` holds the source symbols; zeros are taken to follow it up to a whole symbol. The
    /// symbol of row `j` has ESI `k + j` and does not depend on which rows are made with it.
    /// Many rows in one call cost less than many calls: the body is read once per 16 rows.
    ///
    /// # Errors
    ///
    /// [`FecError::Body`] unless `body` fills `k` symbols, [`FecError::Buffer`] unless `out` is
    /// whole symbols, [`FecError::Rows`] where there are fewer rows. `out` is untouched then.
    pub fn repair(&self, first: u8, body: &[u8], out: &mut [u8]) -> Result<(), FecError> {
        if source_symbols(body.len()) != usize::from(self.k) {
            return Err(FecError::Body {
                expected: self.k,
                found: body.len(),
            });
        }
        let expected = source_symbols(out.len()) * SYMBOL_SIZE;
        let (out, []) = out.as_chunks_mut::<SYMBOL_SIZE>() else {
            return Err(FecError::Buffer {
                expected,
                found: out.len(),
            });
        };
        let end = usize::from(first) + out.len();
        if end > usize::from(self.repair_rows()) {
            return Err(FecError::Rows {
                last: end - 1,
                k: self.k,
                rows: self.repair_rows(),
            });
        }
        // Row j is evaluated at point k + j, and the check above keeps that below 255.
        let points = (usize::from(self.k) + usize::from(first)..).map(|point| point as u8);
        let mut rows = [Row::UNUSED; MAX_SYMBOLS];
        for (row, point) in rows[..out.len()].iter_mut().zip(points) {
            *row = self.row(point);
        }
        for (out, rows) in out
            .chunks_mut(ROWS_PER_PASS)
            .zip(rows.chunks(ROWS_PER_PASS))
        {
            self.repair_pass(body, out, rows);
        }
        Ok(())
    }

    fn repair_pass(&self, body: &[u8], out: &mut [Symbol], rows: &[Row]) {
        out.as_flattened_mut().fill(0);
        let (whole, short) = body.as_chunks::<SYMBOL_SIZE>();
        for (i, source) in (0..).zip(whole) {
            self.add_source(i, source, out, rows);
        }
        if !short.is_empty() {
            let mut padded = [0; SYMBOL_SIZE];
            padded[..short.len()].copy_from_slice(short);
            self.add_source(self.k - 1, &padded, out, rows);
        }
    }

    /// Adds the part of source symbol `i` to the repair symbols of `rows`.
    fn add_source(&self, i: u8, source: &Symbol, out: &mut [Symbol], rows: &[Row]) {
        let coefficient = |row: &Row| self.coefficient(row, i).value();
        let (fours, rest) = out.as_chunks_mut::<4>();
        let (rows_of_fours, rows_of_rest) = rows.split_at(fours.len() * 4);
        for (four, rows) in fours.iter_mut().zip(rows_of_fours.as_chunks::<4>().0) {
            self.kernel
                .mul_add(four.each_mut(), rows.each_ref().map(coefficient), source);
        }
        for (one, row) in rest.iter_mut().zip(rows_of_rest) {
            self.kernel.mul_add([one], [coefficient(row)], source);
        }
    }

    /// The repair row that is evaluated at `point`, which is its ESI.
    pub(super) fn row(&self, point: u8) -> Row {
        let factors = (0..self.k).map(|i| Log::of_difference(point, i));
        Row {
            point,
            scale: factors.fold(Log::ONE, |scale, factor| scale * factor),
        }
    }

    /// The coefficient of source symbol `i` in a repair row: the Lagrange basis at its point.
    pub(super) fn coefficient(&self, row: &Row, i: u8) -> Log {
        row.scale * self.weight(i) / Log::of_difference(row.point, i)
    }

    /// The barycentric weight of source symbol `i`.
    pub(super) fn weight(&self, i: u8) -> Log {
        WEIGHTS[usize::from(self.k)][usize::from(i)]
    }
}

/// A repair row: its point x (also its ESI) and `P(x)`, see the module above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) point: u8,
    pub(super) scale: Log,
}

impl Row {
    /// Fills arrays behind the rows in use.
    pub(super) const UNUSED: Row = Row {
        point: 0,
        scale: Log::ONE,
    };
}
