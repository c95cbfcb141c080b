//! One volume: what it holds, and whether its map is believed.

use std::sync::Arc;

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
    map: Option<Arc<dyn Allocation>>,
}

impl Volume {
    /// A volume whose content is not looked at.
    pub(crate) fn unexamined(why: Distrust) -> Self {
        Self {
            signatures: Vec::new(),
            verdict: Verdict::Whole(why),
            map: None,
        }
    }

    /// Looks for a filesystem and checks its map.
    pub(crate) fn examine(reader: &Reader) -> Self {
        let signatures = match signature::find(&**reader) {
            Ok(signatures) => signatures,
            Err(why) => return Self::unexamined(why),
        };
        match open(&signatures, reader).and_then(|map| Ok((check(&*map)?, map))) {
            Ok((told, map)) => Self {
                signatures,
                verdict: Verdict::Trusted {
                    used: told + (reader.size() - map.extent()),
                },
                map: Some(map),
            },
            Err(why) => Self {
                signatures,
                verdict: Verdict::Whole(why),
                map: None,
            },
        }
    }

    /// The trusted map, for the start of the volume; behind it all is used.
    pub(crate) fn fill(&self) -> Option<(u64, Fill)> {
        let map = self.map.as_ref()?;
        Some((map.extent(), Fill::Mapped(Arc::clone(map), 0)))
    }
}

/// Opens the one filesystem that the signatures show.
fn open(signatures: &[Signature], reader: &Reader) -> Result<Arc<dyn Allocation>, Distrust> {
    let map = match signatures {
        [] => return Err(Distrust::Unknown),
        [one] => match one {
            Signature::Ext => ext::open(Arc::clone(reader)),
            Signature::Fat => fat::open(Arc::clone(reader)),
            Signature::Swap => swap::open(reader),
            Signature::Xfs => xfs::open(Arc::clone(reader)),
            Signature::Btrfs => btrfs::open(Arc::clone(reader)),
            Signature::Ntfs => ntfs::open(Arc::clone(reader)),
            Signature::ExFat => exfat::open(Arc::clone(reader)),
            other => Err(Distrust::NoMap(*other)),
        }?,
        several => return Err(Distrust::Ambiguous(several.to_vec())),
    };
    if map.extent() > reader.size() {
        return Err(Distrust::Size {
            filesystem: map.extent(),
            volume: reader.size(),
        });
    }
    Ok(map)
}
