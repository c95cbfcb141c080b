//! What the image of a disk is, as far as another disk matters.

use super::needs::{Last, Needs};
use super::sector::by_boot_sector;
use crate::used::partition::gpt::Gpt;
use crate::used::partition::{Table, TableProblem, mbr, read_table};
use crate::used::read::read;
use crate::used::{Partition, ReadAt, Scheme};

/// How a disk is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// By a GUID partition table.
    Gpt {
        /// Whether the table at the start is sound.
        primary: bool,
        /// Whether there is a sound backup at the end, or where the primary says.
        backup: bool,
    },
    /// By a master boot record.
    Mbr,
    /// Not at all, or it cannot be said: then nothing is known of what could be left out.
    Unknown,
}

/// The image of a disk, or a disk itself.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Bytes of it.
    pub len: u64,
    /// Bytes of a logical sector, where that can be known.
    pub sector: Option<u32>,
    /// How it is divided.
    pub division: Division,
    /// The partition that ends last.
    pub last: Option<Last>,
    /// Bytes that a target must have at least; at most `len`.
    pub least: u64,
}

impl Geometry {
    /// Reads the partition table of a disk or the raw image of one; `device` is the size of a
    /// logical sector where the disk itself tells it. What cannot be read is not known.
    ///
    /// The size is the device's, else by where the GPT's header lies, else by a boot sector.
    #[must_use]
    pub fn of(disk: &dyn ReadAt, device: Option<u32>) -> Self {
        let found = read_table(disk).ok();
        let unknown = Self {
            len: disk.size(),
            sector: device,
            division: Division::Unknown,
            last: None,
            least: disk.size(),
        };
        match found {
            Some(Table {
                scheme: Scheme::Gpt { sector, .. },
                partitions,
            }) if device.is_none_or(|device| device == sector) => {
                gpt_of(disk, sector, &partitions).unwrap_or(unknown)
            }
            Some(Table {
                scheme: Scheme::Mbr,
                partitions,
            }) => mbr_of(disk, device, &partitions).unwrap_or(unknown),
            Some(Table {
                scheme: Scheme::None,
                ..
            }) => Self {
                sector: device.or_else(|| by_boot_sector(disk, &[])),
                ..unknown
            },
            _ => unknown,
        }
    }

    /// What a target must have.
    #[must_use]
    pub fn needs(&self) -> Needs {
        Needs {
            len: self.len,
            least: self.least,
            sector: self.sector,
            last: self.last,
        }
    }
}

fn gpt_of(disk: &dyn ReadAt, sector: u32, partitions: &[Partition]) -> Option<Geometry> {
    let len = disk.size();
    let size = u64::from(sector);
    let at = |lba| Gpt::read(disk, size, lba).ok().flatten();
    let primary = at(1);
    let backup = primary
        .as_ref()
        .and_then(|primary| at(primary.other_lba))
        .or_else(|| at((len / size).checked_sub(1)?));
    let last = last_of(partitions);
    // Without the table at the start everything hangs on the one at the end.
    let least = primary.as_ref().map_or(len, |primary| {
        let end = last.map_or(0, |last| last.end);
        let front = primary.usable.0.saturating_mul(size);
        let sectors = (primary.entries.len() as u64).div_ceil(size) + 1;
        end.max(front)
            .div_ceil(size)
            .saturating_add(sectors)
            .saturating_mul(size)
    });
    Some(Geometry {
        len,
        sector: Some(sector),
        division: Division::Gpt {
            primary: primary.is_some(),
            backup: backup.is_some(),
        },
        last,
        least: least.min(len),
    })
}

/// `None` if the table counts in sectors of another size than it is read with.
fn mbr_of(disk: &dyn ReadAt, device: Option<u32>, partitions: &[Partition]) -> Option<Geometry> {
    let len = disk.size();
    let boot = read(disk, 0, mbr::SECTOR as usize, "the first sector").ok()?;
    let entries = mbr::entries(&boot);
    let sector = device.or_else(|| by_boot_sector(disk, &entries));
    if sector.is_some_and(|sector| u64::from(sector) != mbr::SECTOR) {
        return Some(Geometry {
            len,
            sector,
            division: Division::Unknown,
            last: None,
            least: len,
        });
    }
    let last = last_of(partitions);
    // The extended partition has an end of its own, and Windows keeps the database of its dynamic
    // disks in their last MiB.
    let extended = entries.iter().filter(|entry| entry.is_extended());
    let behind = extended.map(|entry| (entry.start + entry.len) * mbr::SECTOR);
    let dynamic = |partition: &Partition| partition.problem == Some(TableProblem::Dynamic);
    let least = if partitions.iter().any(dynamic) {
        len
    } else {
        behind.chain(last.map(|last| last.end)).max().unwrap_or(len)
    };
    Some(Geometry {
        len,
        sector,
        division: Division::Mbr,
        last,
        least: least.min(len),
    })
}

fn last_of(partitions: &[Partition]) -> Option<Last> {
    let last = partitions
        .iter()
        .max_by_key(|partition| partition.place.end)?;
    Some(Last {
        number: last.number,
        end: last.place.end,
    })
}
