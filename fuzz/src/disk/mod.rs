//! Disks as their own tools made them, a few bytes of which become others.
//!
//! `fuzz/disks/` holds small disks, of which `examples/disks.rs` has kept what mimeo reads. An
//! input chooses one and changes some numbers, sectors and its length; then checksums are made right
//! again, which would otherwise keep nearly all changes from being looked at (`seal`). What must hold
//! whatever comes of it is in `look`.

mod edit;
mod look;
mod plain;
mod seal;
mod seals;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arbitrary::Arbitrary;
use mimeo_image::used::ReadAt;

pub use edit::Edit;
pub use look::{LOOKS, Look, examine, files, fit, look_at_files, shown};
pub use plain::{Plain, SECTOR, Sector, Sectors};

/// What an input says.
#[derive(Debug, Arbitrary)]
pub struct Input {
    disk: u8,
    flags: u8,
    #[arbitrary(with = crate::value::at_most::<12, _>)]
    edits: Vec<Edit>,
}

const ZEROS: Sector = [0; SECTOR];

/// Flags: checksums stay as they are; so do counts of what is free.
const UNSEALED: u8 = 1;
const UNCOUNTED: u8 = 2;
/// Flags above these say how long the disk is, and how files are looked at.
const LENGTH: u8 = 2;

/// A disk with its changes, that counts how much of it is read.
#[derive(Debug)]
pub struct Disk {
    plain: Arc<Sectors>,
    len: u64,
    /// Sectors that are not what they were, by number.
    changed: BTreeMap<u64, Box<Sector>>,
    /// Sectors that cannot be read any more.
    dead: BTreeSet<u64>,
    left: Budget,
}

/// What may still be read.
#[derive(Debug, Default)]
struct Budget {
    reads: AtomicU64,
    bytes: AtomicU64,
}

/// Disks of these names, as they were made.
///
/// # Panics
///
/// If there is none of a name.
#[must_use]
pub fn load(names: &[&'static str]) -> Vec<Plain> {
    let load = |name: &&'static str| {
        let path = folder().join(format!("{name}.zst"));
        let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        Plain::load(name, &packed)
    };
    names.iter().map(load).collect()
}

/// Where they are kept.
#[must_use]
pub fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("disks")
}

/// Reads the maps of one of `disks`, after changes, and looks at its files in one way.
pub fn run(disks: &[Plain], data: &[u8]) {
    let Some(input) = crate::input::<Input>(data) else {
        return;
    };
    let disk = input.make(disks);
    let within = crate::memory::Limit::new(look::MEMORY);
    let disk = Arc::new(disk);
    let layout = look::examine(&disk);
    look::files(&disk, &layout, &[input.look()]);
    within.check();
}

impl Input {
    /// The disk that it means.
    #[must_use]
    pub fn make(&self, disks: &[Plain]) -> Disk {
        let plain = &disks[usize::from(self.disk) % disks.len()];
        let mut disk = Disk::new(&plain.sectors);
        for edit in &self.edits {
            edit.apply(&mut disk);
        }
        if self.flags & UNSEALED == 0 {
            plain.seal(&mut disk, self.flags & UNCOUNTED == 0);
        }
        disk.len = self.len(plain.sectors.len);
        disk
    }

    /// How files are looked at.
    #[must_use]
    pub fn look(&self) -> Look {
        LOOKS[usize::from(self.flags >> LENGTH) % LOOKS.len()]
    }

    /// Mostly what it was; else cut off, or longer.
    fn len(&self, len: u64) -> u64 {
        let step = u64::from(self.flags >> LENGTH);
        match step {
            0..32 => len,
            32..40 => len - len * (step - 31) / 16,
            40..48 => len.saturating_sub((step - 39) * SECTOR as u64),
            48..56 => len + (step - 47) * SECTOR as u64,
            _ => len + (step - 55) * 4099,
        }
    }
}

impl Disk {
    /// As it was made.
    #[must_use]
    pub fn new(plain: &Arc<Sectors>) -> Self {
        Self {
            plain: Arc::clone(plain),
            len: plain.len,
            changed: BTreeMap::new(),
            dead: BTreeSet::new(),
            left: Budget::default(),
        }
    }

    /// The same disk with another length.
    #[must_use]
    pub fn with_len(mut self, len: u64) -> Self {
        self.len = len;
        self
    }

    /// From here on so much may be read of it; more is a fault of who reads.
    fn allow(&self, bytes: u64, reads: u64) {
        self.left.bytes.store(bytes, Ordering::Relaxed);
        self.left.reads.store(reads, Ordering::Relaxed);
    }

    fn spend(&self, len: usize) {
        let left = self.left.bytes.fetch_sub(len as u64, Ordering::Relaxed);
        assert!(left >= len as u64, "too many bytes of the disk are read");
        let left = self.left.reads.fetch_sub(1, Ordering::Relaxed);
        assert!(left >= 1, "the disk is read too often");
    }

    /// Bytes of it, whatever its length is.
    fn peek(&self, offset: u64, buffer: &mut [u8]) {
        self.plain.peek(offset, buffer);
        let end = offset + buffer.len() as u64;
        let numbers = offset / SECTOR as u64..end.div_ceil(SECTOR as u64);
        for (number, sector) in self.changed.range(numbers) {
            plain::overlay(offset, buffer, *number, sector);
        }
    }

    fn bytes<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.peek(offset, &mut bytes);
        bytes
    }

    /// Writes bytes over others, which can be read then.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let (number, inside) = (at / SECTOR as u64, (at % SECTOR as u64) as usize);
            let (part, behind) = rest.split_at(rest.len().min(SECTOR - inside));
            (at, rest) = (at + part.len() as u64, behind);
            self.dead.remove(&number);
            let entry = match self.changed.entry(number) {
                // Whole stretches of zeros are written over zeros.
                Entry::Vacant(_) if part == ZEROS && self.plain.is_zero(number) => continue,
                entry => entry,
            };
            let sector = entry.or_insert_with(|| Box::new(self.plain.sector(number)));
            sector[inside..inside + part.len()].copy_from_slice(part);
        }
    }

    /// Whether anything between two places was written to.
    fn is_changed(&self, offset: u64, len: u64) -> bool {
        let end = (offset + len).div_ceil(SECTOR as u64);
        self.changed
            .range(offset / SECTOR as u64..end)
            .next()
            .is_some()
    }
}

impl ReadAt for Disk {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.spend(buffer.len());
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let numbers = offset / SECTOR as u64..end.unwrap_or(0).div_ceil(SECTOR as u64);
        if self.dead.range(numbers).next().is_some() {
            return Err(io::Error::other("a sector that cannot be read"));
        }
        self.peek(offset, buffer);
        Ok(())
    }
}
