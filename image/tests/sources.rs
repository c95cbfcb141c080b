//! Reading images: sizes, holes, and sources that change or cannot be used.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use common::{Loop, Mounted, alone, can_loop, noise, run};
use mimeo_image::source::{Change, DiskSource, ExtentKind, StreamSource};
use mimeo_image::{Source, SourceError};

const BLOCK: u64 = 256 << 10;

fn image(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    fs::write(&path, content).unwrap();
    (dir, path)
}

fn disk(path: &Path) -> DiskSource {
    match Source::open(path.as_ref()).unwrap() {
        Source::Disk(disk) => disk,
        Source::Captured(_) | Source::Stream(_) => panic!("a file is no stream"),
    }
}

fn refusal(spec: impl AsRef<OsStr>) -> SourceError {
    let error = Source::open(spec.as_ref()).unwrap_err();
    assert!(error.is_refusal(), "{error}");
    error
}

/// All extents, checked to join without gaps.
fn extents(source: &DiskSource) -> Vec<(ExtentKind, u64, u64)> {
    let (mut at, mut all) = (0, Vec::new());
    while at < source.len() {
        let extent = source.extent_at(at).unwrap();
        assert!(extent.end > at && extent.end <= source.len());
        all.push((extent.kind, at, extent.end));
        at = extent.end;
    }
    all
}

#[test]
fn every_length_reads_back_exactly() {
    for len in [1, BLOCK - 1, BLOCK, BLOCK + 1] {
        let content = noise(len as usize, len);
        let (_dir, path) = image(&content);
        let source = disk(&path);
        assert_eq!(source.len(), len);
        let mut read = vec![0; len as usize];
        source.read_exact_at(0, &mut read).unwrap();
        assert_eq!(read, content);
        let mut last = [0];
        source.read_exact_at(len - 1, &mut last).unwrap();
        assert_eq!(last[0], content[len as usize - 1]);
        assert!(matches!(
            source.read_exact_at(len, &mut last),
            Err(SourceError::OutOfRange { .. })
        ));
        source.read_exact_at(len, &mut []).unwrap();
        source.check_unchanged().unwrap();
    }
}

#[test]
fn several_threads_read_at_once() {
    let content = noise(4 * BLOCK as usize, 7);
    let (_dir, path) = image(&content);
    let source = disk(&path);
    std::thread::scope(|scope| {
        for (index, expected) in content.chunks(BLOCK as usize).enumerate() {
            let source = &source;
            scope.spawn(move || {
                let mut read = vec![0; BLOCK as usize];
                for _ in 0..20 {
                    source.extent_at(index as u64).unwrap();
                    source
                        .read_exact_at(index as u64 * BLOCK, &mut read)
                        .unwrap();
                    assert_eq!(read, expected);
                }
            });
        }
    });
}

#[test]
fn holes_are_found_and_data_is_never_called_a_hole() {
    let (_dir, path) = image(&[]);
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(64 * BLOCK).unwrap();
    file.write_all_at(&noise(BLOCK as usize, 1), 0).unwrap();
    file.write_all_at(&noise(BLOCK as usize, 2), 40 * BLOCK)
        .unwrap();
    let source = disk(&path);
    let all = extents(&source);
    let in_data = |offset: u64| {
        all.iter()
            .any(|(kind, start, end)| *kind == ExtentKind::Data && (*start..*end).contains(&offset))
    };
    for offset in [0, BLOCK - 1, 40 * BLOCK, 41 * BLOCK - 1] {
        assert!(in_data(offset), "{offset} in {all:?}");
    }
    // A file system without holes would show one extent of data.
    if all.len() > 1 {
        assert!(!in_data(20 * BLOCK) && !in_data(64 * BLOCK - 1), "{all:?}");
        let inside = source.extent_at(20 * BLOCK + 1).unwrap();
        assert_eq!((inside.kind, inside.end), (ExtentKind::Hole, 40 * BLOCK));
    } else {
        common::skip("holes_are_found", "the temporary directory knows no holes");
    }
}

#[test]
fn a_file_that_is_one_hole_and_a_file_without_any() {
    let (_dir, path) = image(&[]);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(10 * BLOCK + 5)
        .unwrap();
    let end = 10 * BLOCK + 5;
    let hole = extents(&disk(&path));
    assert!(hole == [(ExtentKind::Hole, 0, end)] || hole == [(ExtentKind::Data, 0, end)]);
    let (_dir, path) = image(&noise(1000, 3));
    assert_eq!(extents(&disk(&path)), [(ExtentKind::Data, 0, 1000)]);
}

#[test]
fn a_source_that_shrinks_is_noticed_and_never_passes_for_zeros() {
    let (_dir, path) = image(&noise(1000, 3));
    let source = disk(&path);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(400)
        .unwrap();
    let mut read = [0; 300];
    source.read_exact_at(100, &mut read).unwrap();
    match source.read_exact_at(200, &mut read).unwrap_err() {
        SourceError::Shrunk {
            offset,
            wanted,
            got,
            ..
        } => {
            assert_eq!((offset, wanted, got), (200, 300, 200));
        }
        other => panic!("{other}"),
    }
    assert!(matches!(
        source.extent_at(500),
        Err(SourceError::Shrunk { .. })
    ));
    let error = source.check_unchanged().unwrap_err();
    assert!(!error.is_refusal());
    let length = Change::Length { was: 1000, is: 400 };
    assert!(matches!(error, SourceError::Changed { change, .. } if change == length));
}

#[test]
fn changes_are_named() {
    let change = |act: fn(&Path)| {
        let (_dir, path) = image(&noise(1000, 3));
        let source = disk(&path);
        source.check_unchanged().unwrap();
        act(&path);
        match source.check_unchanged().unwrap_err() {
            SourceError::Changed { change, .. } => change,
            other => panic!("{other}"),
        }
    };
    let appended = change(|path| {
        File::options()
            .append(true)
            .open(path)
            .unwrap()
            .write_all(b"x")
            .unwrap();
    });
    assert_eq!(
        appended,
        Change::Length {
            was: 1000,
            is: 1001
        }
    );
    // The time is set outright: two writes may fall into one tick of the clock.
    let modified = change(|path| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    });
    assert_eq!(modified, Change::Modified);
    let replaced = change(|path| {
        let other = path.with_extension("new");
        fs::write(&other, noise(1000, 4)).unwrap();
        fs::rename(other, path).unwrap();
    });
    assert_eq!(replaced, Change::Replaced);
    assert_eq!(
        change(|path| fs::remove_file(path).unwrap()),
        Change::Removed
    );
}

#[test]
fn what_is_no_image_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(refusal(dir.path()), SourceError::Directory { .. }));
    assert!(matches!(
        refusal(dir.path().join("none")),
        SourceError::NotFound { .. }
    ));
    assert!(matches!(
        refusal("/dev/zero"),
        SourceError::Unsupported { .. }
    ));
    let (_image_dir, empty) = image(&[]);
    assert!(matches!(refusal(empty), SourceError::Empty { .. }));
    let socket = dir.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let error = refusal(&socket);
    assert!(matches!(error, SourceError::Unsupported { .. }));
    assert!(error.to_string().contains(socket.to_str().unwrap()));
}

#[test]
fn a_stream_fills_the_buffer_across_short_writes() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let content = noise(100_000, 9);
    let written = content.clone();
    let thread = std::thread::spawn(move || {
        for piece in written.chunks(777) {
            writer.write_all(piece).unwrap();
        }
    });
    let mut stream = StreamSource::from_fd(reader.into(), "a pipe");
    let mut first = vec![0; 60_000];
    assert_eq!(stream.read_full(&mut first).unwrap(), 60_000);
    let mut second = vec![0; 60_000];
    assert_eq!(stream.read_full(&mut second).unwrap(), 40_000);
    assert_eq!(stream.read_full(&mut [0; 10]).unwrap(), 0);
    assert_eq!(stream.position(), 100_000);
    assert_eq!([&first[..], &second[..40_000]].concat(), content);
    thread.join().unwrap();
}

#[test]
fn a_named_pipe_is_a_stream() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    let _alone = alone();
    run("mkfifo", &[path.as_ref()]);
    let writing = path.clone();
    let thread = std::thread::spawn(move || fs::write(writing, b"image").unwrap());
    let source = Source::open(path.as_ref()).unwrap();
    assert_eq!(source.image_len(), None);
    assert!(source.describe().starts_with("pipe "));
    let Source::Stream(mut stream) = source else {
        panic!("a pipe is a stream")
    };
    let mut read = [0; 16];
    assert_eq!(stream.read_full(&mut read).unwrap(), 5);
    assert_eq!(&read[..5], b"image");
    thread.join().unwrap();
}

#[test]
fn a_block_device_is_data_throughout() {
    let Some(_alone) = can_loop("a_block_device_is_data_throughout", &["losetup"]) else {
        return;
    };
    let device = Loop::new(2 << 20, &[]);
    let source = disk(&device.path);
    assert!(source.is_device());
    assert_eq!(source.len(), 2 << 20);
    assert_eq!(extents(&source), [(ExtentKind::Data, 0, 2 << 20)]);
    assert!(
        source.describe().starts_with("disk /dev/loop"),
        "{}",
        source.describe()
    );
    let mut read = vec![0; 1000];
    source.read_exact_at(12_345, &mut read).unwrap();
    assert_eq!(read, noise(2 << 20, 1)[12_345..13_345]);
    source.check_unchanged().unwrap();
}

#[test]
fn a_device_mounted_read_write_is_refused_and_read_only_is_not() {
    let test = "a_device_mounted_read_write_is_refused_and_read_only_is_not";
    let Some(_alone) = can_loop(test, &["losetup", "mkfs.ext4", "mount"]) else {
        return;
    };
    let device = Loop::with_content(&vec![0; 8 << 20], &[]);
    run("mkfs.ext4", &["-q".as_ref(), device.path.as_ref()]);
    let mounted = Mounted::new(&[], &device.path, device.mount_point());
    for spec in [&device.path, &device.file] {
        let error = refusal(spec);
        assert!(matches!(error, SourceError::InUse { .. }));
        assert!(
            error.to_string().contains(mounted.0.to_str().unwrap()),
            "{error}"
        );
    }
    let point = mounted.0.clone();
    drop(mounted);
    let mounted = Mounted::new(&["-o", "ro"], &device.path, point);
    assert!(disk(&device.path).is_device());
    assert!(!disk(&device.file).is_device());
    drop(mounted);
}
