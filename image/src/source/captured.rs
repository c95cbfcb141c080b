//! A source that is an image file: the disk that was captured.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::SourceError;
use super::state::{State, length};
use crate::ByteSize;
use crate::image_file::{Credentials, FileError, ImageFile};

/// The disk in an image file, read at any offset by several threads. Its blocks are stored as they
/// are sent.
#[derive(Debug)]
pub struct CapturedSource {
    image: Arc<ImageFile>,
    /// The file once more, to see whether it changes.
    file: File,
    opened: State,
}

impl CapturedSource {
    /// Opens an image file; one that is encrypted needs credentials, others take none.
    ///
    /// # Errors
    /// [`SourceError::Captured`] if it cannot be read or opened, or is damaged.
    pub fn open(path: &Path, credentials: &Credentials) -> Result<Self, SourceError> {
        let failed = |error| SourceError::io(path, "examine it", 0, error);
        let file = File::open(path).map_err(|error| SourceError::opening(path, error))?;
        let meta = file.metadata().map_err(failed)?;
        let opened = State::of(&meta, length(&file).map_err(failed)?);
        let image = ImageFile::open(path, credentials)?;
        Ok(Self {
            image: Arc::new(image),
            file,
            opened,
        })
    }

    /// The image file.
    #[must_use]
    pub fn image(&self) -> &Arc<ImageFile> {
        &self.image
    }

    /// Length of the disk in bytes.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "an empty disk cannot be captured"
    )]
    pub fn len(&self) -> u64 {
        self.image.disk_len()
    }

    /// Checks that the file is still what was opened: the same, of the same length, not written to.
    ///
    /// # Errors
    /// [`SourceError::Changed`] saying what changed.
    pub fn check_unchanged(&self) -> Result<(), SourceError> {
        self.opened.check(&self.file, self.image.path())
    }

    /// What it is, for people: `image file win11.mimeo, a disk of 50.0 GB`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "image file {}, a disk of {}",
            self.image.path().display(),
            ByteSize(self.len())
        )
    }
}

impl From<FileError> for SourceError {
    fn from(error: FileError) -> Self {
        Self::Captured(error)
    }
}
