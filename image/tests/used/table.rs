//! Partition tables, and the command that shows what was found.

use std::ffi::OsStr;
use std::io::Write as _;
use std::ops::Range;
use std::process::{Command, Stdio};

use mimeo_image::used::{Layout, Scheme, TableProblem, Verdict};

use crate::common::{Alone, can_loop};
use crate::fixture::{Image, MIB, damage, poison};

const TOOLS: [&str; 4] = ["mkfs.ext4", "e2fsck", "sgdisk", "sfdisk"];

/// Divides an image by a script for sfdisk.
fn divide(image: &Image, script: &str) {
    let mut sfdisk = Command::new("sfdisk")
        .args([OsStr::new("--quiet"), image.path.as_ref()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    sfdisk
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    assert!(sfdisk.wait().unwrap().success());
}

/// Makes an ext4 at an offset.
fn make_ext4(image: &Image, place: Range<u64>) {
    let offset = format!("offset={}", place.start);
    let blocks = format!("{}k", (place.end - place.start) / 1024);
    let options = [
        "-q".as_ref(),
        "-F".as_ref(),
        "-E".as_ref(),
        OsStr::new(&offset),
    ];
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(options).arg(&image.path).arg(&blocks);
    assert!(mkfs.output().unwrap().status.success());
}

/// Fills each partition with an ext4.
fn format_all(image: &Image) {
    for area in image.layout().areas {
        make_ext4(image, area.place);
    }
}

fn trusted(layout: &Layout) -> Vec<bool> {
    let is_trusted = |verdict: &Verdict| matches!(verdict, Verdict::Trusted { .. });
    layout
        .areas
        .iter()
        .map(|area| is_trusted(&area.volume.verdict))
        .collect()
}

fn numbers(layout: &Layout) -> Vec<u32> {
    layout
        .areas
        .iter()
        .map(|area| area.partition.as_ref().unwrap().number)
        .collect()
}

fn problems(layout: &Layout) -> Vec<Option<TableProblem>> {
    layout
        .areas
        .iter()
        .map(|area| area.partition.as_ref().unwrap().problem)
        .collect()
}

fn gpt(test: &str) -> Option<(Alone, Image)> {
    let alone = can_loop(test, &TOOLS)?;
    let image = Image::new(64 * MIB);
    let parts = [
        "-n",
        "1:2048:+16M",
        "-c",
        "1:one",
        "-n",
        "3:0:+20M",
        "-n",
        "7:0:0",
    ];
    image.tool("sgdisk", &parts);
    format_all(&image);
    Some((alone, image))
}

#[test]
fn gpt_partitions_are_found_and_what_is_between_them_is_kept() {
    let Some((_alone, image)) = gpt("GPT") else {
        return;
    };
    let layout = image.layout();
    let backup = false;
    assert_eq!(
        layout.scheme,
        Scheme::Gpt {
            sector: 512,
            backup
        }
    );
    assert_eq!(numbers(&layout), [1, 3, 7]);
    assert_eq!(layout.areas[0].place, MIB..17 * MIB);
    assert_eq!(layout.areas[0].partition.as_ref().unwrap().name, "one");
    assert_eq!(trusted(&layout), [true; 3]);
    let first = layout.map().runs().next().unwrap().unwrap();
    assert!(first.start == 0 && first.end > MIB);
    poison(&image);
    assert!(image.tool("sgdisk", &["-v"]).contains("No problems found"));
    assert_eq!(trusted(&image.layout()), [true; 3]);
}

#[test]
fn a_damaged_gpt_is_read_from_its_backup_and_two_damaged_ones_are_not() {
    let Some((_alone, image)) = gpt("backup GPT") else {
        return;
    };
    let places = |layout: &Layout| {
        layout
            .areas
            .iter()
            .map(|area| area.place.clone())
            .collect::<Vec<_>>()
    };
    let before = places(&image.layout());
    // A partition's entry, then the header.
    for at in [1024 + 40, 512 + 24] {
        let was = image.read(at, 1);
        image.write(at, &[was[0] ^ 1]);
        let layout = image.layout();
        let backup = true;
        assert_eq!(
            layout.scheme,
            Scheme::Gpt {
                sector: 512,
                backup
            }
        );
        assert_eq!(places(&layout), before);
        image.write(at, &was);
    }
    image.write(512 + 24, &[9]);
    image.write(64 * MIB - 512 + 24, &[9]);
    assert_eq!(image.layout().scheme, Scheme::Unclear);
    assert!(image.distrust().contains("GPT's header"));
}

#[test]
fn a_partition_over_the_table_itself_is_copied_whole() {
    let Some((_alone, image)) = gpt("a partition over the GPT") else {
        return;
    };
    // The last usable sector moves into the last partition; the header's checksum is made right.
    let last = image.layout().areas[2].place.end / 512 - 9;
    let mut header = image.read(512, 92);
    header[48..56].copy_from_slice(&last.to_le_bytes());
    header[16..20].fill(0);
    let crc = crc32(&header);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
    image.write(512, &header);
    let layout = image.layout();
    let backup = false;
    assert_eq!(
        layout.scheme,
        Scheme::Gpt {
            sector: 512,
            backup
        }
    );
    assert_eq!(
        problems(&layout),
        [None, None, Some(TableProblem::Overlaps)]
    );
    assert_eq!(trusted(&layout), [true, true, false]);
}

/// Changes an entry of both tables of a GPT, and makes all checksums right.
fn change_entry(image: &Image, index: u64, at: usize, value: u64) {
    let len = image.file().metadata().unwrap().len();
    for place in [512, len - 512] {
        let mut header = image.read(place, 92);
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
        let entries = number(72) * 512;
        image.write(entries + index * 128 + at as u64, &value.to_le_bytes());
        let crc = crc32(&image.read(entries, 128 * 128));
        header[88..92].copy_from_slice(&crc.to_le_bytes());
        header[16..20].fill(0);
        let crc = crc32(&header);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
        image.write(place, &header);
    }
}

#[test]
fn gpt_partitions_that_overlap_or_reach_too_far_are_copied_whole() {
    let Some((_alone, image)) = gpt("overlapping partitions of a GPT") else {
        return;
    };
    let (first, last) = (32, 40);
    let second = image.layout().areas[1].place.clone();
    // The second one begins in the last sector of the first.
    change_entry(&image, 2, first, (17 * MIB - 512) / 512);
    let layout = image.layout();
    let overlap = Some(TableProblem::Overlaps);
    assert_eq!(problems(&layout), [overlap, overlap, None]);
    assert_eq!(trusted(&layout), [false, false, true]);
    // It ends behind the disk, far behind it, and in front of its start.
    change_entry(&image, 2, first, second.start / 512);
    for end in [64 * MIB / 512, 1 << 50] {
        change_entry(&image, 2, last, end);
        let layout = image.layout();
        assert_eq!(problems(&layout)[1], Some(TableProblem::BeyondEnd));
        assert!(!trusted(&layout)[1]);
        assert!(layout.areas[1].place.end <= 64 * MIB);
    }
    for (at, value) in [(last, 5), (last, u64::MAX), (first, u64::MAX)] {
        change_entry(&image, 2, at, value);
        assert_eq!(image.layout().scheme, Scheme::Unclear);
        assert!(image.distrust().contains("in the GPT"));
    }
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn a_gpt_of_4096_byte_sectors_is_found_by_its_header() {
    let Some(_alone) = can_loop("GPT of 4096-byte sectors", &TOOLS) else {
        return;
    };
    let image = Image::new(64 * MIB);
    let arguments = ["--find", "--show", "--sector-size", "4096"];
    let device = image.tool("losetup", &arguments);
    let made = Command::new("sgdisk")
        .args(["-n", "1:256:+32M", &device])
        .output()
        .unwrap();
    assert!(
        Command::new("losetup")
            .args(["-d", &device])
            .status()
            .unwrap()
            .success()
    );
    assert!(made.status.success(), "{made:?}");
    let layout = image.layout();
    let backup = false;
    assert_eq!(
        layout.scheme,
        Scheme::Gpt {
            sector: 4096,
            backup
        }
    );
    assert_eq!(layout.areas[0].place, MIB..33 * MIB);
}

#[test]
fn a_gpt_without_its_protective_mbr_is_not_believed() {
    let Some((_alone, image)) = gpt("GPT without MBR") else {
        return;
    };
    image.write(446, &[0; 64]);
    assert!(image.distrust().contains("protective MBR"));
}

#[test]
fn partitions_that_overlap_or_reach_too_far_are_copied_whole() {
    let Some(_alone) = can_loop("overlapping partitions", &TOOLS) else {
        return;
    };
    let image = Image::new(64 * MIB);
    divide(&image, "label: dos\n2048,32768\n36864,32768\n73728,32768\n");
    format_all(&image);
    assert_eq!(trusted(&image.layout()), [true; 3]);
    // The second one begins in the last sector of the first.
    image.write(446 + 16 + 8, &(2048 + 32768 - 1_u32).to_le_bytes());
    let layout = image.layout();
    let overlap = Some(TableProblem::Overlaps);
    assert_eq!(problems(&layout), [overlap, overlap, None]);
    assert_eq!(trusted(&layout), [false, false, true]);
    // The third one is cut off.
    image.file().set_len(50 * MIB).unwrap();
    let layout = image.layout();
    assert_eq!(
        problems(&layout),
        [overlap, overlap, Some(TableProblem::BeyondEnd)]
    );
    assert_eq!(layout.used(), 50 * MIB);
}

#[test]
fn logical_partitions_are_found_and_loops_of_them_are_noticed() {
    let Some(_alone) = can_loop("logical partitions", &TOOLS) else {
        return;
    };
    let image = Image::new(96 * MIB);
    divide(
        &image,
        "label: dos\n2048,32768\n,,E\n,32768\n,40960\n,20480\n",
    );
    let layout = image.layout();
    assert_eq!(layout.scheme, Scheme::Mbr);
    assert_eq!(numbers(&layout), [1, 5, 6, 7]);
    format_all(&image);
    assert_eq!(trusted(&image.layout()), [true; 4]);
    let table = image.tool("sfdisk", &["--dump"]);
    poison(&image);
    assert_eq!(image.tool("sfdisk", &["--dump"]), table);
    image.tool("sfdisk", &["--verify"]);
    assert_eq!(trusted(&image.layout()), [true; 4]);
    // The second record of the chain leads back to the first.
    let base = u64::from(u32::from_le_bytes(
        image.read(446 + 16 + 8, 4).try_into().unwrap(),
    )) * 512;
    let next = u64::from(u32::from_le_bytes(
        image.read(base + 446 + 16 + 8, 4).try_into().unwrap(),
    )) * 512;
    image.write(base + next + 446 + 16 + 8, &[0; 4]);
    assert!(image.distrust().contains("does not end"));
}

#[test]
fn a_table_beside_a_filesystem_is_not_believed() {
    let Some(_alone) = can_loop("a table beside a filesystem", &TOOLS) else {
        return;
    };
    let image = Image::new(32 * MIB);
    image.tool("mkfs.ext4", &["-q", "-F"]);
    let mut table = [0; 66];
    table[..16].copy_from_slice(b"\0\0\0\0\x83\0\0\0\0\x08\0\0\0\x10\0\0");
    table[64..].copy_from_slice(b"\x55\xaa");
    image.write(446, &table);
    assert!(image.distrust().contains("filesystem of its own"));
    // The stale sign of another filesystem does the same without a table.
    image.write(446, &[0; 66]);
    image.write(0x1_0040, b"_BHRfS_M");
    assert!(image.distrust().contains("ext2/3/4 and btrfs"));
}

#[test]
fn windows_dynamic_disks_are_copied_whole() {
    let Some(_alone) = can_loop("a dynamic disk", &TOOLS) else {
        return;
    };
    let image = Image::new(32 * MIB);
    divide(&image, "label: dos\n2048,32768,42\n");
    format_all(&image);
    assert_eq!(problems(&image.layout()), [Some(TableProblem::Dynamic)]);
    assert_eq!(trusted(&image.layout()), [false]);
}

#[test]
fn damaged_tables_have_a_clear_outcome() {
    let Some((_alone, image)) = gpt("damaged GPT") else {
        return;
    };
    damage(&image, &[(446, 66), (512, 92), (1024, 256)], 100);
    let image = Image::new(32 * MIB);
    divide(&image, "label: dos\n2048,8192\n,,E\n,8192\n,8192\n");
    let base = u64::from(u32::from_le_bytes(
        image.read(446 + 16 + 8, 4).try_into().unwrap(),
    )) * 512;
    damage(&image, &[(446, 66), (base + 446, 66)], 66);
}

/// Runs `mimeo-image info`.
fn info(arguments: &[&OsStr]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimeo-image"));
    let output = command.arg("info").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn info_shows_what_was_found() {
    let Some((_alone, image)) = gpt("info") else {
        return;
    };
    // The third partition is not clean.
    let third = image.layout().areas[2].place.start;
    image.write(third + 1024 + 0x3a, &[0, 0]);
    let (code, text, _) = info(&[image.path.as_ref()]);
    assert_eq!(code, 0);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(
        lines[0].ends_with("GPT with sectors of 512 bytes"),
        "{text}"
    );
    assert!(
        lines[1].contains("   1    16.7 MB  ext2/3/4 \"one\"") && lines[1].ends_with(" used"),
        "{text}"
    );
    assert!(
        lines[3].contains("copied whole: the checksum of the superblock"),
        "{text}"
    );
    let (_, text, _) = info(&["--json".as_ref(), image.path.as_ref()]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let layout = image.layout();
    assert_eq!(json["used"], layout.used());
    assert_eq!(json["table"]["kind"], "gpt");
    assert_eq!(json["areas"][1]["number"], 3);
    assert_eq!(json["areas"][1]["trusted"], true);
    assert_eq!(json["areas"][1]["used"], layout.areas[1].used());
    assert_eq!(json["areas"][2]["used"], json["areas"][2]["length"]);
    assert!(
        json["areas"][2]["reason"]
            .as_str()
            .unwrap()
            .contains("superblock")
    );
}

#[test]
fn info_refuses_what_cannot_be_looked_at() {
    let (code, _, error) = info(&["/nowhere".as_ref()]);
    assert_eq!(code, 3);
    assert!(error.contains("no such file"), "{error}");
}
