//! The target that keeps nothing, for measuring and for checking an image.

/// Counts what it is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullTarget {
    discarded: u64,
}

impl NullTarget {
    /// Bytes discarded so far, zeros included.
    #[must_use]
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    pub(super) fn discard(&mut self, len: u64) {
        self.discarded = self.discarded.saturating_add(len);
    }
}
