//! Filesystems and what takes their place: their maps, and their files (`disk`).

use std::sync::LazyLock;

use crate::disk::{self, Plain};

/// Those of a target, unpacked when they are needed.
type Disks = LazyLock<Vec<Plain>>;

static EXT: Disks = LazyLock::new(|| {
    let bitmaps = ["ext4", "ext4-inline", "ext4-bigalloc", "ext4-meta-bg"];
    disk::load(&[&bitmaps[..], &["ext3-crc16", "ext2"]].concat())
});
static NTFS: Disks = LazyLock::new(|| disk::load(&["ntfs", "ntfs-4k"]));
static FAT: Disks =
    LazyLock::new(|| disk::load(&["fat12", "fat16", "fat32", "exfat", "exfat-128k", "swap"]));
static XFS: Disks = LazyLock::new(|| disk::load(&["xfs", "xfs-tree", "xfs-v4"]));
static BTRFS: Disks = LazyLock::new(|| disk::load(&["btrfs", "btrfs-mixed"]));
static LVM: Disks = LazyLock::new(|| disk::load(&["lvm"]));

/// ext2, ext3, ext4.
pub fn ext(data: &[u8]) {
    disk::run(&EXT, data);
}

/// NTFS.
pub fn ntfs(data: &[u8]) {
    disk::run(&NTFS, data);
}

/// FAT12, FAT16, FAT32, exFAT, and swap.
pub fn fat(data: &[u8]) {
    disk::run(&FAT, data);
}

/// XFS.
pub fn xfs(data: &[u8]) {
    disk::run(&XFS, data);
}

/// btrfs.
pub fn btrfs(data: &[u8]) {
    disk::run(&BTRFS, data);
}

/// LVM2.
pub fn lvm(data: &[u8]) {
    disk::run(&LVM, data);
}
