//! Real programs on `lo`: disks that fail in the middle of a session, on either side. Who has
//! such a disk says what failed, where and what to do; nobody else is harmed.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mimeo_benches::netlab::skip;
use mimeo_benches::session::Outcome;
use mimeo_tests::host::{
    Fault, FaultyFile, LoopDevice, Place, Tmpfs, assert_code, assert_same, assert_says,
    assert_success, finish, root, until,
};

const MIB: u64 = 1 << 20;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

/// A session of an image with a receiver whose target is given, and a good one.
fn with_a_good_one(place: &Place, image: &Path, target: &Path, options: &[&str]) -> Outcome {
    let receivers = [
        place.receiver(target, options),
        place.receiver(place.path("good"), options),
    ];
    place.run(place.sender(image, &["--min-receivers", "2"]), receivers)
}

/// Checks that the first receiver failed and said `words`, to the sender too, and that the second
/// has the image.
fn assert_failed_alone(place: &Place, outcome: &Outcome, code: i32, words: &[&str]) {
    assert_code(&outcome.receivers[0], code);
    assert_code(&outcome.receivers[1], 0);
    assert_same(&place.path("image"), &place.path("good"));
    // Of all that can fail, a wrong image is the worst.
    assert_code(&outcome.sender, if code == 6 { 6 } else { 5 });
    for words in words {
        assert_says(&outcome.receivers[0], words);
        assert_says(&outcome.sender, words);
    }
    let report = outcome.sender.report.as_ref().unwrap();
    let states: Vec<_> = report.receivers.iter().map(|one| &one.state).collect();
    assert!(
        states.iter().any(|state| *state == "failed")
            && states.iter().any(|state| *state == "confirmed"),
        "{states:?}"
    );
}

/// A target that has this fault, and what is said of it.
fn a_faulty_target(test: &str, fault: Fault, code: i32, options: &[&str], words: &[&str]) {
    if !root(test) {
        return;
    }
    let place = place();
    let image = place.random("image", 8 * MIB + 5);
    let Some(disk) = FaultyFile::new(test, &place.path("disk"), fault, Vec::new()) else {
        return;
    };
    let outcome = with_a_good_one(&place, &image, disk.path(), options);
    assert_failed_alone(&place, &outcome, code, words);
    assert_says(&outcome.receivers[0], disk.path().to_str().unwrap());
}

#[test]
fn a_target_with_a_bad_sector_fails_alone() {
    let words = ["cannot write at offset", "Input/output error"];
    a_faulty_target("a bad sector", Fault::Write(5 * MIB), 1, &[], &words);
}

#[test]
fn a_target_that_is_full_fails_alone() {
    let words = ["no space left at offset"];
    a_faulty_target("a full target", Fault::Full(6 * MIB), 1, &[], &words);
}

#[test]
fn a_target_that_cannot_be_flushed_fails_alone() {
    let words = ["cannot flush", "Input/output error"];
    a_faulty_target("a failing flush", Fault::Flush, 1, &[], &words);
}

#[test]
fn a_target_that_cannot_be_read_back_fails_alone() {
    let words = ["cannot be read back at offset", "Input/output error"];
    let options = ["--verify"];
    a_faulty_target(
        "an unreadable target",
        Fault::Read(3 * MIB),
        1,
        &options,
        &words,
    );
}

#[test]
fn a_target_that_is_resumed_gets_again_what_it_cannot_read() {
    let test = "an unreadable block of a target that is resumed";
    if !root(test) {
        return;
    }
    let place = place();
    let image = place.random("image", 8 * MIB + 5);
    let (held, fault) = (fs::read(&image).unwrap(), Fault::Read(3 * MIB));
    let Some(disk) = FaultyFile::new(test, &place.path("disk"), fault, held) else {
        return;
    };
    let outcome = with_a_good_one(&place, &image, disk.path(), &["--resume"]);
    assert_success(&outcome, &image);
    let [one, good] = [0, 1].map(|at| outcome.receivers[at].report.as_ref().unwrap());
    assert_eq!((one.unreadable_blocks, one.bytes_written), (1, MIB / 4));
    assert_eq!(good.unreadable_blocks, 0);
    let one = &outcome.receivers[0];
    assert_says(
        one,
        "cannot be compared and is written again: unreadable at offset 3145728",
    );
    assert_says(one, "1 block that the target held could not be read");
    assert!(!one.log.contains("do not use it"), "{}", one.log);
}

#[test]
fn a_target_that_lies_fails_alone() {
    let words = ["between bytes 4194304 and 4456448"];
    let options = ["--verify"];
    a_faulty_target(
        "a lying target",
        Fault::Lie(4 * MIB + 1),
        6,
        &options,
        &words,
    );
}

#[test]
fn a_target_that_stalls_for_seconds_gets_everything() {
    let test = "a stalling target";
    if !root(test) {
        return;
    }
    let place = place();
    let image = place.random("image", 8 * MIB + 5);
    let fault = Fault::Stall(2 * MIB, Duration::from_secs(4));
    let Some(disk) = FaultyFile::new(test, &place.path("disk"), fault, Vec::new()) else {
        return;
    };
    let outcome = with_a_good_one(&place, &image, disk.path(), &[]);
    assert_success(&outcome, &image);
    assert_same(&image, disk.path());
}

/// Of an image so long that its end has not been read ahead when the receivers have come.
const LONG: u64 = 80 * MIB;

/// Checks that the image could not be read, and that everybody knows.
fn assert_image_failed(outcome: &Outcome, image: &Path) {
    assert_code(&outcome.sender, 1);
    for words in [image.to_str().unwrap(), "cannot read at offset", "dmesg"] {
        assert_says(&outcome.sender, words);
    }
    for receiver in &outcome.receivers {
        assert_code(receiver, 1);
        for words in ["the sender gave up", "Input/output error", "is incomplete"] {
            assert_says(receiver, words);
        }
    }
}

#[test]
fn an_image_that_cannot_be_read_is_told_to_everybody() {
    let test = "an unreadable image";
    if !root(test) {
        return;
    }
    let place = place();
    let content = fs::read(place.random("image", LONG)).unwrap();
    let fault = Fault::Read(LONG - MIB);
    let Some(disk) = FaultyFile::new(test, &place.path("disk"), fault, content) else {
        return;
    };
    let outcome = with_a_good_one(&place, disk.path(), &place.path("other"), &[]);
    assert_image_failed(&outcome, disk.path());
}

#[test]
fn an_image_that_cannot_be_read_is_said_before_anybody_has_come() {
    let test = "an image that is unreadable at its start";
    if !root(test) {
        return;
    }
    let place = place();
    let Some(disk) = FaultyFile::new(
        test,
        &place.path("disk"),
        Fault::Read(MIB),
        vec![1; 4 << 20],
    ) else {
        return;
    };
    let outcome = place.run(place.sender(disk.path(), &["--start-timeout", "100s"]), []);
    assert_image_failed(&outcome, disk.path());
}

/// A device that promises more than what is behind it can hold, as thin pools do.
#[test]
fn a_device_that_loses_what_was_written_fails_alone() {
    let test = "a thin device";
    if !root(test) {
        return;
    }
    let place = place();
    let Some(pool) = Tmpfs::new(test, place.path("pool"), 6) else {
        return;
    };
    let Some(device) = LoopDevice::new(test, &pool.path("disk"), 16 * MIB) else {
        return;
    };
    let image = place.random("image", 8 * MIB);
    let outcome = with_a_good_one(&place, &image, device.path(), &["--yes"]);
    assert_failed_alone(&place, &outcome, 1, &[device.path().to_str().unwrap()]);
    let log = &outcome.receivers[0].log;
    // Whoever is first told of it: who waits for writeback, the flush, or a write.
    let told = ["cannot write back", "cannot flush", "no space left"];
    assert!(told.iter().any(|words| log.contains(words)), "{log}");
    drop(device);
}

/// A device whose end is gone: its table says more than there is.
#[test]
fn an_image_on_a_device_that_has_lost_its_end_is_told_to_everybody() {
    let test = "a device without its end";
    if !root(test) {
        return;
    }
    let place = place();
    let backing = place.path("disk");
    let Some(device) = LoopDevice::new(test, &backing, LONG) else {
        return;
    };
    // Behind the device's back, so that its cache knows nothing of it.
    let mut file = fs::File::options().write(true).open(&backing).unwrap();
    let mut image = fs::File::open(place.random("image", LONG)).unwrap();
    std::io::copy(&mut image, &mut file).unwrap();
    file.set_len(LONG - 4 * MIB).unwrap();
    let outcome = with_a_good_one(&place, device.path(), &place.path("other"), &[]);
    assert_image_failed(&outcome, device.path());
}

/// What ext4 does when its journal cannot be written.
#[test]
fn a_file_system_that_turns_read_only_fails_alone() {
    let test = "a file system that turns read-only";
    if !root(test) {
        return;
    }
    let place = place();
    let Some(device) = LoopDevice::new(test, &place.path("disk"), 64 * MIB) else {
        return;
    };
    let made = Command::new("mkfs.ext4")
        .arg("-q")
        .arg(device.path())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        skip(test, &"mkfs.ext4 cannot be run");
        return;
    }
    let mounted = place.path("mounted");
    fs::create_dir(&mounted).unwrap();
    let mount = |options: &[&str]| {
        let mut command = Command::new("mount");
        command.args(options).arg(device.path()).arg(&mounted);
        command.status().unwrap().success()
    };
    assert!(mount(&["-o", "errors=remount-ro"]));
    let (target, good) = (mounted.join("target"), place.path("good"));
    let image = place.random("image", 32 * MIB);
    let session = place.start(
        place.sender(&image, &["--rate", "60M", "--min-receivers", "2"]),
        [place.receiver(&target, &[]), place.receiver(&good, &[])],
    );
    until("something is written", || {
        good.metadata()
            .is_ok_and(|about| std::os::unix::fs::MetadataExt::blocks(&about) > 0)
    });
    let aborted = mount(&["-o", "remount,abort"]);
    let outcome = finish(session);
    let unmounted = Command::new("umount").arg(&mounted).status().unwrap();
    assert!(aborted && unmounted.success());
    assert_failed_alone(&place, &outcome, 1, &[target.to_str().unwrap()]);
    assert_says(&outcome.receivers[0], "is incomplete");
}
