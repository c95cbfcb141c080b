//! Reading mounted files: anywhere, by many at once, and where they are damaged.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::thread;

use rustix::fs::OFlags;

use crate::common::noise;
use crate::fixture::{Image, MIB};
use crate::mounting::{Captured, Mounting, can_mount};

const BLOCK: usize = 256 << 10;

/// A disk without partitions: text, noise, and zeros by turns, and a short block.
fn disk() -> (Image, Vec<u8>) {
    let text = b"mimeo images a whole room of machines\n".repeat(BLOCK / 38 + 1);
    let mut bytes = Vec::new();
    for round in 0..24 {
        match round % 3 {
            0 => bytes.extend(&text[..BLOCK]),
            1 => bytes.extend(noise(BLOCK, round)),
            _ => bytes.resize(bytes.len() + BLOCK, 0),
        }
    }
    bytes.extend(noise(77_777, 99));
    let image = Image::new(bytes.len() as u64);
    image.write(0, &bytes);
    (image, bytes)
}

#[test]
fn any_bytes_can_be_read_by_many_at_once() {
    let Some(_alone) = can_mount("reading a mounted image", &[]) else {
        return;
    };
    let (disk, bytes) = disk();
    for captured in [
        Captured::plain(&disk.path, &[]),
        Captured::encrypted(&disk.path, &[]),
    ] {
        let mut mounted = captured.mount();
        let path = mounted.file("disk.img");
        let read = |seed: u64| {
            // By turns through the page cache and past it.
            let direct = if seed.is_multiple_of(2) {
                OFlags::DIRECT.bits().cast_signed()
            } else {
                0
            };
            let file = File::options().read(true).custom_flags(direct).open(&path);
            let file = file.unwrap();
            let places = noise(3 * 400, seed);
            for (index, place) in places.chunks_exact(3).enumerate() {
                let at = u32::from_le_bytes([place[0], place[1], place[2], 0]) as usize;
                let at = at % bytes.len();
                let len = [1, 3, 511, 4097, 70_001, 600_000][index % 6];
                let mut buffer = vec![0; len];
                let found = file.read_at(&mut buffer, at as u64).unwrap();
                let expected = len.min(bytes.len() - at);
                assert_eq!(found, expected, "{len} at {at}");
                assert!(buffer[..found] == bytes[at..at + found], "{len} at {at}");
            }
        };
        thread::scope(|scope| {
            for seed in 0..12 {
                scope.spawn(move || read(seed));
            }
            // And who reads from the first to the last.
            for _ in 0..4 {
                scope.spawn(|| assert!(fs::read(&path).unwrap() == bytes));
            }
        });
        let file = File::open(&path).unwrap();
        let end = bytes.len() as u64;
        for beyond in [end, end + 1, end + 10 * MIB, 1 << 60] {
            assert_eq!(file.read_at(&mut [0; 100], beyond).unwrap(), 0);
        }
        drop(file);
        let said = mounted.stop();
        assert!(!said.contains("warning"), "{said}");
    }
}

/// Changes a bit of the block of noise at this number, in an image that is not compressed.
fn damage(captured: &Captured, raw: &[u8], block: usize) {
    let mut stored = fs::read(&captured.path).unwrap();
    let needle = &raw[block * BLOCK + 1000..][..64];
    let at = stored.windows(64).position(|found| found == needle);
    stored[at.unwrap()] ^= 1;
    fs::write(&captured.path, stored).unwrap();
}

/// Reads page by page; returns the pages that cannot be read.
fn unreadable(mounted: &Mounting, raw: &[u8]) -> Vec<usize> {
    let file = File::open(mounted.file("disk.img")).unwrap();
    let mut failed = Vec::new();
    for (page, expected) in raw.chunks(4096).enumerate() {
        let mut buffer = vec![0; expected.len()];
        match file.read_exact_at(&mut buffer, page as u64 * 4096) {
            Ok(()) => assert!(buffer == expected, "page {page}"),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(5), "EIO: {error}");
                failed.push(page);
            }
        }
    }
    failed
}

#[test]
fn what_is_damaged_fails_and_the_rest_is_there() {
    let Some(_alone) = can_mount("a damaged image that is mounted", &[]) else {
        return;
    };
    let (disk, bytes) = disk();
    let captured = Captured::plain(&disk.path, &["--level", "none"]);
    damage(&captured, &bytes, 4);
    let mut mounted = captured.mount();
    let pages = BLOCK / 4096;
    assert_eq!(
        unreadable(&mounted, &bytes),
        (4 * pages..5 * pages).collect::<Vec<_>>()
    );
    // Whoever reads much at once gets what is in front of it.
    let (begin, end) = (4 * BLOCK as u64, 5 * BLOCK as u64);
    for direct in [0, OFlags::DIRECT.bits().cast_signed()] {
        let path = mounted.file("disk.img");
        let file = File::options().read(true).custom_flags(direct).open(path);
        let file = file.unwrap();
        let mut buffer = vec![0; 2 * BLOCK];
        let read = file.read_at(&mut buffer, begin - 4096).unwrap();
        assert_eq!(read, 4096);
        assert!(buffer[..4096] == bytes[begin as usize - 4096..begin as usize]);
        assert_eq!(file.read_at(&mut buffer, end).unwrap(), 2 * BLOCK);
        assert!(buffer == bytes[end as usize..][..2 * BLOCK]);
        let error = file.read_at(&mut buffer, begin + 512).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(5));
    }
    let said = mounted.stop();
    let told = "warning: image file ";
    assert_eq!(said.matches(told).count(), 1, "{said}");
    assert!(
        said.contains("block 4 of the disk (bytes 1048576 to 1310720)"),
        "{said}"
    );
}

#[test]
fn a_damaged_partition_table_leaves_the_disk() {
    let Some(_alone) = can_mount("a damaged table that is mounted", &["sfdisk"]) else {
        return;
    };
    let part = Image::new(2 * MIB);
    part.write(0, &noise(2 << 20, 4));
    let disk = crate::disk::disk(&[(crate::disk::LINUX, &part)]);
    // What does not compress is found in the image file.
    disk.write(20 * 4096, &noise(40 * 4096, 5));
    let raw = fs::read(&disk.path).unwrap();
    let captured = Captured::plain(&disk.path, &["--level", "none"]);
    let mut stored = fs::read(&captured.path).unwrap();
    let needle = &raw[80 * 1024..][..64];
    let at = stored.windows(64).position(|found| found == needle);
    stored[at.unwrap()] ^= 1;
    fs::write(&captured.path, stored).unwrap();
    let mut mounted = captured.mount();
    assert_eq!(mounted.names(), ["disk.img"]);
    let failed = unreadable(&mounted, &raw);
    assert_eq!(failed, (0..64).collect::<Vec<_>>());
    let said = mounted.stop();
    assert!(said.contains("warning: no partitions: "), "{said}");
    assert!(said.contains("block 0 of the disk"), "{said}");
}
