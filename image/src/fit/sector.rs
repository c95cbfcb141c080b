//! The size of a logical sector, by what is on a disk.

use crate::used::ReadAt;
use crate::used::partition::gpt::SECTORS;
use crate::used::partition::mbr::{self, Entry};
use crate::used::read::{Fields as _, read};

/// By the boot sector of the filesystem that fills a disk, or that is in one of the primary
/// partitions of its MBR: FAT, NTFS and exFAT keep it there.
pub(super) fn by_boot_sector(disk: &dyn ReadAt, entries: &[Entry]) -> Option<u32> {
    if entries.is_empty() {
        return boot_sector(disk, 0);
    }
    entries
        .iter()
        .filter(|entry| !entry.is_extended() && entry.kind != mbr::PROTECTIVE)
        .find_map(|entry| {
            // The entries count in sectors: only one size leads to where this size is said.
            let is = |&sector: &u64| {
                boot_sector(disk, entry.start * sector).map(u64::from) == Some(sector)
            };
            SECTORS.into_iter().find(is).map(|sector| sector as u32)
        })
}

/// Bytes of a sector by the boot sector at `offset`, if there is one.
fn boot_sector(disk: &dyn ReadAt, offset: u64) -> Option<u32> {
    let boot = read(disk, offset, 512, "a boot sector").ok()?;
    if boot.le16(510).ok()? != 0xaa55 {
        return None;
    }
    let bytes = if boot.part(3, 8).ok()? == b"EXFAT   " {
        1_u64.checked_shl(boot.byte(108).ok()?.into())?
    } else {
        // What FAT and NTFS share (Microsoft's FAT specification, section 3.1): a jump, and
        // clusters of a power of two; NTFS has no FATs and larger clusters as negative powers.
        let is_jump = matches!(boot.byte(0).ok()?, 0xe9 | 0xeb);
        let is_ntfs = boot.part(3, 8).ok()? == b"NTFS    ";
        let is_fat = boot.byte(13).ok()?.is_power_of_two()
            && boot.le16(14).ok()? > 0
            && matches!(boot.byte(16).ok()?, 1 | 2);
        if !is_jump || !(is_ntfs || is_fat) {
            return None;
        }
        boot.le16(11).ok()?.into()
    };
    SECTORS.contains(&bytes).then_some(bytes as u32)
}
