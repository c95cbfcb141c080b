//! Images of disks on disks that are larger or smaller, judged by sgdisk, sfdisk and libblkid.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod fixture;
mod lengths;
mod tables;
