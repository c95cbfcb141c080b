//! LVM2: a physical volume whose logical volumes are examined one by one.
//!
//! Followed are linear volumes on this one physical volume; with anything else
//! (several volumes, stripes, mirrors, snapshots, thin pools, caches) what a
//! logical volume begins with need not be a filesystem of its own, so all of it
//! is copied. Source: LVM2's lib/format_text/layout.h and the man pages
//! `lvmraid(7)`, `vgcfgbackup(8)`; the checksum is CRC-32 from a start of its own.

mod metadata;
mod text;

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;

use super::map::{Fill, UsedMap};
use super::read::{Fields, Reader, read};
use super::{Distrust, ReadAt, Volume, checksum};
use metadata::{Group, Segment};

/// Sectors that a label may lie in, of 512 bytes whatever the disk has.
const LABELS: u64 = 4;
const SECTOR: u64 = 512;

/// What checksums begin with (`INITIAL_CRC`).
const CHECKSUM_START: u32 = 0xf597_a6cf;

const MAGIC: &[u8] = b" LVM2 x[5A%r0N*>";

/// Bytes in front of the text in a metadata area.
const AREA_HEADER: u64 = 512;

/// Bytes of text that are read.
const MAX_TEXT: u64 = 16 << 20;

/// A logical volume and what was found on it.
#[derive(Debug)]
pub struct LogicalVolume {
    /// `group/volume`.
    pub name: String,
    /// Bytes.
    pub len: u64,
    /// What it holds.
    pub volume: Volume,
}

/// Reads the metadata and examines every logical volume.
pub(crate) fn open(volume: &Reader) -> Result<(UsedMap, Vec<LogicalVolume>), Distrust> {
    let group = find_group(&**volume)?;
    let end = group.extent_at(group.extents);
    if end > volume.size() {
        return Err(Distrust::Size {
            filesystem: end,
            volume: volume.size(),
        });
    }
    let mut parts = Vec::new();
    if group.start > 0 {
        parts.push((0..group.start, Fill::Used));
    }
    let mut volumes = Vec::new();
    for (name, segments) in &group.volumes {
        let linear = Linear::new(Arc::clone(volume), segments);
        let len = linear.len;
        let reader: Reader = Arc::new(linear);
        let found = Volume::examine_inner(&reader);
        parts.extend(segments.iter().flat_map(|segment| fills(segment, &found)));
        volumes.push(LogicalVolume {
            name: name.clone(),
            len,
            volume: found,
        });
    }
    // Extents that no volume has are unused.
    let map = UsedMap::new(end, parts, &Fill::Unused).ok_or(Distrust::Damaged {
        what: "two logical volumes overlap",
    })?;
    Ok((map, volumes))
}

/// The logical volumes with their names, each as one range of bytes.
pub(crate) fn volumes(volume: &Reader) -> Result<Vec<(String, Arc<Linear>)>, Distrust> {
    let group = find_group(&**volume)?;
    let linear = |(name, segments): &(String, Vec<Segment>)| {
        (
            name.clone(),
            Arc::new(Linear::new(Arc::clone(volume), segments)),
        )
    };
    Ok(group.volumes.iter().map(linear).collect())
}

/// The ranges of the physical volume that a segment takes: what its map speaks for, and the rest.
fn fills(segment: &Segment, found: &Volume) -> Vec<(Range<u64>, Fill)> {
    let Range { start, end } = segment.logical;
    let place = segment.physical..segment.physical + (end - start);
    let Some((extent, Fill::Mapped(map, _))) = found.fill() else {
        return vec![(place, Fill::Used)];
    };
    let split = extent.clamp(start, end) - start + place.start;
    let mapped = (place.start..split, Fill::Mapped(map, start));
    let rest = (split..place.end, Fill::Used);
    let parts = [mapped, rest].into_iter();
    parts.filter(|(range, _)| !range.is_empty()).collect()
}

/// A logical volume as one range of bytes.
#[derive(Debug)]
pub(crate) struct Linear {
    physical: Reader,
    segments: Vec<Segment>,
    len: u64,
}

impl Linear {
    fn new(physical: Reader, segments: &[Segment]) -> Self {
        Self {
            physical,
            segments: segments.to_vec(),
            len: segments.last().map_or(0, |segment| segment.logical.end),
        }
    }
}

impl Linear {
    /// Where bytes of it lie on the physical volume, in order.
    pub(crate) fn places(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let place = |segment: &Segment| {
            let start = range.start.max(segment.logical.start);
            let end = range.end.min(segment.logical.end);
            let at = |offset: u64| segment.physical + (offset - segment.logical.start);
            (start < end).then(|| at(start)..at(end))
        };
        self.segments.iter().filter_map(place).collect()
    }
}

impl ReadAt for Linear {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            let index = self
                .segments
                .partition_point(|segment| segment.logical.end <= at);
            let segment = self.segments.get(index).ok_or(ErrorKind::UnexpectedEof)?;
            let left = usize::try_from(segment.logical.end - at).unwrap_or(usize::MAX);
            let end = buffer.len().min(filled.saturating_add(left));
            let place = segment.physical + (at - segment.logical.start);
            self.physical
                .read_exact_at(place, &mut buffer[filled..end])?;
            filled = end;
        }
        Ok(())
    }
}

/// The latest description of the group in any of the metadata areas.
fn find_group(volume: &dyn ReadAt) -> Result<Group, Distrust> {
    let header = label(volume)?;
    let id = header.part(0, 32)?.to_vec();
    // The lists of data areas and of metadata areas both end with a pair of zeros.
    let mut at = 40;
    let mut lists = Vec::new();
    for _ in 0..2 {
        let mut list = Vec::new();
        loop {
            let area = (header.le64(at)?, header.le64(at + 8)?);
            at += 16;
            if area == (0, 0) {
                break;
            }
            list.push(area);
        }
        lists.push(list);
    }
    let areas = lists.pop().unwrap_or_default();
    let mut latest: Option<Group> = None;
    let mut problem = Distrust::Arrangement("no metadata on this physical volume");
    for area in areas {
        match area_text(volume, area).and_then(|text| Group::parse(&text, &id)) {
            Ok(group)
                if latest
                    .as_ref()
                    .is_none_or(|it| it.sequence < group.sequence) =>
            {
                latest = Some(group);
            }
            Ok(_) => {}
            Err(error) => problem = error,
        }
    }
    latest.ok_or(problem)
}

/// The header of the physical volume, from the one label.
fn label(volume: &dyn ReadAt) -> Result<Vec<u8>, Distrust> {
    for number in 0..LABELS {
        let sector = read(volume, number * SECTOR, SECTOR as usize, "the label")?;
        if sector.part(0, 8)? != b"LABELONE" {
            continue;
        }
        let is = checksum::crc32_raw(CHECKSUM_START, sector.part(20, 492)?);
        if is != sector.le32(16)? || sector.le64(8)? != number {
            return Err(Distrust::Checksum { what: "the label" });
        }
        if sector.part(24, 8)? != b"LVM2 001" {
            return Err(Distrust::Feature {
                what: "label type",
                value: sector.le64(24)?,
            });
        }
        let at = sector.le32(20)? as usize;
        return Ok(sector.get(at..).unwrap_or_default().to_vec());
    }
    Err(Distrust::Damaged {
        what: "there is no label",
    })
}

/// The text that a metadata area says is the current one. It may go on at the area's start.
fn area_text(volume: &dyn ReadAt, (start, len): (u64, u64)) -> Result<Vec<u8>, Distrust> {
    let what = "a metadata area";
    let header = read(volume, start, AREA_HEADER as usize, what)?;
    let is = checksum::crc32_raw(CHECKSUM_START, header.part(4, 508)?);
    if is != header.le32(0)? || header.part(4, 16)? != MAGIC {
        return Err(Distrust::Checksum { what });
    }
    let version = header.le32(20)?;
    if version != 1 {
        return Err(Distrust::Feature {
            what: "metadata version",
            value: version.into(),
        });
    }
    let (offset, size) = (header.le64(40)?, header.le64(48)?);
    let fits =
        (AREA_HEADER..len).contains(&offset) && size <= len - AREA_HEADER && size <= MAX_TEXT;
    if header.le64(24)? != start || header.le64(32)? != len || !fits || size == 0 {
        return Err(Distrust::Range {
            what,
            value: offset,
        });
    }
    let first = size.min(len - offset);
    let at = start.saturating_add(offset);
    let mut text = read(volume, at, first as usize, what)?;
    text.extend(read(
        volume,
        start + AREA_HEADER,
        (size - first) as usize,
        what,
    )?);
    if checksum::crc32_raw(CHECKSUM_START, &text) != header.le32(56)? {
        return Err(Distrust::Checksum {
            what: "the description of the volume group",
        });
    }
    Ok(text)
}
