//! The disks that are changed: each is what it was made to be, and its checksums are found.

use std::sync::Arc;

use mimeo_fuzz::disk::{self, Disk, LOOKS, examine, files};
use mimeo_image::used::Verdict;

/// Disks that are trusted as they are, and at least so many checksums that are made right on each.
const TRUSTED: [(&str, usize); 20] = [
    ("ext4", 30),
    ("ext4-inline", 5),
    ("ext4-bigalloc", 5),
    ("ext4-meta-bg", 60),
    ("ext3-crc16", 9),
    ("ext2", 1),
    ("ntfs", 10),
    ("ntfs-4k", 10),
    ("fat12", 0),
    ("fat16", 0),
    ("fat32", 0),
    ("exfat", 1),
    ("exfat-128k", 1),
    ("swap", 0),
    ("xfs", 9),
    ("xfs-tree", 7),
    ("xfs-v4", 0),
    ("btrfs", 4),
    ("btrfs-mixed", 4),
    ("lvm", 3),
];

#[test]
fn disks_are_trusted_and_their_checksums_are_found() {
    let names = TRUSTED.map(|(name, _)| name);
    for (plain, (name, least)) in disk::load(&names).iter().zip(TRUSTED) {
        let disk = Arc::new(Disk::new(&plain.sectors));
        let layout = examine(&disk);
        for area in &layout.areas {
            let verdict = &area.volume.verdict;
            assert!(
                matches!(verdict, Verdict::Trusted { .. }),
                "{name}: {verdict:?}"
            );
        }
        files(&disk, &layout, &LOOKS);
        assert!(plain.seals() >= least, "{name}: {}", plain.seals());
    }
}

#[test]
fn partitions_are_found_and_both_tables_are_made_right() {
    let names = ["gpt", "gpt-4096", "mbr", "hybrid"];
    for (plain, (areas, seals)) in disk::load(&names)
        .iter()
        .zip([(3, 4), (2, 4), (5, 0), (2, 4)])
    {
        let disk = Arc::new(Disk::new(&plain.sectors));
        let layout = examine(&disk);
        assert_eq!(layout.areas.len(), areas, "{}", plain.name);
        assert_eq!(plain.seals(), seals, "{}", plain.name);
    }
}
