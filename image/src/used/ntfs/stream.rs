//! Where the content of an attribute lies: data runs.

use std::ops::Range;

use super::record::Attribute;
use crate::used::Distrust;
use crate::used::read::Fields;

/// Runs that are kept, 24 MiB of them; what is in more pieces is not followed.
const MAX_RUNS: usize = 1 << 20;

/// Clusters of an attribute, holes included: as bytes they fit 63 bits, whatever the cluster size.
const MAX_CLUSTERS: u64 = 1 << 42;

/// Attributes whose content is not what lies in their runs: compressed, encrypted.
pub(crate) const COMPRESSED: u16 = 0x00ff;
pub(crate) const ENCRYPTED: u16 = 0x4000;

/// The runs of an attribute, in order.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Bytes.
    pub(crate) size: u64,
    /// Bytes that were written; the rest reads as zeros.
    pub(crate) initialized: u64,
    /// Compressed, encrypted, sparse: what any part of it says.
    pub(crate) flags: u16,
    runs: Vec<Run>,
}

/// Clusters that follow each other.
#[derive(Debug)]
pub(crate) struct Run {
    /// Clusters, counted in the attribute.
    pub(crate) index: Range<u64>,
    /// The first one, counted on the volume; `None` for a hole.
    pub(crate) start: Option<u64>,
}

impl Run {
    fn len(&self) -> u64 {
        self.index.end - self.index.start
    }

    /// Its clusters, counted on the volume.
    fn place(&self) -> Option<Range<u64>> {
        let start = self.start?;
        Some(start..start + self.len())
    }
}

impl Stream {
    /// Clusters found so far.
    fn end(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.index.end)
    }

    /// Adds the runs of the next part of an attribute on a volume of `clusters`.
    ///
    /// A run is a byte with the lengths of two numbers, the count of clusters, and the distance
    /// from the run before ("Data Runs").
    pub(super) fn append(
        &mut self,
        attribute: Attribute<'_>,
        clusters: u64,
    ) -> Result<(), Distrust> {
        if attribute.is_resident()? {
            return Err(Distrust::Damaged {
                what: "a file is not where it belongs",
            });
        }
        if attribute.first()? != self.end() {
            return Err(Distrust::Damaged {
                what: "the parts of a file do not follow each other",
            });
        }
        self.flags |= attribute.0.le16(12)?;
        if self.runs.is_empty() {
            self.size = attribute.0.le64(0x30)?;
            self.initialized = attribute.0.le64(0x38)?;
        }
        let mut at = usize::from(attribute.0.le16(0x20)?);
        let mut start = 0_i64;
        loop {
            let head = attribute.0.byte(at)?;
            if head == 0 {
                break;
            }
            let (count, distance) = (usize::from(head & 0xf), usize::from(head >> 4));
            let len = signed(attribute.0.part(at + 1, count)?)?;
            start = start.wrapping_add(signed(attribute.0.part(at + 1 + count, distance)?)?);
            at += 1 + count + distance;
            // No distance at all stands for a hole.
            let is_hole = distance == 0;
            let place = u64::try_from(start).ok().zip(u64::try_from(len).ok());
            let place = place.filter(|(start, len)| {
                let end = start.checked_add(*len);
                *len > 0 && (is_hole || end.is_some_and(|end| end <= clusters))
            });
            let Some((start, len)) = place else {
                return Err(Distrust::Range {
                    what: "a data run",
                    value: start.cast_unsigned(),
                });
            };
            self.push((!is_hole).then_some(start), len)?;
        }
        Ok(())
    }

    fn push(&mut self, start: Option<u64>, len: u64) -> Result<(), Distrust> {
        let end = self.end();
        let stop = end.checked_add(len).filter(|stop| *stop <= MAX_CLUSTERS);
        let stop = stop.ok_or(Distrust::Range {
            what: "a data run",
            value: len,
        })?;
        if self.runs.len() > MAX_RUNS {
            return Err(Distrust::Arrangement("a file in very many pieces"));
        }
        match self.runs.last_mut() {
            Some(run) if start.is_some() && run.place().map(|it| it.end) == start => {
                run.index.end = stop;
            }
            _ => self.runs.push(Run {
                index: end..stop,
                start,
            }),
        }
        Ok(())
    }

    /// Whether all of a system file was found, in clusters of its own.
    pub(super) fn complete(self, cluster: u64, clusters: u64) -> Result<Self, Distrust> {
        if self.flags != 0 {
            return Err(Distrust::Arrangement("compressed system files"));
        }
        if let Some(hole) = self.runs.iter().find(|run| run.start.is_none()) {
            return Err(Distrust::Range {
                what: "a data run",
                value: hole.index.start,
            });
        }
        if self.end() > clusters {
            return Err(Distrust::Damaged {
                what: "a system file is larger than the volume",
            });
        }
        let found = self.end().saturating_mul(cluster);
        if found < self.size {
            return Err(Distrust::Count {
                what: "the length of a system file",
                expected: self.size,
                found,
            });
        }
        Ok(self)
    }

    /// The byte offset on the volume of a byte of the stream, and how many follow there.
    pub(super) fn find(&self, offset: u64, cluster: u64) -> Option<(u64, u64)> {
        let index = offset / cluster;
        let run = self.runs.partition_point(|run| run.index.end <= index);
        let run = self.runs.get(run)?;
        let inside = offset - run.index.start * cluster;
        Some((run.start? * cluster + inside, run.len() * cluster - inside))
    }

    /// In order and without gaps, from the attribute's first cluster on.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Clusters of the volume that it lies in.
    pub(super) fn places(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.runs.iter().filter_map(Run::place)
    }
}

/// A little-endian number of up to eight bytes, with its sign.
fn signed(bytes: &[u8]) -> Result<i64, Distrust> {
    let mut wide = match bytes.last() {
        Some(last) if last & 0x80 != 0 => [0xff; 8],
        _ => [0; 8],
    };
    let Some(low) = wide.get_mut(..bytes.len()) else {
        return Err(Distrust::Damaged {
            what: "a data run has more than eight bytes",
        });
    };
    low.copy_from_slice(bytes);
    Ok(i64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_sign_and_length() {
        let value = |bytes: &[u8]| signed(bytes).ok();
        assert_eq!(value(&[]), Some(0));
        assert_eq!(value(&[0x7f]), Some(127));
        assert_eq!(value(&[0x80]), Some(-128));
        assert_eq!(value(&[0x00, 0x80, 0x00]), Some(0x8000));
        assert_eq!(value(&[0xff; 8]), Some(-1));
        assert_eq!(value(&[1; 9]), None);
    }
}
