//! FAT12, FAT16, FAT32, and what only looks like one.

use std::fs;
use std::process::Command;

use crate::common::can_loop;
use crate::fixture::{Image, MIB, assert_close, damage, fill, number_after, poison, tree};

pub const TOOLS: [&str; 5] = ["mkfs.fat", "fsck.fat", "mcopy", "mdel", "minfo"];

/// A filesystem that mtools filled and partly emptied.
fn filled(test: &str, len: u64, options: &[&str]) -> Option<(crate::common::Alone, Image)> {
    let alone = can_loop(test, &TOOLS)?;
    let image = Image::new(len);
    image.tool("mkfs.fat", options);
    let files = image.directory("files");
    fill(&files, len / 4);
    mtool(
        &image,
        "mcopy",
        &["-s", "-Q", files.to_str().unwrap(), "::all"],
    );
    // Holes that the second copy goes into.
    mtool(
        &image,
        "mdel",
        &["::all/file-*", "::all/small-1*", "::all/directory-1/*"],
    );
    mtool(
        &image,
        "mcopy",
        &[
            "-s",
            "-Q",
            files.join("directory-2").to_str().unwrap(),
            "::again",
        ],
    );
    mtool(&image, "mdel", &["::all/directory-3/*"]);
    Some((alone, image))
}

pub fn mtool(image: &Image, tool: &str, arguments: &[&str]) {
    let mut command = Command::new(tool);
    command
        .arg("-i")
        .arg(&image.path)
        .args(arguments)
        .env("MTOOLS_SKIP_CHECK", "1");
    // What a pattern does not find is told, and does not matter.
    command.output().unwrap();
}

/// Poisons and checks.
fn survive(test: &str, len: u64, options: &[&str]) {
    let Some((_alone, image)) = filled(test, len, options) else {
        return;
    };
    let read = |name: &str| {
        let directory = image.directory(name);
        mtool(
            &image,
            "mcopy",
            &["-s", "-Q", "::", directory.to_str().unwrap()],
        );
        tree(&directory)
    };
    let before = read("before");
    assert!(before.len() > 50, "{}", before.len());
    let used = poison(&image);
    assert_eq!(before, read("after"));
    assert_close(used, own_count(&image));
    fs::remove_file(&image.path).unwrap();
}

/// Used bytes by the table, and all in front of the first cluster.
pub fn own_count(image: &Image) -> u64 {
    let report = image.tool("fsck.fat", &["-n", "-v"]);
    // "/tmp/x: 120 files, 300/1000 clusters", and the start of the data area.
    let cluster = number_after(
        &swap_words(&report, "bytes per cluster"),
        "bytes per cluster",
    );
    let data = number_after(&report, "Data area starts at byte");
    let counts = report.lines().last().unwrap().rsplit_once(' ').unwrap().0;
    let taken: u64 = counts
        .rsplit(' ')
        .next()
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    data + taken * cluster
}

/// `4096 bytes per cluster` with the number behind the words.
fn swap_words(report: &str, words: &str) -> String {
    let line = report
        .lines()
        .find(|line| line.contains(words))
        .unwrap()
        .trim();
    format!("{words} {}", line.split(' ').next().unwrap())
}

#[test]
fn all_three_survive() {
    survive("FAT12", 8 * MIB, &["-F", "12", "-s", "4"]);
    survive("FAT16", 32 * MIB, &["-F", "16"]);
    survive("FAT32", 64 * MIB, &["-F", "32", "-s", "1"]);
    survive(
        "FAT32 with one table",
        64 * MIB,
        &["-F", "32", "-s", "1", "-f", "1"],
    );
    survive(
        "sectors of 4096 bytes",
        64 * MIB,
        &["-F", "16", "-S", "4096", "-s", "1"],
    );
}

#[test]
fn what_is_not_clean_or_not_known_is_copied_whole() {
    let Some(_alone) = can_loop("traps of FAT", &TOOLS) else {
        return;
    };
    let image = Image::new(64 * MIB);
    image.tool("mkfs.fat", &["-F", "32", "-s", "1"]);
    assert!(image.layout().used() < 3 * MIB);
    let table = u64::from(u16::from_le_bytes(image.read(14, 2).try_into().unwrap())) * 512;
    let cases: [(u64, &[u8], &str); 9] = [
        (65, &[1], "not unmounted"),
        (table + 7, &[0x07], "differ"),
        (table + 4000, &[1], "differ"),
        (16, &[1], "range"),
        (13, &[64], "contradict"),
        (42, &[1], "version"),
        (40, &[0x83], "active table"),
        (32, &[0, 0, 0, 9], "its partition only"),
        (
            424,
            b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01",
            "BitLocker and FAT",
        ),
    ];
    for (at, bytes, reason) in cases {
        let was = image.read(at, bytes.len());
        image.write(at, bytes);
        if reason == "range" {
            // One table less: everything behind it moves, and is still in range.
            assert!(image.layout().used() <= 64 * MIB);
        } else {
            let why = image.distrust();
            assert!(why.contains(reason), "{reason}: {why}");
        }
        image.write(at, &was);
    }
    // The shutdown bit of both tables.
    let second = table + u64::from(u32::from_le_bytes(image.read(36, 4).try_into().unwrap())) * 512;
    for (byte, reason) in [(0xf7, "not unmounted"), (0xfb, "had errors")] {
        for table in [table, second] {
            image.write(table + 7, &[byte & 0x0f]);
        }
        assert!(image.distrust().contains(reason));
    }
}

#[test]
fn a_table_that_is_not_mirrored_counts_alone() {
    let Some(_alone) = can_loop("FAT without mirroring", &TOOLS) else {
        return;
    };
    let image = Image::new(64 * MIB);
    image.tool("mkfs.fat", &["-F", "32", "-s", "1"]);
    let used = image.layout().used();
    let table = u64::from(u16::from_le_bytes(image.read(14, 2).try_into().unwrap())) * 512;
    image.write(table + 4000, &[1]);
    image.distrust();
    image.write(40, &[0x81]);
    assert_eq!(image.layout().used(), used);
    image.write(40, &[0x80]);
    assert_eq!(image.layout().used(), used + 512);
}

#[test]
fn a_root_directory_in_a_cluster_that_is_called_unused_is_noticed() {
    let Some(_alone) = can_loop("a lost root directory of FAT", &TOOLS) else {
        return;
    };
    let image = Image::new(64 * MIB);
    image.tool("mkfs.fat", &["-F", "32", "-s", "1"]);
    let table = u64::from(u16::from_le_bytes(image.read(14, 2).try_into().unwrap())) * 512;
    let len = u64::from(u32::from_le_bytes(image.read(36, 4).try_into().unwrap())) * 512;
    for entry in [[0; 4], [0xf7, 0xff, 0xff, 0x0f]] {
        for table in [table, table + len] {
            image.write(table + 2 * 4, &entry);
        }
        assert!(image.distrust().contains("root directory begins"));
    }
}

#[test]
fn damage_has_a_clear_outcome() {
    let Some((_alone, image)) = filled("damaged FAT", 8 * MIB, &["-F", "12", "-s", "4"]) else {
        return;
    };
    damage(&image, &[(0, 64), (512, 2048)], 100);
}
