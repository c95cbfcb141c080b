//! The field GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1 (0x11d) and its vector kernels.
//!
//! Addition is exclusive or; 2 generates the multiplicative group, so coefficients are computed
//! with discrete logarithms ([`Log`]) and only the symbols themselves need fast multiplication
//! ([`Kernel`]).

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod kernel;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

use core::ops::{Div, Mul};

pub(super) use kernel::Kernel;

/// The field polynomial without its x^8.
const POLYNOMIAL: u8 = 0x1d;

/// Order of the multiplicative group.
const ORDER: usize = 255;

/// `EXP[n]` is 2 to the power n.
const EXP: [u8; ORDER] = {
    let mut exp = [1; ORDER];
    let mut n = 1;
    while n < ORDER {
        exp[n] = times_two(exp[n - 1]);
        n += 1;
    }
    exp
};

/// Inverse of [`EXP`]; `LOG[0]` has no meaning and is never read.
const LOG: [u8; 256] = {
    let mut log = [0; 256];
    let mut n = 0;
    while n < ORDER {
        log[EXP[n] as usize] = n as u8;
        n += 1;
    }
    log
};

/// Products of each constant `c` with the 16 low nibbles and the 16 high nibbles: a byte is the
/// sum of its nibbles, so two look-ups multiply it. 8 KiB.
static NIBBLES: [[[u8; 16]; 2]; 256] = {
    let mut table = [[[0; 16]; 2]; 256];
    let mut c = 0;
    while c < 256 {
        let mut nibble = 0;
        while nibble < 16 {
            table[c][0][nibble] = product(c as u8, nibble as u8);
            table[c][1][nibble] = product(c as u8, (nibble << 4) as u8);
            nibble += 1;
        }
        c += 1;
    }
    table
};

/// Multiplication by each constant `c` as a matrix of bits, in the order of the instruction
/// GF2P8AFFINEQB: byte `7 - i` holds the bits of a factor whose sum is bit `i` of the product. 2 KiB.
#[cfg(target_arch = "x86_64")]
static MATRICES: [u64; 256] = {
    let mut table = [0; 256];
    let mut c = 0;
    while c < 256 {
        let mut j = 0;
        while j < 8 {
            let column = product(c as u8, 1 << j);
            let mut i = 0;
            while i < 8 {
                table[c] |= ((column >> i & 1) as u64) << (8 * (7 - i) + j);
                i += 1;
            }
            j += 1;
        }
        c += 1;
    }
    table
};

const fn times_two(a: u8) -> u8 {
    (a << 1) ^ if a & 0x80 != 0 { POLYNOMIAL } else { 0 }
}

/// Product of two elements by shifting and adding: slow, for tables.
const fn product(mut a: u8, mut b: u8) -> u8 {
    let mut sum = 0;
    while b != 0 {
        if b & 1 != 0 {
            sum ^= a;
        }
        a = times_two(a);
        b >>= 1;
    }
    sum
}

/// A nonzero element, held as the power of 2 that it is.
///
/// Every coefficient of the code is a product of differences of distinct points, hence nonzero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Log(u8);

impl Log {
    pub(super) const ONE: Log = Log(0);

    /// The logarithm of the difference of two points, which must be distinct.
    pub(super) const fn of_difference(a: u8, b: u8) -> Log {
        debug_assert!(a != b, "distinct points");
        Log(LOG[(a ^ b) as usize])
    }

    /// The element itself.
    pub(super) const fn value(self) -> u8 {
        EXP[self.0 as usize]
    }

    /// The product; `*` for constants.
    pub(super) const fn times(self, other: Log) -> Log {
        let sum = self.0 as usize + other.0 as usize;
        Log(if sum < ORDER { sum } else { sum - ORDER } as u8)
    }

    pub(super) const fn inverse(self) -> Log {
        Log(if self.0 == 0 { 0 } else { ORDER as u8 - self.0 })
    }
}

impl Mul for Log {
    type Output = Log;

    fn mul(self, other: Log) -> Log {
        self.times(other)
    }
}

impl Div for Log {
    type Output = Log;

    fn div(self, other: Log) -> Log {
        self.times(other.inverse())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reed_solomon_erasure::galois_8;

    #[test]
    fn products_match_the_reference() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(product(a, b), galois_8::mul(a, b), "{a} * {b}");
                let [low, high] = &NIBBLES[usize::from(a)];
                let looked_up = low[usize::from(b & 15)] ^ high[usize::from(b >> 4)];
                assert_eq!(looked_up, galois_8::mul(a, b), "{a} * {b}");
            }
        }
    }

    #[test]
    fn logarithms_multiply_and_divide() {
        for a in 1..=255 {
            for b in 1..=255 {
                let (log_a, log_b) = (Log::of_difference(a, 0), Log::of_difference(0, b));
                assert_eq!((log_a * log_b).value(), galois_8::mul(a, b), "{a} * {b}");
                assert_eq!((log_a / log_b).value(), galois_8::div(a, b), "{a} / {b}");
            }
        }
    }
}
