//! Files of FAT12, FAT16, FAT32.
//!
//! Source: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03 (directory entries,
//! long names), and for the case of short names Linux' include/uapi/linux/msdos_fs.h.

use super::{Content, Entry, Kind, Node, Piece, Pieces, blocks};
use crate::used::Distrust;
use crate::used::fat::{Fat, Root};
use crate::used::read::{Fields, Reader};

/// Bytes of an entry of a directory.
const ENTRY: usize = 32;

/// Attributes: the name of the volume; a directory; both halves of what marks a long name.
const LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const LONG: u8 = 0x0f;

/// The first byte of an entry that was deleted, and of the first one that was never used.
const DELETED: u8 = 0xe5;
const END: u8 = 0;

/// The flag of the last part of a long name, which comes first.
const LAST_PART: u8 = 0x40;
/// Parts of a long name, and units of UTF-16 in each.
const PARTS: usize = 20;
const UNITS: usize = 13;

/// Bytes of a directory, by the specification.
const MAX_DIRECTORY: u64 = 65_536 * ENTRY as u64;

/// Bytes that are looked at in one step.
const STEP: u64 = 512;

/// The files of one filesystem.
#[derive(Debug)]
pub(super) struct Tree(Fat);

impl Tree {
    pub(super) fn open(volume: Reader) -> Result<Self, Distrust> {
        Fat::read(volume).map(Self)
    }

    /// The pieces of a chain of clusters for a file of `len` bytes, or all of it.
    fn chain(&self, first: u32, len: Option<u64>) -> Result<Content, Distrust> {
        let damaged = |what| Err(Distrust::Damaged { what });
        let cluster = self.0.cluster;
        let mut pieces = Pieces::new(self.0.volume.size());
        let mut from = 0;
        let mut next = Some(first);
        while len.is_none_or(|len| from < len) {
            let Some(here) = next else {
                match len {
                    None => break,
                    Some(_) => return damaged("a file is shorter than it says"),
                }
            };
            // A chain that bites its tail would go on for ever.
            let max = match len {
                Some(_) => self.0.clusters * cluster,
                None => MAX_DIRECTORY,
            };
            if from >= max {
                return damaged("a chain of clusters that does not end");
            }
            pieces.push(Piece {
                from,
                len: cluster,
                place: self.0.place(here)?,
                is_written: true,
            })?;
            from += cluster;
            next = self.0.next(here)?;
        }
        Ok(pieces.done())
    }
}

impl super::Tree for Tree {
    fn root(&self) -> Result<Node, Distrust> {
        let content = match &self.0.root {
            Root::Chain(first) => self.chain(*first, None)?,
            Root::Fixed(place) => {
                let mut pieces = Pieces::new(self.0.volume.size());
                pieces.push(Piece {
                    from: 0,
                    len: place.end - place.start,
                    place: place.start,
                    is_written: true,
                })?;
                pieces.done()
            }
        };
        Ok(Node {
            kind: Kind::Directory,
            len: 0,
            content,
        })
    }

    fn node(&self, entry: &Entry) -> Result<Node, Distrust> {
        let (kind, len) = entry.about.unwrap_or((Kind::Other, 0));
        let first = u32::try_from(entry.id).unwrap_or(u32::MAX);
        let content = match kind {
            Kind::Directory => self.chain(first, None)?,
            // An empty file has no cluster.
            _ => self.chain(first, Some(len))?,
        };
        Ok(Node { kind, len, content })
    }

    fn names(&self, directory: &Node, each: &mut dyn FnMut(Entry) -> bool) -> Result<(), Distrust> {
        let mut long = LongName::default();
        blocks(&*self.0.volume, directory, STEP, &mut |block| {
            for entry in block.chunks_exact(ENTRY) {
                match (entry.byte(0)?, entry.byte(11)?) {
                    (END, _) => return Ok(false),
                    (DELETED, _) => long = LongName::default(),
                    (_, attributes) if attributes & LONG == LONG => long.add(entry)?,
                    (_, attributes) if attributes & LABEL != 0 => long = LongName::default(),
                    (_, attributes) => {
                        let is_directory = attributes & DIRECTORY != 0;
                        let name = std::mem::take(&mut long).name(entry)?;
                        if name == "." || name == ".." {
                            continue;
                        }
                        if !each(found(entry, name, is_directory)?) {
                            return Ok(false);
                        }
                    }
                }
            }
            Ok(true)
        })
    }

    fn is_same(&self, one: &str, other: &str) -> bool {
        one.eq_ignore_ascii_case(other)
    }

    fn check_clean(&self) -> Result<(), Distrust> {
        self.0.check_clean()
    }

    fn unit(&self) -> u64 {
        self.0.cluster
    }
}

fn found(entry: &[u8], name: String, is_directory: bool) -> Result<Entry, Distrust> {
    // The upper half is zero where clusters have 16 bits at most.
    let first = u64::from(entry.le16(26)?) | u64::from(entry.le16(20)?) << 16;
    let about = if is_directory {
        (Kind::Directory, 0)
    } else {
        (Kind::File, entry.le32(28)?.into())
    };
    Ok(Entry {
        name,
        id: first,
        about: Some(about),
    })
}

/// A long name, whose parts stand in front of the entry that they belong to, the last one first.
#[derive(Debug, Default)]
struct LongName {
    units: Vec<u16>,
    /// The part that has to come next; 0 when all are there.
    expected: u8,
    checksum: u8,
}

impl LongName {
    fn add(&mut self, entry: &[u8]) -> Result<(), Distrust> {
        let (order, checksum) = (entry.byte(0)?, entry.byte(13)?);
        if order & LAST_PART != 0 {
            let parts = order & !LAST_PART;
            *self = Self {
                units: Vec::new(),
                expected: parts,
                checksum,
            };
        }
        let number = order & !LAST_PART;
        let fits = number != 0 && usize::from(number) <= PARTS;
        if !fits || number != self.expected || checksum != self.checksum {
            *self = Self::default();
            return Ok(());
        }
        self.expected = number - 1;
        let mut units = Vec::with_capacity(UNITS + self.units.len());
        for (at, len) in [(1, 10), (14, 12), (28, 4)] {
            let pairs = entry.part(at, len)?.chunks_exact(2);
            units.extend(pairs.map(|it| u16::from_le_bytes([it[0], it[1]])));
        }
        units.append(&mut self.units);
        self.units = units;
        Ok(())
    }

    /// The name of an entry: the long one if it belongs to it, else the short one.
    fn name(self, entry: &[u8]) -> Result<String, Distrust> {
        let short = entry.take::<11>(0)?;
        let sum = short
            .iter()
            .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        if self.units.is_empty() || self.expected != 0 || sum != self.checksum {
            return Ok(short_name(short, entry.byte(12)?));
        }
        let end = self.units.iter().position(|unit| *unit == 0);
        let units = &self.units[..end.unwrap_or(self.units.len())];
        Ok(String::from_utf16_lossy(units))
    }
}

/// Eight and three characters, filled up with spaces; two flags say what is in small letters.
fn short_name(mut bytes: [u8; 11], case: u8) -> String {
    // Stands for the character that marks what is deleted.
    if bytes[0] == 5 {
        bytes[0] = DELETED;
    }
    let part = |bytes: &[u8], is_small: bool| {
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let text = text.trim_end_matches(' ');
        if is_small {
            text.to_ascii_lowercase()
        } else {
            text.to_owned()
        }
    };
    let base = part(&bytes[..8], case & 0x08 != 0);
    match part(&bytes[8..], case & 0x10 != 0).as_str() {
        "" => base,
        extension => format!("{base}.{extension}"),
    }
}
