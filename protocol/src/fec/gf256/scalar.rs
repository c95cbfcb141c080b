//! The kernel for processors without a byte shuffle, and the reference for the others.

use super::NIBBLES;
use crate::units::Symbol;

/// Adds `coefficients[n] * source` to `targets[n]`.
pub(super) fn mul_add<const N: usize>(
    targets: [&mut Symbol; N],
    coefficients: [u8; N],
    source: &Symbol,
) {
    for (target, coefficient) in targets.into_iter().zip(coefficients) {
        let [low, high] = &NIBBLES[usize::from(coefficient)];
        for (target, &byte) in target.iter_mut().zip(source) {
            *target ^= low[usize::from(byte & 15)] ^ high[usize::from(byte >> 4)];
        }
    }
}
