//! NTFS.

use std::fs;

use crate::common::{Alone, can_loop};
use crate::fixture::{Fuse, Image, MIB, assert_close, damage, fill, number_after, poison, tree};

pub const TOOLS: [&str; 5] = ["mkntfs", "ntfs-3g", "ntfsfix", "ntfsresize", "ntfsinfo"];

fn mount(image: &Image) -> Fuse {
    // A hibernated volume would otherwise be mounted read-only.
    Fuse::ntfs(image, "remove_hiberfile")
}

pub fn make(image: &Image, options: &[&str]) {
    let mut all = vec!["-q", "-F", "-Q"];
    all.extend(options);
    image.tool("mkntfs", &all);
}

/// Poisons and checks.
fn survive(test: &str, len: u64, options: &[&str], root_files: usize) {
    let Some(_alone) = can_loop(test, &TOOLS) else {
        return;
    };
    let image = Image::new(len);
    make(&image, options);
    let before = {
        let mounted = mount(&image);
        fill(&mounted.point, (len / 4).min(12 * MIB));
        for index in 0..root_files {
            fs::write(mounted.point.join(format!("in the root {index}")), "x").unwrap();
        }
        tree(&mounted.point)
    };
    assert!(before.len() > 200);
    let used = poison(&image);
    image.tool("ntfsfix", &["--no-action"]);
    let report = image.tool("ntfsresize", &["-i", "-f", "-P"]);
    assert_eq!(before, tree(&mount(&image).point));
    assert!(report.contains("Space in use"), "{report}");
    assert_close(used, own_count(&image));
}

/// Used bytes by the bitmap: "Space in use       : 27 MB (40.6%)" of ntfsresize is too coarse.
pub fn own_count(image: &Image) -> u64 {
    let info = image.tool("ntfsinfo", &["-m"]);
    let cluster = number_after(&info, "Cluster Size:");
    let clusters = number_after(&info, "Volume Size in Clusters:");
    let free = number_after(&info, "Free Clusters:");
    (clusters - free) * cluster
}

#[test]
fn small_and_large_clusters_survive() {
    survive("NTFS", 64 * MIB, &[], 0);
    survive("NTFS of 512-byte clusters", 48 * MIB, &["-c", "512"], 1500);
    survive("NTFS of 64 KiB clusters", 96 * MIB, &["-c", "65536"], 0);
    survive("NTFS of 2 MiB clusters", 512 * MIB, &["-c", "2097152"], 0);
    survive("NTFS of 4096-byte sectors", 64 * MIB, &["-s", "4096"], 0);
}

fn small(test: &str) -> Option<(Alone, Image)> {
    let alone = can_loop(test, &TOOLS)?;
    let image = Image::new(16 * MIB);
    make(&image, &[]);
    Some((alone, image))
}

/// Byte offset of a file record of a new filesystem with clusters of 4 KiB.
fn record(image: &Image, number: u64) -> u64 {
    u64::from_le_bytes(image.read(48, 8).try_into().unwrap()) * 4096 + number * 1024
}

/// Byte offset of the first bytes of a type of attribute in a record.
fn attribute(image: &Image, record: u64, kind: u8) -> u64 {
    let mut at = record + u64::from(image.read(record + 0x14, 1)[0]);
    while image.read(at, 4) != [kind, 0, 0, 0] {
        at += u64::from(u32::from_le_bytes(
            image.read(at + 4, 4).try_into().unwrap(),
        ));
    }
    at
}

/// Byte offset of an attribute's content, by its first data run.
fn content(image: &Image, attribute: u64) -> u64 {
    let at = attribute + u64::from(image.read(attribute + 0x20, 1)[0]);
    let head = image.read(at, 1)[0];
    let (count, distance) = (u64::from(head & 0xf), usize::from(head >> 4));
    let mut start = [0; 8];
    start[..distance].copy_from_slice(&image.read(at + 1 + count, distance));
    u64::from_le_bytes(start) * 4096
}

#[test]
fn dirty_volumes_and_open_logs_are_copied_whole() {
    let Some((_alone, image)) = small("dirty NTFS") else {
        return;
    };
    let used = image.layout().used();
    assert!(used < 4 * MIB, "{used}");
    let flags = attribute(&image, record(&image, 3), 0x70);
    let flags = flags + u64::from(image.read(flags + 0x14, 1)[0]) + 10;
    image.write(flags, &[1]);
    assert!(image.distrust().contains("marked dirty"));
    image.write(flags, &[0]);
    // Both restart pages of the log, as Windows leaves them while the volume is mounted.
    let log = content(&image, attribute(&image, record(&image, 2), 0x80));
    let mut page = vec![0; 4096];
    page[..8].copy_from_slice(b"RSTR\x1e\0\x09\0");
    page[16..18].copy_from_slice(&4096_u16.to_le_bytes());
    page[24..30].copy_from_slice(&[0x30, 0, 1, 0, 1, 0]);
    image.write(log, &page);
    assert!(image.distrust().contains("$LogFile has changes"));
    // The other one is later, and clean.
    page[0x30] = 5;
    page[0x3e] = 2;
    image.write(log + 4096, &page);
    assert_eq!(image.layout().used(), used);
    // Neither can be read.
    image.write(log + 510, &[1]);
    image.write(log + 4096 + 510, &[1]);
    assert!(image.distrust().contains("no restart page"));
}

#[test]
fn a_sleeping_windows_is_to_be_refused() {
    for files in [0, 300] {
        let Some((_alone, image)) = small("hibernated NTFS") else {
            return;
        };
        let write = |content: &[u8]| {
            let mounted = mount(&image);
            for index in 0..files {
                fs::write(mounted.point.join(format!("hiber {index}")), "x").unwrap();
            }
            let mut all = vec![0; 20_000];
            all[..content.len()].copy_from_slice(content);
            fs::write(mounted.point.join("hiberfil.sys"), all).unwrap();
        };
        for magic in [b"hibr", b"HIBR"] {
            write(magic);
            assert!(image.distrust().contains("hibernated"), "{files} files");
        }
        // Woken up.
        write(b"wake");
        assert!(image.layout().used() < 8 * MIB);
        write(b"");
        assert!(image.layout().used() < 8 * MIB);
    }
}

#[test]
fn a_bitmap_that_contradicts_itself_is_noticed() {
    let Some((_alone, image)) = small("bitmap of NTFS") else {
        return;
    };
    let bitmap = content(&image, attribute(&image, record(&image, 6), 0x80));
    let mft = record(&image, 0) / 4096;
    let byte = image.read(bitmap + mft / 8, 1)[0];
    image.write(bitmap + mft / 8, &[byte & !(1 << (mft % 8))]);
    assert!(image.distrust().contains("calls clusters unused"));
    image.write(bitmap + mft / 8, &[byte]);
    // A record that was written in part.
    let at = record(&image, 6) + 510;
    let was = image.read(at, 1);
    image.write(at, &[was[0] ^ 1]);
    assert!(image.distrust().contains("written in part"));
    image.write(at, &was);
    image.file().set_len(15 * MIB).unwrap();
    assert!(image.distrust().contains("its partition only"));
}

/// A file record: the first 0x38 bytes of another one, with these attributes.
fn write_record(image: &Image, number: u64, base: u64, attributes: &[Vec<u8>]) {
    let at = record_of_512(image, number);
    let mut bytes = image.read(record_of_512(image, 6), 0x38);
    bytes[0x16..0x18].copy_from_slice(&1_u16.to_le_bytes());
    bytes[0x20..0x28].copy_from_slice(&base.to_le_bytes());
    bytes[4..8].copy_from_slice(&[0x30, 0, 3, 0]);
    bytes[0x14..0x16].copy_from_slice(&0x38_u16.to_le_bytes());
    bytes.extend(attributes.concat());
    bytes.extend([0xff; 8]);
    bytes.resize(1024, 0);
    // The update sequence: the last two bytes of each half are its number.
    bytes[0x30..0x36].copy_from_slice(&[7, 0, 0, 0, 0, 0]);
    for end in [510, 1022] {
        bytes[end..end + 2].copy_from_slice(&[7, 0]);
    }
    image.write(at, &bytes);
}

/// As [`record`], with clusters of 512 bytes.
fn record_of_512(image: &Image, number: u64) -> u64 {
    u64::from_le_bytes(image.read(48, 8).try_into().unwrap()) * 512 + number * 1024
}

/// A non-resident `$DATA`, a part of one of `size` bytes.
fn data(first: u64, start: u64, len: u64, size: u64) -> Vec<u8> {
    let mut bytes = vec![0; 0x50];
    bytes[..12].copy_from_slice(&[0x80, 0, 0, 0, 0x50, 0, 0, 0, 1, 0, 0x40, 0]);
    let fields = [
        (0x10, first),
        (0x18, first + len - 1),
        (0x20, 0x40),
        (0x28, size),
        (0x30, size),
        (0x38, size),
    ];
    for (at, value) in fields {
        bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
    }
    bytes[0x40] = 0x84;
    bytes[0x41..0x45].copy_from_slice(&(len as u32).to_le_bytes());
    bytes[0x45..0x4d].copy_from_slice(&start.to_le_bytes());
    bytes
}

/// An `$ATTRIBUTE_LIST` of `$DATA`: first cluster and record of each part.
fn list(parts: &[(u64, u64)]) -> Vec<u8> {
    let len = 0x18 + parts.len() * 0x20;
    let mut bytes = vec![0; 0x18];
    bytes[..4].copy_from_slice(&[0x20, 0, 0, 0]);
    bytes[4] = len as u8;
    bytes[0xa] = 0x18;
    bytes[0x10] = (parts.len() * 0x20) as u8;
    bytes[0x14] = 0x18;
    for (first, number) in parts {
        let mut entry = [0; 0x20];
        entry[..8].copy_from_slice(&[0x80, 0, 0, 0, 0x20, 0, 0, 0x1a]);
        entry[8..16].copy_from_slice(&first.to_le_bytes());
        entry[16..24].copy_from_slice(&number.to_le_bytes());
        bytes.extend(entry);
    }
    bytes
}

#[test]
fn runs_that_go_on_in_an_attribute_list_are_followed() {
    let Some(_alone) = can_loop("attribute lists of NTFS", &TOOLS) else {
        return;
    };
    let image = Image::new(16 * MIB);
    make(&image, &["-c", "512"]);
    let used = image.layout().used();
    let place = |number: u64| {
        let attribute = attribute(&image, record_of_512(&image, number), 0x80);
        let start = content(&image, attribute) / 4096;
        let size = u64::from_le_bytes(image.read(attribute + 0x30, 8).try_into().unwrap());
        (start, size)
    };
    // $Bitmap, of 8 clusters: three in a record of its own, the rest in another.
    let (bitmap, bitmap_len) = place(6);
    assert_eq!(bitmap_len, 16 * MIB / 512 / 8);
    write_record(&image, 6, 0, &[list(&[(0, 24), (3, 25)])]);
    write_record(&image, 24, 6, &[data(0, bitmap, 3, bitmap_len)]);
    write_record(&image, 25, 6, &[data(3, bitmap + 3, 5, bitmap_len)]);
    assert_eq!(image.layout().used(), used);
    // $MFT: its own continuation is in the part that its first record knows.
    let (mft, mft_len) = place(0);
    let clusters = mft_len / 512;
    assert!(clusters > 53, "{clusters}");
    write_record(
        &image,
        0,
        0,
        &[list(&[(0, 0), (53, 23)]), data(0, mft, 53, mft_len)],
    );
    write_record(&image, 23, 0, &[data(53, mft + 53, clusters - 53, mft_len)]);
    assert_eq!(image.layout().used(), used);
    // A gap between the parts, a part of another file, and a part that is not there.
    write_record(&image, 25, 6, &[data(4, bitmap + 4, 4, bitmap_len)]);
    assert!(image.distrust().contains("without that attribute"));
    write_record(&image, 25, 5, &[data(3, bitmap + 3, 5, bitmap_len)]);
    assert!(image.distrust().contains("another file's record"));
    write_record(&image, 25, 6, &[data(3, bitmap + 3, 1, bitmap_len)]);
    assert!(image.distrust().contains("length of a system file"));
    write_record(&image, 25, 6, &[data(3, 16 * MIB / 512 - 4, 5, bitmap_len)]);
    assert!(image.distrust().contains("data run"));
}

#[test]
fn damage_has_a_clear_outcome() {
    let Some((_alone, image)) = small("damaged NTFS") else {
        return;
    };
    let records: Vec<_> = [0, 3, 5, 6]
        .map(|number| (record(&image, number), 512))
        .into();
    damage(&image, &records, 170);
    damage(&image, &[(0, 80)], 80);
}
