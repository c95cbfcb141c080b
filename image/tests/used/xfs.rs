//! XFS.

use crate::common::{Alone, can_loop};
use crate::fixture::{Image, MIB, assert_close, damage, fill, number_after, poison, tree};

pub const TOOLS: [&str; 3] = ["mkfs.xfs", "xfs_repair", "xfs_db"];

/// The smallest that mkfs.xfs makes.
const LEN: u64 = 300 * MIB;

pub fn make(image: &Image, options: &[&str]) {
    let mut all = vec!["-q", "-f"];
    all.extend(options);
    image.tool("mkfs.xfs", &all);
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
    image.tool("xfs_repair", &["-n", "-f"]);
    assert_eq!(before, tree(&image.mount("ro").point));
    assert_close(used, own_count(&image));
}

/// Used bytes, by all free extents: "from to extents blocks pct", and the sum at the end.
pub fn own_count(image: &Image) -> u64 {
    let report = image.tool("xfs_db", &["-r", "-f", "-c", "freesp -s"]);
    let free = number_after(&report, "total free blocks");
    let about = image.tool(
        "xfs_db",
        &["-r", "-f", "-c", "sb 0", "-c", "print blocksize dblocks"],
    );
    let block = number_after(&about, "blocksize");
    (number_after(&about, "dblocks") - free) * block
}

#[test]
fn version_5_survives() {
    survive("XFS", &[]);
    survive(
        "XFS of 1 KiB blocks",
        &["-b", "size=1024", "-d", "agcount=4"],
    );
    survive(
        "XFS with all its trees",
        &["-m", "rmapbt=1,reflink=1,finobt=1"],
    );
    survive(
        "XFS with a log of stripes",
        &["-l", "su=32768", "-s", "size=4096"],
    );
}

#[test]
fn a_tree_of_several_levels_survives() {
    let test = "XFS with much free space in pieces";
    let Some(_alone) = can_loop(test, &TOOLS) else {
        return;
    };
    let image = Image::new(LEN);
    make(&image, &["-b", "size=1024", "-d", "agcount=2"]);
    {
        let mounted = image.mount("rw");
        for index in 0..3000 {
            std::fs::write(mounted.point.join(format!("file-{index:05}")), [1; 3000]).unwrap();
        }
        assert!(
            std::process::Command::new("sync")
                .status()
                .unwrap()
                .success()
        );
        for index in (0..3000).step_by(2) {
            std::fs::remove_file(mounted.point.join(format!("file-{index:05}"))).unwrap();
        }
    }
    let levels = image.tool(
        "xfs_db",
        &["-r", "-f", "-c", "agf 0", "-c", "print bnolevel"],
    );
    assert!(number_after(&levels, "bnolevel") > 1, "{levels}");
    poison(&image);
    image.tool("xfs_repair", &["-n", "-f"]);
}

fn small(test: &str) -> Option<(Alone, Image)> {
    let alone = can_loop(test, &TOOLS)?;
    let image = Image::new(LEN);
    make(&image, &["-b", "size=4096", "-d", "agcount=4"]);
    Some((alone, image))
}

#[test]
fn version_4_is_read_without_checksums() {
    let Some(_alone) = can_loop("XFS version 4", &TOOLS) else {
        return;
    };
    let image = Image::new(LEN);
    make(&image, &["-m", "crc=0,finobt=0,rmapbt=0,reflink=0"]);
    poison(&image);
    image.tool("xfs_repair", &["-n", "-f"]);
}

#[test]
fn a_log_that_has_to_be_replayed_is_noticed() {
    let Some((_alone, image)) = small("XFS that is not clean") else {
        return;
    };
    let used = image.layout().used();
    assert!(used < 100 * MIB);
    let mounted = image.mount("rw");
    let copy = Image::new(LEN);
    for round in 0..3 {
        fill(&mounted.point, 2 * MIB);
        std::fs::write(mounted.point.join(format!("round-{round}")), "x").unwrap();
        assert!(
            std::process::Command::new("sync")
                .status()
                .unwrap()
                .success()
        );
        std::fs::copy(&image.path, &copy.path).unwrap();
        assert!(copy.distrust().contains("log has to be replayed"));
    }
    drop(mounted);
    assert!(image.layout().used() < 100 * MIB);
}

#[test]
fn checksums_counts_and_features_are_checked() {
    let Some((_alone, image)) = small("traps of XFS") else {
        return;
    };
    let cases: [(u64, &str); 3] = [
        (40, "checksum of the superblock"),
        (512 + 60, "checksum of an AGF"),
        (4096 + 20, "tree of free space"),
    ];
    for (at, reason) in cases {
        let was = image.read(at, 1);
        image.write(at, &[was[0] ^ 1]);
        let why = image.distrust();
        assert!(why.contains(reason), "{reason}: {why}");
        image.write(at, &was);
    }
    image.tool(
        "xfs_db",
        &["-x", "-f", "-c", "sb 0", "-c", "write fdblocks 5"],
    );
    assert!(image.distrust().contains("number of free blocks"));
    image.file().set_len(LEN - MIB).unwrap();
    assert!(image.distrust().contains("its partition only"));
}

#[test]
fn what_lies_elsewhere_is_copied_whole() {
    let Some(_alone) = can_loop("XFS on several devices", &TOOLS) else {
        return;
    };
    let (image, other) = (Image::new(LEN), Image::new(LEN));
    let log = format!("logdev={},size=64m", other.path.display());
    make(&image, &["-l", &log]);
    assert!(image.distrust().contains("log on another device"));
    let realtime = format!("rtdev={}", other.path.display());
    make(&image, &["-m", "rmapbt=0,reflink=0", "-r", &realtime]);
    assert!(image.distrust().contains("realtime device"));
}

/// A tree whose pointers all lead to one leaf could be walked through for hours.
#[test]
fn a_leaf_is_that_of_one_pointer() {
    let Some(_alone) = can_loop("XFS with a leaf of two pointers", &TOOLS) else {
        return;
    };
    let image = Image::new(LEN);
    make(&image, &["-m", "crc=0,finobt=0,rmapbt=0,reflink=0"]);
    // A leaf with one free block, and a root in the first group that leads to it twice.
    let (leaf, root) = (40_u32, 50_u32);
    let block = |head: &[u8], rest: &[(usize, u32)]| {
        let mut bytes = vec![0; 4096];
        bytes[..head.len()].copy_from_slice(head);
        for (at, number) in rest {
            bytes[*at..*at + 4].copy_from_slice(&number.to_be_bytes());
        }
        bytes
    };
    let (most, key) = ((4096 - 16) / 12, 30);
    let pointers = [
        (16, 20),
        (24, key),
        (16 + most * 8, leaf),
        (20 + most * 8, leaf),
    ];
    image.write(
        u64::from(root) * 4096,
        &block(b"ABTB\0\x01\0\x02", &pointers),
    );
    image.write(
        u64::from(leaf) * 4096,
        &block(b"ABTB\0\0\0\x01", &[(16, 20), (20, 1)]),
    );
    image.write(512 + 16, &root.to_be_bytes());
    image.write(512 + 28, &2_u32.to_be_bytes());
    assert!(image.distrust().contains("a free extent is out of range"));
}

#[test]
fn what_the_filesystem_lies_in_is_used() {
    let Some(_alone) = can_loop("XFS with a header that is free", &TOOLS) else {
        return;
    };
    let image = Image::new(LEN);
    make(&image, &["-m", "crc=0,finobt=0,rmapbt=0,reflink=0"]);
    // The first free extent begins with the group, and is as long as it was.
    let root = u32::from_be_bytes(image.read(512 + 16, 4).try_into().unwrap());
    image.write(u64::from(root) * 4096 + 16, &[0; 4]);
    assert!(image.distrust().contains("calls blocks unused"));
}

#[test]
fn damage_has_a_clear_outcome() {
    let Some(_alone) = can_loop("damaged XFS", &TOOLS) else {
        return;
    };
    let image = Image::new(LEN);
    make(&image, &["-m", "crc=0,finobt=0,rmapbt=0,reflink=0"]);
    damage(&image, &[(0, 240), (512, 80), (4096, 64)], 100);
}
