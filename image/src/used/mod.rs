//! Which bytes of a disk are in use, by the allocation maps of its filesystems.
//!
//! [`Layout::examine`] reads the partition table and, of each partition, the
//! one filesystem that it holds; nothing is mounted and nothing is written. A
//! filesystem's map is trusted only if everything about it agrees: one
//! signature, known features, a size that fits, a clean state, and the counts
//! and checksums of the map itself. Otherwise [`Distrust`] says why, and the
//! partition counts as used throughout. Bytes that no map speaks for (gaps,
//! boot areas, what lies behind a filesystem's end) are always used.
//!
//! [`UsedMap`] tells the used ranges in order, piece by piece from the disk:
//! what is kept in memory does not grow with the disk.

mod bits;
pub mod checksum;
mod distrust;
mod layout;
mod map;
pub(crate) mod partition;
mod pieces;
pub(crate) mod read;
mod remark;
pub(crate) mod signature;
mod summary;
mod volume;

mod btrfs;
mod exfat;
pub(crate) mod ext;
pub(crate) mod fat;
pub(crate) mod lvm;
pub(crate) mod ntfs;
pub(crate) mod swap;
mod xfs;

pub use distrust::Distrust;
pub use layout::{Area, Layout};
pub use lvm::LogicalVolume;
pub use map::{Runs, UsedMap};
pub use partition::{Partition, Scheme, TableProblem};
pub(crate) use pieces::Pieces;
pub use read::ReadAt;
pub use remark::Remark;
pub use signature::Signature;
pub use summary::{AreaSummary, LogicalSummary, Summary, TableSummary, VolumeSummary};
pub use volume::{Verdict, Volume};

#[cfg(test)]
pub(crate) use map::Fill;
#[cfg(test)]
mod memory;
