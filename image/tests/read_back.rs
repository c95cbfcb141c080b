//! Reading back what a target holds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::{Loop, can_loop, noise, skip, writer};
use mimeo_image::target::{ReadMode, ReadPath, TargetError, TargetReader, can_be_read_back};

/// Lengths around everything that reading is aligned to.
const LENGTHS: [usize; 11] = [
    1,
    511,
    513,
    4096,
    65_535,
    65_537,
    262_144,
    300_001,
    (1 << 20) - 1,
    (1 << 20) + 4097,
    3 << 20,
];

/// All of a target, in pieces that fit nothing.
fn read(reader: &mut TargetReader, piece: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; piece];
    loop {
        let read = reader.read_at(all.len() as u64, &mut buffer).unwrap();
        all.extend_from_slice(&buffer[..read]);
        if read < piece {
            return all;
        }
    }
}

fn target(path: &Path, image: &[u8]) -> mimeo_image::TargetWriter {
    let mut writer = writer(path, Some(image.len() as u64));
    writer.write_at(0, image).unwrap();
    writer.finish(image.len() as u64).unwrap();
    writer.flush().unwrap();
    writer
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    for length in LENGTHS {
        let image = noise(length, 3);
        let path = dir.path().join(length.to_string());
        let writer = target(&path, &image);
        for mode in [ReadMode::Cached, ReadMode::Direct] {
            let mut reader = writer.reader(mode).unwrap();
            for piece in [1 << 20, 262_144, 70_001] {
                assert!(
                    read(&mut reader, piece) == image,
                    "{length}, {mode:?}, {piece}"
                );
            }
            assert_eq!(reader.read_at(1 << 40, &mut [0; 9]).unwrap(), 0);
            assert_eq!(
                reader.path() == ReadPath::Cached,
                mode == ReadMode::Cached,
                "{mode:?}"
            );
        }
    }
}

#[test]
fn what_was_written_and_not_flushed_is_read_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path().join("target"), Some(500_000));
    for mode in [ReadMode::Cached, ReadMode::Direct] {
        let mut reader = writer.reader(mode).unwrap();
        assert!(
            read(&mut reader, 65_536) == vec![0; 500_000],
            "a hole is zeros"
        );
    }
    writer.write_at(300_000, &[7; 100]).unwrap();
    for mode in [ReadMode::Cached, ReadMode::Direct] {
        let mut bytes = [1; 102];
        let mut reader = writer.reader(mode).unwrap();
        assert_eq!(reader.read_at(299_999, &mut bytes).unwrap(), 102);
        assert!(bytes[0] == 0 && bytes[1..101] == [7; 100] && bytes[101] == 0);
    }
}

/// The name is given to another file: what was written is read, not that.
#[test]
fn a_replaced_name_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("target");
    let image = noise(300_001, 4);
    let writer = target(&path, &image);
    fs::rename(&path, dir.path().join("elsewhere")).unwrap();
    fs::write(&path, noise(300_001, 5)).unwrap();
    for mode in [ReadMode::Cached, ReadMode::Direct] {
        assert!(read(&mut writer.reader(mode).unwrap(), 1 << 20) == image);
    }
}

#[test]
fn memory_says_that_there_is_nothing_behind_the_cache() {
    let shm = Path::new("/dev/shm");
    let tmpfs = fs::read_to_string("/proc/mounts")
        .unwrap()
        .lines()
        .any(|line| line.split(' ').nth(1) == Some("/dev/shm") && line.starts_with("tmpfs "));
    if !tmpfs {
        return skip(
            "memory_says_that_there_is_nothing_behind_the_cache",
            "/dev/shm is no tmpfs",
        );
    }
    let dir = tempfile::tempdir_in(shm).unwrap();
    let image = noise(300_001, 6);
    let writer = target(&dir.path().join("target"), &image);
    let mut reader = writer.reader(ReadMode::Direct).unwrap();
    assert_eq!(reader.path(), ReadPath::Memory);
    assert!(read(&mut reader, 1 << 20) == image);
}

/// The device's file is changed where the device's own page cache does not see
/// it, as a disk does that loses what it was given.
#[test]
fn a_disk_that_lies_is_seen_past_the_cache_only() {
    let Some(_alone) = can_loop("a_disk_that_lies_is_seen_past_the_cache_only", &["losetup"])
    else {
        return;
    };
    // Longer than the image; with sectors of 512 bytes and of an odd number of them.
    for (size, options) in [
        ((2 << 20) + 512, &[][..]),
        (2 << 20, &["--sector-size", "4096"]),
    ] {
        for length in [(1 << 20) + 77, size] {
            let device = Loop::new(size, options);
            let image = noise(length, 7);
            let writer = target(&device.path, &image);
            let flipped = length - 1;
            let cached = &mut writer.reader(ReadMode::Cached).unwrap();
            assert!(read(cached, 1 << 20)[..length] == image);
            let behind = OpenOptions::new().write(true).open(&device.file).unwrap();
            behind
                .write_all_at(&[image[flipped] ^ 1], flipped as u64)
                .unwrap();
            drop(behind);
            assert!(
                read(cached, 1 << 20)[..length] == image,
                "{options:?}: the cache still has what was written"
            );
            let mut direct = writer.reader(ReadMode::Direct).unwrap();
            assert_eq!(direct.path(), ReadPath::Direct);
            let found = read(&mut direct, 1 << 20);
            assert_eq!(found.len(), size);
            let wrong: Vec<usize> = (0..length).filter(|&at| found[at] != image[at]).collect();
            assert_eq!(wrong, [flipped], "{options:?}");
        }
    }
}

#[test]
fn streams_and_nothing_cannot_be_read_back() {
    let writer = writer("null:", Some(1));
    let error = writer.reader(ReadMode::Cached).unwrap_err();
    assert!(matches!(error, TargetError::NotReadable { .. }), "{error}");
    for (spec, can) in [
        ("-", false),
        ("null:", false),
        ("/dev/sda", true),
        ("x", true),
    ] {
        assert_eq!(can_be_read_back(spec.as_ref()), can, "{spec}");
    }
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    assert!(!can_be_read_back(pipe.as_os_str()));
    File::create(dir.path().join("file")).unwrap();
    assert!(can_be_read_back(dir.path().join("file").as_os_str()));
}
