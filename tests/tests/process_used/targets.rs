//! What becomes of what targets hold where the image is unused.

use std::fs::File;
use std::path::Path;

use mimeo_benches::session::Outcome;
use mimeo_tests::host::{Place, assert_code, assert_same, assert_says};

use super::common::can_loop;
use super::disk::{Disk, Kind, TOOLS, begins_with, is_spoilt, spoil};
use super::{BLOCK, assert_success, place};

/// The middle of the longest run of unused blocks.
fn unused_place(disk: &Disk) -> u64 {
    let layout = disk.image.layout();
    let gaps = layout.map().unused().map(Result::unwrap);
    let gap = gaps.max_by_key(|gap| gap.end - gap.start).unwrap();
    assert!(gap.end - gap.start > 4 * BLOCK);
    (gap.start + gap.end) / 2 / BLOCK * BLOCK
}

fn is_zero(path: &Path, offset: u64) -> bool {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![1; BLOCK as usize];
    let file = File::open(path).unwrap();
    file.read_exact_at(&mut bytes, offset).unwrap();
    bytes.iter().all(|byte| *byte == 0)
}

#[test]
fn devices_keep_discard_or_zero_and_everything_else_reads_zeros() {
    let Some(_alone) = can_loop("devices keep, discard or zero", &TOOLS) else {
        return;
    };
    let disk = Disk::new(&[Kind::Ext4, Kind::Swap]);
    let place = place();
    let reference = disk.reference(&place);
    // What is unused is left out of a device without a word.
    let source = disk.device(&place, "source");
    std::io::copy(
        &mut File::open(&disk.image.path).unwrap(),
        &mut File::options().write(true).open(source.path()).unwrap(),
    )
    .unwrap();
    let [keep, discard, zero] = ["keep", "discard", "zero"].map(|name| disk.device(&place, name));
    let (resumed, piped) = (place.path("resumed"), place.path("piped"));
    File::create(&resumed).unwrap().set_len(disk.len()).unwrap();
    spoil(&resumed, disk.len());
    let mut pipe = place.receiver("-", &[]);
    pipe.stdout(File::create(&piped).unwrap());
    let receivers = [
        place.receiver(keep.path(), &["--yes", "--verify"]),
        place.receiver(
            discard.path(),
            &["--yes", "--verify", "--unused", "discard"],
        ),
        place.receiver(zero.path(), &["--yes", "--verify", "--unused", "zero"]),
        place.receiver(&resumed, &["--yes", "--verify", "--resume"]),
        pipe,
    ];
    let sender = place.sender(source.path(), &["--min-receivers", "5"]);
    let outcome = place.run(sender, receivers);
    assert_success(&outcome, &reference);
    assert!(outcome.sender.report.as_ref().unwrap().bytes_unused > 0);
    for device in [&keep, &discard, &zero] {
        disk.assert_arrived(device.path());
    }
    let at = unused_place(&disk);
    assert!(is_spoilt(keep.path(), at, BLOCK), "what was there stays");
    assert!(
        !is_spoilt(discard.path(), at, BLOCK),
        "loop devices discard"
    );
    assert!(is_zero(zero.path(), at));
    assert!(begins_with(zero.path(), &reference));
    for whole in [&resumed, &piped] {
        assert_same(&reference, whole);
    }
    let says = |at: usize, words| assert_says(&outcome.receivers[at], words);
    says(0, "keeps what it had before: its own b3sum differs");
    says(
        1,
        "was told to forget what it had (discard): its own b3sum differs",
    );
    for at in 2..5 {
        assert!(!outcome.receivers[at].log.contains("its own b3sum"));
    }
}

fn resume(place: &Place, disk: &Disk, target: &Path, unused: &str) -> Outcome {
    let options = ["--yes", "--resume", "--verify", "--unused", unused];
    let sender = place.sender(&disk.image.path, &["--used", "auto"]);
    place.run(sender, [place.receiver(target, &options)])
}

#[test]
fn a_device_that_is_resumed_is_sent_what_it_lacks() {
    let Some(_alone) = can_loop("a device that is resumed", &TOOLS) else {
        return;
    };
    let disk = Disk::new(&[Kind::Ext4, Kind::Swap]);
    let place = place();
    let reference = disk.reference(&place);
    let device = disk.device(&place, "device");
    let written = |outcome: &Outcome| {
        let report = outcome.receivers[0].report.as_ref().unwrap();
        assert_eq!(
            report.bytes_written + report.bytes_kept + report.bytes_unused,
            disk.len()
        );
        report.bytes_written
    };
    let outcome = resume(&place, &disk, device.path(), "keep");
    assert_success(&outcome, &reference);
    assert!(written(&outcome) > 0);
    let outcome = resume(&place, &disk, device.path(), "keep");
    assert_success(&outcome, &reference);
    assert_eq!(written(&outcome), 0);
    assert!(is_spoilt(device.path(), unused_place(&disk), BLOCK));
    // Zeros in unused areas are no part of the image that is written.
    let outcome = resume(&place, &disk, device.path(), "zero");
    assert_success(&outcome, &reference);
    assert_eq!(written(&outcome), 0);
    assert!(begins_with(device.path(), &reference));
}

#[test]
fn a_file_cannot_keep_what_it_had() {
    let place = place();
    let receiver = place.receiver(place.path("file"), &["--unused", "keep"]);
    let image = place.random("image", BLOCK);
    let sender = place.sender(&image, &["--start-timeout", "1s"]);
    let outcome = place.run(sender, [receiver]);
    assert_code(&outcome.receivers[0], 3);
    assert_says(&outcome.receivers[0], "only a block device can keep");
    assert!(!place.path("file").exists());
}
