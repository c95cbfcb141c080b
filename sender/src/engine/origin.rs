//! What blocks are read from, in any order: by the encoders, and again for repairs.

use std::sync::Arc;

use mimeo_image::image_file::{self, Content, ImageFile, Located, Stored};
use mimeo_image::source::{CapturedSource, DiskSource, SourceError};
use mimeo_protocol::block::{BlockDigest, Coding};
use mimeo_protocol::manifest::StoredBlock;
use mimeo_protocol::units::Place;

/// A source that can be read at any offset; clones are the same source.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// Its blocks are read as they are, and compressed.
    Disk(Arc<DiskSource>),
    /// Its blocks are stored as they are sent.
    Captured(Arc<CapturedSource>),
}

impl Origin {
    /// Bytes of the image.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Disk(disk) => disk.len(),
            Self::Captured(captured) => captured.len(),
        }
    }

    /// Checks that it is still what was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), SourceError> {
        match self {
            Self::Disk(disk) => disk.check_unchanged(),
            Self::Captured(captured) => captured.check_unchanged(),
        }
    }
}

/// Reads blocks of an image file, one after the other.
#[derive(Default)]
pub(super) struct Loader {
    decoder: image_file::Decoder,
    stored: Stored,
}

impl Loader {
    /// Reads a block and checks it against its digest. Returns what is said of it and its body.
    pub(super) fn load(
        &mut self,
        image: &ImageFile,
        located: &Located,
    ) -> Result<(StoredBlock, &[u8]), SourceError> {
        let Content::Block(coding, digest) = located.entry.content else {
            unreachable!("runs go past the encoders");
        };
        image.read_block(located, &mut self.decoder, &mut self.stored)?;
        let body = self.stored.body(coding);
        let stored = StoredBlock {
            place: Place(located.entry.place.0),
            stored_len: u32::try_from(body.len()).expect("bodies are below 264 KiB"),
            coding: match coding {
                image_file::Coding::Zstd => Coding::Zstd,
                image_file::Coding::Raw => Coding::Raw,
            },
            digest: BlockDigest(digest.0),
        };
        Ok((stored, body))
    }

    /// The same of the block at `place`.
    pub(super) fn find(
        &mut self,
        image: &ImageFile,
        place: Place,
    ) -> Result<(StoredBlock, &[u8]), SourceError> {
        let located = image.locate(image_file::Place(place.0))?;
        self.load(image, &located)
    }
}
