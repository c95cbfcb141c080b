//! `mimeo-image mount`, looked at by the kernel and by ntfs-3g.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod content;
#[allow(dead_code, reason = "the golden check needs more of it")]
#[path = "../files/disk.rs"]
mod disk;
mod ending;
#[allow(dead_code, reason = "maps need more of it")]
#[path = "../used/fixture.rs"]
mod fixture;
mod mounting;
mod reading;
mod users;
#[allow(dead_code, reason = "maps need more of it")]
#[path = "../used/volumes.rs"]
mod volumes;
