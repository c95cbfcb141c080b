//! Every filesystem arrives whole, and nothing else is sent.

use mimeo_tests::host::{assert_same, assert_says};

use super::common::can_loop;
use super::disk::{ALL, Disk, TOOLS};
use super::{BLOCK, assert_success, place};

#[test]
fn every_filesystem_arrives_whole_on_a_device_and_in_a_file() {
    let Some(_alone) = can_loop("every filesystem", &TOOLS) else {
        return;
    };
    let disk = Disk::new(&ALL);
    let place = place();
    let reference = disk.reference(&place);
    let device = disk.device(&place, "device");
    let file = place.path("file");
    let receivers = [
        place.receiver(device.path(), &["--yes", "--verify"]),
        place.receiver(&file, &["--verify"]),
    ];
    let options = [
        "--used",
        "auto",
        "--compress",
        "none",
        "--min-receivers",
        "2",
    ];
    let outcome = place.run(place.sender(&disk.image.path, &options), receivers);
    assert_success(&outcome, &reference);
    disk.assert_arrived(device.path());
    disk.assert_arrived(&file);
    assert_same(&reference, &file);
    let report = outcome.sender.report.as_ref().unwrap();
    let unused = disk.unused_blocks();
    assert_eq!(report.bytes_unused, unused * BLOCK);
    // 187 symbols a block, and pages of 32 of them; zeros among what is used need none.
    let sent = disk.len().div_ceil(BLOCK) - unused;
    let most = sent * 187 + disk.len().div_ceil(BLOCK) / 16 + 10;
    assert!(report.counters.symbols_needed <= most, "{report:?}");
    assert!(sent * 4 < disk.len() / BLOCK, "most of the disk is unused");
    for (number, name) in [(1, "ext2/3/4"), (2, "NTFS"), (6, "swap")] {
        assert_says(&outcome.sender, &format!("partition {number} ({name}): "));
    }
    assert_says(&outcome.sender, "unused and not sent");
    assert_says(&outcome.receivers[0], "its own b3sum differs");
    assert!(!outcome.receivers[1].log.contains("its own b3sum differs"));
}

#[test]
fn a_partition_whose_map_is_not_trusted_is_sent_whole_and_that_is_said() {
    use super::disk::Kind;
    let Some(_alone) = can_loop("a dirty partition", &TOOLS) else {
        return;
    };
    let disk = Disk::new(&[Kind::Ext4, Kind::Swap]);
    // The state of the filesystem, in a superblock without a checksum: mounted and not unmounted.
    disk.image.write((1 << 20) + 1024 + 58, &[0, 0]);
    let place = place();
    let file = place.path("file");
    let sender = place.sender(&disk.image.path, &["--used", "auto"]);
    let outcome = place.run(sender, [place.receiver(&file, &[])]);
    assert_success(&outcome, &disk.reference(&place));
    assert_says(
        &outcome.sender,
        "partition 1 (ext2/3/4): copied whole, 67.1 MB: ",
    );
    assert_says(&outcome.sender, "partition 2 (swap): ");
    // What is unused of the one is noise and was sent, of the other it was not.
    let report = outcome.sender.report.as_ref().unwrap();
    assert_eq!(report.bytes_unused, disk.unused_blocks() * BLOCK);
    assert!(report.bytes_unused >= 15 << 20 && report.bytes_unused < 17 << 20);
}

#[test]
fn a_file_is_sent_exactly_and_what_could_be_left_out_is_said() {
    use super::disk::Kind;
    let Some(_alone) = can_loop("a file is sent exactly", &TOOLS) else {
        return;
    };
    let disk = Disk::new(&[Kind::Ext4]);
    let place = place();
    let file = place.path("file");
    // It takes a moment to find out, beside the session.
    let sender = place.sender(&disk.image.path, &["--rate", "300M"]);
    let outcome = place.run(sender, [place.receiver(&file, &[])]);
    assert_success(&outcome, &disk.image.path);
    assert_same(&disk.image.path, &file);
    assert_says(&outcome.sender, "--used auto leaves them out");
    assert_eq!(outcome.sender.report.as_ref().unwrap().bytes_unused, 0);
}
