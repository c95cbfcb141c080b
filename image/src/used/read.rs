//! Reading what filesystems wrote: at an offset, and field by field.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use super::Distrust;

/// Something of fixed length that can be read at any offset, from several
/// threads: a disk, an image file, a part of either.
pub trait ReadAt: fmt::Debug + Send + Sync {
    /// Length in bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// When they cannot be read, or lie beyond [`ReadAt::size`].
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// What is shared between a layout and the maps that it hands out.
pub(crate) type Reader = Arc<dyn ReadAt>;

/// A range of something larger, with offsets of its own.
#[derive(Debug)]
pub(crate) struct Window {
    whole: Reader,
    start: u64,
    len: u64,
}

impl Window {
    /// `None` if the range does not lie within `whole`.
    pub(crate) fn new(whole: Reader, start: u64, len: u64) -> Option<Self> {
        let end = start.checked_add(len)?;
        (end <= whole.size()).then_some(Self { whole, start, len })
    }
}

impl ReadAt for Window {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.whole.read_exact_at(self.start + offset, buffer)
    }
}

/// Reads `len` bytes at `offset`; `what` they are is named in errors. `len` is
/// a size that was checked before: it is allocated.
pub(crate) fn read(
    volume: &dyn ReadAt,
    offset: u64,
    len: usize,
    what: &'static str,
) -> Result<Vec<u8>, Distrust> {
    // Beyond the end is a wrong number on the disk, not a fault of the disk.
    let end = offset.checked_add(len as u64);
    if end.is_none_or(|end| end > volume.size()) {
        return Err(Distrust::Range {
            what,
            value: offset,
        });
    }
    let mut bytes = vec![0; len];
    read_into(volume, offset, &mut bytes, what)?;
    Ok(bytes)
}

/// As [`read`], into what was allocated before, at a place that was checked.
pub(crate) fn read_into(
    volume: &dyn ReadAt,
    offset: u64,
    bytes: &mut [u8],
    what: &'static str,
) -> Result<(), Distrust> {
    let read = volume.read_exact_at(offset, bytes);
    read.map_err(|source| Distrust::Unreadable {
        what,
        offset,
        source,
    })
}

/// Numbers at byte offsets of a structure; beyond its end is an error, not a
/// panic, because many offsets come from the disk.
pub(crate) trait Fields {
    /// The `N` bytes at `at`.
    fn take<const N: usize>(&self, at: usize) -> Result<[u8; N], Distrust>;
    /// The bytes from `at` on, `len` of them.
    fn part(&self, at: usize, len: usize) -> Result<&[u8], Distrust>;

    /// One byte.
    fn byte(&self, at: usize) -> Result<u8, Distrust> {
        self.take::<1>(at).map(|[byte]| byte)
    }
    /// Two bytes, little-endian.
    fn le16(&self, at: usize) -> Result<u16, Distrust> {
        self.take(at).map(u16::from_le_bytes)
    }
    /// Four bytes, little-endian.
    fn le32(&self, at: usize) -> Result<u32, Distrust> {
        self.take(at).map(u32::from_le_bytes)
    }
    /// Eight bytes, little-endian.
    fn le64(&self, at: usize) -> Result<u64, Distrust> {
        self.take(at).map(u64::from_le_bytes)
    }
}

impl Fields for [u8] {
    fn take<const N: usize>(&self, at: usize) -> Result<[u8; N], Distrust> {
        let bytes = self.part(at, N)?;
        Ok(bytes.try_into().expect("a part is as long as asked for"))
    }

    fn part(&self, at: usize, len: usize) -> Result<&[u8], Distrust> {
        let end = at.checked_add(len);
        end.and_then(|end| self.get(at..end))
            .ok_or(Distrust::Damaged {
                what: "a structure that ends too early",
            })
    }
}
