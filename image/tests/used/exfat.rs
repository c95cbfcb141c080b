//! exFAT.

use crate::common::{Alone, can_loop, run};
use crate::fixture::{Fuse, Image, MIB, assert_close, damage, fill, number_after, poison, tree};

pub const TOOLS: [&str; 4] = ["mkfs.exfat", "fsck.exfat", "dump.exfat", "mount.exfat-fuse"];

fn mount(image: &Image) -> Fuse {
    Fuse::exfat(image)
}

/// Poisons and checks.
fn survive(test: &str, len: u64, options: &[&str]) {
    let Some(_alone) = can_loop(test, &TOOLS) else {
        return;
    };
    let image = Image::new(len);
    image.tool("mkfs.exfat", options);
    let before = {
        let mounted = mount(&image);
        fill(&mounted.point, len / 4);
        tree(&mounted.point)
    };
    assert!(before.len() > 200);
    let used = poison(&image);
    image.tool("fsck.exfat", &["-n"]);
    assert_eq!(before, tree(&mount(&image).point));
    assert_close(used, own_count(&image));
}

/// Used bytes by the bitmap, and all in front of the first cluster.
pub fn own_count(image: &Image) -> u64 {
    let report = image.tool("dump.exfat", &[]);
    let cluster = number_after(&report, "Cluster size:");
    let heap = number_after(&report, "Cluster Heap Offset (sector offset):") * 512;
    let free = number_after(&report, "Free Clusters:");
    let clusters = number_after(&report, "Cluster Count:");
    heap + (clusters - free) * cluster
}

#[test]
fn small_and_large_clusters_survive() {
    survive("exFAT", 64 * MIB, &["-c", "4096"]);
    survive("exFAT of 512-byte clusters", 32 * MIB, &["-c", "512"]);
    survive("exFAT of 128 KiB clusters", 96 * MIB, &["-c", "131072"]);
}

fn small(test: &str) -> Option<(Alone, Image)> {
    let alone = can_loop(test, &TOOLS)?;
    let image = Image::new(32 * MIB);
    image.tool("mkfs.exfat", &["-c", "512"]);
    Some((alone, image))
}

#[test]
fn a_bitmap_in_two_pieces_is_followed() {
    let Some((_alone, image)) = small("fragmented bitmap") else {
        return;
    };
    let used = image.layout().used();
    let le32 = |at| u64::from(u32::from_le_bytes(image.read(at, 4).try_into().unwrap()));
    let (table, heap) = (le32(80) * 512, le32(88) * 512);
    // The last cluster of the bitmap moves to the end of the volume; it lies in clusters from 2 on.
    let clusters = le32(92);
    let len = clusters.div_ceil(8).div_ceil(512);
    let (last, new) = (2 + len - 1, clusters + 1);
    let content = image.read(heap + (last - 2) * 512, 512);
    image.write(heap + (new - 2) * 512, &content);
    let set = |cluster: u64, to: u64| image.write(table + cluster * 4, &(to as u32).to_le_bytes());
    set(last - 1, new);
    set(new, 0xffff_ffff);
    set(last, 0);
    // A cluster is called free that the bitmap lies in.
    assert!(image.distrust().contains("calls clusters unused"));
    let bit = new - 2;
    let place = heap + (new - 2) * 512 + bit / 8 % 512;
    let byte = image.read(place, 1)[0];
    image.write(place, &[byte | 1 << (bit % 8)]);
    assert_eq!(image.layout().used(), used + 512);
    // A chain that does not end.
    set(new, 2);
    assert!(image.distrust().contains("wrong length"));
}

#[test]
fn what_is_not_clean_or_not_known_is_copied_whole() {
    let Some((_alone, image)) = small("traps of exFAT") else {
        return;
    };
    assert!(image.layout().used() < 3 * MIB);
    let cases: [(u64, &[u8], &str); 7] = [
        (106, &[2], "not unmounted"),
        (106, &[4], "disk had errors"),
        (106, &[1], "TexFAT"),
        (110, &[2], "TexFAT"),
        (105, &[2], "revision"),
        (92, &[7], "checksum of the boot region"),
        (109, &[30], "cluster size"),
    ];
    for (at, bytes, reason) in cases {
        let was = image.read(at, bytes.len());
        image.write(at, bytes);
        let why = image.distrust();
        assert!(why.contains(reason), "{reason}: {why}");
        image.write(at, &was);
    }
    image.file().set_len(31 * MIB).unwrap();
    assert!(image.distrust().contains("its partition only"));
}

#[test]
fn a_second_table_of_letters_is_not_followed() {
    let Some((_alone, image)) = small("two up-case tables") else {
        return;
    };
    let le32 = |at| u64::from(u32::from_le_bytes(image.read(at, 4).try_into().unwrap()));
    let (heap, root) = (le32(88) * 512, le32(96));
    let mut entry = heap + (root - 2) * 512;
    while image.read(entry, 1) != [0x82] {
        entry += 32;
    }
    let up_case = image.read(entry, 32);
    assert_eq!(image.read(entry + 32, 1), [0]);
    image.write(entry + 32, &up_case);
    assert!(image.distrust().contains("two tables of letters"));
}

#[test]
fn damage_has_a_clear_outcome() {
    let Some((_alone, image)) = small("damaged exFAT") else {
        return;
    };
    let le32 = |at| u64::from(u32::from_le_bytes(image.read(at, 4).try_into().unwrap()));
    let (table, heap, root) = (le32(80) * 512, le32(88) * 512, le32(96));
    let directory = heap + (root - 2) * 512;
    damage(&image, &[(64, 60), (table, 128), (directory, 128)], 64);
    run("fsck.exfat", &["-n".as_ref(), image.path.as_ref()]);
}
