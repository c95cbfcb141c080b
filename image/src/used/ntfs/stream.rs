//! Where the content of an attribute lies: data runs.

use std::ops::Range;

use super::record::Attribute;
use crate::used::Distrust;
use crate::used::read::Fields;

/// Runs that are kept, 24 MiB of them; what is in more pieces is not followed.
const MAX_RUNS: usize = 1 << 20;

/// The runs of an attribute, in order.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Bytes.
    pub(super) size: u64,
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    /// Clusters, counted in the attribute.
    index: Range<u64>,
    /// The first one, counted on the volume.
    start: u64,
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
        // Compressed, sparse or encrypted: none of the files that are followed is.
        if attribute.0.le16(12)? != 0 {
            return Err(Distrust::Arrangement("compressed system files"));
        }
        if self.runs.is_empty() {
            self.size = attribute.0.le64(0x30)?;
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
            let place = u64::try_from(start).ok().zip(u64::try_from(len).ok());
            let place = place.filter(|(start, len)| {
                *len > 0
                    && distance > 0
                    && start.checked_add(*len).is_some_and(|end| end <= clusters)
            });
            let Some((start, len)) = place else {
                return Err(Distrust::Range {
                    what: "a data run",
                    value: start.cast_unsigned(),
                });
            };
            self.push(start, len, clusters)?;
        }
        Ok(())
    }

    fn push(&mut self, start: u64, len: u64, clusters: u64) -> Result<(), Distrust> {
        let end = self.end();
        if len > clusters - end {
            return Err(Distrust::Damaged {
                what: "a system file is larger than the volume",
            });
        }
        if self.runs.len() > MAX_RUNS {
            return Err(Distrust::Arrangement("a system file in very many pieces"));
        }
        match self.runs.last_mut() {
            Some(run) if run.start + (run.index.end - run.index.start) == start => {
                run.index.end += len;
            }
            _ => self.runs.push(Run {
                index: end..end + len,
                start,
            }),
        }
        Ok(())
    }

    /// Whether all of it was found.
    pub(super) fn complete(self, cluster: u64) -> Result<Self, Distrust> {
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
        let len = (run.index.end - run.index.start) * cluster;
        Some((run.start * cluster + inside, len - inside))
    }

    /// Clusters of the volume that it lies in.
    pub(super) fn places(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let place = |run: &Run| run.start..run.start + (run.index.end - run.index.start);
        self.runs.iter().map(place)
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
