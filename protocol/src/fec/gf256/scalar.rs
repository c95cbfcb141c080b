//! The kernel for processors without a byte shuffle, and the reference for the others: the
//! multiplication of `reed-solomon-erasure` itself.

use reed_solomon_erasure::galois_8::mul_slice_xor;

use crate::units::Symbol;

/// Adds `coefficients[n] * source` to `targets[n]`.
pub(super) fn mul_add<const N: usize>(
    targets: [&mut Symbol; N],
    coefficients: [u8; N],
    source: &Symbol,
) {
    for (target, coefficient) in targets.into_iter().zip(coefficients) {
        mul_slice_xor(coefficient, source, target);
    }
}
