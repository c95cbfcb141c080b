//! An image file onto a target. Each block is checked before it is written.

use std::ops::Range;

use thiserror::Error;

use super::{Content, Decoder, FileError, ImageFile, Located, RunKind, Stored};
use crate::ordered;
use crate::target::{TargetError, TargetWriter, Unused};

/// Why a target does not hold the image.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The image file cannot be read or is damaged.
    #[error(transparent)]
    File(#[from] FileError),
    /// The target cannot be written.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// It was not wanted any more.
    #[error("interrupted")]
    Stopped,
}

/// Writes the disk to `target`, which was prepared for its length, and flushes it; `unused` says what
/// becomes of areas that no filesystem of the image uses. `progress`
/// hears how many bytes of the disk are behind it, and says whether to go on.
///
/// # Errors
/// Whatever keeps the target from holding the image: then it holds a part of it.
pub fn restore(
    file: &ImageFile,
    target: &mut TargetWriter,
    unused: Unused,
    mut progress: impl FnMut(u64) -> bool,
) -> Result<(), RestoreError> {
    let len = file.disk_len();
    ordered::for_each(
        file.entries(),
        Decoder::new,
        |decoder, located| {
            let (located, mut stored) = (located?, Stored::default());
            if let Content::Block(..) = located.entry.content {
                file.read_block(&located, decoder, &mut stored)?;
            }
            Ok((located, stored))
        },
        |read: Result<(Located, Stored), FileError>| {
            let (located, stored) = read?;
            let (at, bytes) = (located.entry.place.offset(), located.entry.raw_len(len));
            match located.entry.content {
                Content::Block(..) => target.write_at(at, stored.raw())?,
                Content::Run(RunKind::Unused, _) => unused_at(target, unused, at..at + bytes)?,
                Content::Run(RunKind::Zero, _) => target.zero_at(at, bytes)?,
            }
            let go_on = progress(at + bytes);
            go_on.then_some(()).ok_or(RestoreError::Stopped)
        },
    )?;
    target.finish(len)?;
    target.flush()?;
    Ok(())
}

fn unused_at(
    target: &mut TargetWriter,
    unused: Unused,
    place: Range<u64>,
) -> Result<(), TargetError> {
    let len = place.end - place.start;
    match unused {
        Unused::Keep => Ok(()),
        // A disk that does not know discarding keeps what it has, as with the receiver.
        Unused::Discard => target.discard_at(place.start, len).map(drop),
        Unused::Zero => target.zero_at(place.start, len),
    }
}
