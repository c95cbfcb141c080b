//! Reading and writing descriptors that others opened.
//!
//! Standard input and output may be in non-blocking mode (the mode belongs to
//! the open file, which a parent shares), so `EAGAIN` is not an error here.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};

/// Repeats `operation` while it is interrupted or would block; waits for
/// `ready` on `fd` in the latter case.
pub(crate) fn until_ready<T>(
    fd: impl AsFd,
    ready: PollFlags,
    mut operation: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(fd.as_fd(), ready)?,
            result => return result,
        }
    }
}

/// Waits until `fd` is ready, or its other end has come and gone.
pub(crate) fn wait(fd: BorrowedFd<'_>, ready: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(fd, ready)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
