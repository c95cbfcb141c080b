//! Real programs on `lo`: receivers that keep what their targets hold of the image already.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use mimeo_benches::report::ReceiverReport;
use mimeo_benches::session::{End, Outcome, Process};
use mimeo_tests::host::{
    LoopDevice, PATIENCE, Place, assert_code, assert_same, assert_says, assert_success, finish,
    root, until,
};

const BLOCK: u64 = 256 << 10;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

/// A copy of a file that differs in one byte of each of some blocks.
fn older(place: &Place, image: &Path, name: &str, blocks: impl IntoIterator<Item = u64>) {
    let copy = place.path(name);
    fs::copy(image, &copy).unwrap();
    let file = File::options().read(true).write(true).open(copy).unwrap();
    for block in blocks {
        let mut byte = [0];
        file.read_exact_at(&mut byte, block * BLOCK).unwrap();
        file.write_all_at(&[!byte[0]], block * BLOCK).unwrap();
    }
}

/// Sends an image to one receiver with `--resume`.
fn resume(place: &Place, image: &Path, target: impl AsRef<Path>, options: &[&str]) -> Outcome {
    let options = [&["--resume"], options].concat();
    let receiver = place.receiver(target.as_ref(), &options);
    place.run(place.sender(image, &[]), [receiver])
}

/// Blocks and bytes of the one receiver: written, and kept.
fn figures(outcome: &Outcome) -> (u64, u64) {
    let report = outcome.receivers[0].report.as_ref().unwrap();
    (report.bytes_written, report.bytes_kept)
}

fn assert_refused(outcome: &Outcome, words: &str) {
    assert_code(&outcome.receivers[0], 3);
    assert_says(&outcome.receivers[0], words);
    assert_code(&outcome.sender, 5);
}

#[test]
fn a_receiver_that_was_killed_takes_the_rest_only() {
    const LENGTH: u64 = 32 << 20;
    let place = place();
    let (image, target) = (place.random("image", LENGTH), place.path("target"));
    let sender = place.sender(&image, &["--rate", "60M"]);
    let mut session = place.start(sender, [place.receiver(&target, &[])]);
    until("four fifths are written", || {
        let written = target.metadata().map_or(0, |about| about.blocks() * 512);
        written >= LENGTH * 4 / 5
    });
    session.receivers[0].running.kill().unwrap();
    let again = place.receiver(&target, &["--resume"]);
    let again = Process::start(again, place.directory(), "again").unwrap();
    session.receivers.push(again);
    let outcome = finish(session);
    assert_code(&outcome.receivers[1], 0);
    assert_same(&image, &target);
    let report = outcome.receivers[1].report.as_ref().unwrap();
    assert!(report.bytes_written <= LENGTH / 4, "{report:?}");
    assert_eq!(report.bytes_written + report.bytes_kept, LENGTH);
}

#[test]
fn a_new_version_costs_what_has_changed() {
    let place = place();
    let image = place.random("image", (20 << 20) + 5);
    for name in ["one", "two"] {
        older(&place, &image, name, [3, 40, 80]);
    }
    let receivers = ["one", "two"].map(|name| place.receiver(place.path(name), &["--resume"]));
    let outcome = place.run(
        place.sender(&image, &["--min-receivers", "2", "--compress", "none"]),
        receivers,
    );
    assert_success(&outcome, &image);
    assert_says(&outcome.sender, "only what somebody lacks is sent");
    assert_says(&outcome.sender, "kept 97.4 %");
    let report = outcome.sender.report.as_ref().unwrap();
    let sent = report.counters.pass_symbols + report.counters.repair_symbols;
    // Two whole blocks and the last, of five bytes.
    assert!((375..400).contains(&sent), "{:?}", report.counters);
    for name in ["one", "two"] {
        assert_same(&image, &place.path(name));
    }
    assert_eq!(figures(&outcome), (2 * BLOCK + 5, (78 * BLOCK)));
    assert_says(&outcome.receivers[0], "keeping what it holds of the image");
    assert_eq!(report.receivers[0].bytes_kept, 78 * BLOCK);
}

#[test]
fn there_need_not_be_anything_to_resume() {
    let place = place();
    let image = place.random("image", (3 << 20) + 5);
    for held in [None, Some(0), Some(1 << 20), Some((3 << 20) + 5)] {
        let target = place.path("target");
        if let Some(held) = held {
            File::create(&target).unwrap().set_len(held).unwrap();
        }
        let outcome = resume(&place, &image, &target, &[]);
        assert_success(&outcome, &image);
        assert_same(&image, &target);
        assert_eq!(figures(&outcome), ((3 << 20) + 5, 0));
        fs::remove_file(target).unwrap();
    }
}

#[test]
fn a_mixed_room_is_served_by_one_stream() {
    let place = place();
    let image = place.random("image", 8 << 20);
    older(&place, &image, "old", [3]);
    let sender = place.sender(&image, &["--min-receivers", "2"]);
    let outcome = place.run(
        sender,
        [
            place.receiver(place.path("old"), &["--resume"]),
            place.receiver(place.path("new"), &[]),
        ],
    );
    assert_success(&outcome, &image);
    assert_same(&image, &place.path("old"));
    assert_same(&image, &place.path("new"));
}

#[test]
fn images_grow_and_shrink_and_have_other_zeros() {
    let place = place();
    let image = place.random("image", (6 << 20) + 5);
    let target = place.path("target");
    // Grown, with data where zeros were and zeros where data was.
    let zeros = vec![0; 4 * BLOCK as usize];
    let write = |path: &Path, block: u64| {
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(&zeros, block * BLOCK).unwrap();
    };
    older(&place, &image, "target", []);
    write(&target, 4);
    File::options()
        .write(true)
        .open(&target)
        .unwrap()
        .set_len(5 << 20)
        .unwrap();
    write(&image, 12);
    let outcome = resume(&place, &image, &target, &[]);
    assert_success(&outcome, &image);
    assert_same(&image, &target);
    let (written, kept) = figures(&outcome);
    assert_eq!(
        (written, kept),
        ((1 << 20) + 5 + 8 * BLOCK, (5 << 20) - 8 * BLOCK)
    );
    // Shrunk.
    File::options()
        .write(true)
        .open(&image)
        .unwrap()
        .set_len((2 << 20) + 9)
        .unwrap();
    // Its length alone is known at the join: the session does not begin with it.
    let sender = place.sender(&image, &["--start-timeout", "5s"]);
    let outcome = place.run(sender, [place.receiver(&target, &["--resume"])]);
    assert_code(&outcome.receivers[0], 3);
    assert_says(&outcome.receivers[0], "--yes");
    assert_eq!(target.metadata().unwrap().len(), (6 << 20) + 5);
    let outcome = resume(&place, &image, &target, &["--yes"]);
    assert_success(&outcome, &image);
    assert_same(&image, &target);
    assert_eq!(figures(&outcome), (0, (2 << 20) + 9));
}

#[test]
fn another_image_is_refused_and_left_as_it_is() {
    for length in [1000, 5 << 20, 40 << 20] {
        let place = place();
        let image = place.random("image", length);
        let other = place.random("other", length - 1);
        let target = place.path("target");
        fs::copy(&other, &target).unwrap();
        let blocks = (length.div_ceil(BLOCK)).min(64);
        let words = format!("0 of {blocks} blocks match; give --yes");
        assert_refused(&resume(&place, &image, &target, &[]), &words);
        assert_same(&other, &target);
        let outcome = resume(&place, &image, &target, &["--yes"]);
        assert_success(&outcome, &image);
        assert_same(&image, &target);
    }
}

#[test]
fn what_holds_nothing_is_a_mistake_on_the_command_line() {
    let place = place();
    let fifo = place.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    for target in ["-", "null:", fifo.to_str().unwrap()] {
        let command = place.receiver(target, &["--resume"]);
        let mut process = Process::start(command, place.directory(), "receiver").unwrap();
        assert!(process.running.wait(PATIENCE).unwrap().is_some());
        let end: End<ReceiverReport> = process.finish_receiver().unwrap();
        assert_code(&end, 2);
        assert_says(&end, "--resume");
    }
}

#[test]
fn a_device_keeps_what_is_right() {
    let test = "a_device_keeps_what_is_right";
    if !root(test) {
        return;
    }
    let place = place();
    let image = place.random("image", (8 << 20) + 5);
    let zeros = vec![0; 8 * BLOCK as usize];
    let file = File::options().write(true).open(&image).unwrap();
    file.write_all_at(&zeros, 8 * BLOCK).unwrap();
    let Some(disk) = LoopDevice::new(test, &place.path("backing"), 9 << 20) else {
        return;
    };
    let fill = || {
        let device = File::options().write(true).open(disk.path()).unwrap();
        device.write_all_at(&fs::read(&image).unwrap(), 0).unwrap();
        // A block, and a byte in the zeros.
        device.write_all_at(&[1; 4096], 3 * BLOCK).unwrap();
        device.write_all_at(&[1], 9 * BLOCK + 3).unwrap();
    };
    fill();
    let outcome = resume(&place, &image, disk.path(), &["--verify"]);
    assert_success(&outcome, &image);
    let (written, kept) = figures(&outcome);
    // Zeros are looked at in pieces of 1 MiB.
    assert_eq!((written, kept), (BLOCK + (1 << 20), (7 << 20) - BLOCK + 5));
    let held = fs::read(disk.path()).unwrap();
    assert!(held.starts_with(&fs::read(&image).unwrap()));
    // Another image is refused here too; of its blocks 8 lie where there are zeros.
    let other = place.random("other", 8 << 20);
    assert_refused(
        &resume(&place, &other, disk.path(), &[]),
        "0 of 24 blocks match",
    );
    let untouched = fs::read(disk.path()).unwrap();
    assert!(untouched == held, "the device was written to");
    let outcome = resume(&place, &other, disk.path(), &["--yes"]);
    assert_success(&outcome, &other);
}
