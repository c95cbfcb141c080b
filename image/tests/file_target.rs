//! Writing to files, streams and nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use common::{Mounted, alone, can_loop, noise, open, run, writer};
use mimeo_image::target::StreamTarget;
use mimeo_image::{Target, TargetError, TargetOptions};

const BLOCK: u64 = 256 << 10;

fn new_path() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("target");
    (dir, path)
}

fn refusal(spec: impl AsRef<std::ffi::OsStr>) -> TargetError {
    let error = open(spec, true).unwrap_err();
    assert!(error.is_refusal(), "{error}");
    error
}

#[test]
fn a_new_file_is_made_only_by_preparing() {
    let (_dir, path) = new_path();
    let target = open(&path, false).unwrap();
    assert_eq!(target.capacity(), None);
    assert!(!target.is_sequential());
    assert!(target.describe().starts_with("new file "));
    assert_eq!(target.describe_resumed(), target.describe());
    assert!(!path.exists());
    target.prepare(Some(10)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 10);
}

#[test]
fn an_existing_file_is_kept_by_opening_and_emptied_by_preparing() {
    let (_dir, path) = new_path();
    fs::write(&path, noise(5000, 1)).unwrap();
    let target = open(&path, false).unwrap();
    assert!(target.describe().contains("5.0 kB, will be overwritten"));
    assert!(
        target
            .describe_resumed()
            .ends_with("5.0 kB, keeping what it holds of the image")
    );
    assert_eq!(fs::read(&path).unwrap(), noise(5000, 1));
    let mut writer = target.prepare(Some(3000)).unwrap();
    writer.write_at(0, b"new").unwrap();
    writer.finish(3000).unwrap();
    writer.flush().unwrap();
    let mut expected = vec![0; 3000];
    expected[..3].copy_from_slice(b"new");
    assert_eq!(fs::read(&path).unwrap(), expected);
}

#[test]
fn every_length_and_any_order_of_blocks() {
    for len in [1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 17] {
        let content = noise(len as usize, len);
        for known in [Some(len), None] {
            let (_dir, path) = new_path();
            let mut writer = writer(&path, known);
            let blocks: Vec<_> = content.chunks(BLOCK as usize).enumerate().collect();
            for (index, block) in blocks.into_iter().rev() {
                writer.write_at(index as u64 * BLOCK, block).unwrap();
            }
            writer.finish(len).unwrap();
            writer.flush().unwrap();
            assert!(fs::read(&path).unwrap() == content, "{len} bytes");
        }
    }
}

#[test]
fn zeros_are_holes() {
    let (_dir, path) = new_path();
    let len = 200 * BLOCK;
    let mut writer = writer(&path, Some(len));
    writer.zero_at(0, 100 * BLOCK).unwrap();
    writer
        .write_at(100 * BLOCK, &noise(BLOCK as usize, 1))
        .unwrap();
    writer.zero_at(101 * BLOCK, 99 * BLOCK).unwrap();
    writer.finish(len).unwrap();
    writer.flush().unwrap();
    let meta = fs::metadata(&path).unwrap();
    assert_eq!(meta.len(), len);
    // One block and the file system's own bookkeeping.
    assert!(
        meta.blocks() * 512 <= 2 * BLOCK,
        "{} blocks of 512 bytes",
        meta.blocks()
    );
}

#[test]
fn zeroing_what_was_written_before_really_zeroes_it() {
    for (start, end) in [
        (0, 3 * BLOCK),
        (1, 2),
        (5000, 2 * BLOCK + 77),
        (BLOCK, 2 * BLOCK),
    ] {
        let (_dir, path) = new_path();
        let mut expected = noise(3 * BLOCK as usize, 5);
        let mut writer = writer(&path, Some(3 * BLOCK));
        writer.write_at(0, &expected).unwrap();
        writer.zero_at(start, end - start).unwrap();
        writer.finish(3 * BLOCK).unwrap();
        writer.flush().unwrap();
        expected[start as usize..end as usize].fill(0);
        assert!(fs::read(&path).unwrap() == expected, "{start}..{end}");
    }
}

#[test]
fn a_file_of_unknown_length_grows_with_zeros_and_ends_where_it_is_told() {
    let (_dir, path) = new_path();
    let mut growing = writer(&path, None);
    growing.write_at(0, b"abc").unwrap();
    growing.zero_at(2, 998).unwrap();
    growing.flush().unwrap();
    let mut expected = vec![0; 1000];
    expected[..2].copy_from_slice(b"ab");
    assert_eq!(fs::read(&path).unwrap(), expected);
    growing.finish(600).unwrap();
    growing.flush().unwrap();
    assert_eq!(fs::read(&path).unwrap(), expected[..600]);
}

#[test]
fn more_than_the_limit_of_dirty_pages_arrives_unharmed() {
    let (_dir, path) = new_path();
    let blocks = 640; // 160 MiB, a quarter more than the limit
    let data = noise(BLOCK as usize, 11);
    let mut writer = writer(&path, Some(blocks * BLOCK));
    for index in 0..blocks {
        // Out of order, so that ranges do not merge.
        let place = index ^ 1;
        writer.write_at(place * BLOCK, &data).unwrap();
    }
    writer.finish(blocks * BLOCK).unwrap();
    writer.flush().unwrap();
    let mut file = File::open(&path).unwrap();
    let mut read = vec![0; BLOCK as usize];
    for _ in 0..blocks {
        file.read_exact(&mut read).unwrap();
        assert!(read == data);
    }
}

#[test]
fn paths_that_cannot_be_written_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(refusal(dir.path()), TargetError::Directory { .. }));
    let orphan = dir.path().join("missing").join("target");
    assert!(matches!(refusal(orphan), TargetError::ParentMissing { .. }));
    for typo in [
        "/dev/sd-none",
        "/dev/disk/by-id/none",
        "/dev/none/none",
        "/dev/../dev/none",
    ] {
        assert!(
            matches!(refusal(typo), TargetError::NoSuchDevice { .. }),
            "{typo}"
        );
        assert!(!Path::new(typo).exists());
    }
    assert!(matches!(
        refusal("/dev/null"),
        TargetError::Unsupported { .. }
    ));
    let link = dir.path().join("link");
    symlink(dir.path().join("nowhere"), &link).unwrap();
    assert!(matches!(refusal(&link), TargetError::DanglingLink { .. }));
    let file = dir.path().join("file");
    fs::write(&file, b"x").unwrap();
    assert!(refusal(file.join("below")).is_refusal());
}

#[test]
fn what_appeared_since_it_was_looked_at_is_not_overwritten() {
    let (_dir, path) = new_path();
    let target = open(&path, false).unwrap();
    fs::write(&path, b"precious").unwrap();
    let error = target.prepare(Some(3)).unwrap_err();
    assert!(matches!(error, TargetError::Appeared { .. }) && error.is_refusal());
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn only_disks_have_serial_numbers() {
    let (_dir, path) = new_path();
    let options = TargetOptions {
        yes: true,
        serial: Some("S1".to_owned()),
    };
    for spec in [path.as_os_str(), "null:".as_ref()] {
        let error = Target::open(spec, &options).unwrap_err();
        assert!(matches!(error, TargetError::SerialMismatch { .. }) && error.is_refusal());
    }
}

#[test]
fn a_full_file_system_is_a_failure_with_its_offset() {
    let Some(_alone) = can_loop(
        "a_full_file_system_is_a_failure_with_its_offset",
        &["mount"],
    ) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let options = ["-t", "tmpfs", "-o", "size=1m"];
    let mounted = Mounted::new(&options, Path::new("tmpfs"), dir.path().to_owned());
    // An image with holes may fit, so its length alone is no reason to refuse.
    let mut writer = writer(mounted.0.join("target"), Some(100 * BLOCK));
    writer.zero_at(50 * BLOCK, 50 * BLOCK).unwrap();
    let block = noise(BLOCK as usize, 1);
    let error = (0..5)
        .find_map(|index| writer.write_at(index * BLOCK, &block).err())
        .unwrap();
    assert!(
        matches!(error, TargetError::NoSpace { offset, .. } if offset == 4 * BLOCK),
        "{error}"
    );
    assert!(!error.is_refusal());
    // Nobody may call it complete afterwards.
    assert!(writer.flush().is_err());
    drop(writer);
}

#[test]
fn a_stream_is_written_in_order_with_real_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    let _alone = alone();
    run("mkfifo", &[path.as_ref()]);
    let reading = path.clone();
    let thread = std::thread::spawn(move || fs::read(reading).unwrap());
    let target = loop {
        match open(&path, false) {
            Err(TargetError::NoReader { .. }) => std::thread::yield_now(),
            opened => break opened.unwrap(),
        }
    };
    assert!(target.is_sequential());
    let mut writer = target.prepare(None).unwrap();
    writer.write_at(0, b"abc").unwrap();
    let error = writer.write_at(100_000, b"x").unwrap_err();
    assert!(matches!(
        error,
        TargetError::OutOfOrder {
            expected: 3,
            offset: 100_000,
            ..
        }
    ));
    assert!(writer.zero_at(2, 1).is_err());
    writer.zero_at(3, 200_000).unwrap();
    writer.write_at(200_003, b"z").unwrap();
    assert!(writer.finish(200_005).is_err());
    writer.finish(200_004).unwrap();
    writer.flush().unwrap();
    drop(writer);
    let expected = [&b"abc"[..], &[0; 200_000], b"z"].concat();
    assert!(thread.join().unwrap() == expected);
}

#[test]
fn a_stream_that_nobody_reads_any_more_is_closed() {
    let (reader, pipe) = std::io::pipe().unwrap();
    let mut stream = StreamTarget::from_fd(pipe.into(), "standard output");
    stream.write_next(b"first").unwrap();
    drop(reader);
    let error = stream.write_next(b"second").unwrap_err();
    assert!(
        matches!(error, TargetError::Closed { written: 5, .. }),
        "{error}"
    );
    assert!(!error.is_refusal());
}

#[test]
fn a_stream_into_a_full_disk_says_so() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut stream = StreamTarget::from_fd(full.into(), "standard output");
    let error = stream.zero_next(10).unwrap_err();
    assert!(
        matches!(error, TargetError::NoSpace { offset: 0, .. }),
        "{error}"
    );
}

#[test]
fn null_counts_what_it_discards() {
    let mut writer = writer("null:", Some(1000));
    assert!(!writer.is_sequential());
    writer.write_at(500, &[1; 500]).unwrap();
    writer.zero_at(0, 500).unwrap();
    writer.finish(1000).unwrap();
    writer.flush().unwrap();
    assert_eq!(writer.discarded(), Some(1000));
}

/// Opens what must be locked, in the way of a receiver that starts anew or resumes.
fn assert_taken(path: &Path) {
    let error = refusal(path);
    assert!(matches!(error, TargetError::Locked { .. }), "{error}");
}

#[test]
fn what_one_writes_no_other_opens_whether_it_was_there_or_not() {
    for existed in [true, false] {
        let (_dir, path) = new_path();
        if existed {
            fs::write(&path, b"old").unwrap();
        }
        let target = open(&path, false).unwrap();
        let writing = target.prepare(Some(1000)).unwrap();
        assert_taken(&path);
        drop(writing);
        let resumed = open(&path, false).unwrap().resume(Some(1000), false);
        assert_taken(&path);
        drop(resumed.unwrap());
        open(&path, false).unwrap();
    }
}

#[test]
fn of_two_that_would_create_a_file_one_does() {
    let (_dir, path) = new_path();
    let [first, second, third] = [0; 3].map(|_| open(&path, false).unwrap());
    let _writing = first.prepare(Some(1000)).unwrap();
    let errors = [second.prepare(Some(500)), third.resume(Some(500), true)].map(Result::unwrap_err);
    for error in errors {
        assert!(error.is_refusal(), "{error}");
        assert!(error.to_string().contains("another program"), "{error}");
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), 1000);
}

/// What somebody else does to a target meanwhile, and what a receiver does next.
type Vandal = fn(&Path);
type Operation = fn(&mut mimeo_image::TargetWriter) -> Result<(), TargetError>;

#[test]
fn a_file_that_was_removed_renamed_or_replaced_meanwhile_is_not_confirmed() {
    let vandals: [(Vandal, &str); 3] = [
        (|path| fs::remove_file(path).unwrap(), "removed or renamed"),
        (
            |path| fs::rename(path, path.with_extension("old")).unwrap(),
            "removed or renamed",
        ),
        (
            |path| {
                let other = path.with_extension("new");
                fs::write(&other, noise(1000, 1)).unwrap();
                fs::rename(other, path).unwrap();
            },
            "replaced by another",
        ),
    ];
    for (vandal, words) in vandals {
        for at_the_flush in [true, false] {
            let (_dir, path) = new_path();
            let mut writer = writer(&path, Some(1000));
            writer.write_at(0, &noise(1000, 1)).unwrap();
            writer.finish(1000).unwrap();
            let error = if at_the_flush {
                vandal(&path);
                writer.flush().unwrap_err()
            } else {
                writer.flush().unwrap();
                writer.confirm().unwrap();
                vandal(&path);
                writer.confirm().unwrap_err()
            };
            assert!(!error.is_refusal(), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

#[test]
fn a_path_through_links_is_confirmed() {
    let (dir, path) = new_path();
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    fs::write(&path, b"old").unwrap();
    let mut writer = writer(&link, Some(1000));
    writer.finish(1000).unwrap();
    writer.flush().unwrap();
}

#[test]
fn a_file_that_was_shortened_meanwhile_fails() {
    let operations: [Operation; 4] = [
        // These would make it as long as it was.
        |writer| writer.write_at(2 * BLOCK, &noise(BLOCK as usize, 2)),
        |writer| writer.zero_at(BLOCK, 2 * BLOCK),
        |writer| writer.finish(3 * BLOCK),
        mimeo_image::TargetWriter::flush,
    ];
    for operation in operations {
        let (_dir, path) = new_path();
        let mut writer = writer(&path, Some(3 * BLOCK));
        writer.write_at(0, &noise(BLOCK as usize, 1)).unwrap();
        let vandal = File::options().write(true).open(&path).unwrap();
        vandal.set_len(1000).unwrap();
        let error = operation(&mut writer).unwrap_err();
        assert!(
            matches!(error, TargetError::Shortened { found: 1000, .. }),
            "{error}"
        );
    }
}
