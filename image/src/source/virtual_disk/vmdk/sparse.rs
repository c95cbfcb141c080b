//! Sparse extents: grains, found by a directory of tables, each grain as it is or compressed
//! (Virtual Disk Format 1.1, "Hosted Sparse Extents" and "Stream-Optimized Compressed Sparse
//! Extents").
//!
//! ```text
//! header: magic 0..4 "KDMV", version 4..8, flags 8..12, capacity 12..20, grain size 20..28,
//!         descriptor 28..36, its length 36..44, entries of a table 44..48, directory 56..64,
//!         compression 77..79; sectors and little-endian throughout
//! directory: a u32 for each table, its sector; 0: there is none
//! table:     a u32 for each grain, its sector; 0: there is none; 1: zeros, if flag 2 is set
//! compressed grain: its place 0..8 (sectors of the disk), its length 8..12 in bytes, zlib data
//! ```

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use miniz_oxide::inflate::decompress_slice_iter_to_slice;

use super::super::damaged;
use super::{SECTOR, descriptor};

const MAGIC: [u8; 4] = *b"KDMV";
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=3;

/// Flag: entry 1 of a table means a grain of zeros.
const ZEROED_GRAINS: u32 = 1 << 2;
/// Flag: grains are compressed, and have their place and length in front.
const COMPRESSED: u32 = 1 << 16;
/// The directory stands at the end, where a second header tells of it.
const AT_END: u64 = u64::MAX;

/// Bytes of a grain: 64 KiB is usual.
const GRAINS: std::ops::RangeInclusive<u64> = 4 << 10..=4 << 20;
/// Bytes of a directory: 8 TB in tables of 32 MiB need 1 MiB.
const MAX_DIRECTORY: u64 = 16 << 20;
/// Bytes of a descriptor within the extent: 10 KiB is usual.
const MAX_DESCRIPTOR: u64 = 1 << 20;

/// A sparse extent.
#[derive(Debug)]
pub(super) struct Sparse {
    file: File,
    header: Header,
    /// Sector of each table, or 0.
    directory: Vec<u32>,
    /// The table that was used last: reading goes on in it as a rule.
    table: Mutex<Option<(usize, Arc<[u32]>)>>,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    flags: u32,
    /// Bytes.
    capacity: u64,
    /// Bytes.
    grain: u64,
    /// Byte offset and length.
    descriptor: (u64, u64),
    entries: u32,
    /// Sector.
    directory: u64,
}

/// Where a grain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grain {
    Zeros,
    At(u64),
}

/// Whether a file that begins like this is a sparse extent.
pub(super) fn is_one(head: &[u8]) -> bool {
    head.starts_with(&MAGIC)
}

impl Header {
    fn read(file: &File, offset: u64) -> io::Result<Self> {
        let mut bytes = [0; SECTOR as usize];
        file.read_exact_at(&mut bytes, offset)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => damaged("a sparse extent is cut off"),
                _ => error,
            })?;
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
        if !is_one(&bytes) {
            return Err(damaged("a header lacks its magic number"));
        }
        if !VERSIONS.contains(&u32_at(4)) {
            return Err(damaged(format!("its version {} is not known", u32_at(4))));
        }
        let flags = u32_at(8);
        let compression = u16::from_le_bytes([bytes[77], bytes[78]]);
        if (flags & COMPRESSED != 0) != (compression == 1) || compression > 1 {
            return Err(damaged(format!(
                "its compression {compression} is not known"
            )));
        }
        let bytes_of = |sectors: u64| sectors.checked_mul(SECTOR);
        let range_error = || damaged("a number in its header is out of range");
        let header = Self {
            flags,
            capacity: bytes_of(u64_at(12)).ok_or_else(range_error)?,
            grain: bytes_of(u64_at(20)).ok_or_else(range_error)?,
            descriptor: (
                bytes_of(u64_at(28)).ok_or_else(range_error)?,
                bytes_of(u64_at(36)).ok_or_else(range_error)?,
            ),
            entries: u32_at(44),
            directory: u64_at(56),
        };
        let is_sound = GRAINS.contains(&header.grain)
            && header.grain.is_power_of_two()
            && (1..=1 << 16).contains(&header.entries)
            && (1..1 << 60).contains(&header.capacity)
            && header.tables() * 4 <= MAX_DIRECTORY
            && header.descriptor.1 <= MAX_DESCRIPTOR;
        is_sound.then_some(header).ok_or_else(range_error)
    }

    /// Bytes of the disk that a table tells of.
    fn reach(&self) -> u64 {
        self.grain * u64::from(self.entries)
    }

    fn tables(&self) -> u64 {
        self.capacity.div_ceil(self.reach())
    }
}

impl Sparse {
    pub(super) fn open(file: File) -> io::Result<Self> {
        let mut header = Header::read(&file, 0)?;
        if header.directory == AT_END {
            // The second header is the last sector but one; an end-of-stream marker follows it.
            let end = file.metadata()?.len();
            let footer = end.checked_sub(2 * SECTOR);
            let footer = footer.ok_or_else(|| damaged("it is cut off"))?;
            let descriptor = header.descriptor;
            header = Header::read(&file, footer)?;
            header.descriptor = descriptor;
        }
        let count = usize::try_from(header.tables()).map_err(io::Error::other)?;
        let at = header.directory.checked_mul(SECTOR);
        let at = at.ok_or_else(|| damaged("its directory is out of range"))?;
        let directory = read_numbers(&file, at, count)?;
        Ok(Self {
            file,
            header,
            directory,
            table: Mutex::new(None),
        })
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.header.capacity
    }

    /// Bytes of its directory, which is kept.
    pub(super) fn directory_len(&self) -> u64 {
        self.directory.len() as u64 * 4
    }

    /// The descriptor that lies in it, if one does.
    pub(super) fn descriptor(&self) -> io::Result<Option<String>> {
        let (offset, len) = self.header.descriptor;
        if offset == 0 || len == 0 {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(Some(descriptor::text(&bytes)))
    }

    pub(super) fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let grain = self.header.grain;
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let inner = at % grain;
            let rest = &mut buffer[done..];
            let count =
                usize::try_from(grain - inner).map_or(rest.len(), |left| left.min(rest.len()));
            let part = &mut rest[..count];
            match self.find(at)? {
                Grain::Zeros => part.fill(0),
                Grain::At(place) if self.header.flags & COMPRESSED != 0 => {
                    let whole = self.decompress(place, at - inner)?;
                    let inner = usize::try_from(inner).map_err(io::Error::other)?;
                    part.copy_from_slice(&whole[inner..inner + count]);
                }
                Grain::At(place) => self.file.read_exact_at(part, place + inner)?,
            }
            done += count;
        }
        Ok(())
    }

    /// Whether zeros begin at `offset` that are stored nowhere, and how far that goes.
    pub(super) fn mapping(&self, offset: u64) -> io::Result<(bool, u64)> {
        let (grain, reach) = (self.header.grain, self.header.reach());
        let last = self.len().min((offset / reach + 1) * reach);
        let index = usize::try_from(offset / reach).map_err(io::Error::other)?;
        if self.directory.get(index) == Some(&0) {
            return Ok((true, last - offset));
        }
        let is_hole = self.find(offset)? == Grain::Zeros;
        let mut end = (offset / grain + 1) * grain;
        while end < last && (self.find(end)? == Grain::Zeros) == is_hole {
            end += grain;
        }
        Ok((is_hole, end.min(last) - offset))
    }

    /// Where the grain is that `offset` lies in.
    fn find(&self, offset: u64) -> io::Result<Grain> {
        let reach = self.header.reach();
        let index = usize::try_from(offset / reach).map_err(io::Error::other)?;
        let sector = self.directory.get(index);
        let sector = *sector.ok_or_else(|| damaged("bytes beyond its end were asked for"))?;
        if sector == 0 {
            return Ok(Grain::Zeros);
        }
        let table = self.table(index, sector)?;
        let entry =
            usize::try_from(offset % reach / self.header.grain).map_err(io::Error::other)?;
        Ok(match table[entry] {
            0 => Grain::Zeros,
            1 if self.header.flags & ZEROED_GRAINS != 0 => Grain::Zeros,
            sector => Grain::At(u64::from(sector) * SECTOR),
        })
    }

    fn table(&self, index: usize, sector: u32) -> io::Result<Arc<[u32]>> {
        let mut latest = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, table)) = &*latest
            && *known == index
        {
            return Ok(Arc::clone(table));
        }
        let at = u64::from(sector) * SECTOR;
        let table: Arc<[u32]> = read_numbers(&self.file, at, self.header.entries as usize)?.into();
        *latest = Some((index, Arc::clone(&table)));
        Ok(table)
    }

    /// The grain whose compressed data lies at byte `place` of the file and belongs to byte `offset`
    /// of the extent.
    fn decompress(&self, place: u64, offset: u64) -> io::Result<Vec<u8>> {
        let mut marker = [0; 12];
        self.file.read_exact_at(&mut marker, place)?;
        let (lba, size) = marker.split_at(8);
        let lba = u64::from_le_bytes(lba.try_into().expect("eight"));
        let size = u32::from_le_bytes(size.try_into().expect("four"));
        let grain = self.header.grain;
        // What does not get shorter gets longer by a little only.
        if lba != offset / SECTOR || u64::from(size) > 2 * grain {
            return Err(damaged(format!(
                "the grain at offset {offset} is not where its table says"
            )));
        }
        let mut packed = vec![0; size as usize];
        self.file.read_exact_at(&mut packed, place + 12)?;
        let mut whole = vec![0; usize::try_from(grain).map_err(io::Error::other)?];
        let length =
            decompress_slice_iter_to_slice(&mut whole, std::iter::once(&packed[..]), true, false);
        // The last grain of a disk may end with it.
        let expected = grain.min(self.len() - offset);
        match length {
            Ok(length) if length as u64 >= expected => Ok(whole),
            _ => Err(damaged(format!(
                "the grain at offset {offset} cannot be decompressed"
            ))),
        }
    }
}

fn read_numbers(file: &File, offset: u64, count: usize) -> io::Result<Vec<u32>> {
    let mut bytes = vec![0; count * 4];
    file.read_exact_at(&mut bytes, offset)?;
    let (numbers, _) = bytes.as_chunks();
    Ok(numbers
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect())
}
