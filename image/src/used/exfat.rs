//! exFAT: a bitmap in clusters of its own.
//!
//! Source: Microsoft, "exFAT file system specification", sections 3.1 (boot
//! sector), 3.4 (boot checksum), 4.1 (FAT), 7.1 (allocation bitmap).
//! `PercentInUse` is rounded and optional, so it is not compared.

use std::ops::Range;
use std::sync::Arc;

use super::Distrust;
use super::bits::set_runs;
use super::map::Allocation;
use super::read::{Fields, Reader, read};

/// Sectors of the main boot region; the last one holds their checksum.
const BOOT_SECTORS: u64 = 12;

/// `VolumeFlags`: the second table is active; not unmounted; errors of the medium.
const ACTIVE_FAT: u16 = 1;
const DIRTY: u16 = 2;
const FAILURE: u16 = 4;

/// Directory entries: 32 bytes, the first says what it is.
const ENTRY: usize = 32;
const END_OF_DIRECTORY: u8 = 0;
const ALLOCATION_BITMAP: u8 = 0x81;
const UP_CASE_TABLE: u8 = 0x82;

/// Bytes of bitmap in a piece.
const PIECE: u64 = 8192;

/// Bytes of a directory, by section 6.1 of the specification.
const MAX_DIRECTORY: u64 = 256 << 20;

/// Runs of the bitmap's clusters that are kept; a bitmap in more pieces is copied whole.
const MAX_RUNS: usize = 65_536;

/// What the boot sector says.
#[derive(Debug)]
struct Geometry {
    volume: Reader,
    /// Bytes.
    len: u64,
    /// Byte offset of the file allocation table.
    table: u64,
    /// Byte offset of cluster 2, the first one.
    heap: u64,
    /// Bytes of a cluster.
    cluster: u64,
    clusters: u64,
}

/// A filesystem whose bitmap is believed.
#[derive(Debug)]
struct ExFat {
    geometry: Geometry,
    /// Where the bitmap lies: byte offsets in it, and of the volume.
    bitmap: Vec<(Range<u64>, u64)>,
}

/// Reads the boot region and finds the bitmap.
pub(crate) fn open(volume: Reader) -> Result<Arc<dyn Allocation>, Distrust> {
    let boot = read(&*volume, 0, 512, "the boot sector")?;
    let geometry = Geometry::parse(&boot, volume)?;
    let root = u64::from(boot.le32(96)?);
    let filesystem = ExFat::find(geometry, root)?;
    Ok(Arc::new(filesystem))
}

impl Geometry {
    fn parse(boot: &[u8], volume: Reader) -> Result<Self, Distrust> {
        let range = |what, value: u64| Err(Distrust::Range { what, value });
        let (sector_shift, cluster_shift) = (boot.byte(108)?, boot.byte(109)?);
        if !(9..=12).contains(&sector_shift) || cluster_shift > 25 - sector_shift {
            return range("the cluster size", cluster_shift.into());
        }
        let revision = boot.le16(104)?;
        if revision >> 8 != 1 {
            return Err(Distrust::Feature {
                what: "revision",
                value: revision.into(),
            });
        }
        let flags = boot.le16(106)?;
        if flags & ACTIVE_FAT != 0 || boot.byte(110)? != 1 {
            return Err(Distrust::Arrangement("two file allocation tables (TexFAT)"));
        }
        if flags & (DIRTY | FAILURE) != 0 {
            return Err(Distrust::Unclean {
                what: "it was not unmounted, or the disk had errors",
                remedy: "eject it properly, or run chkdsk or fsck.exfat on it",
            });
        }
        check_boot_region(&*volume, 1 << sector_shift)?;
        let sectors = boot.le64(72)?;
        let (fat, fat_len) = (boot.le32(80)?, boot.le32(84)?);
        let geometry = Self {
            len: sectors.saturating_mul(1 << sector_shift),
            volume,
            table: u64::from(fat) << sector_shift,
            heap: u64::from(boot.le32(88)?) << sector_shift,
            cluster: 1 << (sector_shift + cluster_shift),
            clusters: boot.le32(92)?.into(),
        };
        if geometry.len > geometry.volume.size() {
            return Err(Distrust::Size {
                filesystem: geometry.len,
                volume: geometry.volume.size(),
            });
        }
        let table_end = geometry.table + (u64::from(fat_len) << sector_shift);
        let is_long_enough = u64::from(fat_len) << sector_shift >= (geometry.clusters + 2) * 4;
        if table_end > geometry.heap || !is_long_enough {
            return range("the place of the file allocation table", fat.into());
        }
        if geometry.clusters == 0 || geometry.at(geometry.clusters + 2) > geometry.len {
            return range("the number of clusters", geometry.clusters);
        }
        Ok(geometry)
    }

    /// Byte offset of a cluster; they are counted from 2.
    fn at(&self, cluster: u64) -> u64 {
        self.heap + (cluster - 2) * self.cluster
    }

    /// The clusters of a chain, as runs in its order. `len` is its length in clusters if
    /// that is known; a chain that goes on behind it, or ends before, is damaged.
    fn chain(&self, first: u64, len: Option<u64>) -> Result<Vec<Range<u64>>, Distrust> {
        let what = "a chain of clusters";
        let mut runs: Vec<Range<u64>> = Vec::new();
        let mut at = first;
        let longest = len.unwrap_or(MAX_DIRECTORY / self.cluster + 1);
        for count in 1..=longest.min(self.clusters) {
            if !(2..self.clusters + 2).contains(&at) {
                return Err(Distrust::Range { what, value: at });
            }
            if runs.len() > MAX_RUNS {
                return Err(Distrust::Arrangement("a bitmap in very many pieces"));
            }
            match runs.last_mut() {
                Some(run) if run.end == at => run.end += 1,
                _ => runs.push(at..at + 1),
            }
            let next = read(&*self.volume, self.table + at * 4, 4, what)?.le32(0)?;
            let is_end = next >= 0xffff_fff8;
            match len {
                Some(len) if count == len && is_end => return Ok(runs),
                Some(len) if (count == len) != is_end => break,
                None if is_end => return Ok(runs),
                _ => at = next.into(),
            }
        }
        Err(Distrust::Damaged {
            what: "a chain of clusters has the wrong length",
        })
    }
}

/// The twelfth sector repeats the checksum of the other eleven; what changes while the volume is
/// in use is left out.
fn check_boot_region(volume: &dyn super::ReadAt, sector: u64) -> Result<(), Distrust> {
    let what = "the boot region";
    let region = read(volume, 0, (BOOT_SECTORS * sector) as usize, what)?;
    let (summed, checksums) = region.split_at(((BOOT_SECTORS - 1) * sector) as usize);
    let mut sum = 0_u32;
    for (index, byte) in summed.iter().enumerate() {
        if !matches!(index, 106 | 107 | 112) {
            sum = sum.rotate_right(1).wrapping_add(u32::from(*byte));
        }
    }
    let matches = checksums.chunks_exact(4).all(|is| is == sum.to_le_bytes());
    if matches {
        Ok(())
    } else {
        Err(Distrust::Checksum { what })
    }
}

impl ExFat {
    /// Finds the bitmap in the root directory.
    fn find(geometry: Geometry, root: u64) -> Result<Self, Distrust> {
        let directory = geometry.chain(root, None)?;
        let (mut bitmap, mut has_up_case) = (None, false);
        let mut known = directory.clone();
        'directory: for cluster in directory.into_iter().flatten() {
            let what = "the root directory";
            let bytes = read(
                &*geometry.volume,
                geometry.at(cluster),
                geometry.cluster as usize,
                what,
            )?;
            for entry in bytes.chunks_exact(ENTRY) {
                let place = (u64::from(entry.le32(20)?), entry.le64(24)?);
                match entry.byte(0)? {
                    END_OF_DIRECTORY => break 'directory,
                    ALLOCATION_BITMAP if bitmap.is_some() || entry.byte(1)? & 1 != 0 => {
                        return Err(Distrust::Arrangement("two allocation bitmaps"));
                    }
                    ALLOCATION_BITMAP => bitmap = Some(place),
                    UP_CASE_TABLE if has_up_case => {
                        return Err(Distrust::Arrangement("two tables of letters"));
                    }
                    UP_CASE_TABLE => {
                        has_up_case = true;
                        known.extend(geometry.chain(place.0, None)?);
                    }
                    _ => {}
                }
            }
        }
        let (first, len) = bitmap.ok_or(Distrust::Damaged {
            what: "there is no allocation bitmap",
        })?;
        if len != geometry.clusters.div_ceil(8) {
            return Err(Distrust::Count {
                what: "the length of the allocation bitmap",
                expected: geometry.clusters.div_ceil(8),
                found: len,
            });
        }
        let runs = geometry.chain(first, Some(len.div_ceil(geometry.cluster)))?;
        known.extend(runs.iter().cloned());
        let mut at = 0;
        let mut place = |run: Range<u64>| {
            let start = at;
            at += (run.end - run.start) * geometry.cluster;
            (start..at, geometry.at(run.start))
        };
        let bitmap = runs.into_iter().map(&mut place).collect();
        let filesystem = Self { geometry, bitmap };
        filesystem.check_known(&known)?;
        Ok(filesystem)
    }

    /// What the filesystem itself lies in has to be used by its own map.
    fn check_known(&self, known: &[Range<u64>]) -> Result<(), Distrust> {
        for cluster in known.iter().cloned().flatten() {
            let bit = cluster - 2;
            let byte = self.read_bitmap(bit / 8, 1)?[0];
            if byte >> (bit % 8) & 1 == 0 {
                return Err(Distrust::Damaged {
                    what: "the bitmap calls clusters unused that the filesystem itself lies in",
                });
            }
        }
        Ok(())
    }

    /// Reads up to `len` bytes of the bitmap, at most to the end of a run of its clusters.
    fn read_bitmap(&self, from: u64, len: u64) -> Result<Vec<u8>, Distrust> {
        let index = self.bitmap.partition_point(|(range, _)| range.end <= from);
        let (range, at) = self.bitmap.get(index).ok_or(Distrust::Damaged {
            what: "the allocation bitmap ends too early",
        })?;
        let len = len.min(range.end - from);
        let what = "the allocation bitmap";
        read(
            &*self.geometry.volume,
            at + from - range.start,
            len as usize,
            what,
        )
    }
}

impl Allocation for ExFat {
    fn extent(&self) -> u64 {
        self.geometry.len
    }

    /// A stretch of the bitmap; before it all in front of the first cluster,
    /// after it all behind the last one.
    fn piece(&self, from: u64, used: &mut Vec<Range<u64>>) -> Result<u64, Distrust> {
        let geometry = &self.geometry;
        if from < geometry.heap {
            used.push(0..geometry.heap);
            return Ok(geometry.heap);
        }
        let first = (from - geometry.heap) / geometry.cluster;
        if first >= geometry.clusters {
            used.push(from..geometry.len);
            return Ok(geometry.len);
        }
        let first = first & !7;
        let bytes = self.read_bitmap(first / 8, PIECE)?;
        let count = (bytes.len() as u64 * 8).min(geometry.clusters - first);
        let at = |cluster: u64| geometry.heap + (first + cluster) * geometry.cluster;
        used.extend(set_runs(&bytes, count).map(|run| at(run.start)..at(run.end)));
        Ok(at(count))
    }
}
