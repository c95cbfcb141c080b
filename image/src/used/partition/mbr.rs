//! Master boot records and the chain of extended ones ("How disks work",
//! Microsoft; Linux' block/partitions/msdos.c reads the same).

use super::{Partition, Raw, Scheme, TableProblem};
use crate::used::read::{Fields as _, read as read_bytes};
use crate::used::{Distrust, ReadAt};

/// Bytes of a sector. Disks of 4096-byte sectors divided by an MBR are so rare
/// that they are not looked for: nothing is recognized where it is not.
pub(crate) const SECTOR: u64 = 512;

/// The type of the one entry that stands for a GPT.
pub(crate) const PROTECTIVE: u8 = 0xee;

/// Types of the extended partition: CHS, LBA, Linux.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

/// The type of Windows' dynamic disks.
const LDM: u8 = 0x42;

/// Records that are followed; Linux knows at most 252 logical partitions.
const MAX_RECORDS: usize = 256;

/// One entry of a table that is in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// From 0.
    pub(crate) index: u32,
    pub(crate) kind: u8,
    /// Sectors, counted from what the table says.
    pub(crate) start: u64,
    pub(crate) len: u64,
}

impl Entry {
    /// Whether it holds logical partitions.
    pub(crate) fn is_extended(&self) -> bool {
        EXTENDED.contains(&self.kind)
    }
}

/// The entries in use; none if this is no table: boot sectors of filesystems
/// end with the same two bytes and have code where the entries would be.
pub(crate) fn entries(sector: &[u8]) -> Vec<Entry> {
    let parse = |index: u32| -> Result<(u8, Entry), Distrust> {
        let at = 446 + 16 * index as usize;
        let entry = Entry {
            index,
            kind: sector.byte(at + 4)?,
            start: u64::from(sector.le32(at + 8)?),
            len: u64::from(sector.le32(at + 12)?),
        };
        Ok((sector.byte(at)?, entry))
    };
    let all: Result<Vec<_>, _> = (0..4).map(parse).collect();
    let is_table = sector.le16(510).is_ok_and(|magic| magic == 0xaa55);
    match all {
        Ok(all) if is_table && all.iter().all(|(status, _)| matches!(status, 0 | 0x80)) => all
            .into_iter()
            .map(|(_, entry)| entry)
            .filter(|entry| entry.kind != 0 && entry.len != 0)
            .collect(),
        _ => Vec::new(),
    }
}

/// Reads the partitions that the entries of the first sector lead to.
pub(super) fn read(disk: &dyn ReadAt, primary: &[Entry]) -> Result<Raw, Distrust> {
    let mut raw = Raw {
        scheme: Scheme::Mbr,
        partitions: Vec::new(),
        reserved: std::iter::once(0..SECTOR).collect(),
    };
    for entry in primary {
        if !entry.is_extended() {
            raw.partitions.push(partition(entry, entry.index + 1, 0));
        }
    }
    // Linux numbers the logical partitions of all extended ones on from 5.
    let mut number = 5;
    for entry in primary {
        if entry.is_extended() {
            follow(disk, entry.start, &mut number, &mut raw)?;
        }
    }
    Ok(raw)
}

/// Follows a chain of extended boot records. Each has a partition, whose start
/// counts from its own sector, and the next record, whose start counts from
/// the `base` of the extended partition.
fn follow(disk: &dyn ReadAt, base: u64, number: &mut u32, raw: &mut Raw) -> Result<(), Distrust> {
    let mut at = base;
    loop {
        let place = at * SECTOR..(at + 1) * SECTOR;
        if raw.reserved.len() > MAX_RECORDS || raw.reserved.contains(&place) {
            return Err(Distrust::Damaged {
                what: "the chain of logical partitions does not end",
            });
        }
        let sector = read_bytes(
            disk,
            place.start,
            SECTOR as usize,
            "a logical partition's record",
        )?;
        raw.reserved.push(place);
        if sector.le16(510)? != 0xaa55 {
            return Err(Distrust::Damaged {
                what: "the chain of logical partitions leads nowhere",
            });
        }
        let mut next = None;
        for entry in entries(&sector) {
            if entry.is_extended() {
                next = next.or(Some(base + entry.start));
            } else {
                raw.partitions.push(partition(&entry, *number, at));
                *number += 1;
            }
        }
        match next {
            Some(next) => at = next,
            None => return Ok(()),
        }
    }
}

fn partition(entry: &Entry, number: u32, base: u64) -> Partition {
    // All three are 32-bit numbers: no product of their sum with 512 overflows.
    let start = (base + entry.start) * SECTOR;
    Partition {
        number,
        place: start..start + entry.len * SECTOR,
        kind: format!("{:#04x}", entry.kind),
        name: String::new(),
        problem: (entry.kind == LDM).then_some(TableProblem::Dynamic),
    }
}
