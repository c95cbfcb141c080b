//! Real programs on `lo`: targets that are read back before they are believed.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use mimeo_benches::session::{Outcome, Process};
use mimeo_tests::host::{
    LoopDevice, PATIENCE, Place, assert_code, assert_same, assert_says, assert_success, finish,
    root, until,
};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

/// What both reports say of a receiver's target: how it was read back.
fn read_back(outcome: &Outcome, receiver: usize) -> Option<&str> {
    let sender = outcome.sender.report.as_ref().unwrap();
    let receiver = outcome.receivers[receiver].report.as_ref().unwrap();
    assert_eq!(sender.identity, receiver.identity);
    assert_eq!(receiver.identity.as_ref().map(String::len), Some(64));
    let told = receiver.read_back.as_deref();
    let known = sender.receivers.iter();
    assert!(
        known
            .map(|one| one.read_back.as_deref())
            .any(|one| one == told),
        "{told:?}, {sender:?}"
    );
    told
}

#[test]
fn files_are_read_back_and_both_reports_say_so() {
    let place = place();
    for size in [1, 262_144, (5 << 20) + 77] {
        let image = place.random("image", size);
        let (proved, believed) = (place.path("proved"), place.path("believed"));
        let outcome = place.run(
            place.sender(&image, &["--min-receivers", "2"]),
            [
                place.receiver(&proved, &["--verify"]),
                place.receiver(&believed, &[]),
            ],
        );
        assert_success(&outcome, &image);
        assert_same(&image, &proved);
        assert!(read_back(&outcome, 0).is_some());
        assert_says(&outcome.receivers[0], "read back in");
        assert_says(&outcome.sender, "verified, read back");
        assert_eq!(read_back(&outcome, 1), None);
    }
}

#[test]
fn a_stream_with_zeros_is_read_back_from_a_file() {
    let place = place();
    let mut bytes = vec![0; 3 << 20];
    bytes[1 << 20..][..400_000].fill(7);
    let image = place.file("image", bytes);
    let target = place.path("target");
    let mut sender = place.sender("-", &[]);
    sender.stdin(File::open(&image).unwrap());
    let outcome = place.run(sender, [place.receiver(&target, &["--verify"])]);
    assert_success(&outcome, &image);
    assert_same(&image, &target);
    assert!(read_back(&outcome, 0).is_some());
}

#[test]
fn a_disk_is_read_back_past_the_page_cache() {
    let test = "a disk that is read back";
    if !root(test) {
        return;
    }
    let place = place();
    let image = place.random("image", (2 << 20) + 100);
    let Some(disk) = LoopDevice::new(test, &place.path("backing"), (4 << 20) + 512) else {
        return;
    };
    let outcome = place.run(
        place.sender(&image, &[]),
        [place.receiver(disk.path(), &["--verify"])],
    );
    assert_success(&outcome, &image);
    assert_eq!(read_back(&outcome, 0), Some("direct"));
    assert_says(&outcome.receivers[0], "past the page cache");
}

/// What was written and checked becomes something else before the end: nobody may believe it.
#[test]
fn a_target_that_changed_since_it_was_written_is_found() {
    let place = place();
    let image = place.random("image", 16 << 20);
    let (target, good) = (place.path("target"), place.path("good"));
    let sender = place.sender(&image, &["--rate", "40M", "--min-receivers", "2"]);
    let session = place.start(
        sender,
        [
            place.receiver(&target, &["--verify"]),
            place.receiver(&good, &["--verify"]),
        ],
    );
    let first = fs::read(&image).unwrap()[..262_144].to_vec();
    let mut written = vec![0; first.len()];
    until("the first block is written", || {
        let read = File::open(&target).and_then(|file| file.read_exact_at(&mut written, 0));
        read.is_ok() && written == first
    });
    let vandal = File::options().write(true).open(&target).unwrap();
    vandal.write_all_at(&[first[77] ^ 1], 77).unwrap();
    drop(vandal);
    let outcome = finish(session);
    let words = "reads back differently between bytes 0 and 262144";
    assert_code(&outcome.receivers[0], 6);
    assert_says(&outcome.receivers[0], words);
    assert_says(&outcome.receivers[0], "do not use it");
    assert_code(&outcome.receivers[1], 0);
    assert_same(&image, &good);
    assert_code(&outcome.sender, 6);
    assert_says(&outcome.sender, words);
    let report = outcome.sender.report.unwrap();
    let reasons: Vec<_> = report
        .receivers
        .iter()
        .filter(|one| one.state == "failed")
        .map(|one| one.reason.clone().unwrap())
        .collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].contains(words), "{reasons:?}");
    let report = outcome.receivers[0].report.as_ref().unwrap();
    assert_eq!((report.exit_code, &report.read_back), (6, &None));
}

#[test]
fn what_keeps_nothing_is_refused_before_anybody_is_asked() {
    let place = place();
    for target in ["-", "null:"] {
        let command = place.receiver(target, &["--verify"]);
        let mut process = Process::start(command, place.directory(), "receiver").unwrap();
        assert!(process.running.wait(PATIENCE).unwrap().is_some());
        let end = process.finish_receiver().unwrap();
        assert_code(&end, 2);
        assert_says(&end, "--verify: ");
    }
}

/// The descriptor holds the image, and the path something else or nothing.
#[test]
fn a_target_that_lost_its_name_is_not_confirmed() {
    let place = place();
    let image = place.random("image", 16 << 20);
    let [removed, replaced, good] = ["removed", "replaced", "good"].map(|name| place.path(name));
    let sender = place.sender(&image, &["--rate", "40M", "--min-receivers", "3"]);
    let session = place.start(
        sender,
        [
            place.receiver(&removed, &[]),
            place.receiver(&replaced, &["--verify"]),
            place.receiver(&good, &["--verify"]),
        ],
    );
    until("all are written to", || {
        [&removed, &replaced, &good]
            .iter()
            .all(|path| path.metadata().is_ok_and(|about| about.blocks() > 0))
    });
    fs::remove_file(&removed).unwrap();
    fs::rename(place.random("other", 16 << 20), &replaced).unwrap();
    let outcome = finish(session);
    let words = [
        "was removed or renamed meanwhile",
        "was replaced by another meanwhile",
    ];
    for (receiver, words) in outcome.receivers.iter().zip(words) {
        assert_code(receiver, 1);
        assert_says(receiver, words);
        assert_says(&outcome.sender, words);
    }
    assert_code(&outcome.receivers[2], 0);
    assert_same(&image, &good);
    assert_code(&outcome.sender, 5);
}
