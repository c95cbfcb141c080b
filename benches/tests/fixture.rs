//! Disk images, examined by the tools that everybody uses for it.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint takes for other code"
)]

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use mimeo_benches::fixture::{Disk, MIN_DISK, Random, ext4_disk, make_disk};
use mimeo_benches::netlab::{is_installed, skip};

/// A tree with large and small files, and with what has to be passed over.
fn make_tree(root: &Path) {
    let mut random = Random::new(1);
    fs::create_dir_all(root.join("bin/deep/er")).unwrap();
    for number in 0..300_usize {
        let mut content = vec![0; 100 * number];
        random.fill(&mut content);
        fs::write(
            root.join(format!("bin/program-with-a-long-name-{number}")),
            content,
        )
        .unwrap();
    }
    fs::write(root.join("bin/deep/er/empty"), "").unwrap();
    fs::write(root.join("bin/bad:name"), "not for FAT").unwrap();
    File::create(root.join("huge"))
        .unwrap()
        .set_len(MIN_DISK)
        .unwrap();
    std::os::unix::fs::symlink("/", root.join("circle")).unwrap();
}

/// Runs a checker on `path`; its output when it finds fault.
fn check(program: &str, args: &[&str], path: &Path) {
    if !is_installed(program) {
        skip(program, &"it is not installed");
        return;
    }
    let output = Command::new(program).args(args).arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {text}");
    // sgdisk exits 0 whatever it finds.
    assert!(
        program != "sgdisk" || text.contains("No problems found"),
        "{text}"
    );
}

/// The partition alone, for checkers that do not know offsets.
fn extract(disk: &Path, made: &Disk, to: &Path) {
    let mut file = File::open(disk).unwrap();
    file.seek(SeekFrom::Start(made.partition.start)).unwrap();
    let length = made.partition.end - made.partition.start;
    io::copy(&mut file.take(length), &mut File::create(to).unwrap()).unwrap();
}

#[test]
fn a_fat_disk_is_in_order_and_holds_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let (tree, disk) = (directory.path().join("tree"), directory.path().join("disk"));
    make_tree(&tree);
    let made = make_disk(&disk, MIN_DISK, std::slice::from_ref(&tree), 7).unwrap();
    assert_eq!(made.files, 301);
    assert_eq!(made.bytes, (0..300).map(|number| 100 * number).sum::<u64>());
    check("sgdisk", &["-v"], &disk);
    let partition = directory.path().join("partition");
    extract(&disk, &made, &partition);
    check("fsck.fat", &["-n"], &partition);

    let file = File::options()
        .read(true)
        .write(true)
        .open(&partition)
        .unwrap();
    let filesystem = fatfs::FileSystem::new(file, fatfs::FsOptions::new()).unwrap();
    assert_eq!(filesystem.fat_type(), fatfs::FatType::Fat32);
    for number in [0, 1, 299] {
        let name = format!("bin/program-with-a-long-name-{number}");
        let mut content = Vec::new();
        let mut copy = filesystem
            .root_dir()
            .open_file(&format!("0-tree/{name}"))
            .unwrap();
        copy.read_to_end(&mut content).unwrap();
        assert_eq!(content, fs::read(tree.join(name)).unwrap());
    }
    let inner = filesystem.root_dir().open_dir("0-tree").unwrap();
    let names: Vec<_> = inner
        .iter()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [".", "..", "bin"]);
}

#[test]
fn a_disk_depends_on_seed_and_files_alone() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    make_tree(&tree);
    let make = |name: &str, seed| {
        let path = directory.path().join(name);
        make_disk(&path, MIN_DISK, std::slice::from_ref(&tree), seed).unwrap();
        fs::read(path).unwrap()
    };
    let first = make("first", 7);
    assert!(first == make("second", 7));
    assert!(first != make("third", 8));
}

#[test]
fn filling_stops_in_time_and_the_rest_is_a_hole() {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk");
    let tree = directory.path().join("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..100 {
        mimeo_benches::fixture::random_file(&tree.join(format!("{number}")), 1 << 20, number)
            .unwrap();
    }
    let made = make_disk(&disk, MIN_DISK, &[tree, PathBuf::from("/nonexistent")], 1).unwrap();
    let percent = made.bytes * 100 / MIN_DISK;
    assert!((65..=70).contains(&percent), "{percent} %");
    let metadata = fs::metadata(&disk).unwrap();
    assert_eq!(metadata.len(), MIN_DISK);
    assert!(
        metadata.blocks() * 512 < MIN_DISK * 8 / 10,
        "{} blocks",
        metadata.blocks()
    );
    let mut last = [0; 8];
    File::open(&disk)
        .unwrap()
        .read_exact_at(&mut last, MIN_DISK - 512)
        .unwrap();
    assert_eq!(&last, b"EFI PART");
}

#[test]
fn an_ext4_disk_is_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let (tree, disk) = (directory.path().join("tree"), directory.path().join("disk"));
    make_tree(&tree);
    // All of the tree is copied, so this file would have to fit.
    fs::remove_file(tree.join("huge")).unwrap();
    let Some(made) = ext4_disk(&disk, MIN_DISK, &tree, 3).unwrap() else {
        skip("ext4", &"mkfs.ext4 is not installed");
        return;
    };
    assert_eq!(made.files, 302);
    check("sgdisk", &["-v"], &disk);
    let partition = directory.path().join("partition");
    extract(&disk, &made, &partition);
    check("e2fsck", &["-fn"], &partition);
}
