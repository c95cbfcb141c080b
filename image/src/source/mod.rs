//! Where an image is read from.
//!
//! * [`DiskSource`]: a regular file or a block device, read at any offset, from
//!   several threads, and as often as wanted. It may leave out what no
//!   filesystem uses ([`SourceOptions`]).
//! * [`CapturedSource`]: the disk in an image file, as it was captured.
//! * [`StreamSource`]: standard input or a named pipe, read once, in order.

mod captured;
mod container;
mod disk;
mod error;
mod extent;
mod options;
mod raw;
mod state;
mod stream;
mod virtual_disk;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

pub use captured::CapturedSource;
pub use container::Container;
pub use disk::DiskSource;
pub use error::{Change, SourceError};
pub use extent::{Extent, ExtentKind};
pub(crate) use extent::{next_data, next_hole};
pub use options::{SourceOptions, UsedMode};
pub use stream::StreamSource;

use crate::image_file::{Credentials, FileError, Form};

/// An opened source.
#[derive(Debug)]
pub enum Source {
    /// A regular file or a block device.
    Disk(DiskSource),
    /// An image file.
    Captured(CapturedSource),
    /// Standard input or a named pipe.
    Stream(StreamSource),
}

impl Source {
    /// Opens what `spec` names, to read all of its bytes: `-` is standard input, everything else a
    /// path.
    ///
    /// A named pipe need not have its writer yet: the first read waits for it.
    ///
    /// # Errors
    /// When it does not exist, may not be read, is empty, is no file, device or
    /// pipe, or is a device that is being written to by the running system.
    pub fn open(spec: &OsStr) -> Result<Self, SourceError> {
        Self::open_with(spec, &SourceOptions::EXACT)
    }

    /// The same, with a say in what is read and what is refused.
    ///
    /// # Errors
    /// As [`Self::open`]; also when a hibernated system is in it and unused bytes are to be left out,
    /// or when it is a stream and they are.
    pub fn open_with(spec: &OsStr, options: &SourceOptions) -> Result<Self, SourceError> {
        if spec == "-" {
            let stream = StreamSource::stdin()?;
            return Self::stream(stream, options);
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
            Self::stream(StreamSource::open_fifo(path)?, options)
        } else if kind.is_file() || kind.is_block_device() {
            DiskSource::open_with(path, options).map(Self::Disk)
        } else {
            Err(SourceError::Unsupported {
                path: path.to_owned(),
            })
        }
    }

    /// The same; but what begins as an image file does is taken for the disk that was captured in it,
    /// which `credentials` open where it is encrypted. `options` matter to what is none.
    ///
    /// # Errors
    /// As [`Self::open_with`]; [`SourceError::Captured`] if it cannot be opened, is damaged, or was
    /// given credentials that it has no use for.
    pub fn open_image(
        spec: &OsStr,
        options: &SourceOptions,
        credentials: &Credentials,
    ) -> Result<Self, SourceError> {
        let path = Path::new(spec);
        // What cannot be looked at is told better by who opens it.
        if let Ok(Some(_)) = Form::of_path(path)
            && spec != "-"
        {
            return CapturedSource::open(path, credentials).map(Self::Captured);
        }
        let source = Self::open_with(spec, options)?;
        if credentials.is_empty() {
            Ok(source)
        } else {
            let path = path.to_owned();
            Err(FileError::NotEncrypted { path }.into())
        }
    }

    fn stream(stream: StreamSource, options: &SourceOptions) -> Result<Self, SourceError> {
        if options.used == UsedMode::Auto {
            return Err(SourceError::StreamUsed {
                name: stream.describe().to_owned(),
            });
        }
        Ok(Self::Stream(stream))
    }

    /// Length in bytes; `None` for a stream.
    #[must_use]
    pub fn image_len(&self) -> Option<u64> {
        match self {
            Self::Disk(disk) => Some(disk.len()),
            Self::Captured(captured) => Some(captured.len()),
            Self::Stream(_) => None,
        }
    }

    /// What it is, for people: `file win11.img, 50.0 GB`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Disk(disk) => disk.describe(),
            Self::Captured(captured) => captured.describe(),
            Self::Stream(stream) => stream.describe().to_owned(),
        }
    }
}
