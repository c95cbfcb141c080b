//! `mimeo-image restore --verify`: what was written is read back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "fitting needs more of it")]
#[path = "../fit/fixture.rs"]
mod fixture;
mod liar;
mod library;
mod program;
