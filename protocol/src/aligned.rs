//! Memory that begins where a cache line does.

use core::fmt;
use core::ops::{Deref, DerefMut};

/// The line size of the caches of all processors that matter, and of the widest vectors.
const LINE: usize = 64;

/// A fixed number of bytes at the start of a cache line, so that vectors of whole symbols never
/// lie across two lines.
#[derive(Default)]
pub struct AlignedBytes {
    bytes: Box<[u8]>,
    from: usize,
    len: usize,
}

impl AlignedBytes {
    /// `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let bytes: Box<[u8]> = vec![0; len + LINE - 1].into();
        let from = bytes.as_ptr().align_offset(LINE);
        Self { bytes, from, len }
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.from..self.from + self.len]
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.from..self.from + self.len]
    }
}

impl fmt::Debug for AlignedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBytes({})", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_begin_with_a_line() {
        for len in [0, 1, 1408, 263_296] {
            let mut bytes = AlignedBytes::zeroed(len);
            assert_eq!(bytes.len(), len);
            assert_eq!(bytes.as_ptr() as usize % LINE, 0);
            bytes.fill(1);
            assert!(bytes.iter().all(|&byte| byte == 1));
        }
        assert!(AlignedBytes::default().is_empty());
    }
}
