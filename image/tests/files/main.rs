//! Files of real filesystems, made by their own tools, and what is found in them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod conformance;
mod damage;
mod disk;
#[allow(dead_code, reason = "maps need more of it")]
#[path = "../used/fixture.rs"]
mod fixture;
mod golden;
mod scrub;
#[path = "../used/volumes.rs"]
mod volumes;
mod walk;
