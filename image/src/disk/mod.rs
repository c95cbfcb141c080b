//! Block devices: which exist, what they are, what they hold, who uses them.
//!
//! The inventory is read from sysfs, mounts from `/proc/self/mountinfo`, swap
//! from `/proc/swaps`. [`System`] bundles the three, so that everything here
//! can be tested with a directory of made-up files.

mod auto;
mod device;
mod identity;
mod inventory;
mod mounts;
mod probe;
mod sysfs;
mod usage;

pub use auto::{Candidate, Obstacle, candidates};
pub use device::{Attachment, BlockDevice, DeviceNumber, Disk, Partition};
pub use inventory::System;
pub use mounts::Mount;
pub use probe::{Signature, probe};
pub use usage::{Use, is_claimed};

#[cfg(test)]
pub(crate) mod fake;
