//! The digest of the whole image: put together from those of its blocks, or known before, or not
//! wanted.

use mimeo_image::source::Source;
use mimeo_protocol::block::{BlockDigest, ImageDigest, ImageTree, ZerosDigest};
use mimeo_protocol::units::{BLOCK_SIZE, Place};

/// What is known of it.
#[derive(Debug)]
pub(super) enum WholeDigest {
    /// Put together as blocks and runs become known.
    Growing(ImageTree),
    /// What an image file says of its disk, each block of which has its own digest; or nothing, if
    /// nobody wants it.
    Given(Option<ImageDigest>),
}

impl WholeDigest {
    /// Of this source, if it is `wanted`.
    pub(super) fn of(source: &Source, wanted: bool) -> Self {
        let stated = match source {
            _ if !wanted => return Self::Given(None),
            Source::Captured(captured) => captured.image().description().disk_digest(),
            Source::Disk(_) | Source::Stream(_) => None,
        };
        match stated {
            Some(digest) => Self::Given(Some(ImageDigest(digest.0))),
            None => Self::Growing(ImageTree::default()),
        }
    }

    /// Whether runs have to be digested.
    pub(super) fn needs_runs(&self) -> bool {
        matches!(self, Self::Growing(_))
    }

    /// Takes a block.
    pub(super) fn push(&mut self, place: Place, digest: BlockDigest) {
        if let Self::Growing(tree) = self {
            tree.push(place, digest);
        }
    }

    /// Takes blocks of zeros from a place on.
    pub(super) fn push_zeros(&mut self, place: Place, digest: &ZerosDigest) {
        if let Self::Growing(tree) = self {
            tree.push_zeros(place, digest);
        }
    }

    /// The digest of an image of so many bytes; `None` as long as a block or a run is missing.
    pub(super) fn finish(&self, image_len: u64) -> Option<Option<ImageDigest>> {
        match self {
            Self::Growing(tree) => tree.finish(image_len.div_ceil(BLOCK_SIZE as u64)).map(Some),
            Self::Given(digest) => Some(*digest),
        }
    }
}
