//! What is written to a partition table so that it is that of a longer or shorter disk.
//!
//! Between two steps the disk has at least one sound table, as far as its image had one: first
//! comes the backup at the new end, then the primary, whose header is one sector, and only then is
//! the old backup cleared.

use std::fmt;
use std::ops::Range;

use crate::ByteSize;
use crate::used::checksum::crc32;
use crate::used::partition::gpt::{Gpt, SECTORS};
use crate::used::partition::mbr;
use crate::used::read::read;
use crate::used::{Distrust, Partition, ReadAt};

/// Where signatures of what a disk held before are looked for at its end: the GPT's backup, and
/// the metadata of RAIDs, which must not claim the disk. All of these are in the last MiB.
const STALE: u64 = 1 << 20;

/// Byte offsets of fields in a header (UEFI specification 2.10, table 5.5).
mod field {
    pub(super) const CHECKSUM: usize = 16;
    pub(super) const LBA: usize = 24;
    pub(super) const OTHER_LBA: usize = 32;
    pub(super) const LAST_USABLE: usize = 48;
    pub(super) const ENTRIES_LBA: usize = 72;
}

/// Bytes for a place of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Byte offset.
    pub at: u64,
    /// Whole sectors.
    pub bytes: Vec<u8>,
}

impl Write {
    /// Its byte offsets.
    #[must_use]
    pub fn place(&self) -> Range<u64> {
        self.at..self.at + self.bytes.len() as u64
    }
}

/// What is written before the disk is flushed; the writes of a step do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// In this order.
    pub writes: Vec<Write>,
}

/// What an operator should know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The backup is at the new end.
    Moved {
        /// Bytes of the disk.
        capacity: u64,
    },
    /// There was no sound backup in the image: one was made of the primary.
    Made,
    /// The primary is damaged in the image; it stays so.
    PrimaryDamaged,
    /// Both tables are damaged: nothing was moved.
    BothDamaged,
    /// The tables count in sectors of another size than the disk's: nothing was moved.
    Sector {
        /// Bytes of a sector by the tables.
        image: u32,
        /// Bytes of a sector of the disk.
        target: u32,
    },
    /// A partition ends beyond the disk, or where the backup belongs: nothing was moved.
    Beyond {
        /// Its number.
        number: u32,
    },
}

impl Note {
    /// Whether it should worry the operator.
    #[must_use]
    pub fn is_warning(self) -> bool {
        !matches!(self, Self::Moved { .. })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { capacity } => write!(
                f,
                "the GPT's backup was moved to the end of the disk ({})",
                ByteSize(*capacity)
            ),
            Self::Made => f.write_str(
                "the image has no sound backup of its GPT: one was made of the table at the start",
            ),
            Self::PrimaryDamaged => f.write_str(
                "the GPT at the start of the image is damaged and was left as it is; repair it \
                 from its backup on the reference machine (sgdisk -e, gdisk)",
            ),
            Self::BothDamaged => f.write_str(
                "the GPT of the image is damaged, at its start and at its end: it was left as it is",
            ),
            Self::Sector { image, target } => write!(
                f,
                "the image is of a disk with logical sectors of {image} bytes, and this one has \
                 {target}: its partitions will not be found here"
            ),
            Self::Beyond { number } => write!(
                f,
                "partition {number} of the image ends where the GPT's backup belongs, or beyond \
                 the disk: the partition table was left as it is"
            ),
        }
    }
}

/// All that is to be written, step by step; the disk is flushed after each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// None if the disk needs nothing.
    pub steps: Vec<Step>,
    /// What comes of it.
    pub notes: Vec<Note>,
}

impl Moves {
    /// What is to be written to `disk`, a target whose logical sectors have `sector` bytes. It holds
    /// an image of `image_len` bytes, or the first part of it if it is shorter. Doing it twice is
    /// the same as doing it once.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn of(disk: &dyn ReadAt, image_len: u64, sector: u32) -> Result<Self, Distrust> {
        let sector = u64::from(sector);
        let (total, was) = (disk.size() / sector, image_len / sector);
        if total == was || total < 3 || sector < mbr::SECTOR {
            return Ok(Self::default());
        }
        let boot = read(disk, 0, sector as usize, "the first sector")?;
        let is_gpt = |entry: &mbr::Entry| entry.kind == mbr::PROTECTIVE;
        if !mbr::entries(&boot).iter().any(is_gpt) {
            return Ok(Self::default());
        }
        let primary = sound(Gpt::read(disk, sector, 1))?;
        let old = match (&primary, was.checked_sub(1)) {
            (Some(primary), at_end) => {
                let named = sound(Gpt::read(disk, sector, primary.other_lba))?;
                match (named, at_end) {
                    (None, Some(lba)) => sound(Gpt::read(disk, sector, lba))?,
                    (named, _) => named,
                }
            }
            (None, Some(lba)) => sound(Gpt::read(disk, sector, lba))?,
            (None, None) => None,
        };
        let Some(table) = primary.as_ref().or(old.as_ref()) else {
            return Ok(nothing(match other_sector(disk, sector)? {
                Some(image) => Note::Sector {
                    image,
                    target: sector as u32,
                },
                None => Note::BothDamaged,
            }));
        };
        let place = Place {
            sector,
            total,
            was: [was, table.lba.max(table.other_lba).saturating_add(1)],
            image_len,
            capacity: disk.size(),
        };
        Ok(place.moves(&boot, table, primary.is_some(), old.as_ref()))
    }
}

/// A table, if it is a sound one; what is damaged is as good as none.
fn sound(read: Result<Option<Gpt>, Distrust>) -> Result<Option<Gpt>, Distrust> {
    match read {
        Err(error @ Distrust::Unreadable { .. }) => Err(error),
        Err(_) => Ok(None),
        Ok(table) => Ok(table),
    }
}

/// The size of a sector by a table that counts in another one.
fn other_sector(disk: &dyn ReadAt, sector: u64) -> Result<Option<u32>, Distrust> {
    for other in SECTORS.into_iter().filter(|other| *other != sector) {
        if sound(Gpt::read(disk, other, 1))?.is_some() {
            return Ok(Some(other as u32));
        }
    }
    Ok(None)
}

/// The disk, and the one before it.
struct Place {
    /// Bytes of a sector.
    sector: u64,
    /// Sectors of the disk.
    total: u64,
    /// Sectors that the disk before may have had: the image's, and those by its table.
    was: [u64; 2],
    image_len: u64,
    capacity: u64,
}

impl Place {
    fn moves(&self, boot: &[u8], table: &Gpt, has_primary: bool, old: Option<&Gpt>) -> Moves {
        let entry_sectors = (table.entries.len() as u64).div_ceil(self.sector);
        let Ok(partitions) = table.partitions() else {
            return nothing(Note::BothDamaged);
        };
        let last = partitions
            .iter()
            .max_by_key(|partition| partition.place.end);
        let entries_lba = self.total.saturating_sub(1 + entry_sectors);
        let room = self.in_bytes(entries_lba);
        let beyond = last.filter(|last| last.place.end > room);
        if let Some(Partition { number, .. }) = beyond {
            return nothing(Note::Beyond { number: *number });
        }
        let front = table.usable.0.max(2 + entry_sectors);
        if front >= entries_lba {
            return nothing(Note::BothDamaged);
        }
        let used = last.map_or(0, |last| last.place.end);
        let mut steps = vec![Step {
            writes: self.backup(table, entries_lba, used),
        }];
        let mut second = Vec::new();
        if has_primary {
            let header = header(
                table,
                &[
                    (field::OTHER_LBA, self.total - 1),
                    (field::LAST_USABLE, entries_lba - 1),
                ],
            );
            second.push(self.write(1, header));
        }
        second.extend(self.boot(boot).map(|bytes| self.write(0, bytes)));
        steps.push(Step { writes: second });
        if let Some(old) = old {
            let mut kept = vec![0..self.in_bytes(front), room..self.capacity];
            kept.extend(has_primary.then(|| table.entries_place()));
            kept.extend(partitions.iter().map(|partition| partition.place.clone()));
            steps.push(Step {
                writes: self.clear(old, &kept),
            });
        }
        steps.retain(|step| !step.writes.is_empty());
        let mut notes = vec![Note::Moved {
            capacity: self.capacity,
        }];
        if !has_primary {
            notes.push(Note::PrimaryDamaged);
        } else if old.is_none() && self.total > self.was[0] {
            notes.push(Note::Made);
        }
        Moves { steps, notes }
    }

    /// Entries and header at the end; what a former use of the disk left in front of them, behind
    /// all that the image has, becomes zeros.
    fn backup(&self, table: &Gpt, entries_lba: u64, used: u64) -> Vec<Write> {
        let room = self.in_bytes(entries_lba);
        let stale = self.capacity.saturating_sub(STALE);
        // Whole sectors: the image's last one may be cut off.
        let stale = stale.max(self.image_len).max(used).div_ceil(self.sector) * self.sector;
        let mut writes = Vec::new();
        if stale < room {
            writes.push(Write {
                at: stale,
                bytes: vec![0; (room - stale) as usize],
            });
        }
        let mut entries = table.entries.clone();
        let whole = (self.in_bytes(self.total - 1) - room) as usize;
        entries.resize(whole, 0);
        writes.push(Write {
            at: room,
            bytes: entries,
        });
        let fields = [
            (field::LBA, self.total - 1),
            (field::OTHER_LBA, 1),
            (field::LAST_USABLE, entries_lba - 1),
            (field::ENTRIES_LBA, entries_lba),
        ];
        writes.push(self.write(self.total - 1, header(table, &fields)));
        writes
    }

    /// The first sector, with the protective entry as long as the disk. One that did not reach the
    /// end of the disk before is that of a hybrid MBR and stays, and so does the largest length,
    /// which stands for any.
    fn boot(&self, boot: &[u8]) -> Option<Vec<u8>> {
        let mut patched = boot.to_vec();
        let entries = mbr::entries(boot);
        for entry in entries.iter().filter(|entry| entry.kind == mbr::PROTECTIVE) {
            let end = entry.start + entry.len;
            let reaches = entries.len() == 1 || self.was.contains(&end);
            // Of no length it would be no entry, and the table not be looked for.
            let len = self.total.saturating_sub(entry.start);
            if reaches && entry.len != u64::from(u32::MAX) && len > 0 {
                let len = u32::try_from(len).unwrap_or(u32::MAX);
                let at = 446 + 16 * entry.index as usize + 12;
                patched[at..at + 4].copy_from_slice(&len.to_le_bytes());
            }
        }
        (patched != boot).then_some(patched)
    }

    /// Zeros where the old backup was, but for what is kept.
    fn clear(&self, old: &Gpt, kept: &[Range<u64>]) -> Vec<Write> {
        let at = old.entries_place();
        let entries = at.start..at.end.div_ceil(self.sector) * self.sector;
        let header = self.in_bytes(old.lba)..self.in_bytes(old.lba + 1);
        let mut writes = Vec::new();
        for range in [entries, header] {
            let mut at = range.start;
            while at < range.end {
                let end = at + self.sector;
                let overlaps = |kept: &Range<u64>| kept.start < end && kept.end > at;
                if !kept.iter().any(overlaps) {
                    writes.push(Write {
                        at,
                        bytes: vec![0; self.sector as usize],
                    });
                }
                at = end;
            }
        }
        writes
    }

    fn write(&self, lba: u64, bytes: Vec<u8>) -> Write {
        let at = self.in_bytes(lba);
        Write { at, bytes }
    }

    fn in_bytes(&self, lba: u64) -> u64 {
        lba.saturating_mul(self.sector)
    }
}

/// Nothing is moved, for a reason.
fn nothing(note: Note) -> Moves {
    Moves {
        steps: Vec::new(),
        notes: vec![note],
    }
}

/// The sector of a header with other numbers in some fields and a checksum that is right again.
fn header(table: &Gpt, fields: &[(usize, u64)]) -> Vec<u8> {
    let mut sector = table.header.clone();
    for (at, value) in fields {
        sector[*at..*at + 8].copy_from_slice(&value.to_le_bytes());
    }
    sector[field::CHECKSUM..field::CHECKSUM + 4].fill(0);
    let checksum = crc32(&sector[..table.header_len]);
    sector[field::CHECKSUM..field::CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
    sector
}

#[cfg(test)]
mod tests;
