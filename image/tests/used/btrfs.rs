//! btrfs.

use crate::common::{Alone, can_loop};
use crate::fixture::{Image, MIB, assert_close, damage, fill, number_after, poison, tree};

const TOOLS: [&str; 2] = ["mkfs.btrfs", "btrfs"];

/// The smallest that mkfs.btrfs makes of the usual profiles.
const LEN: u64 = 256 * MIB;

fn make(image: &Image, options: &[&str]) {
    let mut all = vec!["-q", "-f"];
    all.extend(options);
    image.tool("mkfs.btrfs", &all);
}

fn dump(image: &Image) -> String {
    image.tool("btrfs", &["inspect-internal", "dump-super"])
}

/// Poisons and checks.
fn survive(test: &str, options: &[&str]) {
    let Some(_alone) = can_loop(test, &TOOLS) else {
        return;
    };
    let image = Image::new(LEN);
    make(&image, options);
    let before = image.filled(16 * MIB);
    let used = poison(&image);
    image.tool("btrfs", &["check", "--check-data-csum"]);
    let mounted = image.mount("ro");
    assert_eq!(before, tree(&mounted.point));
    // "System, DUP: total=8388608, used=16384": what is DUP is there twice.
    let point = mounted.point.to_str().unwrap();
    let report = crate::common::run(
        "btrfs",
        &[
            "filesystem".as_ref(),
            "df".as_ref(),
            "-b".as_ref(),
            point.as_ref(),
        ],
    );
    let count = |line: &str| {
        let used = line
            .rsplit_once("used=")
            .map_or(0, |(_, used)| used.parse().unwrap());
        match line {
            line if line.starts_with("GlobalReserve") => 0,
            line if line.contains("DUP") => used * 2,
            _ => used,
        }
    };
    let own: u64 = report.lines().map(count).sum();
    // The boot area and the second superblock are not in its count.
    assert_close(used - MIB, own);
}

#[test]
fn the_usual_profiles_survive() {
    survive("btrfs", &[]);
    survive(
        "btrfs with all once",
        &["-m", "single", "-d", "single", "-n", "4096"],
    );
    survive("btrfs with all twice", &["-m", "dup", "-d", "dup"]);
    survive("btrfs with mixed groups", &["--mixed", "-n", "4096"]);
    survive(
        "btrfs without skinny metadata",
        &["-O", "^skinny-metadata,^no-holes", "-R", "^free-space-tree"],
    );
}

#[test]
fn snapshots_with_many_references_survive() {
    let Some(_alone) = can_loop("btrfs with snapshots", &TOOLS) else {
        return;
    };
    let image = Image::new(LEN);
    make(&image, &["-n", "4096"]);
    let mounted = image.mount("rw");
    let at = |name: &str| mounted.point.join(name).to_str().unwrap().to_owned();
    let btrfs = |arguments: &[&str]| {
        let all: Vec<_> = arguments.iter().map(std::ffi::OsStr::new).collect();
        crate::common::run("btrfs", &all)
    };
    btrfs(&["subvolume", "create", &at("origin")]);
    fill(&mounted.point.join("origin"), 5 * MIB);
    for index in 0..60 {
        btrfs(&[
            "subvolume",
            "snapshot",
            &at("origin"),
            &at(&format!("snapshot-{index}")),
        ]);
        std::fs::write(
            mounted.point.join(format!("snapshot-{index}/own")),
            "x".repeat(9000),
        )
        .unwrap();
    }
    let before = tree(&mounted.point.join("snapshot-7"));
    drop(mounted);
    poison(&image);
    image.tool("btrfs", &["check", "--check-data-csum"]);
    assert_eq!(before, tree(&image.mount("ro").point.join("snapshot-7")));
}

#[test]
fn on_several_devices_all_that_is_allocated_counts() {
    let Some(_alone) = can_loop("btrfs on several devices", &TOOLS) else {
        return;
    };
    let (image, other) = (Image::new(LEN), Image::new(LEN));
    for profile in ["raid1", "raid0"] {
        image.tool(
            "mkfs.btrfs",
            &[
                "-q",
                "-f",
                "-m",
                "raid1",
                "-d",
                profile,
                other.path.to_str().unwrap(),
            ],
        );
        let layout = image.layout();
        let used = layout.used();
        let report = dump(&image);
        let allocated = number_after(&report, "dev_item.bytes_used");
        assert!(
            (allocated + MIB..allocated + 2 * MIB).contains(&used),
            "{used} of {allocated}"
        );
        // The other device is the first of the list: its number is another.
        assert_eq!(number_after(&report, "num_devices"), 2);
    }
}

fn small(test: &str) -> Option<(Alone, Image)> {
    let alone = can_loop(test, &TOOLS)?;
    let image = Image::new(LEN);
    make(&image, &[]);
    Some((alone, image))
}

/// CRC-32C, bit by bit, to make a changed superblock look right.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn what_is_not_clean_or_not_known_is_copied_whole() {
    let Some((_alone, image)) = small("traps of btrfs") else {
        return;
    };
    assert!(image.layout().used() < 8 * MIB);
    let whole = image.read(0x1_0000, 4096);
    let cases: [(usize, u8, &str); 7] = [
        (0x60, 1, "log has to be replayed"),
        (0x38, 4, "errors were found"),
        (0xc0, 1, "incompatible feature"),
        (0xb7, 1, "read-only compatible feature"),
        (0xc4, 1, "checksum type"),
        (0x78 + 4, 1, "number of used bytes"),
        (0xd1 + 4, 9, "its partition only"),
    ];
    for (at, flip, reason) in cases {
        let mut bytes = whole.clone();
        bytes[at] ^= flip;
        if at != 0xc4 {
            let crc = crc32c(&bytes[32..]);
            bytes[..4].copy_from_slice(&crc.to_le_bytes());
        }
        image.write(0x1_0000, &bytes);
        let why = image.distrust();
        assert!(why.contains(reason), "{reason}: {why}");
    }
    let mut bytes = whole.clone();
    bytes[0x100] ^= 1;
    image.write(0x1_0000, &bytes);
    assert!(image.distrust().contains("checksum of the superblock"));
}

#[test]
fn damage_has_a_clear_outcome() {
    let Some((_alone, image)) = small("damaged btrfs") else {
        return;
    };
    let whole = image.read(0x1_0000, 4096);
    // With checksums made right, so that what they guard is looked at.
    let places = (0x20..0x110).step_by(3).chain(0x32b..0x32b + 130);
    for at in places {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let crc = crc32c(&bytes[32..]);
            bytes[..4].copy_from_slice(&crc.to_le_bytes());
            image.write(0x1_0000, &bytes);
            let layout = image.layout();
            assert!(layout.used() <= LEN);
        }
    }
    image.write(0x1_0000, &whole);
    // The roots of the trees, by the address that dump-super shows; one copy is damaged, then both.
    damage(&image, &[(0x1_0000, 64)], 10);
}
