//! FAT12, FAT16, FAT32: the table itself is the map.
//!
//! Source: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03
//! (the boot sector, "FAT type determination", `ClnShutBitMask`); the state
//! byte is that of Linux' include/uapi/linux/msdos_fs.h. The free count of
//! FAT32's `FSInfo` is only a hint by that page and is not compared.

use std::ops::Range;
use std::sync::Arc;

use super::Distrust;
use super::map::Allocation;
use super::read::{Fields, Reader, read};
use crate::zeros::is_zero;

/// Which FAT it is: only the number of clusters says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fat12,
    Fat16,
    Fat32,
}

/// Clusters that a FAT12 has less than, and a FAT16.
const FAT12_CLUSTERS: u64 = 4085;
const FAT16_CLUSTERS: u64 = 65_525;

/// Clusters of a piece: an even number, so that a piece of FAT12 begins with a byte.
const PIECE: u64 = 65_536;

/// Entries that are looked at together.
const MANY: u64 = 256;

const REMEDY: &str = "eject it properly, or run chkdsk or fsck.fat on it";

/// Where the root directory lies.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    /// At these bytes of the volume: FAT12 and FAT16.
    Fixed(Range<u64>),
    /// In the chain of this cluster.
    Chain(u32),
}

impl Root {
    /// `fixed` is in front of the first cluster.
    fn find(boot: &[u8], kind: Kind, fixed: Range<u64>) -> Result<Self, Distrust> {
        Ok(match kind {
            Kind::Fat32 => Self::Chain(boot.le32(44)?),
            Kind::Fat12 | Kind::Fat16 => Self::Fixed(fixed),
        })
    }
}

/// A filesystem whose boot sector is believed.
#[derive(Debug)]
pub(crate) struct Fat {
    pub(crate) volume: Reader,
    kind: Kind,
    /// Bytes.
    len: u64,
    /// Byte offsets of the tables that have to agree; the second is a copy.
    tables: Vec<u64>,
    pub(crate) root: Root,
    /// Byte offset of cluster 2, the first one.
    data: u64,
    /// Bytes of a cluster.
    pub(crate) cluster: u64,
    pub(crate) clusters: u64,
    /// The boot sector.
    boot: Vec<u8>,
}

/// Reads the boot sector of a filesystem that has to be clean.
pub(crate) fn open(volume: Reader) -> Result<Arc<dyn Allocation>, Distrust> {
    let fat = Fat::read(volume)?;
    fat.check_clean()?;
    fat.check_known()?;
    Ok(Arc::new(fat))
}

/// Reads the boot sector.
fn parse(volume: Reader) -> Result<Fat, Distrust> {
    let boot = read(&*volume, 0, 512, "the boot sector")?;
    let range = |what, value: u64| Err(Distrust::Range { what, value });
    let sector = u64::from(boot.le16(11)?);
    if !sector.is_power_of_two() || !(512..=4096).contains(&sector) {
        return range("the sector size", sector);
    }
    let cluster = u64::from(boot.byte(13)?) * sector;
    if !cluster.is_power_of_two() {
        return range("the cluster size", cluster);
    }
    let reserved = u64::from(boot.le16(14)?);
    let copies = u64::from(boot.byte(16)?);
    let root = (u64::from(boot.le16(17)?) * 32).div_ceil(sector);
    let either = |short: u16, long: u32| match short {
        0 => u64::from(long),
        short => u64::from(short),
    };
    let sectors = either(boot.le16(19)?, boot.le32(32)?);
    let table = either(boot.le16(22)?, boot.le32(36)?);
    let head = reserved + copies * table + root;
    if reserved == 0 || !(1..=2).contains(&copies) || head >= sectors {
        return range("the size of the table", table);
    }
    let len = sectors * sector;
    if len > volume.size() {
        return Err(Distrust::Size {
            filesystem: len,
            volume: volume.size(),
        });
    }
    let clusters = (sectors - head) * sector / cluster;
    let kind = match clusters {
        0..FAT12_CLUSTERS => Kind::Fat12,
        FAT12_CLUSTERS..FAT16_CLUSTERS => Kind::Fat16,
        _ => Kind::Fat32,
    };
    // FAT32 keeps the size of its table and its root directory elsewhere than the others.
    let looks_like_32 = boot.le16(22)? == 0;
    if looks_like_32 != (kind == Kind::Fat32) || looks_like_32 != (root == 0) {
        return Err(Distrust::Damaged {
            what: "the number of clusters and the form of the boot sector contradict each other",
        });
    }
    let all_tables = (0..copies).map(|copy| (reserved + copy * table) * sector);
    let data = head * sector;
    let fat = Fat {
        tables: mirrored(&boot, kind, all_tables.collect())?,
        root: Root::find(&boot, kind, data - root * sector..data)?,
        volume,
        kind,
        len,
        data,
        cluster,
        clusters,
        boot,
    };
    if fat.entries(0, clusters + 2).end > table * sector {
        return range("the size of the table", table);
    }
    Ok(fat)
}

/// The tables in use: FAT32 may have turned mirroring off (`BPB_ExtFlags`).
fn mirrored(boot: &[u8], kind: Kind, tables: Vec<u64>) -> Result<Vec<u64>, Distrust> {
    if kind != Kind::Fat32 {
        return Ok(tables);
    }
    let (flags, version) = (boot.le16(40)?, boot.le16(42)?);
    if version != 0 {
        return Err(Distrust::Feature {
            what: "version",
            value: version.into(),
        });
    }
    if flags & 0x80 == 0 {
        return Ok(tables);
    }
    let active = usize::from(flags & 0xf);
    let table = tables.get(active).ok_or(Distrust::Range {
        what: "the active table",
        value: active as u64,
    })?;
    Ok(vec![*table])
}

impl Fat {
    /// Reads the boot sector. What is found may lag behind if the filesystem is not clean.
    pub(crate) fn read(volume: Reader) -> Result<Self, Distrust> {
        parse(volume)
    }

    /// Byte offset of a cluster, counted from 2.
    pub(crate) fn place(&self, cluster: u32) -> Result<u64, Distrust> {
        let index = u64::from(cluster).checked_sub(2);
        let index = index.filter(|index| *index < self.clusters);
        let index = index.ok_or(Distrust::Range {
            what: "a cluster of a file",
            value: cluster.into(),
        })?;
        Ok(self.data + index * self.cluster)
    }

    /// The cluster that follows one of a file, by the first table in use; `None` after the last one.
    pub(crate) fn next(&self, cluster: u32) -> Result<Option<u32>, Distrust> {
        self.place(cluster)?;
        let what = "the file allocation table";
        let first = u64::from(cluster) & !1;
        let place = self.entries(first, 2);
        let len = (place.end - place.start) as usize;
        let bytes = read(&*self.volume, self.tables[0] + place.start, len, what)?;
        let next = self.entry(&bytes, u64::from(cluster) - first)?;
        Ok((next <= self.bad_cluster()).then_some(next))
    }

    /// Bytes of a table that hold these entries.
    fn entries(&self, first: u64, count: u64) -> Range<u64> {
        match self.kind {
            Kind::Fat12 => first / 2 * 3..((first + count) * 3).div_ceil(2),
            Kind::Fat16 => first * 2..(first + count) * 2,
            Kind::Fat32 => first * 4..(first + count) * 4,
        }
    }

    /// Reads entries from all tables in use, which have to agree.
    fn read_entries(&self, first: u64, count: u64) -> Result<Vec<u8>, Distrust> {
        let what = "the file allocation table";
        let place = self.entries(first, count);
        let len = (place.end - place.start) as usize;
        let bytes = read(&*self.volume, self.tables[0] + place.start, len, what)?;
        for table in &self.tables[1..] {
            if read(&*self.volume, table + place.start, len, what)? != bytes {
                return Err(Distrust::Damaged {
                    what: "the two file allocation tables differ",
                });
            }
        }
        Ok(bytes)
    }

    /// Entry `index` of those that were read; of FAT12 from an even one on.
    fn entry(&self, bytes: &[u8], index: u64) -> Result<u32, Distrust> {
        let index = index as usize;
        match self.kind {
            Kind::Fat12 => {
                let pair = u32::from(bytes.le16(index * 3 / 2)?);
                Ok(if index.is_multiple_of(2) {
                    pair & 0xfff
                } else {
                    pair >> 4
                })
            }
            Kind::Fat16 => bytes.le16(index * 2).map(u32::from),
            // The highest four bits are reserved.
            Kind::Fat32 => Ok(bytes.le32(index * 4)? & 0x0fff_ffff),
        }
    }

    /// What marks a cluster that cannot be used: nothing is in it, and reading it may fail.
    fn bad_cluster(&self) -> u32 {
        match self.kind {
            Kind::Fat12 => 0xff7,
            Kind::Fat16 => 0xfff7,
            Kind::Fat32 => 0x0fff_fff7,
        }
    }

    /// The root directory of FAT32 has to be in a cluster that is used by the map.
    fn check_known(&self) -> Result<(), Distrust> {
        if let Root::Chain(first) = self.root
            && self.next(first)?.is_some_and(|next| !self.is_used(next))
        {
            return Err(Distrust::Damaged {
                what: "the map calls the cluster unused that the root directory begins in",
            });
        }
        Ok(())
    }

    /// Whether a cluster with this entry holds anything.
    fn is_used(&self, entry: u32) -> bool {
        entry != 0 && entry != self.bad_cluster()
    }

    /// Whether it was unmounted: entry 1 and a byte of the boot sector tell.
    pub(crate) fn check_clean(&self) -> Result<(), Distrust> {
        let (state, clean, good) = match self.kind {
            Kind::Fat12 => (37, 0, 0),
            Kind::Fat16 => (37, 0x8000, 0x4000),
            Kind::Fat32 => (65, 0x0800_0000, 0x0400_0000),
        };
        let flags = self.entry(&self.read_entries(0, 2)?, 1)?;
        let what = if flags & good != good {
            "the disk had errors"
        } else if flags & clean != clean || self.boot.byte(state)? & 1 != 0 {
            "it was not unmounted"
        } else {
            return Ok(());
        };
        Err(Distrust::Unclean {
            what,
            remedy: REMEDY,
        })
    }
}

impl Allocation for Fat {
    fn extent(&self) -> u64 {
        self.len
    }

    /// A stretch of the table; before it all in front of the first cluster,
    /// after it all behind the last one.
    fn piece(&self, from: u64, used: &mut Vec<Range<u64>>) -> Result<u64, Distrust> {
        if from < self.data {
            used.push(0..self.data);
            return Ok(self.data);
        }
        let first = (from - self.data) / self.cluster;
        if first >= self.clusters {
            used.push(from..self.len);
            return Ok(self.len);
        }
        let first = first & !1;
        let count = PIECE.min(self.clusters - first);
        let bytes = self.read_entries(first + 2, count)?;
        let at = |cluster: u64| self.data + (first + cluster) * self.cluster;
        let mut open = None;
        let mut see = |index, is_used| match (is_used, open) {
            (true, None) => open = Some(index),
            (false, Some(start)) => {
                used.push(at(start)..at(index));
                open = None;
            }
            _ => {}
        };
        let mut index = 0;
        while index < count {
            let many = MANY.min(count - index);
            let place = self.entries(index, many);
            let part = bytes.part(place.start as usize, (place.end - place.start) as usize)?;
            // Most of what is unused are zeros, which are passed over at once.
            if is_zero(part) {
                see(index, false);
            } else {
                for index in index..index + many {
                    see(index, self.is_used(self.entry(&bytes, index)?));
                }
            }
            index += many;
        }
        see(count, false);
        Ok(at(count))
    }
}
