//! Real programs on `lo`: the image of a disk on disks that are larger and smaller.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mimeo_benches::netlab::skip;
use mimeo_benches::session::Outcome;
use mimeo_tests::host::{
    LoopDevice, Place, assert_code, assert_same, assert_says, assert_success, root,
};

const MIB: u64 = 1 << 20;

/// The image's length: its partitions end at 13 MiB, and something random lies behind them.
const LENGTH: u64 = 24 * MIB;

/// Where the last partition ends.
const USED: u64 = 13 * MIB;

/// Bytes of a backup of 128 entries.
const BACKUP: u64 = 33 * 512;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

/// Whether loop devices and sgdisk can be had.
fn can(test: &str) -> bool {
    let has_tool = Command::new("sgdisk").arg("--version").output();
    if has_tool.is_err() {
        skip(test, &"it needs sgdisk");
        return false;
    }
    root(test)
}

fn sgdisk(arguments: &[&str], disk: &Path) -> String {
    let output = Command::new("sgdisk")
        .args(arguments)
        .arg(disk)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

/// A disk with two partitions, random throughout.
fn image(place: &Place) -> PathBuf {
    let image = place.random("image", LENGTH);
    // What looks like a table by chance is none.
    let file = File::options().write(true).open(&image).unwrap();
    file.write_all_at(&[0; 34 * 512], 0).unwrap();
    file.write_all_at(&[0; 512], LENGTH - 512).unwrap();
    sgdisk(
        &["-n", "1:2048:+4M", "-n", "2:0:+8M", "-c", "2:data"],
        &image,
    );
    image
}

fn disk(test: &str, place: &Place, name: &str, size: u64) -> Option<LoopDevice> {
    LoopDevice::new(test, &place.path(name), size)
}

/// That the disk has the image's partitions and a table that sgdisk has nothing to say against.
fn assert_fitted(image: &Path, disk: &LoopDevice) {
    let said = sgdisk(&["-v"], disk.path());
    assert!(said.contains("No problems found"), "{said}");
    assert!(
        !said.contains("aution") && !said.contains("arning"),
        "{said}"
    );
    let bytes = |path: &Path| {
        let mut bytes = vec![0; (USED - MIB) as usize];
        File::open(path)
            .unwrap()
            .read_exact_at(&mut bytes, MIB)
            .unwrap();
        bytes
    };
    assert!(bytes(image) == bytes(disk.path()), "a partition differs");
    let listed = |path: &Path| {
        let listed = sgdisk(&["-i", "2"], path);
        assert!(listed.contains("data"), "{listed}");
        listed
    };
    assert_eq!(listed(image), listed(disk.path()));
}

fn written(outcome: &Outcome, receiver: usize) -> u64 {
    let report = outcome.receivers[receiver].report.as_ref().unwrap();
    report.bytes_written
}

/// Sizes that divide blocks, and one that does not.
fn sizes() -> [(&'static str, u64); 5] {
    [
        ("longer by a sector", LENGTH + 512),
        ("longer", 40 * MIB),
        ("equal", LENGTH),
        ("shorter by less than the backup", LENGTH - 8 * 512),
        ("as short as can be", USED + BACKUP),
    ]
}

fn room_of_all_sizes(test: &str, options: &[&str]) {
    if !can(test) {
        return;
    }
    let place = place();
    let image = image(&place);
    let mut disks = Vec::new();
    for (name, size) in sizes() {
        let Some(disk) = disk(test, &place, name, size) else {
            return;
        };
        disks.push(disk);
    }
    let file = place.path("file");
    let everybody = |options: &[&str]| {
        let options = [&["--yes"], options].concat();
        let disks = disks
            .iter()
            .map(|disk| place.receiver(disk.path(), &options));
        let mut all: Vec<_> = disks.collect();
        all.push(place.receiver(&file, &options));
        place.run(place.sender(&image, &["--min-receivers", "6"]), all)
    };
    // The second time they keep what they have, but for the blocks of the tables.
    for (time, options) in [options.to_vec(), [options, &["--resume"]].concat()]
        .iter()
        .enumerate()
    {
        let outcome = everybody(options);
        assert_success(&outcome, &image);
        assert_same(&image, &file);
        let same = fs::read(&image).unwrap() == fs::read(disks[2].path()).unwrap();
        assert!(same, "a disk as long as the image is the image");
        for (index, disk) in disks.iter().enumerate() {
            assert_fitted(&image, disk);
            let moved = outcome.receivers[index]
                .log
                .contains("backup was moved to the end");
            assert_eq!(moved, index != 2, "{}", outcome.receivers[index].log);
            let cut = outcome.receivers[index]
                .log
                .contains("shorter than the image");
            assert_eq!(cut, index > 2);
            if time == 1 {
                let written = written(&outcome, index);
                assert!(written <= MIB, "{index}: {written}");
            }
        }
    }
}

#[test]
fn larger_and_smaller_disks_get_a_table_of_their_own() {
    room_of_all_sizes("larger and smaller disks", &[]);
}

#[test]
fn larger_and_smaller_disks_are_read_back() {
    room_of_all_sizes("larger and smaller disks that are read back", &["--verify"]);
}

#[test]
fn a_disk_is_the_source() {
    let test = "a disk that is the source";
    if !can(test) {
        return;
    }
    let place = place();
    let image = image(&place);
    let Some(source) = disk(test, &place, "source", LENGTH) else {
        return;
    };
    fs::write(source.path(), fs::read(&image).unwrap()).unwrap();
    let Some(target) = disk(test, &place, "target", USED + BACKUP) else {
        return;
    };
    let outcome = place.run(
        place.sender(source.path(), &[]),
        [place.receiver(target.path(), &["--verify"])],
    );
    assert_success(&outcome, &image);
    assert_fitted(&image, &target);
}

/// Who is refused says why, to the sender too, before a byte is written.
fn refused(test: &str, (size, sector): (u64, u32), words: &str) {
    if !can(test) {
        return;
    }
    let place = place();
    let image = image(&place);
    let backing = place.path("disk");
    let Some(disk) = LoopDevice::with_sectors(test, &backing, size, sector) else {
        return;
    };
    let outcome = place.run(
        // That it starts with one in the end is the point of --max-wait.
        place.sender(&image, &["--min-receivers", "2", "--max-wait", "5s"]),
        [
            place.receiver(disk.path(), &["--yes"]),
            place.receiver(place.path("file"), &[]),
        ],
    );
    assert_code(&outcome.receivers[0], 3);
    assert_says(&outcome.receivers[0], words);
    assert_says(&outcome.sender, words);
    assert_code(&outcome.receivers[1], 0);
    assert_same(&image, &place.path("file"));
    assert_code(&outcome.sender, 5);
    assert!(fs::read(&backing).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn a_disk_that_would_cut_a_partition_is_refused() {
    let words = "partition 2 ends 3.1 MB beyond this disk: shrink it on the reference machine";
    refused("a disk that is too small", (10 * MIB, 512), words);
}

#[test]
fn a_disk_with_other_sectors_is_refused() {
    let words = "logical sectors of 512 bytes, and this one has 4096";
    refused("a disk with other sectors", (LENGTH, 4096), words);
}

#[test]
fn a_stream_is_fitted_to_a_larger_disk() {
    let test = "a stream on a larger disk";
    if !can(test) {
        return;
    }
    let place = place();
    let image = image(&place);
    let Some(target) = disk(test, &place, "target", 40 * MIB) else {
        return;
    };
    let mut sender = place.sender("-", &[]);
    sender.stdin(File::open(&image).unwrap());
    let outcome = place.run(sender, [place.receiver(target.path(), &["--verify"])]);
    assert_success(&outcome, &image);
    assert_fitted(&image, &target);
}
