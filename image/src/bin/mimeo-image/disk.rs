//! A disk that a subcommand looks at, whatever it is kept in.

use std::path::Path;
use std::sync::Arc;

use mimeo_image::image_file::{Form, ImageFile};
use mimeo_image::source::{DiskSource, SourceOptions};
use mimeo_image::used::ReadAt;
use mimeo_image::{ByteSize, Source};

use crate::cli::Error;
use crate::keys::Unlock;

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
        // What cannot be looked at is refused as a source.
        if let Ok(Some(_)) = Form::of_path(path) {
            return unlock.open(path).map(Arc::new).map(Self::Image);
        }
        let options = SourceOptions {
            virtual_disks: true,
            ..SourceOptions::EXACT
        };
        let source = Source::open_with(path.as_os_str(), &options)
            .map_err(|error| Error::Refused(error.to_string()))?;
        match source {
            Source::Disk(disk) => Ok(Self::Source(disk)),
            other => Err(Error::Usage(format!(
                "{}: a stream cannot be looked at; name a block device or an image file",
                other.describe()
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
