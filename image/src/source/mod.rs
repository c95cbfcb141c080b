//! Where an image is read from.
//!
//! * [`DiskSource`]: a regular file or a block device, read at any offset, from
//!   several threads, and as often as wanted.
//! * [`StreamSource`]: standard input or a named pipe, read once, in order.

mod disk;
mod error;
mod extent;
mod stream;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

pub use disk::DiskSource;
pub use error::{Change, SourceError};
pub use extent::{Extent, ExtentKind};
pub(crate) use extent::{next_data, next_hole};
pub use stream::StreamSource;

/// An opened source.
#[derive(Debug)]
pub enum Source {
    /// A regular file or a block device.
    Disk(DiskSource),
    /// Standard input or a named pipe.
    Stream(StreamSource),
}

impl Source {
    /// Opens what `spec` names: `-` is standard input, everything else a path.
    ///
    /// A named pipe need not have its writer yet: the first read waits for it.
    ///
    /// # Errors
    /// When it does not exist, may not be read, is empty, is no file, device or
    /// pipe, or is a device that is being written to by the running system.
    pub fn open(spec: &OsStr) -> Result<Self, SourceError> {
        if spec == "-" {
            return StreamSource::stdin().map(Self::Stream);
        }
        let path = Path::new(spec);
        // Looked at before it is opened: opening some character devices acts.
        let kind = fs::metadata(path)
            .map_err(|error| SourceError::opening(path, error))?
            .file_type();
        if kind.is_dir() {
            Err(SourceError::Directory {
                path: path.to_owned(),
            })
        } else if kind.is_fifo() {
            StreamSource::open_fifo(path).map(Self::Stream)
        } else if kind.is_file() || kind.is_block_device() {
            DiskSource::open(path).map(Self::Disk)
        } else {
            Err(SourceError::Unsupported {
                path: path.to_owned(),
            })
        }
    }

    /// Length in bytes; `None` for a stream.
    #[must_use]
    pub fn image_len(&self) -> Option<u64> {
        match self {
            Self::Disk(disk) => Some(disk.len()),
            Self::Stream(_) => None,
        }
    }

    /// What it is, for people: `file win11.img, 50.0 GB`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Disk(disk) => disk.describe(),
            Self::Stream(stream) => stream.describe().to_owned(),
        }
    }
}
