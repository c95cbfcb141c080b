//! What an operator is told about the maps of a disk.

use std::fmt::Write as _;

use super::{Area, Distrust, Layout, Verdict, Volume};
use crate::ByteSize;

/// A line about one partition, or about a disk that is not divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Whether it costs more than it has to: something can be mended on the reference machine.
    pub is_warning: bool,
    /// `partition 2 (NTFS): 20.1 GB of 100.0 GB used`
    pub text: String,
}

impl Layout {
    /// What is used of each area, and which are copied whole, and why.
    #[must_use]
    pub fn remarks(&self) -> Vec<Remark> {
        self.areas.iter().map(remark).collect()
    }
}

fn remark(area: &Area) -> Remark {
    let volume = &area.volume;
    let len = ByteSize(area.place.end - area.place.start);
    let mut text = area.name();
    let names: Vec<_> = volume.signatures.iter().map(ToString::to_string).collect();
    if !names.is_empty() {
        // A string takes everything; so below.
        let _ = write!(text, " ({})", names.join(", "));
    }
    let mut is_warning = is_mendable(volume);
    let _ = match &volume.verdict {
        Verdict::Trusted { used } => write!(text, ": {} of {len} used", ByteSize(*used)),
        Verdict::Whole(why) => write!(text, ": copied whole, {len}: {why}"),
    };
    for inner in &volume.logical {
        if let Verdict::Whole(why) = &inner.volume.verdict {
            let len = ByteSize(inner.len);
            let _ = write!(text, "; {} copied whole, {len}: {why}", inner.name);
            is_warning |= is_mendable(&inner.volume);
        }
    }
    Remark { is_warning, text }
}

/// Whether it is copied whole for a reason that is not in the nature of what it holds.
fn is_mendable(volume: &Volume) -> bool {
    match &volume.verdict {
        Verdict::Trusted { .. } => false,
        Verdict::Whole(why) => !matches!(
            why,
            Distrust::Unknown | Distrust::NoMap(_) | Distrust::Feature { .. }
        ),
    }
}
