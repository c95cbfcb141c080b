//! GUID partition tables (UEFI specification 2.10, section 5.3).

use std::ops::Range;

use super::{Partition, Raw, Scheme, TableProblem};
use crate::used::checksum::crc32;
use crate::used::read::{Fields as _, read as read_bytes};
use crate::used::{Distrust, ReadAt};

const MAGIC: &[u8] = b"EFI PART";

/// Logical sectors that disks have; the header is in the second one, or the last.
pub(crate) const SECTORS: [u64; 2] = [512, 4096];

/// Bytes of a header that are defined.
const HEADER: usize = 92;

/// Bytes of entries that are read; 128 entries of 128 bytes are usual.
const MAX_ENTRIES: u64 = 4 << 20;

/// Types whose content Windows arranges itself: LDM metadata and data, Storage Spaces.
const DYNAMIC: [&str; 3] = [
    "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3",
    "AF9BC60F-1431-4F62-BC68-3311714A69AD",
    "E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D",
];

/// Whether there is a table at the start, whatever the first sector says.
pub(super) fn is_at_start(disk: &dyn ReadAt) -> bool {
    SECTORS
        .iter()
        .any(|sector| read_bytes(disk, *sector, MAGIC.len(), "the GPT").is_ok_and(|is| is == MAGIC))
}

/// Reads the table at the start, or if that is damaged the one at the end.
pub(super) fn read(disk: &dyn ReadAt) -> Result<Raw, Distrust> {
    let mut problem = Distrust::Damaged {
        what: "the MBR announces a GPT, and there is none",
    };
    for backup in [false, true] {
        for sector in SECTORS {
            let at = if backup {
                (disk.size() / sector).checked_sub(1)
            } else {
                Some(1)
            };
            let Some(lba) = at else { continue };
            match table(disk, sector, lba, backup) {
                Ok(Some(raw)) => return Ok(raw),
                Ok(None) => {}
                Err(error) => problem = error,
            }
        }
    }
    Err(problem)
}

/// The table whose header is in sector `lba`; `None` if there is no header.
fn table(disk: &dyn ReadAt, sector: u64, lba: u64, backup: bool) -> Result<Option<Raw>, Distrust> {
    let Some(gpt) = Gpt::read(disk, sector, lba)? else {
        return Ok(None);
    };
    Ok(Some(Raw {
        scheme: Scheme::Gpt {
            sector: sector as u32,
            backup,
        },
        partitions: gpt.partitions()?,
        reserved: reserved(disk, sector, gpt.entries_place(), gpt.usable),
    }))
}

/// A table that agrees with itself: signature, lengths, both checksums.
#[derive(Clone, Debug)]
pub(crate) struct Gpt {
    /// Bytes of a logical sector.
    pub(crate) sector: u64,
    /// The whole sector that the header is in.
    pub(crate) header: Vec<u8>,
    /// Bytes of the header that its checksum covers.
    pub(crate) header_len: usize,
    /// All entries, as they are.
    pub(crate) entries: Vec<u8>,
    /// Bytes of an entry.
    entry_len: usize,
    /// The sector that this header is in, and that of the other one.
    pub(crate) lba: u64,
    pub(crate) other_lba: u64,
    /// The first and the last sector that partitions may take.
    pub(crate) usable: (u64, u64),
    /// The first sector of the entries.
    pub(crate) entries_lba: u64,
}

impl Gpt {
    /// The table whose header is in sector `lba`; `None` if there is no header.
    ///
    /// # Errors
    /// When there is one that is damaged.
    pub(crate) fn read(disk: &dyn ReadAt, sector: u64, lba: u64) -> Result<Option<Self>, Distrust> {
        let place = lba.checked_mul(sector);
        let header =
            place.map(|place| read_bytes(disk, place, sector as usize, "the GPT's header"));
        let Some(Ok(header)) = header else {
            return Ok(None);
        };
        if header.part(0, MAGIC.len())? != MAGIC {
            return Ok(None);
        }
        let header_len = header.le32(12)? as usize;
        if header_len < HEADER || header_len > header.len() {
            return Err(Distrust::Range {
                what: "the length of the GPT's header",
                value: header_len as u64,
            });
        }
        let mut blank = header.part(0, header_len)?.to_vec();
        blank[16..20].fill(0);
        if crc32(&blank) != header.le32(16)? || header.le64(24)? != lba {
            return Err(Distrust::Checksum {
                what: "the GPT's header",
            });
        }
        let (entries_lba, count, size) = (header.le64(72)?, header.le32(80)?, header.le32(84)?);
        let bytes = u64::from(count) * u64::from(size);
        let start = entries_lba.checked_mul(sector);
        let (Some(start), true, true) = (start, size >= 128 && size % 8 == 0, bytes <= MAX_ENTRIES)
        else {
            return Err(Distrust::Range {
                what: "the place of the GPT's entries",
                value: entries_lba,
            });
        };
        let entries = read_bytes(disk, start, bytes as usize, "the GPT's entries")?;
        if crc32(&entries) != header.le32(88)? {
            return Err(Distrust::Checksum {
                what: "the GPT's entries",
            });
        }
        Ok(Some(Self {
            sector,
            header_len,
            entries,
            entry_len: size as usize,
            lba,
            other_lba: header.le64(32)?,
            usable: (header.le64(40)?, header.le64(48)?),
            entries_lba,
            header,
        }))
    }

    /// The entries that are in use.
    ///
    /// # Errors
    /// When one of them is at no place at all.
    pub(crate) fn partitions(&self) -> Result<Vec<Partition>, Distrust> {
        let mut partitions = Vec::new();
        for (index, entry) in self.entries.chunks_exact(self.entry_len).enumerate() {
            partitions.extend(partition(entry, index as u32 + 1, self.sector)?);
        }
        Ok(partitions)
    }

    /// Where the entries are, in bytes.
    pub(crate) fn entries_place(&self) -> Range<u64> {
        let start = self.entries_lba * self.sector;
        start..start + self.entries.len() as u64
    }
}

/// What no partition may lie in: the entries, and what is in front of the first usable sector and
/// behind the last one, at least the protective MBR and both headers.
fn reserved(
    disk: &dyn ReadAt,
    sector: u64,
    entries: Range<u64>,
    usable: (u64, u64),
) -> Vec<Range<u64>> {
    let end = disk.size() / sector * sector;
    let first = usable.0.max(2).saturating_mul(sector);
    let behind = usable.1.saturating_add(1).saturating_mul(sector);
    let last = behind.min(end.saturating_sub(sector));
    let all = [0..first, entries, last..end];
    all.into_iter().filter(|range| !range.is_empty()).collect()
}

/// One entry; `None` if it is not in use.
fn partition(entry: &[u8], number: u32, sector: u64) -> Result<Option<Partition>, Distrust> {
    let kind: [u8; 16] = entry.take(0)?;
    if kind == [0; 16] {
        return Ok(None);
    }
    let (first, last) = (entry.le64(32)?, entry.le64(40)?);
    let start = first.checked_mul(sector);
    let end = last.checked_add(1).and_then(|end| end.checked_mul(sector));
    let (Some(start), Some(end)) = (start, end) else {
        return Err(Distrust::Range {
            what: "a partition's place in the GPT",
            value: first,
        });
    };
    if last < first {
        return Err(Distrust::Range {
            what: "a partition's end in the GPT",
            value: last,
        });
    }
    let kind = guid(kind);
    Ok(Some(Partition {
        number,
        place: start..end,
        name: name(entry.part(56, 72)?),
        problem: DYNAMIC
            .contains(&kind.as_str())
            .then_some(TableProblem::Dynamic),
        kind,
    }))
}

/// The usual spelling; the first three fields are little-endian (UEFI appendix A).
fn guid(bytes: [u8; 16]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::new();
    for (index, byte) in ORDER.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text += &format!("{:02X}", bytes[byte]);
    }
    text
}

/// UTF-16 up to the first zero; what a terminal could take for a command is left out.
fn name(bytes: &[u8]) -> String {
    let units = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0);
    char::decode_utf16(units)
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .filter(|character| !character.is_control())
        .collect()
}
