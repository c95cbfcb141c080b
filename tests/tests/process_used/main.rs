//! Real programs on `lo`: disks of which only what is used is sent, made by the filesystems' own tools.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

// Filesystems are made and looked at as in the tests of the maps.
mod captured;
#[path = "../../../image/tests/common/mod.rs"]
mod common;
mod disk;
#[allow(dead_code, reason = "these tests use a part of it")]
#[path = "../../../image/tests/used/fixture.rs"]
mod fixture;
mod refusals;
mod targets;
mod whole;

use std::path::Path;

use mimeo_benches::files;
use mimeo_benches::session::Outcome;
use mimeo_tests::host::{Place, assert_code, assert_says};

/// What is sent or not as a whole.
const BLOCK: u64 = 256 << 10;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

/// Checks that everybody ended well, and that the digest is that of the image with zeros where it is
/// unused.
fn assert_success(outcome: &Outcome, reference: &Path) {
    let digest = files::digest(reference).unwrap();
    assert_code(&outcome.sender, 0);
    assert_says(&outcome.sender, &digest);
    for end in &outcome.receivers {
        assert_code(end, 0);
        assert_says(end, &digest);
        assert_eq!(end.report.as_ref().unwrap().digest.as_ref(), Some(&digest));
    }
}
