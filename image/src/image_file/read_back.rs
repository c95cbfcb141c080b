//! Whether a target holds the image of a file that was restored onto it.

use std::iter::Peekable;
use std::ops::Range;

use super::{
    BlockDigest, Content, FileError, ImageFile, Located, MAX_DISK_LEN, RestoreError, RunKind,
};
use crate::ordered;
use crate::target::{ReadMode, ReadPath, TargetReader, TargetWriter, Unused};
use crate::zeros::is_zero;

/// Read at once: what the reader reads fastest.
const AT_ONCE: u64 = 1 << 20;

/// What a target holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadBack {
    /// The image, or all of it that the target is long enough for; and how it was read.
    Right(ReadPath),
    /// Something else.
    Different(Difference),
}

/// How a target differs from the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Somewhere in these bytes.
    Bytes(Range<u64>),
    /// It ends here.
    Ends(u64),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(range) => write!(
                f,
                "it differs from the image between bytes {} and {}",
                range.start, range.end
            ),
            Self::Ends(at) => write!(f, "it ends at byte {at}"),
        }
    }
}

/// Reads back what [`super::restore`] wrote and flushed, past the page cache where that is possible,
/// and compares it with the digests of the file; areas that are not used only where `unused` made
/// zeros of them. A block that a shorter disk ends in has no digest of its own: it is compared with the
/// file's. `progress` hears how many bytes of the disk are behind it, and says whether to go on.
///
/// # Errors
/// When either cannot be read.
pub fn read_back(
    file: &ImageFile,
    target: &TargetWriter,
    unused: Unused,
    mut progress: impl FnMut(u64) -> bool,
) -> Result<ReadBack, RestoreError> {
    let end = target
        .capacity()
        .unwrap_or(MAX_DISK_LEN)
        .min(file.disk_len());
    let mut reader = target.reader(ReadMode::Direct)?;
    let pieces = Pieces {
        entries: file.entries().peekable(),
        zeros: 0..0,
        disk_len: file.disk_len(),
        end,
        unused,
    };
    let reads = pieces.map(|piece| read(&mut reader, piece?));
    let result = ordered::for_each(
        reads,
        || (),
        |(), read: Result<_, RestoreError>| {
            let (piece, bytes) = read?;
            let at = piece.place(file.disk_len(), end).end;
            piece.compare(file, end, &bytes).map(|found| (at, found))
        },
        |compared: Result<(u64, Option<Difference>), RestoreError>| match compared
            .map_err(Stop::Failed)?
        {
            (_, Some(difference)) => Err(Stop::Different(difference)),
            (at, None) => progress(at)
                .then_some(())
                .ok_or(Stop::Failed(RestoreError::Stopped)),
        },
    );
    match result {
        Ok(()) => Ok(ReadBack::Right(reader.path())),
        Err(Stop::Different(difference)) => Ok(ReadBack::Different(difference)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Why it ends early.
enum Stop {
    Different(Difference),
    Failed(RestoreError),
}

/// What the target must hold somewhere.
enum Piece {
    Zeros(Range<u64>),
    /// Blocks that follow one another.
    Blocks(Vec<Located>),
}

/// Reads all of a piece, or what there is of it.
fn read(
    reader: &mut TargetReader,
    (piece, place): (Piece, Range<u64>),
) -> Result<(Piece, Vec<u8>), RestoreError> {
    let mut bytes = vec![0; (place.end - place.start) as usize];
    let read = reader.read_at(place.start, &mut bytes)?;
    bytes.truncate(read);
    Ok((piece, bytes))
}

impl Piece {
    /// Bytes of the disk, of which those from `end` on do not count.
    fn place(&self, disk_len: u64, end: u64) -> Range<u64> {
        match self {
            Self::Zeros(range) => range.clone(),
            Self::Blocks(blocks) => {
                let bytes = |block: &Located| block.entry.raw_len(disk_len);
                let start = blocks.first().map_or(0, |it| it.entry.place.offset());
                start..end.min(start + blocks.iter().map(bytes).sum::<u64>())
            }
        }
    }

    /// Where `held`, read from the piece's place, is something else.
    fn compare(
        &self,
        file: &ImageFile,
        end: u64,
        held: &[u8],
    ) -> Result<Option<Difference>, RestoreError> {
        let place = self.place(file.disk_len(), end);
        if (held.len() as u64) < place.end - place.start {
            return Ok(Some(Difference::Ends(place.start + held.len() as u64)));
        }
        let blocks = match self {
            Self::Zeros(_) => {
                return Ok((!is_zero(held)).then_some(Difference::Bytes(place)));
            }
            Self::Blocks(blocks) => blocks,
        };
        for block in blocks {
            let at = block.entry.place.offset();
            let until = place.end.min(at + block.entry.raw_len(file.disk_len()));
            let held = &held[(at - place.start) as usize..(until - place.start) as usize];
            if !holds(file, block, held)? {
                return Ok(Some(Difference::Bytes(at..until)));
            }
        }
        Ok(None)
    }
}

/// Whether `held` is the block, or its front.
fn holds(file: &ImageFile, block: &Located, held: &[u8]) -> Result<bool, FileError> {
    let disk_len = file.disk_len();
    match block.entry.content {
        Content::Block(_, digest) if held.len() as u64 == block.entry.raw_len(disk_len) => {
            Ok(BlockDigest::of(block.entry.place, held, disk_len) == digest)
        }
        _ => {
            let mut raw = vec![0; held.len()];
            file.read_at(block.entry.place.offset(), &mut raw)?;
            Ok(raw == held)
        }
    }
}

/// What is to be read, in order, up to [`AT_ONCE`] bytes at a time.
struct Pieces<I: Iterator> {
    entries: Peekable<I>,
    /// Of a run, what is still to come.
    zeros: Range<u64>,
    disk_len: u64,
    /// Where the target or the image ends.
    end: u64,
    unused: Unused,
}

impl<I: Iterator<Item = Result<Located, FileError>>> Iterator for Pieces<I> {
    type Item = Result<(Piece, Range<u64>), RestoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.zeros.is_empty() {
            let located = match self.entries.next()? {
                Ok(located) => located,
                Err(error) => return Some(Err(error.into())),
            };
            let start = located.entry.place.offset();
            if start >= self.end {
                return None;
            }
            match located.entry.content {
                Content::Block(..) => return Some(Ok(self.blocks(located))),
                Content::Run(RunKind::Unused, _) if self.unused != Unused::Zero => {}
                Content::Run(..) => {
                    self.zeros = start..self.end.min(start + located.entry.raw_len(self.disk_len));
                }
            }
        }
        let end = self.zeros.end.min(self.zeros.start + AT_ONCE);
        let range = self.zeros.start..end;
        self.zeros.start = end;
        Some(Ok((Piece::Zeros(range.clone()), range)))
    }
}

impl<I: Iterator<Item = Result<Located, FileError>>> Pieces<I> {
    /// A block, with those that follow it at once.
    fn blocks(&mut self, first: Located) -> (Piece, Range<u64>) {
        let mut blocks = vec![first];
        let mut next = first.entry.place.offset() + first.entry.raw_len(self.disk_len);
        let limit = self.end.min(first.entry.place.offset() + AT_ONCE);
        while next < limit {
            let follows = |it: &Result<Located, FileError>| matches!(it, Ok(it) if matches!(it.entry.content, Content::Block(..)));
            let Some(Ok(block)) = self.entries.next_if(follows) else {
                break;
            };
            next += block.entry.raw_len(self.disk_len);
            blocks.push(block);
        }
        let piece = Piece::Blocks(blocks);
        let place = piece.place(self.disk_len, self.end);
        (piece, place)
    }
}
