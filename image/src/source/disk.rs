//! A source that can be read at any offset: a regular file or a block device.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::container::{self, Container};
use super::raw::RawDisk;
use super::{Extent, ExtentKind, SourceError, SourceOptions};
use crate::used::{Distrust, Layout, Pieces, ReadAt, UsedMap};

/// The grid of what is left out: a block of it that holds a used byte is read. The blocks that are
/// sent are the same (256 KiB, mimeo's unit of everything).
const BLOCK: u64 = 256 << 10;

/// Used bytes that are looked ahead for. Further than a few blocks would put the pieces of the map
/// out of memory that those who read are at.
const LOOK_AHEAD: u64 = 16 * BLOCK;

/// Unused bytes that are told at once.
const SKIP: u64 = 1 << 30;

/// A regular file or a block device. Its length is fixed when it is opened.
///
/// It may leave out what no filesystem uses: such bytes read as zeros, and whole blocks of them are
/// extents of their own.
///
/// All methods take `&self` and may be called from several threads at once.
#[derive(Debug)]
pub struct DiskSource {
    disk: Arc<RawDisk>,
    used: Option<Used>,
}

#[derive(Debug)]
struct Used {
    layout: Layout,
    pieces: Pieces,
    /// Bytes that a filesystem uses, and that are left out all the same.
    left_out: u64,
}

impl DiskSource {
    /// Opens a regular file or a block device, whose bytes are all read.
    ///
    /// # Errors
    /// As [`super::Source::open`].
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        Self::open_with(path, &SourceOptions::EXACT)
    }

    /// Opens a regular file or a block device. Where unused bytes are left out, its maps are read.
    ///
    /// # Errors
    /// As [`super::Source::open_with`].
    pub fn open_with(path: &Path, options: &SourceOptions) -> Result<Self, SourceError> {
        let disk = RawDisk::open(path, options)?;
        let leaves_out = options.used.leaves_out(disk.is_device());
        let mut source = Self {
            disk: Arc::new(disk),
            used: None,
        };
        if leaves_out {
            let layout = Layout::examine(&source.whole());
            if !options.force {
                source.refuse_sleeping(&layout)?;
            }
            let pieces = Pieces::new(layout.map().clone());
            source.used = Some(Used {
                layout,
                pieces,
                left_out: 0,
            });
        }
        Ok(source)
    }

    /// All of its bytes, unused ones included, for [`Layout::examine`].
    #[must_use]
    pub fn whole(&self) -> Arc<dyn ReadAt> {
        Arc::clone(&self.disk) as _
    }

    /// What a file seems to hold a disk in, rather than being one.
    #[must_use]
    pub fn container(&self) -> Option<Container> {
        let mut start = [0; container::START];
        let len = self.len().min(start.len() as u64) as usize;
        let start = &mut start[..len];
        // Only advice: what cannot be read is told when it is sent.
        self.disk.read_exact_at(0, start).ok()?;
        Container::of(start).filter(|_| !self.is_device())
    }

    /// Bytes that are not holes.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn allocated(&self) -> Result<u64, SourceError> {
        self.disk.allocated()
    }

    /// What the disk holds, where unused bytes are left out.
    #[must_use]
    pub fn layout(&self) -> Option<&Layout> {
        self.used.as_ref().map(|used| &used.layout)
    }

    /// Which bytes are read, where unused ones are left out.
    #[must_use]
    pub fn used_map(&self) -> Option<&UsedMap> {
        self.used.as_ref().map(|used| used.pieces.map())
    }

    /// Bytes that are used and not left out, where unused ones are.
    #[must_use]
    pub fn used_bytes(&self) -> Option<u64> {
        let used = self.used.as_ref()?;
        Some(used.layout.used().saturating_sub(used.left_out))
    }

    /// Leaves out these byte ranges, apart from each other, too, although a filesystem uses them.
    /// Nothing happens where unused bytes are not left out.
    pub fn leave_out(&mut self, ranges: &[Range<u64>]) {
        if let Some(used) = &mut self.used {
            used.left_out += ranges
                .iter()
                .map(|range| range.end - range.start)
                .sum::<u64>();
            used.pieces = Pieces::new(used.pieces.map().without(ranges.iter().cloned()));
        }
    }

    /// Length in bytes when it was opened; at least 1.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "an empty source cannot be opened"
    )]
    pub fn len(&self) -> u64 {
        self.disk.size()
    }

    /// Whether it is a block device.
    #[must_use]
    pub fn is_device(&self) -> bool {
        self.disk.is_device()
    }

    /// Bytes of a logical sector of a block device.
    #[must_use]
    pub fn sector(&self) -> Option<u32> {
        self.disk.sector()
    }

    /// Fills `buffer` with the bytes at `offset`; what is left out is zeros.
    ///
    /// # Errors
    /// [`SourceError::Shrunk`] if the source ends earlier than when it was
    /// opened, [`SourceError::Io`] with the offset of the byte that could not
    /// be read, [`SourceError::OutOfRange`] beyond [`Self::len`],
    /// [`SourceError::Map`] if a map is no longer what it was.
    pub fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        let Some(used) = &self.used else {
            return self.disk.read_exact_at(offset, buffer);
        };
        self.disk.check_range(offset, buffer.len() as u64)?;
        let read = |at, part: &mut [u8]| self.disk.read_exact_at(at, part).map_err(Failed::Disk);
        used.pieces
            .read(offset, buffer, read)
            .map_err(|failed| match failed {
                Failed::Disk(error) => error,
                Failed::Map(why) => self.map_changed(why),
            })
    }

    /// The extent that `offset` lies in, from there to its end.
    ///
    /// Block devices, and files on file systems that know no holes, have none. Unused are whole
    /// blocks of 256 KiB, and a last one that is shorter; holes do not matter there.
    ///
    /// # Errors
    /// [`SourceError::Shrunk`] if the source has become shorter than `offset`,
    /// [`SourceError::OutOfRange`] if it was never that long,
    /// [`SourceError::Map`] if a map is no longer what it was.
    pub fn extent_at(&self, offset: u64) -> Result<Extent, SourceError> {
        let Some(used) = &self.used else {
            return self.disk.extent_at(offset);
        };
        self.disk.check_range(offset, 1)?;
        let known = blocks_at(&used.pieces, offset, self.len());
        let known = known.map_err(|why| self.map_changed(why))?;
        if known.kind == ExtentKind::Unused {
            return Ok(known);
        }
        let extent = self.disk.extent_at(offset)?;
        Ok(Extent {
            end: extent.end.min(known.end),
            ..extent
        })
    }

    /// Checks that the source is still what was opened: the same file, of the
    /// same length, not written to. A block device is compared by number and
    /// length only.
    ///
    /// # Errors
    /// [`SourceError::Changed`] saying what changed.
    pub fn check_unchanged(&self) -> Result<(), SourceError> {
        self.disk.check_unchanged()
    }

    /// What it is, for people: `file win11.img, 50.0 GB`.
    #[must_use]
    pub fn describe(&self) -> String {
        self.disk.describe()
    }

    /// A system that sleeps in the image would wake up on every machine.
    fn refuse_sleeping(&self, layout: &Layout) -> Result<(), SourceError> {
        for area in &layout.areas {
            if let Some(why) = area.volume.refusal() {
                return Err(SourceError::Hibernated {
                    path: self.disk.path().to_owned(),
                    area: area.name(),
                    why: why.to_string(),
                });
            }
        }
        Ok(())
    }

    fn map_changed(&self, why: Distrust) -> SourceError {
        SourceError::Map {
            path: self.disk.path().to_owned(),
            why,
        }
    }
}

impl ReadAt for DiskSource {
    fn size(&self) -> u64 {
        self.len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        DiskSource::read_exact_at(self, offset, buffer).map_err(io::Error::other)
    }
}

/// Why reading used bytes failed.
enum Failed {
    Disk(SourceError),
    Map(Distrust),
}

impl From<Distrust> for Failed {
    fn from(why: Distrust) -> Self {
        Self::Map(why)
    }
}

/// The blocks from the one at `offset` on that are all used in part, or all not at all.
fn blocks_at(pieces: &Pieces, offset: u64, len: u64) -> Result<Extent, Distrust> {
    let down = |at: u64| at / BLOCK * BLOCK;
    let up = |at: u64| at.next_multiple_of(BLOCK).min(len);
    let start = down(offset);
    let limit = len.min(start + SKIP);
    let unused = |end| Extent {
        kind: ExtentKind::Unused,
        end,
    };
    let mut end = match pieces.first_used(&(start..limit))? {
        None => return Ok(unused(limit)),
        Some(run) if down(run.start) > start => return Ok(unused(down(run.start))),
        Some(run) => up(run.end),
    };
    while end < len && end - start < LOOK_AHEAD {
        match pieces.first_used(&(end..up(end + 1)))? {
            Some(run) => end = up(run.end),
            None => break,
        }
    }
    Ok(Extent {
        kind: ExtentKind::Data,
        end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::used::{Fill, UsedMap};
    use proptest::prelude::*;

    /// A disk of `len` bytes of which `used` are.
    fn pieces(used: &[Range<u64>], len: u64) -> Pieces {
        let parts = used.iter().map(|run| (run.clone(), Fill::Used)).collect();
        Pieces::new(UsedMap::new(len, parts, &Fill::Unused).unwrap())
    }

    proptest! {
        #[test]
        fn a_block_is_unused_if_all_of_it_is(
            marks in proptest::collection::vec(0_u64..40 * BLOCK, 0..12),
            last in 1..=BLOCK,
            offset in 0..39 * BLOCK,
        ) {
            let len = 39 * BLOCK + last;
            let mut marks: Vec<u64> = marks.into_iter().map(|mark| mark.min(len)).collect();
            marks.sort_unstable();
            marks.dedup();
            let used: Vec<_> = marks.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
            let pieces = pieces(&used, len);
            let is_used = |block: u64| {
                let range = block * BLOCK..len.min((block + 1) * BLOCK);
                used.iter().any(|run| run.start < range.end && run.end > range.start)
            };
            let mut at = offset;
            while at < len {
                let extent = blocks_at(&pieces, at, len).unwrap();
                prop_assert!(extent.end > at && extent.end <= len);
                prop_assert!(extent.end.is_multiple_of(BLOCK) || extent.end == len);
                for block in at / BLOCK..extent.end.div_ceil(BLOCK) {
                    prop_assert_eq!(is_used(block), extent.kind == ExtentKind::Data);
                }
                at = extent.end;
            }
        }
    }
}
