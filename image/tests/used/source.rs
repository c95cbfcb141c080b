//! Sources that leave out what is unused.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mimeo_image::source::{DiskSource, ExtentKind, SourceOptions, UsedMode};
use mimeo_image::{Source, SourceError};

use crate::common::{Loop, Mounted, can_loop, noise, run};
use crate::fixture::{Fuse, Image, MIB, fill, tree};

const BLOCK: u64 = 256 << 10;

fn options(used: UsedMode, force: bool) -> SourceOptions {
    SourceOptions {
        used,
        force,
        virtual_disks: false,
    }
}

fn auto(path: &Path) -> DiskSource {
    DiskSource::open_with(path, &options(UsedMode::Auto, false)).unwrap()
}

fn refusal(path: &Path, options: &SourceOptions) -> SourceError {
    let error = Source::open_with(path.as_ref(), options).unwrap_err();
    assert!(error.is_refusal(), "{error}");
    error
}

/// Writes what is read over a file full of noise, as a receiver would; what is unused stays noise.
/// Returns how many blocks were read and how many left out.
fn copy(source: &DiskSource, to: &File) -> (u64, u64) {
    let (mut read, mut left_out) = (0, 0);
    let mut at = 0;
    let mut buffer = vec![0; BLOCK as usize];
    while at < source.len() {
        let extent = source.extent_at(at).unwrap();
        assert!(extent.end > at && extent.end <= source.len());
        while at < extent.end {
            let len = BLOCK.min(source.len() - at);
            let bytes = &mut buffer[..len as usize];
            source.read_exact_at(at, bytes).unwrap();
            if extent.kind == ExtentKind::Unused {
                assert!(bytes.iter().all(|byte| *byte == 0));
                left_out += 1;
            } else {
                to.write_all_at(bytes, at).unwrap();
                read += 1;
            }
            at += BLOCK;
        }
        at = at.min(source.len());
    }
    (read, left_out)
}

/// A disk of noise as long as `image`, and what `image` uses copied to it.
fn copied(image: &Image) -> Image {
    let source = auto(&image.path);
    let copy_of = Image::new(source.len());
    let file = copy_of.file();
    let venom = noise(MIB as usize, 3);
    for at in (0..source.len()).step_by(MIB as usize) {
        let len = MIB.min(source.len() - at) as usize;
        file.write_all_at(&venom[..len], at).unwrap();
    }
    let (read, left_out) = copy(&source, &file);
    let layout = source.layout().unwrap();
    assert!(left_out > 0 && read * BLOCK >= layout.used());
    let text = &layout.remarks()[0].text;
    assert!(
        text.starts_with("the volume (") && text.ends_with(" used"),
        "{text}"
    );
    copy_of
}

#[test]
fn what_is_used_of_ext4_is_a_whole_filesystem() {
    let test = "what_is_used_of_ext4";
    let Some(_alone) = can_loop(test, &["mkfs.ext4", "e2fsck"]) else {
        return;
    };
    let image = Image::new(96 * MIB);
    image.tool("mkfs.ext4", &["-q", "-F"]);
    let before = image.filled(16 * MIB);
    let copy = copied(&image);
    copy.tool("e2fsck", &["-f", "-n"]);
    assert_eq!(before, tree(&copy.mount("ro").point));
}

#[test]
fn what_is_used_of_ntfs_is_a_whole_filesystem() {
    let test = "what_is_used_of_ntfs";
    let Some(_alone) = can_loop(test, &["mkntfs", "ntfs-3g", "ntfsfix"]) else {
        return;
    };
    let image = Image::new(64 * MIB);
    image.tool("mkntfs", &["-Q", "-q", "-F"]);
    let before: BTreeMap<PathBuf, String> = {
        let mounted = Fuse::ntfs(&image, "rw");
        fill(&mounted.point, 10 * MIB);
        tree(&mounted.point)
    };
    let copy = copied(&image);
    copy.tool("ntfsfix", &["-n"]);
    assert_eq!(before, tree(&Fuse::ntfs(&copy, "ro").point));
}

#[test]
fn a_map_that_changes_while_it_is_read_ends_the_reading() {
    let Some(_alone) = can_loop("a_map_that_changes", &["mkfs.ext4"]) else {
        return;
    };
    let image = Image::new(32 * MIB);
    image.tool("mkfs.ext4", &["-q", "-F", "-b", "1024"]);
    let source = auto(&image.path);
    // The descriptors of all groups, which lie behind the superblock.
    image.write(2048, &noise(1024, 1));
    let error = source.extent_at(20 * MIB).unwrap_err();
    assert!(matches!(error, SourceError::Map { .. }), "{error}");
    assert!(!error.is_refusal());
    let mut buffer = [0; 512];
    assert!(source.read_exact_at(20 * MIB, &mut buffer).is_err());
}

#[test]
fn ranges_can_be_left_out_by_others() {
    let image = Image::new(4 * MIB);
    image.write(0, &noise(4 * MIB as usize, 9));
    let mut source = auto(&image.path);
    source.leave_out(std::slice::from_ref(&(BLOCK / 2..BLOCK * 3)));
    let kind = |at| source.extent_at(at).unwrap();
    assert_eq!(kind(0).kind, ExtentKind::Data);
    assert_eq!(
        (kind(BLOCK).kind, kind(BLOCK).end),
        (ExtentKind::Unused, BLOCK * 3)
    );
    let mut buffer = vec![1; BLOCK as usize];
    source.read_exact_at(0, &mut buffer).unwrap();
    assert!(
        buffer[BLOCK as usize / 2 - 1] != 0
            && buffer[BLOCK as usize / 2..].iter().all(|it| *it == 0)
    );
    // Without a map everything is read.
    let mut exact = DiskSource::open(&image.path).unwrap();
    exact.leave_out(std::slice::from_ref(&(0..BLOCK)));
    exact.read_exact_at(0, &mut buffer).unwrap();
    assert_eq!(buffer, noise(BLOCK as usize, 9));
}

#[test]
fn a_sleeping_system_is_refused_unless_it_is_forced_or_copied_exactly() {
    let Some(_alone) = can_loop("a_sleeping_system", &["mkswap"]) else {
        return;
    };
    let image = Image::new(16 * MIB);
    image.tool("mkswap", &[]);
    image.write(4096 - 10, b"S1SUSPEND\0");
    let error = refusal(&image.path, &options(UsedMode::Auto, false));
    assert!(matches!(error, SourceError::Hibernated { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("shut it down properly") && text.contains("--force"),
        "{text}"
    );
    let forced = DiskSource::open_with(&image.path, &options(UsedMode::Auto, true)).unwrap();
    let remark = &forced.layout().unwrap().remarks()[0];
    assert!(
        remark.is_warning && remark.text.contains("copied whole"),
        "{remark:?}"
    );
    assert_eq!(forced.extent_at(0).unwrap().kind, ExtentKind::Data);
    assert_eq!(forced.layout().unwrap().used(), 16 * MIB);
    let exact = Source::open_with(image.path.as_ref(), &options(UsedMode::ByKind, false));
    assert!(
        exact.is_ok(),
        "a file is copied exactly unless something else is said"
    );
}

#[test]
fn a_device_leaves_out_by_default_and_one_in_use_must_be_copied_exactly() {
    let Some(_alone) = can_loop("a_device_leaves_out", &["losetup", "mkfs.ext4", "mount"]) else {
        return;
    };
    let device = Loop::with_content(&vec![0; 16 << 20], &[]);
    run("mkfs.ext4", &["-q".as_ref(), device.path.as_ref()]);
    let open = |used, force| Source::open_with(device.path.as_ref(), &options(used, force));
    let layout_of = |source: Result<Source, SourceError>| match source.unwrap() {
        Source::Disk(disk) => disk.layout().map(|layout| layout.used()),
        Source::Captured(_) | Source::Stream(_) => panic!("a device is no stream"),
    };
    assert!(layout_of(open(UsedMode::ByKind, false)).unwrap() < 8 << 20);
    assert_eq!(layout_of(open(UsedMode::Off, false)), None);
    let mounted = Mounted::new(&[], &device.path, device.mount_point());
    for (used, force) in [
        (UsedMode::ByKind, false),
        (UsedMode::Auto, true),
        (UsedMode::Off, false),
    ] {
        let error = refusal(&device.path, &options(used, force));
        let text = error.to_string();
        assert!(text.contains(mounted.0.to_str().unwrap()), "{text}");
        assert!(text.contains("--used off --force"), "{text}");
    }
    assert_eq!(layout_of(open(UsedMode::Off, true)), None);
    drop(mounted);
}

#[test]
fn of_a_stream_nothing_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let _alone = crate::common::alone();
    run("mkfifo", &[pipe.as_ref()]);
    let error = refusal(&pipe, &options(UsedMode::Auto, false));
    assert!(error.to_string().contains("--used"), "{error}");
    // So that opening does not wait.
    let _reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    Source::open_with(pipe.as_ref(), &SourceOptions::default()).unwrap();
}
