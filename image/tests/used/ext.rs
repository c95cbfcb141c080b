//! ext2, ext3, ext4.

use crate::common::can_loop;
use crate::fixture::{Image, MIB, assert_close, damage, fill, number_after, poison, tree};

pub const TOOLS: [&str; 3] = ["mkfs.ext4", "e2fsck", "dumpe2fs"];

/// Makes, fills, empties, poisons and checks a filesystem.
fn survive(test: &str, len: u64, options: &[&str]) {
    let Some(_alone) = can_loop(test, &TOOLS) else {
        return;
    };
    let image = Image::new(len);
    let mut all = vec!["-q", "-F"];
    all.extend(options);
    image.tool("mkfs.ext4", &all);
    let before = image.filled((len / 3).min(16 * MIB));
    let used = poison(&image);
    image.tool("e2fsck", &["-f", "-n"]);
    assert_eq!(before, tree(&image.mount("ro").point));
    assert_close(used, own_count(&image));
}

/// Used bytes by the superblock.
pub fn own_count(image: &Image) -> u64 {
    let about = image.tool("dumpe2fs", &["-h"]);
    let block = number_after(&about, "Block size:");
    (number_after(&about, "Block count:") - number_after(&about, "Free blocks:")) * block
}

#[test]
fn ext4_as_it_is_made_today_survives() {
    survive("ext4", 96 * MIB, &["-O", "metadata_csum,64bit"]);
}

#[test]
fn blocks_of_1_kib_survive() {
    survive(
        "1 KiB blocks",
        48 * MIB,
        &["-b", "1024", "-O", "metadata_csum,64bit"],
    );
}

#[test]
fn small_groups_that_were_never_written_survive() {
    // Many groups of 8 MiB, most of them with BLOCK_UNINIT.
    let options = [
        "-b",
        "1024",
        "-G",
        "4",
        "-O",
        "^64bit,^metadata_csum,uninit_bg",
    ];
    survive("crc16 descriptors", 128 * MIB, &options);
}

#[test]
fn bigalloc_survives() {
    survive(
        "bigalloc",
        96 * MIB,
        &["-O", "bigalloc,metadata_csum", "-C", "65536"],
    );
    survive(
        "bigalloc of 1 KiB blocks",
        64 * MIB,
        &["-b", "1024", "-O", "bigalloc", "-C", "16384"],
    );
}

#[test]
fn meta_bg_survives() {
    // Groups of 1 MiB, 16 descriptors in a block.
    let options = [
        "-b",
        "1024",
        "-g",
        "1024",
        "-O",
        "meta_bg,^resize_inode,64bit,metadata_csum",
    ];
    survive("meta_bg", 56 * MIB, &options);
    let options = [
        "-b",
        "1024",
        "-g",
        "1024",
        "-O",
        "meta_bg,^resize_inode,^flex_bg,^metadata_csum,uninit_bg",
    ];
    survive("meta_bg with BLOCK_UNINIT", 56 * MIB, &options);
}

#[test]
fn ext2_and_ext3_survive() {
    let options = ["-O", "none,filetype,sparse_super,large_file"];
    survive("ext2", 48 * MIB, &options);
    survive("ext2 of revision 0", 32 * MIB, &["-r", "0", "-O", "none"]);
    let options = [
        "-O",
        "none,has_journal,filetype,sparse_super,resize_inode,dir_index,ext_attr",
    ];
    survive("ext3", 64 * MIB, &options);
}

#[test]
fn rarer_features_survive() {
    let options = [
        "-O",
        "sparse_super2,inline_data,^resize_inode,metadata_csum_seed",
        "-I",
        "512",
    ];
    survive("sparse_super2 and inline data", 64 * MIB, &options);
    survive(
        "no flex_bg",
        64 * MIB,
        &["-O", "^flex_bg,metadata_csum", "-g", "4096"],
    );
    survive("large directories", 64 * MIB, &["-O", "large_dir,ea_inode"]);
}

/// A filesystem of 16 groups that nobody has mounted.
fn small(test: &str, options: &[&str]) -> Option<(crate::common::Alone, Image)> {
    let alone = can_loop(test, &TOOLS)?;
    let image = Image::new(16 * MIB);
    let mut all = vec!["-q", "-F", "-b", "1024", "-g", "1024"];
    all.extend(options);
    image.tool("mkfs.ext4", &all);
    Some((alone, image))
}

/// Of a test without checksums: every bit of the superblock counts.
const BARE: [&str; 2] = ["-O", "^metadata_csum,^64bit,^has_journal,uninit_bg"];

#[test]
fn what_is_not_clean_or_not_known_is_copied_whole() {
    let Some((_alone, image)) = small("traps of ext4", &["-O", "^metadata_csum,^uninit_bg"]) else {
        return;
    };
    let cases: [(u64, &[u8], &str); 12] = [
        (0x3a, &[0, 0], "not unmounted"),
        (0x3a, &[3, 0], "errors were found"),
        (0x3a, &[5, 0], "deleted while open"),
        (0x60, &[0x46], "journal has to be replayed"),
        (0x60, &[0x08], "journal of another"),
        (0x62, &[0x80], "incompatible feature 0x800000"),
        (0x66, &[0x80], "read-only compatible feature 0x800000"),
        (0xe4, &[1], "journal on another device"),
        (0x4c, &[2], "revision 0x2"),
        (0x04, &[0, 0, 1], "its partition only"),
        (0x0c, &[0xff], "number of used bytes"),
        (0x18, &[9], "block size"),
    ];
    for (at, bytes, reason) in cases {
        let was = image.read(1024 + at, bytes.len());
        image.write(1024 + at, bytes);
        let why = image.distrust();
        assert!(why.contains(reason), "{reason}: {why}");
        image.write(1024 + at, &was);
    }
    assert!(image.layout().used() < 8 * MIB);
}

#[test]
fn checksums_that_do_not_match_are_noticed() {
    let Some((_alone, image)) = small("checksums of ext4", &["-O", "metadata_csum,64bit"]) else {
        return;
    };
    let bitmap = number_after(
        &image
            .tool("dumpe2fs", &[])
            .replace("  Block bitmap at", "\nBitmap"),
        "Bitmap",
    );
    // Block 1 is the superblock, descriptors begin in block 2.
    let cases = [
        (1024 + 0x88, "superblock"),
        (2048 + 64 * 3 + 0xc, "group descriptor"),
        (bitmap * 1024 + 100, "block bitmap"),
    ];
    for (at, reason) in cases {
        let was = image.read(at, 1);
        image.write(at, &[was[0] ^ 4]);
        let why = image.distrust();
        assert!(
            why.contains(reason) && why.contains("checksum"),
            "{reason}: {why}"
        );
        image.write(at, &was);
    }
    image.layout();
    assert!(image.layout().used() < 8 * MIB);
}

#[test]
fn a_bitmap_that_contradicts_itself_is_noticed() {
    let Some((_alone, image)) = small("bitmap of ext2", &["-O", "^metadata_csum,^uninit_bg"])
    else {
        return;
    };
    let le32 = |at| u64::from(u32::from_le_bytes(image.read(at, 4).try_into().unwrap()));
    // Of the first group, whose first bit is block 1.
    let places = [2048, 2048 + 4, 2048 + 8].map(le32);
    let bitmap = places[0] * 1024;
    let was = image.read(bitmap, 128);
    let is_set = |bit: usize| was[bit / 8] >> (bit % 8) & 1 == 1;
    let free = (0..1024).find(|bit| !is_set(*bit)).unwrap();
    // Superblock, descriptors, both bitmaps, the table of inodes.
    for block in [1, 2, places[0], places[1], places[2] + 1] {
        let bit = block as usize - 1;
        assert!(is_set(bit));
        let mut bits = was.clone();
        bits[bit / 8] ^= 1 << (bit % 8);
        bits[free / 8] ^= 1 << (free % 8);
        image.write(bitmap, &bits);
        assert!(image.distrust().contains("calls blocks unused"));
    }
    image.write(bitmap, &was);
    assert!(image.layout().used() < 8 * MIB);
}

#[test]
fn a_bitmap_is_not_taken_for_uninitialized_without_checksums() {
    let Some((_alone, image)) = small("BLOCK_UNINIT", &["-O", "^metadata_csum,^uninit_bg"]) else {
        return;
    };
    let used = image.layout().used();
    // Without the feature the flag means nothing: bitmap and count are there.
    image.write(2048 + 0x12, &[2]);
    assert_eq!(image.layout().used(), used);
}

#[test]
fn a_mounted_filesystem_copied_as_it_is_counts_as_unclean() {
    let Some(_alone) = can_loop("a mounted ext4", &TOOLS) else {
        return;
    };
    let image = Image::new(32 * MIB);
    image.tool("mkfs.ext4", &["-q", "-F"]);
    let mounted = image.mount("rw");
    fill(&mounted.point, 4 * MIB);
    let copy = Image::new(32 * MIB);
    std::fs::copy(&image.path, &copy.path).unwrap();
    drop(mounted);
    assert!(copy.distrust().contains("journal has to be replayed"));
    assert!(image.layout().used() < 24 * MIB);
}

#[test]
fn damage_has_a_clear_outcome() {
    let Some((_alone, image)) = small("damaged ext4", &BARE) else {
        return;
    };
    // The superblock, descriptors, and the first bitmaps.
    damage(
        &image,
        &[(1024, 0x280), (2048, 512), (3072, 16 * 1024)],
        160,
    );
}
