//! Used-block maps of real filesystems, made by their own tools.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod btrfs;
#[path = "../common/mod.rs"]
mod common;
mod counts;
mod damage;
mod exfat;
mod ext;
mod fat;
mod fixture;
mod lvm;
mod ntfs;
mod source;
mod swap;
mod table;
mod volumes;
mod xfs;
