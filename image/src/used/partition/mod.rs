//! Partition tables: GPT, MBR with logical partitions, none.

pub(crate) mod gpt;
pub(crate) mod mbr;

use std::ops::Range;

use super::{Distrust, ReadAt, signature};

/// How a disk is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// By a GUID partition table.
    Gpt {
        /// Bytes of a logical sector, by where the header lies.
        sector: u32,
        /// The table at the start of the disk is damaged, this is the one at its end.
        backup: bool,
    },
    /// By a master boot record, with sectors of 512 bytes.
    Mbr,
    /// Not at all: a filesystem may fill the disk.
    None,
    /// It cannot be said.
    Unclear,
}

/// An entry of a partition table.
#[derive(Clone, Debug)]
pub struct Partition {
    /// As Linux numbers them, from 1; logical partitions from 5.
    pub number: u32,
    /// Byte offsets, as the table has them: they may lie beyond the disk's end.
    pub place: Range<u64>,
    /// The type: a GUID, or `0x` and two digits.
    pub kind: String,
    /// The name that a GPT gives it, else empty.
    pub name: String,
    /// Why what it holds is not looked at.
    pub problem: Option<TableProblem>,
}

/// What is wrong with a partition's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableProblem {
    /// It shares bytes with another partition, or with the table itself.
    Overlaps,
    /// It ends beyond the disk's end.
    BeyondEnd,
    /// It belongs to a volume that Windows joins from several places.
    Dynamic,
}

impl TableProblem {
    /// For people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Overlaps => "it overlaps another partition or the partition table",
            Self::BeyondEnd => "it reaches beyond the end of the disk",
            Self::Dynamic => "it is part of a Windows dynamic disk or storage pool",
        }
    }
}

/// A partition table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) scheme: Scheme,
    /// In the order of their numbers.
    pub(crate) partitions: Vec<Partition>,
}

/// Reads the partition table of a disk.
pub(crate) fn read_table(disk: &dyn ReadAt) -> Result<Table, Distrust> {
    let none = Table {
        scheme: Scheme::None,
        partitions: Vec::new(),
    };
    if disk.size() < mbr::SECTOR {
        return Ok(none);
    }
    let boot = super::read::read(disk, 0, mbr::SECTOR as usize, "the first sector")?;
    let entries = mbr::entries(&boot);
    if entries.iter().any(|entry| entry.kind == mbr::PROTECTIVE) {
        return gpt::read(disk).map(|table| judge(disk, table));
    }
    if gpt::is_at_start(disk) {
        return Err(Distrust::Place(
            "there is a GPT, but no protective MBR for it",
        ));
    }
    if entries.is_empty() {
        return Ok(none);
    }
    // The boot sector of a filesystem may look like a table by chance, and a
    // disk may have been used without one before: what counts is not known.
    if !signature::find(disk)?.is_empty() {
        return Err(Distrust::Place(
            "the disk shows both an MBR and a filesystem of its own",
        ));
    }
    Ok(judge(disk, mbr::read(disk, &entries)?))
}

/// A table as it was read, and the bytes that it takes itself.
struct Raw {
    scheme: Scheme,
    partitions: Vec<Partition>,
    reserved: Vec<Range<u64>>,
}

/// Marks what overlaps or lies beyond the end.
fn judge(disk: &dyn ReadAt, raw: Raw) -> Table {
    let Raw {
        scheme,
        mut partitions,
        reserved,
    } = raw;
    // Sorted by start, each overlap shows between a range and the farthest end before it, and
    // between that end's owner and it; the same from the other side finds the owner.
    let mut places: Vec<(Range<u64>, Option<usize>)> = partitions
        .iter()
        .enumerate()
        .map(|(index, partition)| (partition.place.clone(), Some(index)))
        .chain(reserved.into_iter().map(|range| (range, None)))
        .collect();
    places.sort_by_key(|(range, _)| (range.start, range.end));
    let mut overlapping = Vec::new();
    let mut farthest: Option<&(Range<u64>, Option<usize>)> = None;
    for place in &places {
        match farthest {
            Some(far) if place.0.start < far.0.end => {
                overlapping.extend([far.1, place.1].into_iter().flatten());
                if place.0.end > far.0.end {
                    farthest = Some(place);
                }
            }
            _ => farthest = Some(place),
        }
    }
    for index in overlapping {
        partitions[index].problem = Some(TableProblem::Overlaps);
    }
    for partition in &mut partitions {
        if partition.place.end > disk.size() {
            partition.problem = Some(TableProblem::BeyondEnd);
        }
    }
    Table { scheme, partitions }
}
