//! A layout in numbers and words: what is shown of it, and what an image file keeps.

use serde::{Deserialize, Serialize};

use super::{Area, Layout, LogicalVolume, Scheme, Verdict, Volume};

/// What was found out about a disk. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Of the disk.
    pub length: u64,
    /// Bytes of it that are used.
    pub used: u64,
    /// How it is divided.
    pub table: TableSummary,
    /// Each partition, or the whole disk.
    pub areas: Vec<AreaSummary>,
}

/// A partition table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSummary {
    /// `gpt`, `mbr`, `none`, or `unclear`.
    pub kind: String,
    /// Bytes of a logical sector, as the table's place tells.
    pub sector_size: Option<u32>,
    /// Whether only a GPT's backup could be read.
    pub backup: bool,
}

/// A partition, or a disk that is not divided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaSummary {
    /// Number in the table; none of a whole disk.
    pub number: Option<u32>,
    /// Name in the table.
    pub name: Option<String>,
    /// Type in the table.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Where it begins.
    pub start: u64,
    /// What it holds.
    #[serde(flatten)]
    pub volume: VolumeSummary,
    /// The logical volumes that lie on it.
    pub logical: Vec<LogicalSummary>,
}

/// What a partition or logical volume holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSummary {
    /// Of the volume.
    pub length: u64,
    /// What it shows signs of.
    pub holds: Vec<String>,
    /// Bytes of it that count as used.
    pub used: u64,
    /// Whether its filesystem's map is believed.
    pub trusted: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Whether a system sleeps on it.
    pub hibernated: bool,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogicalSummary {
    /// Its name.
    pub name: String,
    /// What it holds.
    #[serde(flatten)]
    pub volume: VolumeSummary,
}

impl Summary {
    /// Of a layout.
    #[must_use]
    pub fn of(layout: &Layout) -> Self {
        Self {
            length: layout.map().disk_len(),
            used: layout.used(),
            table: layout.scheme.into(),
            areas: layout.areas.iter().map(Into::into).collect(),
        }
    }
}

impl From<Scheme> for TableSummary {
    fn from(scheme: Scheme) -> Self {
        let (kind, sector_size, backup) = match scheme {
            Scheme::Gpt { sector, backup } => ("gpt", Some(sector), backup),
            Scheme::Mbr => ("mbr", Some(512), false),
            Scheme::None => ("none", None, false),
            Scheme::Unclear => ("unclear", None, false),
        };
        Self {
            kind: kind.to_owned(),
            sector_size,
            backup,
        }
    }
}

impl From<&Area> for AreaSummary {
    fn from(area: &Area) -> Self {
        let partition = area.partition.as_ref();
        let logical = |inner: &LogicalVolume| LogicalSummary {
            name: inner.name.clone(),
            volume: VolumeSummary::of(&inner.volume, inner.len),
        };
        Self {
            number: partition.map(|it| it.number),
            name: partition.map(|it| it.name.clone()),
            kind: partition.map(|it| it.kind.clone()),
            start: area.place.start,
            volume: VolumeSummary::of(&area.volume, area.place.end - area.place.start),
            logical: area.volume.logical.iter().map(logical).collect(),
        }
    }
}

impl VolumeSummary {
    fn of(volume: &Volume, length: u64) -> Self {
        let (used, reason) = match &volume.verdict {
            Verdict::Trusted { used } => (*used, None),
            Verdict::Whole(why) => (length, Some(why.to_string())),
        };
        Self {
            length,
            holds: volume.signatures.iter().map(ToString::to_string).collect(),
            used,
            trusted: reason.is_none(),
            reason,
            hibernated: volume.refusal().is_some(),
        }
    }
}
