//! A target that is written in order: standard output or a named pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::TargetError;
use super::paged::ZEROS;
use crate::retry::until_ready;

/// Standard output or a named pipe.
#[derive(Debug)]
pub struct StreamTarget {
    file: File,
    name: String,
    position: u64,
}

impl StreamTarget {
    /// Standard output, unbuffered.
    ///
    /// # Errors
    /// When it is a terminal, or cannot be used at all.
    pub fn stdout() -> Result<Self, TargetError> {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            return Err(TargetError::Terminal);
        }
        let fd = stdout
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| TargetError::inspecting(Path::new("-"), error))?;
        Ok(Self::from_fd(fd, "standard output"))
    }

    /// An open descriptor, with the name that messages give it.
    #[must_use]
    pub fn from_fd(fd: OwnedFd, name: &str) -> Self {
        Self {
            file: File::from(fd),
            name: name.to_owned(),
            position: 0,
        }
    }

    /// Does not wait for a reader: nothing could end that wait.
    pub(super) fn open_fifo(path: &Path) -> Result<Self, TargetError> {
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(nonblocking)
            .open(path);
        let file = opened.map_err(|error| match error.raw_os_error() {
            Some(code) if code == Errno::NXIO.raw_os_error() => TargetError::NoReader {
                path: path.to_owned(),
            },
            _ => TargetError::inspecting(path, error),
        })?;
        Ok(Self {
            file,
            name: format!("pipe {}", path.display()),
            position: 0,
        })
    }

    /// Bytes written so far; the offset that comes next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        self.name.clone()
    }

    /// Writes all of `data`.
    ///
    /// # Errors
    /// [`TargetError::Closed`] if nobody reads any more.
    pub fn write_next(&mut self, data: &[u8]) -> Result<(), TargetError> {
        let mut rest = data;
        while !rest.is_empty() {
            let written = until_ready(&self.file, PollFlags::OUT, || (&self.file).write(rest));
            match written {
                Ok(0) => return Err(self.failed("write", ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.position += count as u64;
                    rest = &rest[count..];
                }
                Err(error) => return Err(self.failed("write", error)),
            }
        }
        Ok(())
    }

    /// Writes `len` zeros.
    ///
    /// # Errors
    /// As [`Self::write_next`].
    pub fn zero_next(&mut self, len: u64) -> Result<(), TargetError> {
        let mut left = len;
        while left > 0 {
            let piece = left.min(ZEROS.len() as u64);
            self.write_next(&ZEROS[..piece as usize])?;
            left -= piece;
        }
        Ok(())
    }

    /// Checks that `offset` is what comes next.
    pub(super) fn expect_offset(&self, offset: u64) -> Result<(), TargetError> {
        if offset == self.position {
            return Ok(());
        }
        Err(TargetError::OutOfOrder {
            name: self.name.clone(),
            expected: self.position,
            offset,
        })
    }

    /// Waits until it is on the disk, in case it was redirected to one.
    ///
    /// # Errors
    /// When the system says that it is not.
    pub fn flush(&mut self) -> Result<(), TargetError> {
        match self.file.sync_all() {
            // A pipe or a terminal has nothing to flush.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EROFS) => Ok(()),
            Err(error) => Err(self.failed("flush", error)),
            Ok(()) => Ok(()),
        }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> TargetError {
        let (name, offset) = (self.name.clone(), self.position);
        match source.kind() {
            ErrorKind::BrokenPipe => TargetError::Closed {
                name,
                written: offset,
            },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => TargetError::NoSpace {
                path: name.into(),
                offset,
            },
            _ => TargetError::Io {
                name,
                action,
                offset,
                source,
            },
        }
    }
}
