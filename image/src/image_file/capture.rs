//! A disk into an image file: read, digested and compressed on all processors.

use thiserror::Error;

use super::{
    BLOCK_SIZE, BlockDigest, DiskDigest, DiskHasher, Encoder, FileError, ImageWriter, Level,
    NewBlock, Place, RunKind,
};
use crate::ordered;
use crate::source::{DiskSource, ExtentKind, SourceError};

/// Blocks of a run that are one piece of work: hashing them takes some milliseconds.
const RUN_AT_ONCE: u32 = 64;

/// How a disk is captured.
#[derive(Clone, Copy, Debug)]
pub struct Capture {
    /// How hard to compress.
    pub level: Level,
    /// Whether to compute the hash of the whole disk, for which its zeros have to be hashed too.
    pub hash_disk: bool,
}

/// Why a capture was not finished.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The source failed, or changed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The image file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It was not wanted any more.
    #[error("interrupted")]
    Stopped,
}

/// A piece of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Block {
        place: Place,
        len: usize,
    },
    Run {
        place: Place,
        kind: RunKind,
        count: u32,
    },
}

/// What became of a piece.
enum Taken {
    Block(NewBlock),
    Run(RunKind, u32),
}

impl Capture {
    /// Reads the whole disk into `writer`, which must be for a disk of that length and empty.
    /// `progress` hears how many bytes of the disk are behind it, and says whether to go on.
    ///
    /// # Errors
    /// Those of reading and writing; if the source changed meanwhile.
    pub fn run(
        &self,
        disk: &DiskSource,
        writer: &mut ImageWriter,
        mut progress: impl FnMut(u64) -> bool,
    ) -> Result<Option<DiskDigest>, CaptureError> {
        let len = disk.len();
        let (mut hasher, mut done) = (DiskHasher::default(), 0);
        ordered::for_each(
            Pieces::new(disk),
            || Worker::new(*self, disk),
            |worker, piece| worker.take(piece?),
            |taken: Result<_, SourceError>| {
                let (taken, digests) = taken?;
                digests.into_iter().for_each(|digest| hasher.push(digest));
                done += match &taken {
                    Taken::Block(_) => 1,
                    Taken::Run(_, count) => u64::from(*count),
                };
                match taken {
                    Taken::Block(block) => writer.push_block(&block)?,
                    Taken::Run(kind, count) => writer.push_run(kind, count)?,
                }
                let bytes = (done * BLOCK_SIZE as u64).min(len);
                progress(bytes).then_some(()).ok_or(CaptureError::Stopped)
            },
        )?;
        disk.check_unchanged()?;
        Ok(self.hash_disk.then(|| hasher.finish()))
    }
}

/// The pieces of a disk, in order.
struct Pieces<'a> {
    disk: &'a DiskSource,
    offset: u64,
    kind: ExtentKind,
    /// Where the extent ends that was asked for last.
    end: u64,
    failed: bool,
}

impl<'a> Pieces<'a> {
    fn new(disk: &'a DiskSource) -> Self {
        Self {
            disk,
            offset: 0,
            kind: ExtentKind::Data,
            end: 0,
            failed: false,
        }
    }

    fn piece(&mut self) -> Result<Piece, SourceError> {
        if self.offset >= self.end {
            let extent = self.disk.extent_at(self.offset)?;
            (self.kind, self.end) = (extent.kind, extent.end);
        }
        let block = BLOCK_SIZE as u64;
        let place = Place((self.offset / block) as u32);
        // Only whole blocks are runs; the last, short block is always stored.
        let whole = (self.end.min(self.disk.len()) - self.offset) / block;
        let run = match self.kind {
            ExtentKind::Data => None,
            ExtentKind::Hole => Some(RunKind::Zero),
            ExtentKind::Unused => Some(RunKind::Unused),
        };
        Ok(match run {
            Some(kind) if whole > 0 => {
                let count = whole.min(RUN_AT_ONCE.into()) as u32;
                self.offset += u64::from(count) * block;
                Piece::Run { place, kind, count }
            }
            _ => {
                let len = (self.disk.len() - self.offset).min(block) as usize;
                self.offset += block;
                Piece::Block { place, len }
            }
        })
    }
}

impl Iterator for Pieces<'_> {
    type Item = Result<Piece, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.offset >= self.disk.len() {
            return None;
        }
        let piece = self.piece();
        self.failed = piece.is_err();
        Some(piece)
    }
}

/// One thread.
struct Worker<'a> {
    capture: Capture,
    disk: &'a DiskSource,
    encoder: Encoder,
    raw: Vec<u8>,
}

impl<'a> Worker<'a> {
    fn new(capture: Capture, disk: &'a DiskSource) -> Self {
        Self {
            encoder: Encoder::new(capture.level),
            capture,
            disk,
            raw: Vec::new(),
        }
    }

    fn take(&mut self, piece: Piece) -> Result<(Taken, Vec<BlockDigest>), SourceError> {
        let disk_len = self.disk.len();
        Ok(match piece {
            Piece::Block { place, len } => {
                self.raw.resize(len, 0);
                self.disk.read_exact_at(place.offset(), &mut self.raw)?;
                let (digest, block) =
                    NewBlock::encode(&mut self.encoder, place, &self.raw, disk_len);
                let taken = block.map_or(Taken::Run(RunKind::Zero, 1), Taken::Block);
                (taken, vec![digest])
            }
            Piece::Run { place, kind, count } => {
                let places = (place.0..place.0 + count).map(Place);
                let digests = if self.capture.hash_disk {
                    places
                        .map(|place| BlockDigest::of_zeros(place, disk_len))
                        .collect()
                } else {
                    Vec::new()
                };
                (Taken::Run(kind, count), digests)
            }
        })
    }
}
