//! A disk that a subcommand looks at, whatever it is kept in.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use mimeo_image::image_file::ImageFile;
use mimeo_image::source::{DiskSource, SourceError, SourceOptions};
use mimeo_image::used::ReadAt;
use mimeo_image::{ByteSize, Source};

use crate::keys::{Unlock, refused};
use crate::outcome::Error;

/// What was opened.
pub(crate) enum Disk {
    /// An image file.
    Image(Arc<ImageFile>),
    /// A block device, a raw image, or a virtual disk.
    Source(DiskSource),
}

impl Disk {
    /// Opens what is at `path`; an image file that is encrypted with `unlock`.
    pub(crate) fn open(path: &Path, unlock: &Unlock) -> Result<Self, Error> {
        let options = SourceOptions {
            virtual_disks: true,
            ..SourceOptions::EXACT
        };
        let source = Source::open_image(path.as_os_str(), &options, &unlock.credentials()?)
            .map_err(|error| match error {
                SourceError::Captured(error) => refused(error),
                other => Error::Refused(other.to_string()),
            })?;
        match source {
            Source::Captured(captured) => Ok(Self::Image(Arc::clone(captured.image()))),
            Source::Disk(disk) => {
                warn_if_packed(path, &disk);
                Ok(Self::Source(disk))
            }
            Source::Stream(stream) => Err(Error::Usage(format!(
                "{}: a stream cannot be looked at; name a block device or an image file",
                stream.describe()
            ))),
        }
    }

    /// All of its bytes.
    pub(crate) fn whole(&self) -> Arc<dyn ReadAt> {
        match self {
            Self::Image(file) => Arc::clone(file) as _,
            Self::Source(disk) => disk.whole(),
        }
    }

    /// What it is, for people: `image file win11.mimeo, 50.0 GB`.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Image(file) => {
                let len = ByteSize(file.disk_len());
                format!("image file {}, {len}", file.path().display())
            }
            Self::Source(disk) => disk.describe(),
        }
    }
}

/// Says of a file in which a disk is packed that it is not taken for that disk.
pub(crate) fn warn_if_packed(path: &Path, disk: &DiskSource) {
    if let Some(container) = disk.container() {
        // Nobody reading it is no reason to stop.
        let _ = writeln!(
            io::stderr(),
            "warning: {}: it is {container}",
            path.display()
        );
    }
}
