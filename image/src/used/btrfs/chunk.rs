//! Chunks: which logical addresses lie where on the device.

use std::ops::Range;

use super::key::Key;
use super::superblock::Superblock;
use crate::used::Distrust;
use crate::used::read::Fields;

/// Profiles: bits of a chunk's type.
const RAID0: u64 = 0x8;
const MIRRORED: u64 = 0x10 | 0x20 | 0x200 | 0x400;
const DUP: u64 = 0x20;
const RAID10: u64 = 0x40;
const RAID5: u64 = 0x80;
const RAID6: u64 = 0x100;
const PROFILES: u64 = RAID0 | MIRRORED | RAID10 | RAID5 | RAID6;

/// Chunks that are kept; of usual ones, 1 GiB each, they make a petabyte.
const MAX_CHUNKS: usize = 1 << 20;

/// A stripe on this device.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Bytes of the device.
    pub(super) device: Range<u64>,
    /// The logical address that it begins with.
    pub(super) logical: u64,
    /// Only a part of the chunk, in an order of its own.
    pub(super) is_striped: bool,
}

/// A range of logical addresses.
#[derive(Debug)]
struct Chunk {
    logical: Range<u64>,
    /// Byte offsets on this device where all of it lies.
    copies: Vec<u64>,
}

/// All chunks, and their stripes on this device.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// In the order of logical addresses.
    chunks: Vec<Chunk>,
    /// In the order of the device.
    places: Vec<Place>,
}

impl Chunks {
    /// The chunks of the tree of chunks, which the superblock lists.
    pub(super) fn of_superblock(superblock: &Superblock) -> Result<Self, Distrust> {
        let mut chunks = Self::default();
        let mut rest = superblock.system_chunks.as_slice();
        while !rest.is_empty() {
            let key = Key::parse(rest, 0)?;
            let stripes = usize::from(rest.le16(Key::LEN + 44)?);
            let len = 48 + stripes * 32;
            chunks.add(superblock, key, rest.part(Key::LEN, len)?)?;
            rest = &rest[Key::LEN + len..];
        }
        chunks.sort(superblock)?;
        Ok(chunks)
    }

    /// Adds a chunk; its key's offset is its logical address.
    pub(super) fn add(
        &mut self,
        superblock: &Superblock,
        key: Key,
        item: &[u8],
    ) -> Result<(), Distrust> {
        let bad = |value| {
            Err(Distrust::Range {
                what: "a chunk",
                value,
            })
        };
        let (logical, len) = (key.2, item.le64(0)?);
        let profile = item.le64(24)? & PROFILES;
        let stripes = u64::from(item.le16(44)?);
        let Some(end) = logical.checked_add(len).filter(|end| *end > logical) else {
            return bad(logical);
        };
        let data = match profile {
            0 if stripes == 1 => 1,
            DUP if stripes == 2 => 1,
            RAID0 => stripes,
            RAID10 => stripes / u64::from(item.le16(46)?).max(1),
            RAID5 => stripes.saturating_sub(1),
            RAID6 => stripes.saturating_sub(2),
            mirrored if mirrored & !MIRRORED == 0 && mirrored.count_ones() == 1 => 1,
            _ => return bad(logical),
        };
        if data == 0 || len % data != 0 {
            return bad(logical);
        }
        if self.chunks.len() >= MAX_CHUNKS || self.places.len() >= MAX_CHUNKS * 2 {
            return Err(Distrust::Arrangement("very many chunks"));
        }
        let is_striped = profile != 0 && profile & MIRRORED == 0;
        let mut copies = Vec::new();
        for stripe in 0..stripes as usize {
            let at = 48 + stripe * 32;
            let (device, start) = (item.le64(at)?, item.le64(at + 8)?);
            let end = start.checked_add(len / data);
            let Some(end) = end.filter(|end| *end <= superblock.len || device != superblock.device)
            else {
                return bad(start);
            };
            if device == superblock.device {
                self.places.push(Place {
                    device: start..end,
                    logical,
                    is_striped,
                });
                if !is_striped {
                    copies.push(start);
                }
            } else if superblock.devices == 1 {
                return bad(device);
            }
        }
        self.chunks.push(Chunk {
            logical: logical..end,
            copies,
        });
        Ok(())
    }

    /// Puts all in order; nothing may overlap.
    pub(super) fn sort(&mut self, superblock: &Superblock) -> Result<(), Distrust> {
        self.chunks.sort_by_key(|chunk| chunk.logical.start);
        self.places.sort_by_key(|place| place.device.start);
        let in_order = |pair: &[Chunk]| pair[0].logical.end <= pair[1].logical.start;
        let overlap = |pair: &[Place]| pair[0].device.end > pair[1].device.start;
        if !self.chunks.windows(2).all(in_order)
            || self.places.windows(2).any(overlap)
            || superblock.devices == 0
        {
            return Err(Distrust::Damaged {
                what: "two chunks overlap",
            });
        }
        Ok(())
    }

    /// A device on which every address is what it is.
    #[cfg(test)]
    pub(super) fn identity(len: u64) -> Self {
        Self {
            chunks: vec![Chunk {
                logical: 0..len,
                copies: vec![0],
            }],
            places: Vec::new(),
        }
    }

    fn chunk(&self, address: u64) -> Option<&Chunk> {
        let index = self
            .chunks
            .partition_point(|chunk| chunk.logical.end <= address);
        self.chunks
            .get(index)
            .filter(|chunk| chunk.logical.contains(&address))
    }

    /// The chunk of a logical address.
    pub(super) fn of(&self, address: u64) -> Option<&Range<u64>> {
        self.chunk(address).map(|chunk| &chunk.logical)
    }

    /// Behind the last logical address.
    pub(super) fn end(&self) -> u64 {
        self.chunks.last().map_or(0, |chunk| chunk.logical.end)
    }

    /// The stripe that a byte of the device lies in, or where the next one begins.
    pub(super) fn on_device(&self, at: u64) -> Result<&Place, u64> {
        let index = self.places.partition_point(|place| place.device.end <= at);
        match self.places.get(index) {
            Some(place) if place.device.start <= at => Ok(place),
            Some(next) => Err(next.device.start),
            None => Err(u64::MAX),
        }
    }

    /// Byte offsets on this device of all copies of a logical address.
    pub(super) fn copies(&self, address: u64) -> impl Iterator<Item = u64> + '_ {
        let chunk = self.chunk(address).into_iter();
        chunk.flat_map(move |chunk| {
            let inside = address - chunk.logical.start;
            chunk.copies.iter().map(move |start| start + inside)
        })
    }
}
