//! Data and holes of a file, by `SEEK_DATA` and `SEEK_HOLE` (lseek(2)).

use std::fs::File;
use std::io;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// What a range of a source consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtentKind {
    /// Bytes that must be read.
    Data,
    /// Nothing was ever written there: it reads as zeros.
    Hole,
    /// No filesystem uses it: it is left out, and reads as zeros.
    Unused,
}

/// A range of one kind that begins where it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// What the range consists of.
    pub kind: ExtentKind,
    /// Byte offset of its end; neighbouring extents may be of the same kind.
    pub end: u64,
}

/// The next data at or after `offset`; `None` if only holes follow. File
/// systems that do not know holes show everything as data.
///
/// The file's own position moves, so nothing may rely on it.
pub(crate) fn next_data(file: &File, offset: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) if is_unsupported(error) => Ok(Some(offset)),
        Err(error) => Err(error.into()),
    }
}

/// The next hole at or after `offset`; `None` if it is not known.
pub(crate) fn next_hole(file: &File, offset: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Hole(offset)) {
        Ok(hole) => Ok(Some(hole)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) if is_unsupported(error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_unsupported(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS)
}
