//! NTFS: a bitmap in a file of its own, `$Bitmap`.
//!
//! Source: the Linux-NTFS project's "NTFS Documentation" (boot sector, file
//! records, attribute headers, data runs, attribute lists, `$Volume`,
//! `$LogFile`, index records).

mod directory;
mod hibernation;
mod log;
mod record;
mod stream;

use std::ops::Range;
use std::sync::Arc;

use super::Distrust;
use super::bits::set_runs;
use super::map::Allocation;
use super::read::{Fields, Reader, read};
use stream::Stream;

pub(crate) use record::Record;
pub(crate) use stream::{COMPRESSED, ENCRYPTED, Run};

/// File records with fixed numbers.
const MFT: u64 = 0;
const LOG_FILE: u64 = 2;
const VOLUME: u64 = 3;
pub(crate) const ROOT: u64 = 5;
const BITMAP: u64 = 6;

/// Types of attributes.
const ATTRIBUTE_LIST: u32 = 0x20;
const VOLUME_INFORMATION: u32 = 0x70;
pub(crate) const DATA: u32 = 0x80;
/// Says that a file is something else: a link, or compressed by a filter driver.
pub(crate) const REPARSE_POINT: u32 = 0xc0;

/// Flags of the volume: dirty; a check was under way.
const DIRTY: u16 = 0x0001;
const CHECKING: u16 = 0x4000;

/// Bytes of bitmap in a piece.
const PIECE: u64 = 8192;

/// Bytes of an attribute list, by its documentation.
const MAX_LIST: u64 = 256 << 10;

const REMEDY: &str =
    "start Windows and shut it down properly (shutdown /s /t 0), or run chkdsk on it";

/// What the boot sector says, and where the file records lie.
#[derive(Debug)]
pub(crate) struct Ntfs {
    pub(crate) volume: Reader,
    /// Bytes.
    pub(crate) cluster: u64,
    clusters: u64,
    /// Bytes of a file record.
    record: usize,
    mft: Stream,
}

/// The content of an attribute.
#[derive(Debug)]
pub(crate) enum Content {
    /// In the record itself.
    Resident(Vec<u8>),
    /// In clusters.
    Runs(Stream),
}

/// A filesystem whose bitmap is believed.
#[derive(Debug)]
struct Map {
    ntfs: Ntfs,
    bitmap: Stream,
}

/// Reads the boot sector and finds the bitmap.
pub(crate) fn open(volume: Reader) -> Result<Arc<dyn Allocation>, Distrust> {
    let ntfs = Ntfs::open(volume)?;
    let log_file = ntfs.check_clean()?;
    let bitmap = ntfs.file(BITMAP)?;
    let expected = ntfs.clusters.div_ceil(8);
    if bitmap.size < expected {
        return Err(Distrust::Count {
            what: "the length of $Bitmap",
            expected,
            found: bitmap.size,
        });
    }
    let map = Map { ntfs, bitmap };
    for stream in [&map.ntfs.mft, &map.bitmap, &log_file] {
        for run in stream.places() {
            map.check_used(run)?;
        }
    }
    Ok(Arc::new(map))
}

impl Ntfs {
    /// Reads the boot sector. What is found may lag behind if the volume is not clean.
    pub(crate) fn open(volume: Reader) -> Result<Self, Distrust> {
        let boot = read(&*volume, 0, 512, "the boot sector")?;
        let sector = u64::from(boot.le16(11)?);
        let range = |what, value: u64| Err(Distrust::Range { what, value });
        if !sector.is_power_of_two() || !(256..=4096).contains(&sector) {
            return range("the sector size", sector);
        }
        // Up to 2 MiB: from 64 KiB on it is a negative power of two.
        let per_cluster = match boot.byte(13)? {
            count @ 1..=128 => u64::from(count),
            shift @ 0xf4.. => 1 << (256 - u32::from(shift)),
            other => return range("the cluster size", other.into()),
        };
        let cluster = per_cluster * sector;
        if !cluster.is_power_of_two() || cluster > 2 << 20 {
            return range("the cluster size", cluster);
        }
        let record = match boot.byte(64)? {
            count @ 1..0x80 => u64::from(count) * cluster,
            shift @ 0xe1.. => 1 << (256 - u32::from(shift)),
            other => return range("the size of file records", other.into()),
        };
        if !record.is_power_of_two() || !(512..=65_536).contains(&record) {
            return range("the size of file records", record);
        }
        let sectors = boot.le64(40)?;
        let filesystem = sectors.saturating_mul(sector);
        if filesystem > volume.size() {
            return Err(Distrust::Size {
                filesystem,
                volume: volume.size(),
            });
        }
        let mut ntfs = Self {
            volume,
            cluster,
            clusters: filesystem / cluster,
            record: record as usize,
            mft: Stream::default(),
        };
        let mft = boot.le64(48)?;
        if mft >= ntfs.clusters {
            return range("the place of $MFT", mft);
        }
        let bytes = read(&*ntfs.volume, mft * cluster, ntfs.record, "$MFT")?;
        let base = Record::parse(bytes, MFT)?;
        ntfs.mft = ntfs.stream(&base, DATA, &[], None)?;
        Ok(ntfs)
    }

    /// Whether nobody sleeps in it, and all that was changed is in its place. Tells where the log is.
    pub(crate) fn check_clean(&self) -> Result<Stream, Distrust> {
        hibernation::check(self)?;
        self.check_flags()?;
        let log_file = self.file(LOG_FILE)?;
        log::check(self, &log_file)?;
        Ok(log_file)
    }

    /// Clusters of the volume.
    pub(crate) fn clusters(&self) -> u64 {
        self.clusters
    }

    /// The file record that a reference names, if it is still that of the same file.
    pub(crate) fn follow(&self, reference: u64) -> Result<Option<Record>, Distrust> {
        let record = self.record(reference & record::NUMBER, &self.mft)?;
        let is_same = u64::from(record.sequence()?) == reference >> 48;
        Ok(is_same.then_some(record))
    }

    /// A file record that is in use.
    pub(crate) fn base(&self, number: u64) -> Result<Record, Distrust> {
        self.record(number, &self.mft)
    }

    fn record(&self, number: u64, mft: &Stream) -> Result<Record, Distrust> {
        let what = "a file record";
        let at = number.checked_mul(self.record as u64);
        let at = at.ok_or(Distrust::Range {
            what,
            value: number,
        })?;
        Record::parse(self.read_stream(mft, at, self.record, what)?, number)
    }

    /// The unnamed data of a file.
    fn file(&self, number: u64) -> Result<Stream, Distrust> {
        let base = self.record(number, &self.mft)?;
        self.stream(&base, DATA, &[], Some(&self.mft))
    }

    /// Where an attribute of a system file lies.
    fn stream(
        &self,
        base: &Record,
        kind: u32,
        name: &[u8],
        mft: Option<&Stream>,
    ) -> Result<Stream, Distrust> {
        let what = match self.gather(base, kind, name, mft)? {
            Some(Content::Runs(stream)) => return stream.complete(self.cluster, self.clusters),
            Some(Content::Resident(_)) => "a file is not where it belongs",
            None => "a file has no data",
        };
        Err(Distrust::Damaged { what })
    }

    /// An attribute of a file, if it has it.
    pub(crate) fn attribute(
        &self,
        base: &Record,
        kind: u32,
        name: &[u8],
    ) -> Result<Option<Content>, Distrust> {
        self.gather(base, kind, name, Some(&self.mft))
    }

    /// An attribute of a file, which may go on in records that an attribute list names. Those of
    /// `$MFT` itself lie in what was found of it before: `mft` is `None` then.
    fn gather(
        &self,
        base: &Record,
        kind: u32,
        name: &[u8],
        mft: Option<&Stream>,
    ) -> Result<Option<Content>, Distrust> {
        let mut stream = Stream::default();
        let Some(list) = base.find(ATTRIBUTE_LIST, &[], None)? else {
            let Some(attribute) = base.find(kind, name, Some(0))? else {
                return Ok(None);
            };
            if attribute.is_resident()? {
                return Ok(Some(Content::Resident(attribute.value()?.to_vec())));
            }
            stream.append(attribute, self.clusters)?;
            return Ok(Some(Content::Runs(stream)));
        };
        let mut is_there = false;
        let entries = if list.is_resident()? {
            list.value()?.to_vec()
        } else {
            let mut place = Stream::default();
            place.append(list, self.clusters)?;
            let place = place.complete(self.cluster, self.clusters)?;
            let len = place.size.min(MAX_LIST) as usize;
            self.read_stream(&place, 0, len, "an attribute list")?
        };
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            let len = usize::from(rest.le16(4)?);
            let entry = rest.part(0, len.max(26))?;
            rest = &rest[entry.len()..];
            let its_name = entry.part(entry.byte(7)?.into(), usize::from(entry.byte(6)?) * 2)?;
            if entry.le32(0)? != kind || its_name != name {
                continue;
            }
            let (first, number) = (entry.le64(8)?, entry.le64(16)? & record::NUMBER);
            let elsewhere;
            let record = if number == base.number {
                base
            } else {
                elsewhere = self.record(number, mft.unwrap_or(&stream))?;
                if elsewhere.base()? != base.number {
                    return Err(Distrust::Damaged {
                        what: "an attribute list names another file's record",
                    });
                }
                &elsewhere
            };
            let attribute = record.find(kind, name, Some(first))?;
            let attribute = attribute.ok_or(Distrust::Damaged {
                what: "an attribute list names a record without that attribute",
            })?;
            if attribute.is_resident()? && !is_there {
                return Ok(Some(Content::Resident(attribute.value()?.to_vec())));
            }
            stream.append(attribute, self.clusters)?;
            is_there = true;
        }
        Ok(is_there.then_some(Content::Runs(stream)))
    }

    /// Reads a part of a stream, over the ends of its runs.
    pub(crate) fn read_stream(
        &self,
        stream: &Stream,
        from: u64,
        len: usize,
        what: &'static str,
    ) -> Result<Vec<u8>, Distrust> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = from + bytes.len() as u64;
            let (place, left) = stream
                .find(at, self.cluster)
                .ok_or(Distrust::Range { what, value: at })?;
            let count = left.min((len - bytes.len()) as u64) as usize;
            bytes.extend(read(&*self.volume, place, count, what)?);
        }
        Ok(bytes)
    }

    fn check_flags(&self) -> Result<(), Distrust> {
        let record = self.record(VOLUME, &self.mft)?;
        let information = record
            .find(VOLUME_INFORMATION, &[], None)?
            .ok_or(Distrust::Damaged {
                what: "$Volume has no information",
            })?;
        let value = information.value()?;
        let (major, flags) = (value.byte(8)?, value.le16(10)?);
        if !matches!(major, 1 | 3) {
            return Err(Distrust::Feature {
                what: "version",
                value: major.into(),
            });
        }
        if flags & (DIRTY | CHECKING) != 0 {
            return Err(Distrust::Unclean {
                what: "the volume is marked dirty",
                remedy: REMEDY,
            });
        }
        Ok(())
    }
}

impl Map {
    /// What the filesystem itself lies in has to be used by its own map.
    fn check_used(&self, clusters: Range<u64>) -> Result<(), Distrust> {
        let mut at = clusters.start;
        while at < clusters.end {
            let first = at & !7;
            let bytes = self.bits(first)?;
            let end = clusters.end.min(first + bytes.len() as u64 * 8);
            let is_used = set_runs(&bytes, end - first)
                .any(|run| run.contains(&(at - first)) && run.end == end - first);
            if !is_used {
                return Err(Distrust::Damaged {
                    what: "the bitmap calls clusters unused that the filesystem itself lies in",
                });
            }
            at = end;
        }
        Ok(())
    }

    /// A stretch of the bitmap from a cluster on that is the first of a byte.
    fn bits(&self, first: u64) -> Result<Vec<u8>, Distrust> {
        let len = PIECE.min(self.ntfs.clusters.div_ceil(8) - first / 8) as usize;
        self.ntfs
            .read_stream(&self.bitmap, first / 8, len, "$Bitmap")
    }
}

impl Allocation for Map {
    /// Whole clusters. The rest, and the backup of the boot sector behind it, no map speaks for.
    fn extent(&self) -> u64 {
        self.ntfs.clusters * self.ntfs.cluster
    }

    fn piece(&self, from: u64, used: &mut Vec<Range<u64>>) -> Result<u64, Distrust> {
        let cluster = self.ntfs.cluster;
        let first = (from / cluster) & !7;
        let bytes = self.bits(first)?;
        let count = (bytes.len() as u64 * 8).min(self.ntfs.clusters - first);
        let at = |index: u64| (first + index) * cluster;
        used.extend(set_runs(&bytes, count).map(|run| at(run.start)..at(run.end)));
        Ok(at(count))
    }
}
