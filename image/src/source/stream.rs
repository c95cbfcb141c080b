//! A source that can only be read once, in order.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::event::PollFlags;
use rustix::fs::OFlags;

use super::SourceError;
use crate::retry::{until_ready, wait};

/// Standard input or a named pipe.
#[derive(Debug)]
pub struct StreamSource {
    file: File,
    name: String,
    position: u64,
    /// A named pipe that nobody has written to: reading it would show its end.
    awaited: bool,
}

impl StreamSource {
    /// Standard input.
    ///
    /// # Errors
    /// When it is a terminal, or cannot be used at all.
    pub fn stdin() -> Result<Self, SourceError> {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            return Err(SourceError::Terminal);
        }
        let fd = stdin
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| SourceError::io(Path::new("-"), "open it", 0, error))?;
        Ok(Self::from_fd(fd, "standard input"))
    }

    /// An open descriptor, with the name that messages give it.
    #[must_use]
    pub fn from_fd(fd: OwnedFd, name: &str) -> Self {
        Self {
            file: File::from(fd),
            name: name.to_owned(),
            position: 0,
            awaited: false,
        }
    }

    /// Does not wait for a writer; the first read does.
    pub(super) fn open_fifo(path: &Path) -> Result<Self, SourceError> {
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nonblocking)
            .open(path)
            .map_err(|error| SourceError::opening(path, error))?;
        Ok(Self {
            awaited: true,
            ..Self::from_fd(file.into(), &format!("pipe {}", path.display()))
        })
    }

    /// Reads until `buffer` is full or the stream ends; returns the number of
    /// bytes read, which is less than asked for only at the end.
    ///
    /// # Errors
    /// When reading fails, with the number of bytes read so far.
    pub fn read_full(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        if std::mem::take(&mut self.awaited) {
            wait(self.file.as_fd(), PollFlags::IN)
                .map_err(|error| SourceError::io(Path::new(&self.name), "wait for", 0, error))?;
        }
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let read = until_ready(&self.file, PollFlags::IN, || (&self.file).read(rest));
            match read {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    self.position += count as u64;
                }
                Err(source) => {
                    return Err(SourceError::Io {
                        name: self.name.clone(),
                        action: "read",
                        offset: self.position,
                        source,
                    });
                }
            }
        }
        Ok(filled)
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.name
    }
}
