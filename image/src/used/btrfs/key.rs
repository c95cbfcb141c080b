//! Keys of items in trees.

use crate::used::Distrust;
use crate::used::read::Fields;

/// Object, type, offset; in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(pub(super) u64, pub(super) u8, pub(super) u64);

impl Key {
    /// Bytes of a key.
    pub(super) const LEN: usize = 17;

    pub(super) fn parse(bytes: &[u8], at: usize) -> Result<Self, Distrust> {
        Ok(Self(
            bytes.le64(at)?,
            bytes.byte(at + 8)?,
            bytes.le64(at + 9)?,
        ))
    }

    /// The largest key that is less.
    pub(super) fn before(self) -> Self {
        match self {
            Self(object, kind, offset @ 1..) => Self(object, kind, offset - 1),
            Self(object, kind @ 1.., 0) => Self(object, kind - 1, u64::MAX),
            Self(object, 0, 0) => Self(object.saturating_sub(1), u8::MAX, u64::MAX),
        }
    }
}
