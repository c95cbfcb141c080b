//! A disk as it was made: the sectors of it that are not zeros.

use std::io::Read as _;
use std::sync::Arc;

use super::seal::Seal;
use super::{Disk, seals};

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// A sector's bytes.
pub type Sector = [u8; SECTOR];

/// Bytes that are unpacked at once.
const PIECE: usize = 1 << 20;

/// See the module's page.
#[derive(Debug)]
pub struct Plain {
    /// Of its file.
    pub name: &'static str,
    /// What is on it.
    pub sectors: Arc<Sectors>,
    seals: Vec<Seal>,
}

/// What is on a disk.
#[derive(Debug, Default)]
pub struct Sectors {
    /// Bytes of the disk.
    pub len: u64,
    /// By number, in order.
    sectors: Vec<(u64, Sector)>,
}

impl Plain {
    /// Unpacks a disk, and finds its checksums.
    ///
    /// # Panics
    ///
    /// If `packed` is no zstd file.
    #[must_use]
    pub fn load(name: &'static str, packed: &[u8]) -> Self {
        let sectors = Arc::new(Sectors::unpack(packed));
        Self {
            name,
            seals: seals::find(&sectors),
            sectors,
        }
    }

    /// How many checksums are made right.
    #[must_use]
    pub fn seals(&self) -> usize {
        self.seals.len()
    }

    /// Makes checksums of what was changed right; first of all counts, if `counts` says so.
    pub(super) fn seal(&self, disk: &mut Disk, counts: bool) {
        for seal in &self.seals {
            if (counts || !seal.is_count()) && seal.covers_change(disk) {
                seal.apply(disk);
            }
        }
    }
}

impl Sectors {
    fn unpack(packed: &[u8]) -> Self {
        let mut unpacked = zstd::stream::Decoder::new(packed).expect("memory for a decoder");
        let mut all = Self::default();
        let mut piece = vec![0; PIECE];
        loop {
            let mut filled = 0;
            while filled < PIECE {
                match unpacked.read(&mut piece[filled..]).expect("a zstd file") {
                    0 => break,
                    len => filled += len,
                }
            }
            for (index, bytes) in piece[..filled].chunks(SECTOR).enumerate() {
                if bytes.iter().any(|byte| *byte != 0) {
                    let mut sector = [0; SECTOR];
                    sector[..bytes.len()].copy_from_slice(bytes);
                    let number = all.len / SECTOR as u64 + index as u64;
                    all.sectors.push((number, sector));
                }
            }
            all.len += filled as u64;
            if filled < PIECE {
                return all;
            }
        }
    }

    /// Byte offset of the sector of this index among those that are not zeros.
    #[must_use]
    pub fn place(&self, index: u16) -> u64 {
        match self.sectors.len() {
            0 => 0,
            count => self.sectors[usize::from(index) % count].0 * SECTOR as u64,
        }
    }

    /// Numbers of the sectors that are not zeros.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.sectors.iter().map(|it| it.0)
    }

    /// Where the sectors that are not zeros have these first bytes.
    pub fn find(&self, start: &[u8]) -> impl Iterator<Item = u64> {
        let found = self
            .sectors
            .iter()
            .filter(move |it| it.1.starts_with(start));
        found.map(|(number, _)| number * SECTOR as u64)
    }

    /// Whether a sector is zeros.
    #[must_use]
    pub fn is_zero(&self, number: u64) -> bool {
        let found = self.sectors.binary_search_by_key(&number, |it| it.0);
        found.is_err()
    }

    /// A sector.
    #[must_use]
    pub fn sector(&self, number: u64) -> Sector {
        let index = self.sectors.binary_search_by_key(&number, |it| it.0);
        index.map_or([0; SECTOR], |index| self.sectors[index].1)
    }

    /// Bytes of it; zeros behind its end.
    pub fn peek(&self, offset: u64, buffer: &mut [u8]) {
        let (first, end) = (offset / SECTOR as u64, offset + buffer.len() as u64);
        let from = self.sectors.partition_point(|it| it.0 < first);
        let mut filled = 0;
        for (number, sector) in &self.sectors[from..] {
            let start = number * SECTOR as u64;
            if start >= end {
                break;
            }
            let at = start.saturating_sub(offset) as usize;
            buffer[filled..at].fill(0);
            overlay(offset, buffer, *number, sector);
            filled = buffer.len().min((start + SECTOR as u64 - offset) as usize);
        }
        buffer[filled..].fill(0);
    }

    /// Some bytes of it.
    #[must_use]
    pub fn bytes(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.peek(offset, &mut bytes);
        bytes
    }
}

/// Copies what a sector has of the bytes at `offset`.
pub(super) fn overlay(offset: u64, buffer: &mut [u8], number: u64, sector: &Sector) {
    let (start, len) = (number * SECTOR as u64, SECTOR as u64);
    let (from, to) = (
        start.max(offset),
        (start + len).min(offset + buffer.len() as u64),
    );
    if from < to {
        let source = &sector[(from - start) as usize..(to - start) as usize];
        buffer[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
    }
}
