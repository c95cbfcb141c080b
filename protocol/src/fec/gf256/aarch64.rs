//! Kernel for AArch64: the table look-up of Advanced SIMD, 16 nibbles at once.

#![allow(
    unsafe_code,
    reason = "vector instructions; the kernel proves its processor by a token"
)]

use core::arch::aarch64::*;

use super::NIBBLES;
use crate::units::{SYMBOL_SIZE, Symbol};

/// Proof that the processor has Advanced SIMD.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Neon> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }

    #[inline]
    pub(super) fn mul_add<const N: usize>(
        self,
        targets: [&mut Symbol; N],
        coefficients: [u8; N],
        source: &Symbol,
    ) {
        // SAFETY: a value of this type exists only where Advanced SIMD was detected.
        unsafe { mul_add_neon(targets, coefficients, source) }
    }
}

#[target_feature(enable = "neon")]
fn mul_add_neon<const N: usize>(
    mut targets: [&mut Symbol; N],
    coefficients: [u8; N],
    source: &Symbol,
) {
    const { assert!(SYMBOL_SIZE.is_multiple_of(16)) };
    let tables = coefficients.map(|c| NIBBLES[usize::from(c)].each_ref().map(|half| load(half)));
    let mask = vdupq_n_u8(15);
    for at in (0..SYMBOL_SIZE).step_by(16) {
        // SAFETY: `at + 16 <= SYMBOL_SIZE`, the length of the array; bytes need no alignment.
        let bytes = unsafe { vld1q_u8(source.as_ptr().add(at)) };
        let low = vandq_u8(bytes, mask);
        let high = vshrq_n_u8::<4>(bytes);
        for (target, [lows, highs]) in targets.iter_mut().zip(&tables) {
            let product = veorq_u8(vqtbl1q_u8(*lows, low), vqtbl1q_u8(*highs, high));
            // SAFETY: as above, and `target` is borrowed exclusively.
            unsafe {
                let sum = target.as_mut_ptr().add(at);
                vst1q_u8(sum, veorq_u8(vld1q_u8(sum), product));
            }
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: the array has 16 bytes; bytes need no alignment.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}
