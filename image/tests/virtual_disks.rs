//! Disks of virtual machines: what qemu-img makes of a disk reads as that disk.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{noise, skip};
use mimeo_image::SourceError;
use mimeo_image::source::{DiskSource, ExtentKind, SourceOptions};

const MIB: u64 = 1 << 20;
/// Tables of vmdk reach 32 MiB.
const LEN: u64 = 70 * MIB + 512;

/// Where something is on the disk; the rest are zeros.
const DATA: [(u64, u64); 5] = [
    (0, 4096),
    (3 * MIB - 100, 200_000),
    (31 * MIB, 2 * MIB),
    (65 * MIB + 7, 1),
    (LEN - 700, 700),
];

const OPTIONS: SourceOptions = SourceOptions {
    virtual_disks: true,
    ..SourceOptions::EXACT
};

fn qemu_img(dir: &Path, arguments: &[&str]) {
    // It names files relative to where it is run.
    let output = Command::new("qemu-img")
        .args(arguments)
        .current_dir(dir)
        .output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "qemu-img {arguments:?}: {errors}");
}

/// A folder with `disk.raw`, half of whose data can be compressed.
fn raw_disk() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let disk = File::create(dir.path().join("disk.raw")).unwrap();
    disk.set_len(LEN).unwrap();
    for (index, (at, len)) in DATA.into_iter().enumerate() {
        let mut bytes = noise(len as usize, at + 1);
        if index % 2 == 0 {
            bytes.iter_mut().step_by(2).for_each(|byte| *byte = 7);
        }
        disk.write_all_at(&bytes, at).unwrap();
    }
    dir
}

fn open(path: &Path) -> Result<DiskSource, SourceError> {
    DiskSource::open_with(path, &OPTIONS)
}

/// Whether it reads as `raw` does, in pieces that keep to nothing; returns its bytes that are not
/// holes.
fn assert_same(disk: &DiskSource, raw: &Path) -> u64 {
    let expected = fs::read(raw).unwrap();
    assert_eq!(disk.len(), expected.len() as u64);
    let mut buffer = vec![0; 300_001];
    for (index, part) in expected.chunks(buffer.len()).enumerate() {
        let at = (index * buffer.len()) as u64;
        let buffer = &mut buffer[..part.len()];
        disk.read_exact_at(at, buffer).unwrap();
        assert!(
            buffer == part,
            "differs between {at} and {}",
            at + part.len() as u64
        );
    }
    let (mut at, mut data) = (0, 0);
    while at < disk.len() {
        let extent = disk.extent_at(at).unwrap();
        assert!(extent.end > at && extent.end <= disk.len());
        if extent.kind == ExtentKind::Hole {
            let hole = &expected[at as usize..extent.end as usize];
            assert!(hole.iter().all(|byte| *byte == 0), "no hole at {at}");
        } else {
            data += extent.end - at;
        }
        at = extent.end;
    }
    data
}

/// Whether there is a qemu-img; without one the test is skipped.
fn can(test: &str) -> bool {
    let found = Command::new("qemu-img").arg("--version").output().is_ok();
    if !found {
        skip(test, "it needs qemu-img");
    }
    found
}

#[test]
fn every_kind_reads_as_the_disk_that_it_was_made_of() {
    if !can("every_kind_reads_as_the_disk_that_it_was_made_of") {
        return;
    }
    let dir = raw_disk();
    let kinds: [(&str, &[&str], bool); 8] = [
        ("v2.qcow2", &["-O", "qcow2", "-o", "compat=0.10"], true),
        ("v3.qcow2", &["-O", "qcow2", "-o", "cluster_size=4k"], true),
        ("packed.qcow2", &["-c", "-O", "qcow2"], true),
        ("sparse.vmdk", &["-O", "vmdk"], true),
        (
            "stream.vmdk",
            &["-O", "vmdk", "-o", "subformat=streamOptimized"],
            true,
        ),
        (
            "flat.vmdk",
            &["-O", "vmdk", "-o", "subformat=monolithicFlat"],
            false,
        ),
        (
            "two.vmdk",
            &["-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"],
            true,
        ),
        (
            "twoflat.vmdk",
            &["-O", "vmdk", "-o", "subformat=twoGbMaxExtentFlat"],
            false,
        ),
    ];
    for (name, options, is_sparse) in kinds {
        let mut all = vec!["convert", "-f", "raw"];
        all.extend(options);
        all.extend(["disk.raw", name]);
        qemu_img(dir.path(), &all);
        let disk = open(&dir.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let data = assert_same(&disk, &dir.path().join("disk.raw"));
        assert_eq!(data < 5 * MIB, is_sparse, "{name} has {data} bytes of data");
        assert!(
            disk.describe().contains(&name[name.len() - 4..]),
            "{}",
            disk.describe()
        );
        disk.check_unchanged().unwrap();
    }
}

#[test]
fn what_a_snapshot_does_not_hold_is_in_its_backing_file() {
    if !can("what_a_snapshot_does_not_hold_is_in_its_backing_file") {
        return;
    }
    let dir = raw_disk();
    let create = [
        "create",
        "-q",
        "-f",
        "qcow2",
        "-b",
        "disk.raw",
        "-F",
        "raw",
        "top.qcow2",
    ];
    qemu_img(dir.path(), &create);
    let top = open(&dir.path().join("top.qcow2")).unwrap();
    assert_same(&top, &dir.path().join("disk.raw"));
}

#[test]
fn a_disk_of_8_tib_is_mostly_holes() {
    if !can("a_disk_of_8_tib_is_mostly_holes") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, format) in [("a.qcow2", "qcow2"), ("a.vmdk", "vmdk")] {
        qemu_img(dir.path(), &["create", "-q", "-f", format, name, "8T"]);
        let disk = open(&dir.path().join(name)).unwrap();
        assert_eq!(disk.len(), 8 << 40);
        let (mut at, mut steps) = (0, 0);
        while at < disk.len() {
            let extent = disk.extent_at(at).unwrap();
            assert_eq!(extent.kind, ExtentKind::Hole);
            (at, steps) = (extent.end, steps + 1);
        }
        assert!(steps <= 300_000, "{steps}");
    }
}

#[test]
fn without_being_asked_for_it_is_a_file_like_any_other() {
    if !can("without_being_asked_for_it_is_a_file_like_any_other") {
        return;
    }
    let dir = raw_disk();
    qemu_img(
        dir.path(),
        &["convert", "-O", "qcow2", "disk.raw", "disk.qcow2"],
    );
    let path = dir.path().join("disk.qcow2");
    let disk = DiskSource::open(&path).unwrap();
    assert_same(&disk, &path);
}

#[test]
fn a_difference_to_another_disk_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("child.vmdk");
    let text = "# Disk DescriptorFile\nversion=1\nparentCID=12345678\nRW 8 ZERO\n";
    fs::write(&path, text).unwrap();
    let error = open(&path).unwrap_err();
    assert!(
        error.is_refusal() && error.to_string().contains("parent disk"),
        "{error}"
    );
}

#[test]
fn a_disk_without_bytes_or_with_too_many_is_refused() {
    if !can("a_disk_without_bytes_or_with_too_many_is_refused") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    qemu_img(dir.path(), &["create", "-q", "-f", "qcow2", "a.qcow2", "0"]);
    let path = dir.path().join("a.qcow2");
    let error = open(&path).unwrap_err();
    assert!(matches!(error, SourceError::Empty { .. }), "{error}");
    // And one with more than there can be.
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[0xff; 8], 24).unwrap();
    let error = open(&path).unwrap_err().to_string();
    assert!(error.contains("larger than any disk"), "{error}");
}

#[test]
fn extents_are_looked_for_beside_their_descriptor_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.vmdk");
    let describe = |line: &str| {
        let text = format!("# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\n{line}\n");
        fs::write(&path, text).unwrap();
        open(&path).unwrap_err().to_string()
    };
    assert!(describe("RW 8 FLAT \"/etc/passwd\" 0").contains("another folder"));
    assert!(describe("RW 8 FLAT \"../x\" 0").contains("another folder"));
    assert!(describe("RW 8 FLAT \"missing\" 0").contains("missing"));
    // What is shown is no command to a terminal.
    let escape = describe("RW 8 FLAT \"\u{1b}[2J\" 0");
    assert!(!escape.contains(char::is_control), "{escape:?}");
    assert!(describe("RW 99 SPARSE \"disk.vmdk\"").contains("cut off"));
    fs::write(dir.path().join("short"), [0; 512]).unwrap();
    assert!(describe("RW 2 FLAT \"short\" 0").contains("cut off"));
    assert!(describe("RW 18446744073709551615 ZERO").contains("larger"));
}

#[test]
fn a_hole_ends_with_what_a_descriptor_takes_of_an_extent() {
    let dir = tempfile::tempdir().unwrap();
    // Grains of 4 KiB, 16 in the only table, which there is not.
    let mut header = [0; 1024];
    header[..8].copy_from_slice(b"KDMV\x01\0\0\0");
    (header[12], header[20], header[44], header[56]) = (128, 8, 16, 1);
    fs::write(dir.path().join("sparse"), header).unwrap();
    fs::write(dir.path().join("flat"), noise(4096, 1)).unwrap();
    let text = "# Disk DescriptorFile\nparentCID=ffffffff\n\
                RW 8 SPARSE \"sparse\"\nRW 8 FLAT \"flat\" 0\n";
    let path = dir.path().join("disk.vmdk");
    fs::write(&path, text).unwrap();
    let disk = open(&path).unwrap();
    let hole = disk.extent_at(0).unwrap();
    assert_eq!((hole.kind, hole.end), (ExtentKind::Hole, 4096));
    let data = disk.extent_at(4096).unwrap();
    assert_eq!((data.kind, data.end), (ExtentKind::Data, 8192));
}

/// One file as several extents: each has its tables in memory.
#[test]
fn tables_beyond_those_of_any_disk_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    // Grains of 4 KiB, a table for each, 16 GiB: a directory of 16 MiB.
    let mut header = [0; 512];
    header[..8].copy_from_slice(b"KDMV\x01\0\0\0");
    header[12..20].copy_from_slice(&((16_u64 << 30) / 512).to_le_bytes());
    header[20] = 8;
    header[44] = 1;
    header[56] = 1;
    let extent = File::create(dir.path().join("extent")).unwrap();
    extent.write_all_at(&header, 0).unwrap();
    extent.set_len(17 << 20).unwrap();
    let path = dir.path().join("disk.vmdk");
    let describe = |extents: usize| {
        let lines = "RW 8 SPARSE \"extent\"\n".repeat(extents);
        let text = format!("# Disk DescriptorFile\nparentCID=ffffffff\n{lines}");
        fs::write(&path, text).unwrap();
        open(&path)
    };
    assert_eq!(describe(2).unwrap().len(), 2 * 8 * 512);
    let error = describe(3).unwrap_err().to_string();
    assert!(error.contains("larger tables"), "{error}");
}

/// Whatever is in the file: an error or some bytes, in time.
#[test]
fn damaged_files_are_errors_or_other_disks() {
    if !can("damaged_files_are_errors_or_other_disks") {
        return;
    }
    let dir = raw_disk();
    let made: [(&str, &[&str]); 3] = [
        ("d.qcow2", &["-O", "qcow2"]),
        ("d.vmdk", &["-O", "vmdk"]),
        ("s.vmdk", &["-O", "vmdk", "-o", "subformat=streamOptimized"]),
    ];
    for (name, options) in made {
        let mut all = vec!["convert"];
        all.extend(options);
        all.extend(["disk.raw", name]);
        qemu_img(dir.path(), &all);
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        for seed in 0..400_u64 {
            damage_and_read(&path, &whole, seed);
        }
    }
}

fn damage_and_read(path: &PathBuf, whole: &[u8], seed: u64) {
    let draw = noise(64, seed + 1);
    let mut bytes = whole.to_vec();
    let number = |at: usize| u64::from_le_bytes(draw[at..at + 8].try_into().unwrap()) >> 5;
    if seed % 4 == 3 {
        bytes.truncate((number(0) % whole.len() as u64) as usize);
    }
    // Headers and tables stand in front as a rule, a second header at the end.
    for at in [
        number(8) % 512,
        number(16) % 512,
        number(24) % 200_000,
        number(32),
    ] {
        let len = bytes.len() as u64;
        if len > 0 {
            bytes[(at % len) as usize] = draw[40 + (at % 8) as usize];
        }
    }
    fs::write(path, &bytes).unwrap();
    let Ok(disk) = open(path) else { return };
    let mut buffer = [0; 5000];
    for (at, _) in DATA {
        let at = at.min(disk.len().saturating_sub(5000));
        let len = disk.len().min(5000) as usize;
        let _ = disk.read_exact_at(at, &mut buffer[..len]);
        let _ = disk.extent_at(at);
    }
}

#[test]
fn a_feature_that_is_not_known_is_refused_with_a_way_round_it() {
    if !can("a_feature_that_is_not_known_is_refused_with_a_way_round_it") {
        return;
    }
    let dir = raw_disk();
    let options = ["-O", "qcow2", "-o", "extended_l2=on,cluster_size=128k"];
    let mut all = vec!["convert"];
    all.extend(options);
    all.extend(["disk.raw", "l2.qcow2"]);
    qemu_img(dir.path(), &all);
    let error = open(&dir.path().join("l2.qcow2")).unwrap_err();
    assert!(error.is_refusal());
    assert!(error.to_string().contains("qemu-img convert"), "{error}");
}
