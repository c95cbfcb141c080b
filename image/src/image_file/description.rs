//! What an image file says of its disk, for people and scripts: JSON in a frame of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::part::{self, Part};
use super::{Damage, DiskDigest};

/// The longest description; labels are short, and a disk has few partitions.
pub(super) const MAX_LEN: u64 = 4 << 20;

/// What is on the disk, and where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// What made the file, with its version.
    pub tool: String,
    /// When it was begun, RFC 3339 in UTC.
    pub created: String,
    /// What was read, as its operator saw it.
    pub source: String,
    /// How hard it was compressed, as `--level` takes it.
    pub level: String,
    /// Bytes of a logical sector, where it is known.
    pub sector_size: Option<u32>,
    /// Bytes that the filesystems use, where their maps were asked.
    pub used: Option<u64>,
    /// BLAKE3 of the disk with unused areas as zeros, where it was computed: what `b3sum` says.
    pub blake3: Option<String>,
    /// How often blocks are stored, zeros, unused.
    pub blocks: Blocks,
    /// The partition table and what is in each partition, as `mimeo-image info` shows them.
    pub layout: Option<crate::used::Summary>,
    /// What the operator says about it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Numbers of blocks of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// Stored.
    pub data: u64,
    /// Zeros.
    pub zero: u64,
    /// Not used by any filesystem.
    pub unused: u64,
}

impl Description {
    /// The digest of the disk, if it is stated.
    #[must_use]
    pub fn disk_digest(&self) -> Option<DiskDigest> {
        let text = self.blake3.as_deref()?;
        let digest = blake3::Hash::from_hex(text).ok()?;
        Some(DiskDigest(digest.into()))
    }

    /// As it is in the file; `None` if it is too long.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let json = serde_json::to_vec(self).ok()?;
        let mut frame = part::begin(Part::Description, json.len());
        frame.extend(json);
        (frame.len() as u64 <= MAX_LEN).then_some(frame)
    }

    pub(super) fn decode(frame: &[u8]) -> Result<Self, Damage> {
        let json = part::content(Part::Description, frame)?;
        let description: Self =
            serde_json::from_slice(json).map_err(|error| Damage::Description(error.to_string()))?;
        match (&description.blake3, description.disk_digest()) {
            (Some(text), None) => Err(Damage::Description(format!("no BLAKE3 hash: {text:?}"))),
            _ => Ok(description),
        }
    }
}
