//! The choice of a vector kernel, made when the program runs.
//!
//! An image is often sent from and to machines older than the one that built the program, so
//! nothing beyond the base instruction set may be assumed at compile time.

#[cfg(target_arch = "aarch64")]
use super::aarch64;
use super::scalar;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::units::Symbol;

/// An implementation of "target += coefficient * source" that this processor has.
#[derive(Debug, Clone, Copy)]
pub(in crate::fec) struct Kernel(Isa);

/// Each variant but `Scalar` holds the proof that its instructions were detected.
#[derive(Debug, Clone, Copy)]
enum Isa {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Ssse3(x86::Ssse3),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "x86_64")]
    Gfni(x86::Gfni),
    #[cfg(target_arch = "aarch64")]
    Neon(aarch64::Neon),
}

impl Kernel {
    /// The fastest kernel of this processor. Costs a few loads: detection is cached.
    pub(in crate::fec) fn detect() -> Kernel {
        Kernel(Isa::fastest())
    }

    /// Adds `coefficients[n] * source` to `targets[n]` for each n.
    ///
    /// Several targets at once cost less than one after the other: the source is loaded and
    /// split into nibbles once.
    #[inline]
    pub(in crate::fec) fn mul_add<const N: usize>(
        self,
        targets: [&mut Symbol; N],
        coefficients: [u8; N],
        source: &Symbol,
    ) {
        match self.0 {
            Isa::Scalar => scalar::mul_add(targets, coefficients, source),
            #[cfg(target_arch = "x86_64")]
            Isa::Ssse3(ssse3) => ssse3.mul_add(targets, coefficients, source),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(avx2) => avx2.mul_add(targets, coefficients, source),
            #[cfg(target_arch = "x86_64")]
            Isa::Gfni(gfni) => gfni.mul_add(targets, coefficients, source),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(neon) => neon.mul_add(targets, coefficients, source),
        }
    }

    /// Every kernel of this processor, slowest first.
    #[cfg(test)]
    pub(in crate::fec) fn all() -> Vec<Kernel> {
        let mut kernels = vec![Kernel(Isa::Scalar)];
        #[cfg(target_arch = "x86_64")]
        {
            kernels.extend(x86::Ssse3::detect().map(|ssse3| Kernel(Isa::Ssse3(ssse3))));
            kernels.extend(x86::Avx2::detect().map(|avx2| Kernel(Isa::Avx2(avx2))));
            kernels.extend(x86::Gfni::detect().map(|gfni| Kernel(Isa::Gfni(gfni))));
        }
        #[cfg(target_arch = "aarch64")]
        kernels.extend(aarch64::Neon::detect().map(|neon| Kernel(Isa::Neon(neon))));
        kernels
    }
}

impl Isa {
    #[cfg(target_arch = "x86_64")]
    fn fastest() -> Isa {
        if let Some(gfni) = x86::Gfni::detect() {
            Isa::Gfni(gfni)
        } else if let Some(avx2) = x86::Avx2::detect() {
            Isa::Avx2(avx2)
        } else if let Some(ssse3) = x86::Ssse3::detect() {
            Isa::Ssse3(ssse3)
        } else {
            Isa::Scalar
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn fastest() -> Isa {
        aarch64::Neon::detect().map_or(Isa::Scalar, Isa::Neon)
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn fastest() -> Isa {
        Isa::Scalar
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SYMBOL_SIZE;
    use reed_solomon_erasure::galois_8;

    /// Every byte value many times, in an order without structure.
    fn symbol(seed: usize) -> Symbol {
        core::array::from_fn(|n| ((n + seed) * 167 % 1409) as u8)
    }

    #[test]
    fn every_kernel_multiplies_by_every_constant() {
        let source = symbol(3);
        for kernel in Kernel::all() {
            for c in 0..=255 {
                let mut target = symbol(7);
                kernel.mul_add([&mut target], [c], &source);
                for n in 0..SYMBOL_SIZE {
                    let expected = symbol(7)[n] ^ galois_8::mul(c, source[n]);
                    assert_eq!(
                        target[n], expected,
                        "{kernel:?}, {c} * {}, byte {n}",
                        source[n]
                    );
                }
            }
        }
    }

    #[test]
    fn every_kernel_keeps_its_targets_apart() {
        let source = symbol(1);
        for kernel in Kernel::all() {
            for c in (0..252).step_by(7) {
                let mut together: [Symbol; 4] = core::array::from_fn(symbol);
                let mut apart = together;
                kernel.mul_add(together.each_mut(), [c, c + 1, c + 2, c + 3], &source);
                for (target, c) in apart.iter_mut().zip(c..) {
                    scalar::mul_add([target], [c], &source);
                }
                assert!(together == apart, "{kernel:?}, constants from {c}");
            }
        }
    }

    #[test]
    fn the_fastest_kernel_is_the_last() {
        let fastest = Kernel::all().pop().expect("there is a scalar kernel");
        assert_eq!(format!("{fastest:?}"), format!("{:?}", Kernel::detect()));
    }
}
