//! Buffers of blocks and bodies, used again and again: memory that is new to the process costs more
//! than what is done with it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mimeo_protocol::AlignedBytes;
use mimeo_protocol::units::BLOCK_SIZE;

/// Buffers have whole multiples of this many bytes: a body that compressed well does not hold the
/// memory of a whole block.
const GRAIN: usize = 32 << 10;

const CLASSES: usize = BLOCK_SIZE / GRAIN;

/// Buffers that wait for use hold at most this many bytes; more is given back to the system.
const MOST_FREE: usize = 16 << 20;

/// A supply of buffers; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Free>>);

#[derive(Debug, Default)]
struct Free {
    /// Buffers of one grain, of two, and so on. The last one used is the first to be used again:
    /// it is the likeliest to be in a cache.
    classes: [Vec<AlignedBytes>; CLASSES],
    bytes: usize,
}

/// Bytes in a buffer that returns to its pool when nobody needs it any more.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: AlignedBytes,
    len: usize,
    pool: Pool,
}

impl Pool {
    /// A buffer of `len` bytes, 1 to [`BLOCK_SIZE`], whatever they are.
    pub(super) fn take(&self, len: usize) -> Buffer {
        let grains = len.div_ceil(GRAIN);
        let used = self.with(|free| {
            let used = free.classes[grains - 1].pop();
            free.bytes -= used.as_ref().map_or(0, |bytes| bytes.len());
            used
        });
        Buffer {
            bytes: used.unwrap_or_else(|| AlignedBytes::zeroed(grains * GRAIN)),
            len,
            pool: self.clone(),
        }
    }

    fn give_back(&self, bytes: AlignedBytes) {
        let surplus = self.with(|free| {
            if bytes.is_empty() || free.bytes + bytes.len() > MOST_FREE {
                return Some(bytes);
            }
            free.bytes += bytes.len();
            free.classes[bytes.len() / GRAIN - 1].push(bytes);
            None
        });
        // Freed outside the lock.
        drop(surplus);
    }

    fn with<T>(&self, work: impl FnOnce(&mut Free) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Buffer {
    /// The bytes.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// Keeps the first `len` bytes only.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The bytes, to be shared; the buffer returns to its pool with the last of them.
    pub(super) fn into_body(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_when_its_last_body_is_gone() {
        let pool = Pool::default();
        let mut buffer = pool.take(GRAIN + 1);
        buffer.bytes_mut().fill(7);
        let at = buffer.as_ref().as_ptr();
        buffer.truncate(3);
        let body = buffer.into_body();
        let copy = body.clone();
        assert_eq!(&copy[..], [7; 3]);
        drop(body);
        assert_ne!(pool.take(GRAIN + 1).as_ref().as_ptr(), at);
        drop(copy);
        // Any length of the same class, and all of it.
        let mut again = pool.take(2 * GRAIN);
        assert_eq!(again.bytes_mut().as_ptr(), at);
        assert_eq!(again.as_ref().len(), 2 * GRAIN);
    }

    #[test]
    fn what_waits_for_use_is_bounded() {
        let pool = Pool::default();
        let many: Vec<_> = (0..2 * MOST_FREE / BLOCK_SIZE)
            .map(|_| pool.take(BLOCK_SIZE))
            .collect();
        drop(many);
        pool.with(|free| {
            assert_eq!(free.bytes, MOST_FREE);
            assert_eq!(free.classes[CLASSES - 1].len(), MOST_FREE / BLOCK_SIZE);
        });
    }
}
