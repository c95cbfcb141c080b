//! Locks that keep a file from being read as an image and overwritten as a target at once.
//!
//! Advisory (`flock`), so they bind those who ask; two of our own programs always do. A file
//! system without locks is used without.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Shared, for reading an image. False if somebody overwrites it.
pub(crate) fn for_reading(file: &File) -> bool {
    take(file, FlockOperation::NonBlockingLockShared)
}

/// For oneself alone, for overwriting. False if somebody reads or overwrites it.
pub(crate) fn for_writing(file: &File) -> bool {
    take(file, FlockOperation::NonBlockingLockExclusive)
}

/// The lock ends when the file is closed.
fn take(file: &File, operation: FlockOperation) -> bool {
    flock(file, operation) != Err(Errno::WOULDBLOCK)
}
