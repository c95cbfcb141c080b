//! Kernels for x86-64.
//!
//! A byte shuffle looks up 16 or 32 nibbles at once: the method of Plank, Greenan and Miller,
//! "Screaming Fast Galois Field Arithmetic Using Intel SIMD Instructions" (FAST 2013). Processors
//! with GFNI multiply 64 bytes by a matrix of bits in one instruction.

#![allow(
    unsafe_code,
    reason = "vector instructions; each kernel proves its processor by a token"
)]

use core::arch::x86_64::*;

use super::{MATRICES, NIBBLES};
use crate::units::{SYMBOL_SIZE, Symbol};

/// Proof that the processor has SSSE3.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ssse3(());

/// Proof that the processor has AVX2, and the system saves its registers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

/// Proof that the processor has GFNI and AVX-512, and the system saves their registers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gfni(());

impl Ssse3 {
    pub(super) fn detect() -> Option<Ssse3> {
        std::arch::is_x86_feature_detected!("ssse3").then_some(Ssse3(()))
    }

    #[inline]
    pub(super) fn mul_add<const N: usize>(
        self,
        targets: [&mut Symbol; N],
        coefficients: [u8; N],
        source: &Symbol,
    ) {
        // SAFETY: a value of this type exists only where SSSE3 was detected.
        unsafe { mul_add_ssse3(targets, coefficients, source) }
    }
}

impl Avx2 {
    pub(super) fn detect() -> Option<Avx2> {
        std::arch::is_x86_feature_detected!("avx2").then_some(Avx2(()))
    }

    #[inline]
    pub(super) fn mul_add<const N: usize>(
        self,
        targets: [&mut Symbol; N],
        coefficients: [u8; N],
        source: &Symbol,
    ) {
        // SAFETY: a value of this type exists only where AVX2 was detected.
        unsafe { mul_add_avx2(targets, coefficients, source) }
    }
}

impl Gfni {
    pub(super) fn detect() -> Option<Gfni> {
        let has = std::arch::is_x86_feature_detected!("gfni")
            && std::arch::is_x86_feature_detected!("avx512f");
        has.then_some(Gfni(()))
    }

    #[inline]
    pub(super) fn mul_add<const N: usize>(
        self,
        targets: [&mut Symbol; N],
        coefficients: [u8; N],
        source: &Symbol,
    ) {
        // SAFETY: a value of this type exists only where GFNI and AVX-512 were detected.
        unsafe { mul_add_gfni(targets, coefficients, source) }
    }
}

#[target_feature(enable = "ssse3")]
fn mul_add_ssse3<const N: usize>(
    mut targets: [&mut Symbol; N],
    coefficients: [u8; N],
    source: &Symbol,
) {
    const { assert!(SYMBOL_SIZE.is_multiple_of(16)) };
    let tables = coefficients.map(|c| {
        NIBBLES[usize::from(c)]
            .each_ref()
            .map(|half| load_128(half))
    });
    let mask = _mm_set1_epi8(15);
    for at in (0..SYMBOL_SIZE).step_by(16) {
        // SAFETY: `at + 16 <= SYMBOL_SIZE`, the length of the array; unaligned loads are allowed.
        let bytes = unsafe { _mm_loadu_si128(source.as_ptr().add(at).cast()) };
        let low = _mm_and_si128(bytes, mask);
        let high = _mm_and_si128(_mm_srli_epi64::<4>(bytes), mask);
        for (target, [lows, highs]) in targets.iter_mut().zip(&tables) {
            let product =
                _mm_xor_si128(_mm_shuffle_epi8(*lows, low), _mm_shuffle_epi8(*highs, high));
            // SAFETY: as above, and `target` is borrowed exclusively.
            unsafe {
                let sum: *mut __m128i = target.as_mut_ptr().add(at).cast();
                _mm_storeu_si128(sum, _mm_xor_si128(_mm_loadu_si128(sum), product));
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn mul_add_avx2<const N: usize>(
    mut targets: [&mut Symbol; N],
    coefficients: [u8; N],
    source: &Symbol,
) {
    const { assert!(SYMBOL_SIZE.is_multiple_of(32)) };
    let tables = coefficients.map(|c| {
        NIBBLES[usize::from(c)]
            .each_ref()
            .map(|half| _mm256_broadcastsi128_si256(load_128(half)))
    });
    let mask = _mm256_set1_epi8(15);
    for at in (0..SYMBOL_SIZE).step_by(32) {
        // SAFETY: `at + 32 <= SYMBOL_SIZE`, the length of the array; unaligned loads are allowed.
        let bytes = unsafe { _mm256_loadu_si256(source.as_ptr().add(at).cast()) };
        let low = _mm256_and_si256(bytes, mask);
        let high = _mm256_and_si256(_mm256_srli_epi64::<4>(bytes), mask);
        for (target, [lows, highs]) in targets.iter_mut().zip(&tables) {
            let product = _mm256_xor_si256(
                _mm256_shuffle_epi8(*lows, low),
                _mm256_shuffle_epi8(*highs, high),
            );
            // SAFETY: as above, and `target` is borrowed exclusively.
            unsafe {
                let sum: *mut __m256i = target.as_mut_ptr().add(at).cast();
                _mm256_storeu_si256(sum, _mm256_xor_si256(_mm256_loadu_si256(sum), product));
            }
        }
    }
}

#[target_feature(enable = "gfni,avx512f")]
fn mul_add_gfni<const N: usize>(
    mut targets: [&mut Symbol; N],
    coefficients: [u8; N],
    source: &Symbol,
) {
    const { assert!(SYMBOL_SIZE.is_multiple_of(64)) };
    let matrices = coefficients.map(|c| _mm512_set1_epi64(MATRICES[usize::from(c)].cast_signed()));
    for at in (0..SYMBOL_SIZE).step_by(64) {
        // SAFETY: `at + 64 <= SYMBOL_SIZE`, the length of the array; unaligned loads are allowed.
        let bytes = unsafe { _mm512_loadu_si512(source.as_ptr().add(at).cast()) };
        for (target, &matrix) in targets.iter_mut().zip(&matrices) {
            let product = _mm512_gf2p8affine_epi64_epi8::<0>(bytes, matrix);
            // SAFETY: as above, and `target` is borrowed exclusively.
            unsafe {
                let sum: *mut __m512i = target.as_mut_ptr().add(at).cast();
                _mm512_storeu_si512(sum, _mm512_xor_si512(_mm512_loadu_si512(sum), product));
            }
        }
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_128(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the array has 16 bytes; unaligned loads are allowed.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}
