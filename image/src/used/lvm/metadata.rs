//! What the description of a volume group says about this physical volume.

use std::collections::HashMap;
use std::ops::Range;

use super::SECTOR;
use super::text::{Section, parse};
use crate::used::Distrust;

/// Segments that are kept, of all volumes together.
const MAX_SEGMENTS: usize = 1 << 14;

/// A stretch of a logical volume, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) logical: Range<u64>,
    /// Where it begins on the physical volume.
    pub(super) physical: u64,
}

/// A volume group of one physical volume and linear logical ones.
#[derive(Debug)]
pub(super) struct Group {
    /// Counts changes.
    pub(super) sequence: u64,
    /// Byte offset of the first extent.
    pub(super) start: u64,
    /// Bytes of an extent.
    extent: u64,
    /// Extents of the physical volume.
    pub(super) extents: u64,
    /// Names and segments.
    pub(super) volumes: Vec<(String, Vec<Segment>)>,
}

const MISSING: Distrust = Distrust::Damaged {
    what: "the description of the volume group lacks something",
};

impl Group {
    /// Parses the text; `id` is that of the physical volume.
    pub(super) fn parse(text: &[u8], id: &[u8]) -> Result<Self, Distrust> {
        let all = parse(text)?;
        let (name, group) = all.sections().next().ok_or(MISSING)?;
        let physical = group.section("physical_volumes").ok_or(MISSING)?;
        let mut members = physical.sections();
        let (member, about) = members.next().ok_or(MISSING)?;
        if members.next().is_some() {
            return Err(Distrust::Arrangement("several physical volumes"));
        }
        let is_this = about
            .text("id")
            .ok_or(MISSING)?
            .bytes()
            .filter(|byte| *byte != b'-');
        if !is_this.eq(id.iter().copied()) {
            return Err(Distrust::Damaged {
                what: "the description is of another physical volume",
            });
        }
        let number = |section: &Section, key: &str| section.number(key).ok_or(MISSING);
        let bytes = |sectors: u64| {
            sectors.checked_mul(SECTOR).ok_or(Distrust::Range {
                what: "a number of sectors",
                value: sectors,
            })
        };
        let mut this = Self {
            sequence: number(group, "seqno")?,
            start: bytes(number(about, "pe_start")?)?,
            extent: bytes(number(group, "extent_size")?)?,
            extents: number(about, "pe_count")?,
            volumes: Vec::new(),
        };
        let all = this.extents.checked_mul(this.extent);
        if this.extent == 0 || all.and_then(|all| all.checked_add(this.start)).is_none() {
            return Err(Distrust::Range {
                what: "the number of extents",
                value: this.extents,
            });
        }
        let mut count = 0;
        for (volume, about) in group
            .section("logical_volumes")
            .into_iter()
            .flat_map(Section::sections)
        {
            let segments = this.segments(about, member)?;
            count += segments.len();
            if count > MAX_SEGMENTS {
                return Err(Distrust::Arrangement("very many segments"));
            }
            this.volumes.push((format!("{name}/{volume}"), segments));
        }
        this.check_apart()?;
        Ok(this)
    }

    /// Whether no extent is in two places: else a small disk could hold thousands of large volumes,
    /// each of which is looked at.
    fn check_apart(&self) -> Result<(), Distrust> {
        let segments = self.volumes.iter().flat_map(|(_, segments)| segments);
        let place = |it: &Segment| (it.physical, it.logical.end - it.logical.start);
        let mut places: Vec<_> = segments.map(place).collect();
        places.sort_unstable();
        let overlap = |pair: &[(u64, u64)]| pair[0].0 + pair[0].1 > pair[1].0;
        if places.windows(2).any(overlap) {
            return Err(Distrust::Damaged {
                what: "two logical volumes overlap",
            });
        }
        Ok(())
    }

    /// Byte offset of an extent.
    pub(super) fn extent_at(&self, number: u64) -> u64 {
        self.start + number * self.extent
    }

    /// The segments of a logical volume, which follow each other from its start.
    fn segments(&self, about: &Section, member: &str) -> Result<Vec<Segment>, Distrust> {
        let mut segments: Vec<Segment> = Vec::new();
        let mut next = 0;
        let by_name: HashMap<_, _> = about.sections().collect();
        for number in 1..=about.number("segment_count").ok_or(MISSING)? {
            let name = format!("segment{number}");
            let segment = *by_name.get(name.as_str()).ok_or(MISSING)?;
            let is_linear = segment.text("type") == Some("striped")
                && segment.number("stripe_count") == Some(1);
            let stripe = segment.pair("stripes");
            let (true, Some((owner, first))) = (is_linear, stripe) else {
                return Err(Distrust::Arrangement("logical volumes that are not linear"));
            };
            let start = segment.number("start_extent").ok_or(MISSING)?;
            let count = segment.number("extent_count").ok_or(MISSING)?;
            let is_inside = first
                .checked_add(count)
                .is_some_and(|end| end <= self.extents);
            if owner != member || start != next || count == 0 || !is_inside {
                return Err(Distrust::Range {
                    what: "a segment of a logical volume",
                    value: first,
                });
            }
            next += count;
            if next > self.extents || segments.len() > MAX_SEGMENTS {
                return Err(Distrust::Range {
                    what: "the length of a logical volume",
                    value: next,
                });
            }
            segments.push(Segment {
                logical: start * self.extent..next * self.extent,
                physical: self.extent_at(first),
            });
        }
        Ok(segments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The description of a group with these volumes, each in one segment.
    fn group(volumes: &[(u64, u64)]) -> String {
        let mut text = "vg {\nseqno = 1\nextent_size = 8\nphysical_volumes {\npv0 {\nid = \"x\"\n\
                        pe_start = 2048\npe_count = 100\n}\n}\nlogical_volumes {\n"
            .to_owned();
        for (index, (start, count)) in volumes.iter().enumerate() {
            text += &format!(
                "v{index} {{\nsegment_count = 1\nsegment1 {{\nstart_extent = 0\n\
                 extent_count = {count}\ntype = \"striped\"\nstripe_count = 1\n\
                 stripes = [\"pv0\", {start}]\n}}\n}}\n"
            );
        }
        text + "}\n}\n"
    }

    #[test]
    fn volumes_that_share_extents_are_no_group() {
        let parse = |volumes: &[(u64, u64)]| Group::parse(group(volumes).as_bytes(), b"x");
        let two = parse(&[(10, 90), (0, 10)]).unwrap();
        assert_eq!(two.volumes[0].1[0].physical, (2048 + 80) * SECTOR);
        for shared in [[(0, 10), (9, 1)], [(5, 5), (5, 5)], [(0, 100), (50, 1)]] {
            let why = parse(&shared).unwrap_err().to_string();
            assert!(why.contains("overlap"), "{why}");
        }
    }
}
