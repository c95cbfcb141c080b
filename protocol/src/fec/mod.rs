//! Forward error correction: systematic Reed-Solomon over GF(2^8).
//!
//! A block of `k` source symbols has up to `255 - k` repair symbols; any `k` distinct symbols
//! give the block back. As in RFC 5510 section 8.2 a Vandermonde matrix is normalised so that its
//! top is the identity; unlike there, its points are 0, 1, 2, ... and not powers of a generator.
//! That, and the field polynomial 0x11d, make the code bit for bit that of the crate
//! `reed-solomon-erasure`, which serves as the reference in the tests.
//!
//! # The code as interpolation
//!
//! A Vandermonde matrix evaluates polynomials, so byte `b` of source symbol `i` is the value at
//! point `i` of one polynomial of degree below `k`, and byte `b` of repair row `j` is its value
//! at point `k + j`. The coefficient of source `i` in that row is the Lagrange basis
//!
//! ```text
//! L_i(x) = P(x) * w_i / (x - i)    P(x) = product over j < k of (x - j)
//!                                  w_i  = 1 / product over j < k, j != i of (i - j)
//! ```
//!
//! at `x = k + j` (the barycentric form: Berrut and Trefethen, SIAM Review 46(3), 2004). A row
//! costs O(k) to make, no matrix is inverted, and row `j` is the same however many rows are
//! made, so repair symbols can be made one at a time, whenever one is asked for.
//!
//! # Decoding
//!
//! With `e` source symbols missing, the contribution of the present ones is taken out of `e`
//! repair symbols. What is left is an `e x e` system `P(x_r) * w_m / (x_r - m)`: a Cauchy matrix
//! with scaled rows and columns. Its triangular factors have a closed form, so the system is
//! solved in place, in the slots of the symbols, without a matrix anywhere (module `recover`).

mod code;
mod gf256;
mod recover;
#[cfg(test)]
mod tests;

pub use code::{Code, FecError};
