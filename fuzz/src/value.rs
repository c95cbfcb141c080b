//! Numbers as a fuzzer should draw them: mostly close to one that matters, sometimes any.

use arbitrary::{Arbitrary, Result, Unstructured};

/// What is to happen, at most so many of it: that is enough for anything, and quick.
///
/// # Errors
///
/// Where the input is none of it.
pub fn at_most<'a, const MOST: usize, T: Arbitrary<'a>>(
    u: &mut Unstructured<'a>,
) -> Result<Vec<T>> {
    u.arbitrary_iter()?.take(MOST).collect()
}

/// A number that is close to another one, or any.
#[derive(Debug, Clone, Copy)]
pub enum Near {
    /// The number itself.
    Same,
    /// So far from it.
    Off(i8),
    /// Any.
    Any(u64),
    /// The largest.
    Max,
}

/// One byte, or nine: a derived one would take four for the variant alone.
impl Arbitrary<'_> for Near {
    fn arbitrary(u: &mut Unstructured<'_>) -> Result<Self> {
        Ok(match u8::arbitrary(u)? {
            0..64 => Self::Same,
            byte @ 64..240 => Self::Off(byte.wrapping_sub(152).cast_signed()),
            240..248 => Self::Any(u.arbitrary()?),
            248..254 => Self::Any(u32::arbitrary(u)?.into()),
            _ => Self::Max,
        })
    }

    fn size_hint(_: usize) -> (usize, Option<usize>) {
        (1, Some(9))
    }
}

impl Near {
    /// The number, as 64 bits.
    #[must_use]
    pub fn to_u64(self, base: u64) -> u64 {
        match self {
            Self::Same => base,
            Self::Off(by) => base.saturating_add_signed(by.into()),
            Self::Any(any) => any,
            Self::Max => u64::MAX,
        }
    }

    /// The number, as 48 bits.
    #[must_use]
    pub fn to_u48(self, base: u64) -> u64 {
        self.to_u64(base) & ((1 << 48) - 1)
    }

    /// The number, as 32 bits.
    #[must_use]
    pub fn to_u32(self, base: u32) -> u32 {
        self.to_u64(base.into()) as u32
    }
}
