//! The real programs as processes on this machine.

mod faulty;
mod overhead;
mod place;
mod system;

use std::fmt::Debug;
use std::path::Path;
use std::time::{Duration, Instant};

use mimeo_benches::files;
use mimeo_benches::session::{End, Outcome, Session};

pub use faulty::{Fault, FaultyFile};
pub use overhead::allowed_overhead;
pub use place::Place;
pub use system::{LoopDevice, Tmpfs, root, terminal, udp_sockets};

/// When a test gives up on what must happen. Long enough for any machine, and only ever waited
/// for in full by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `condition` holds.
///
/// # Panics
///
/// When it does not in time.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for the end of everybody.
///
/// # Panics
///
/// When somebody does not end in time; tells what all said.
#[must_use]
pub fn finish(mut session: Session) -> Outcome {
    let over = session
        .wait(PATIENCE)
        .expect("the test's own children can be waited for");
    let outcome = session
        .finish()
        .expect("the files of the session can be read");
    assert!(over, "not everybody has ended: {outcome:#?}");
    outcome
}

/// Checks an exit code.
///
/// # Panics
///
/// When it is another; shows what the program said.
pub fn assert_code<R: Debug>(end: &End<R>, code: i32) {
    assert_eq!(
        end.code(),
        Some(code),
        "{:?}\n{}",
        end.usage.status,
        end.log
    );
}

/// Checks that a program said something.
///
/// # Panics
///
/// When it did not; shows what it said.
pub fn assert_says<R: Debug>(end: &End<R>, words: &str) {
    assert!(end.log.contains(words), "{words:?} is not in:\n{}", end.log);
}

/// Checks that all went well: exit codes, and everybody's digest is that of the image.
///
/// # Panics
///
/// When it did not.
pub fn assert_success(outcome: &Outcome, image: &Path) {
    let digest = files::digest(image).expect("the image can be read");
    assert_code(&outcome.sender, 0);
    assert_says(&outcome.sender, &digest);
    let report = outcome
        .sender
        .report
        .as_ref()
        .expect("the sender writes a report");
    assert_eq!(
        (report.exit_code, report.digest.as_ref()),
        (0, Some(&digest))
    );
    assert_eq!(
        report.receivers.len(),
        outcome.receivers.len(),
        "{report:?}"
    );
    assert!(
        report.receivers.iter().all(|one| one.state == "confirmed"),
        "{report:?}"
    );
    for end in &outcome.receivers {
        assert_code(end, 0);
        assert_says(end, &digest);
        let report = end.report.as_ref().expect("a receiver writes a report");
        assert_eq!(
            (report.exit_code, report.digest.as_ref()),
            (0, Some(&digest))
        );
    }
}

/// Checks that a target is the image.
///
/// # Panics
///
/// When it is not.
pub fn assert_same(image: &Path, target: &Path) {
    let same = files::is_same(image, target).expect("image and target can be read");
    assert!(same, "{target:?} is not the image");
}
