//! What a target holds, compared with the image file: each byte counts that has to be there.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use mimeo_image::image_file::{
    Capture, Content, Credentials, Description, Difference, Encryption, ImageFile, ImageWriter,
    Level, Located, ReadBack, RestoreError, RunKind, read_back, restore,
};
use mimeo_image::source::{DiskSource, SourceOptions, UsedMode};
use mimeo_image::target::Unused;
use mimeo_image::{Target, TargetOptions, TargetWriter};

use crate::common::{can_loop, noise, run};

const BLOCK: usize = 256 << 10;

/// Noise, zeros in runs longer and shorter than what is read at once, and a short block.
fn disk() -> Vec<u8> {
    let mut raw = noise(3 * BLOCK, 1);
    raw.resize(9 * BLOCK, 0);
    raw.extend(noise(6 * BLOCK, 2));
    raw.resize(16 * BLOCK, 0);
    raw.extend(noise(BLOCK + 777, 3));
    raw
}

fn captured(dir: &Path, raw: &[u8]) -> ImageFile {
    std::fs::write(dir.join("disk.raw"), raw).unwrap();
    captured_as(dir, UsedMode::Off)
}

fn captured_as(dir: &Path, used: UsedMode) -> ImageFile {
    let (disk, path) = (dir.join("disk.raw"), dir.join("disk.mimeo"));
    let options = SourceOptions {
        used,
        ..SourceOptions::EXACT
    };
    let disk = DiskSource::open_with(&disk, &options).unwrap();
    let mut writer = ImageWriter::create(&path, true, Encryption::None, disk.len()).unwrap();
    let capture = Capture {
        level: Level::FAST,
        hash_disk: false,
    };
    capture.run(&disk, &mut writer, |_| true).unwrap();
    writer.finish(&Description::default(), None).unwrap();
    ImageFile::open(&path, &Credentials::default()).unwrap()
}

fn restored(file: &ImageFile, path: &Path) -> TargetWriter {
    let target = Target::open(path.as_os_str(), &TargetOptions::default()).unwrap();
    let mut writer = target.prepare(Some(file.disk_len())).unwrap();
    restore(file, &mut writer, Unused::Zero, |_| true).unwrap();
    writer
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let raw = disk();
    let file = captured(dir.path(), &raw);
    let path = dir.path().join("target");
    let writer = restored(&file, &path);
    let find = || read_back(&file, &writer, Unused::Zero, |_| true).unwrap();
    assert!(matches!(find(), ReadBack::Right(_)));
    let vandal = OpenOptions::new().write(true).open(&path).unwrap();
    for at in [
        0,
        3 * BLOCK - 1,
        3 * BLOCK,
        9 * BLOCK - 1,
        14 * BLOCK + 5,
        15 * BLOCK + 9,
        raw.len() - 1,
    ] {
        vandal.write_all_at(&[raw[at] ^ 4], at as u64).unwrap();
        let ReadBack::Different(Difference::Bytes(range)) = find() else {
            panic!("byte {at} was not found");
        };
        assert!(range.contains(&(at as u64)), "{at}: {range:?}");
        assert!(range.end - range.start <= 1 << 20, "{at}: {range:?}");
        vandal.write_all_at(&raw[at..=at], at as u64).unwrap();
    }
    assert!(matches!(find(), ReadBack::Right(_)));
    for len in [2 * BLOCK + 1, 5 * BLOCK, raw.len() - 1] {
        vandal.set_len(len as u64).unwrap();
        let ends = ReadBack::Different(Difference::Ends(len as u64));
        assert_eq!(find(), ends);
        vandal.write_all_at(&raw[len..], len as u64).unwrap();
    }
}

#[test]
fn unused_areas_count_where_they_are_zeros() {
    let tools = ["mkfs.ext4"];
    let Some(_alone) = can_loop("unused areas that are read back", &tools) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk.raw");
    File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    run("mkfs.ext4", &["-q".as_ref(), disk.as_ref()]);
    let file = captured_as(dir.path(), UsedMode::Auto);
    let is_unused = |it: &Located| matches!(it.entry.content, Content::Run(RunKind::Unused, _));
    let unused = file.entries().map(Result::unwrap).find(is_unused).unwrap();
    let path = dir.path().join("target");
    let writer = restored(&file, &path);
    let vandal = OpenOptions::new().write(true).open(&path).unwrap();
    let at = unused.entry.place.offset() + 1000;
    vandal.write_all_at(&[1], at).unwrap();
    for how in [Unused::Keep, Unused::Discard] {
        let found = read_back(&file, &writer, how, |_| true).unwrap();
        assert!(matches!(found, ReadBack::Right(_)), "{found:?}");
    }
    let found = read_back(&file, &writer, Unused::Zero, |_| true).unwrap();
    let ReadBack::Different(Difference::Bytes(range)) = found else {
        panic!("it was not found");
    };
    assert!(range.contains(&at), "{range:?}");
}

#[test]
fn it_is_told_how_far_it_is_and_may_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let file = captured(dir.path(), &disk());
    let writer = restored(&file, &dir.path().join("target"));
    let mut told = Vec::new();
    let tell = |at| {
        told.push(at);
        true
    };
    assert!(read_back(&file, &writer, Unused::Zero, tell).is_ok());
    assert!(told.is_sorted());
    assert_eq!(told.last(), Some(&file.disk_len()));
    let stopped = read_back(&file, &writer, Unused::Zero, |_| false);
    assert!(matches!(stopped, Err(RestoreError::Stopped)));
}
