//! Walks over the source in the order of places and hands its blocks to the encoders.

use mimeo_image::image_file::{Content, ImageFile, RunKind};
use mimeo_image::source::{DiskSource, ExtentKind, SourceError, StreamSource};
use mimeo_protocol::manifest::{Entry, Run};
use mimeo_protocol::units::{BLOCK_SIZE, Place};

use super::origin::Origin;
use super::pool::{Buffer, Pool};
use super::queue::{Allowance, Encoded, Order, Work, WorkQueue};
use super::results::{Produced, Results};

/// Blocks of a run that is handed over at once, 1 GiB.
const RUN_AT_ONCE: u32 = 4096;

/// What the reader hands work to and reports to.
pub(super) struct Output<'a> {
    pub(super) queue: &'a WorkQueue,
    pub(super) allowance: &'a Allowance,
    pub(super) results: &'a Results,
    pub(super) pool: &'a Pool,
    /// Whether runs are to be digested.
    pub(super) digests_runs: bool,
}

/// Why reading ended early.
enum Stop {
    /// The session is over.
    Withdrawn,
    /// The source failed.
    Failed(SourceError),
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

/// Reads the whole source; returns when it is read, failed or not wanted any more.
pub(super) fn read_source(source: &mut SharedSource, output: &Output<'_>) {
    let ended = match source {
        SharedSource::Origin(Origin::Disk(disk)) => read_disk(disk, output),
        SharedSource::Origin(Origin::Captured(captured)) => read_captured(captured.image(), output),
        SharedSource::Stream(stream) => read_stream(stream, output),
    };
    match ended {
        Ok((order, image_len)) => output.results.send(Produced::End { order, image_len }),
        Err(Stop::Failed(error)) => output.results.send(Produced::Failed(error)),
        Err(Stop::Withdrawn) => {}
    }
}

/// A source as the engine's threads hold it.
#[derive(Debug)]
pub(super) enum SharedSource {
    /// Read by the encoders themselves.
    Origin(Origin),
    /// Read here.
    Stream(StreamSource),
}

impl SharedSource {
    pub(super) fn origin(&self) -> Option<Origin> {
        match self {
            Self::Origin(origin) => Some(origin.clone()),
            Self::Stream(_) => None,
        }
    }
}

fn read_disk(disk: &DiskSource, output: &Output<'_>) -> Result<(Order, u64), Stop> {
    let (block, len) = (BLOCK_SIZE as u64, disk.len());
    let (mut order, mut offset) = (0, 0);
    let mut extent = disk.extent_at(0)?;
    while offset < len {
        if offset >= extent.end {
            extent = disk.extent_at(offset)?;
        }
        if !output.allowance.take() {
            return Err(Stop::Withdrawn);
        }
        let place = place(offset);
        // Only whole blocks are runs; the last, short block is always sent.
        let whole = (extent.end.min(len) - offset) / block;
        if extent.kind != ExtentKind::Data && whole > 0 {
            let count = u32::try_from(whole).unwrap_or(u32::MAX).min(RUN_AT_ONCE);
            let run = Run { place, count };
            let entry = match extent.kind {
                ExtentKind::Unused => Entry::Unused(run),
                ExtentKind::Hole | ExtentKind::Data => Entry::Zero(run),
            };
            skip(output, order, entry);
            offset += u64::from(count) * block;
        } else {
            let bytes = usize::try_from((len - offset).min(block)).expect("at most a block");
            output.queue.push(Work::Read {
                order,
                place,
                len: bytes,
                only: len <= block,
            });
            offset += block;
        }
        order += 1;
    }
    Ok((order, len))
}

fn read_captured(image: &ImageFile, output: &Output<'_>) -> Result<(Order, u64), Stop> {
    let (mut order, len) = (0, image.disk_len());
    for located in image.entries() {
        let located = located.map_err(SourceError::from)?;
        if !output.allowance.take() {
            return Err(Stop::Withdrawn);
        }
        let place = Place(located.entry.place.0);
        match located.entry.content {
            Content::Block(..) => output.queue.push(Work::Load { order, located }),
            Content::Run(RunKind::Zero, count) => {
                skip(output, order, Entry::Zero(Run { place, count }));
            }
            Content::Run(RunKind::Unused, count) => {
                skip(output, order, Entry::Unused(Run { place, count }));
            }
        }
        order += 1;
    }
    Ok((order, len))
}

/// A run that need not be read goes past the encoders, which only digest it.
fn skip(output: &Output<'_>, order: Order, entry: Entry) {
    let (place, count) = (entry.place(), entry.count());
    let encoded = Encoded::Run(entry);
    output.results.send(Produced::Item { order, encoded });
    if output.digests_runs {
        output.queue.push(Work::Zeros { place, count });
    }
}

fn read_stream(stream: &mut StreamSource, output: &Output<'_>) -> Result<(Order, u64), Stop> {
    let (mut order, mut image_len) = (0, 0);
    let mut next = read_block(stream, output.pool)?;
    // Whether the first block is the only one decides on its digest, so one block of look-ahead.
    while let Some(raw) = next.take() {
        let len = raw.as_ref().len();
        let full = len == BLOCK_SIZE;
        if image_len == 0 && full {
            next = read_block(stream, output.pool)?;
        }
        if !output.allowance.take() {
            return Err(Stop::Withdrawn);
        }
        let (offset, only) = (image_len, image_len == 0 && next.is_none());
        image_len += len as u64;
        output.queue.push(Work::Encode {
            order,
            place: place(offset),
            raw,
            only,
        });
        order += 1;
        if offset > 0 && full {
            next = read_block(stream, output.pool)?;
        }
    }
    if image_len == 0 {
        return Err(SourceError::Empty {
            name: stream.describe().to_owned(),
        }
        .into());
    }
    Ok((order, image_len))
}

fn read_block(stream: &mut StreamSource, pool: &Pool) -> Result<Option<Buffer>, SourceError> {
    let mut raw = pool.take(BLOCK_SIZE);
    let len = stream.read_full(raw.bytes_mut())?;
    raw.truncate(len);
    Ok((len > 0).then_some(raw))
}

fn place(offset: u64) -> Place {
    Place(u32::try_from(offset / BLOCK_SIZE as u64).expect("images are below 2^50 bytes"))
}
