//! Whether a source is still what was opened.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::{Change, SourceError};

/// What tells one file from another, and one state of it from a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Bytes of the file or device.
    len: u64,
    /// Device and inode of a file; the device number of a block device.
    identity: (u64, u64),
    /// Seconds and nanoseconds; not of a block device, whose node's time says
    /// nothing reliable about its content.
    modified: Option<(i64, i64)>,
}

impl State {
    pub(super) fn of(meta: &Metadata, len: u64) -> Self {
        if meta.file_type().is_block_device() {
            Self {
                len,
                identity: (meta.rdev(), 0),
                modified: None,
            }
        } else {
            let modified = Some((meta.mtime(), meta.mtime_nsec()));
            Self {
                len,
                identity: (meta.dev(), meta.ino()),
                modified,
            }
        }
    }

    /// Checks that `file`, which was opened by `path`, is in this state and still has that path.
    pub(super) fn check(&self, file: &File, path: &Path) -> Result<(), SourceError> {
        let failed = |error| SourceError::io(path, "examine it", 0, error);
        let changed = |change| {
            let path = path.to_owned();
            Err(SourceError::Changed { path, change })
        };
        let (was, is) = (self.len, length(file).map_err(failed)?);
        if is != was {
            return changed(Change::Length { was, is });
        }
        let held = Self::of(&file.metadata().map_err(failed)?, is);
        if held.modified != self.modified {
            return changed(Change::Modified);
        }
        match fs::metadata(path) {
            Ok(meta) if Self::of(&meta, is).identity != self.identity => changed(Change::Replaced),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => changed(Change::Removed),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Length of a file or a block device; stat(2) says 0 for the latter.
pub(super) fn length(file: &File) -> io::Result<u64> {
    let mut file = file;
    file.seek(SeekFrom::End(0))
}
