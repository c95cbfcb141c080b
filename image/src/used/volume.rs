//! One volume: what it holds, and whether its map is believed.

use std::sync::Arc;

use super::lvm::{self, LogicalVolume};
use super::map::{Allocation, Fill, check};
use super::read::Reader;
use super::{Distrust, Signature, btrfs, exfat, ext, fat, ntfs, signature, swap, xfs};

/// Whether a volume's map is believed.
#[derive(Debug)]
pub enum Verdict {
    /// It is; this many bytes are used.
    Trusted {
        /// Bytes of the volume, those behind the filesystem's end included.
        used: u64,
    },
    /// It is not: the volume counts as used throughout.
    Whole(Distrust),
}

/// What was found on a partition, a disk without partitions, or a logical volume.
#[derive(Debug)]
pub struct Volume {
    /// Everything that it shows signs of.
    pub signatures: Vec<Signature>,
    /// Whether its map is believed.
    pub verdict: Verdict,
    /// Of a physical volume whose map is believed: what lies on it.
    pub logical: Vec<LogicalVolume>,
    map: Option<Arc<dyn Allocation>>,
}

/// A map, and the logical volumes that it was put together from.
type Found = (Arc<dyn Allocation>, Vec<LogicalVolume>);

impl Volume {
    /// A volume whose content is not looked at.
    pub(crate) fn unexamined(why: Distrust) -> Self {
        Self::whole(Vec::new(), why)
    }

    fn whole(signatures: Vec<Signature>, why: Distrust) -> Self {
        Self {
            signatures,
            verdict: Verdict::Whole(why),
            logical: Vec::new(),
            map: None,
        }
    }

    /// Looks for a filesystem and checks its map.
    pub(crate) fn examine(reader: &Reader) -> Self {
        Self::examine_by(reader, |signature| match signature {
            Signature::Lvm => {
                let (map, volumes) = lvm::open(reader)?;
                Ok((Arc::new(map), volumes))
            }
            other => Ok((open(other, reader)?, Vec::new())),
        })
    }

    /// The same of a logical volume, in which no others are looked for.
    pub(crate) fn examine_inner(reader: &Reader) -> Self {
        Self::examine_by(reader, |signature| {
            Ok((open(signature, reader)?, Vec::new()))
        })
    }

    fn examine_by(reader: &Reader, open: impl Fn(Signature) -> Result<Found, Distrust>) -> Self {
        let signatures = match signature::find(&**reader) {
            Ok(signatures) => signatures,
            Err(why) => return Self::unexamined(why),
        };
        let found = match signatures.as_slice() {
            [] => Err(Distrust::Unknown),
            [one] => open(*one),
            several => Err(Distrust::Ambiguous(several.to_vec())),
        };
        match found.and_then(|(map, logical)| Ok((used(&*map, reader)?, map, logical))) {
            Ok((used, map, logical)) => Self {
                signatures,
                verdict: Verdict::Trusted { used },
                logical,
                map: Some(map),
            },
            Err(why) => Self::whole(signatures, why),
        }
    }

    /// The trusted map, for the start of the volume; behind it all is used.
    pub(crate) fn fill(&self) -> Option<(u64, Fill)> {
        let map = self.map.as_ref()?;
        Some((map.extent(), Fill::Mapped(Arc::clone(map), 0)))
    }

    /// Why it should not be imaged at all, if so: a system sleeps in it.
    #[must_use]
    pub fn refusal(&self) -> Option<&Distrust> {
        match &self.verdict {
            Verdict::Whole(why) if why.is_refusal() => Some(why),
            _ => self.logical.iter().find_map(|inner| inner.volume.refusal()),
        }
    }
}

/// Used bytes of a volume, by a map that is checked, and behind its end.
fn used(map: &dyn Allocation, reader: &Reader) -> Result<u64, Distrust> {
    if map.extent() > reader.size() {
        return Err(Distrust::Size {
            filesystem: map.extent(),
            volume: reader.size(),
        });
    }
    Ok(check(map)? + (reader.size() - map.extent()))
}

/// Opens the filesystem that the one signature shows.
fn open(signature: Signature, reader: &Reader) -> Result<Arc<dyn Allocation>, Distrust> {
    let open = match signature {
        Signature::Ext => ext::open,
        Signature::Ntfs => ntfs::open,
        Signature::Fat => fat::open,
        Signature::ExFat => exfat::open,
        Signature::Xfs => xfs::open,
        Signature::Btrfs => btrfs::open,
        Signature::Swap => return swap::open(reader),
        other => return Err(Distrust::NoMap(other)),
    };
    open(Arc::clone(reader))
}
