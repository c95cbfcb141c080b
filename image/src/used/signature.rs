//! What lies on a volume, by the magic numbers at well-known places.
//!
//! A volume is trusted only if exactly one is found, so this looks for more
//! than there are maps for: a member of an md array with its metadata at the
//! end looks like the ext4 that it mirrors, BitLocker To Go like FAT32.

use std::fmt;

use super::read::Fields as _;
use super::{Distrust, ReadAt};

/// A filesystem, or what takes the place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is named like what it stands for")]
pub enum Signature {
    Ext,
    Ntfs,
    Fat,
    ExFat,
    Xfs,
    Btrfs,
    Swap,
    Lvm,
    Luks,
    BitLocker,
    MdRaid,
    Zfs,
    Bcache,
    Bcachefs,
    F2fs,
    Refs,
    Apfs,
    HfsPlus,
    Jfs,
    ReiserFs,
    Nilfs2,
    Gfs2,
    Iso9660,
    Udf,
    Squashfs,
    Erofs,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ext => "ext2/3/4",
            Self::Ntfs => "NTFS",
            Self::Fat => "FAT",
            Self::ExFat => "exFAT",
            Self::Xfs => "XFS",
            Self::Btrfs => "btrfs",
            Self::Swap => "swap",
            Self::Lvm => "LVM",
            Self::Luks => "LUKS",
            Self::BitLocker => "BitLocker",
            Self::MdRaid => "md RAID member",
            Self::Zfs => "ZFS",
            Self::Bcache => "bcache",
            Self::Bcachefs => "bcachefs",
            Self::F2fs => "F2FS",
            Self::Refs => "ReFS",
            Self::Apfs => "APFS",
            Self::HfsPlus => "HFS+",
            Self::Jfs => "JFS",
            Self::ReiserFs => "ReiserFS",
            Self::Nilfs2 => "NILFS2",
            Self::Gfs2 => "GFS2",
            Self::Iso9660 => "ISO 9660",
            Self::Udf => "UDF",
            Self::Squashfs => "squashfs",
            Self::Erofs => "EROFS",
        })
    }
}

/// What it shows, at which byte offset, which bytes.
type Magic = (Signature, u64, &'static [u8]);

/// BitLocker's GUID 4967d63b-2e29-4ad8-8399-f6a339e3d001 (Joachim Metz, "BitLocker Drive
/// Encryption format", section 4).
const BITLOCKER_GUID: &[u8] = b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01";

/// From the on-disk formats and Linux' include/uapi/linux/magic.h.
const MAGICS: [Magic; 33] = [
    (Signature::Ext, 0x438, b"\x53\xef"),
    (Signature::Ntfs, 3, b"NTFS    "),
    (Signature::ExFat, 3, b"EXFAT   "),
    (Signature::Refs, 3, b"ReFS\0"),
    (Signature::BitLocker, 3, b"-FVE-FS-"),
    // To Go: a FAT32 for machines that cannot open it, with the GUID behind the boot code.
    (Signature::BitLocker, 424, BITLOCKER_GUID),
    (Signature::BitLocker, 160, BITLOCKER_GUID),
    (Signature::Xfs, 0, b"XFSB"),
    (Signature::Btrfs, 0x1_0040, b"_BHRfS_M"),
    (Signature::Luks, 0, b"LUKS\xba\xbe"),
    // A label may be in any of the first four sectors.
    (Signature::Lvm, 0, b"LABELONE"),
    (Signature::Lvm, 512, b"LABELONE"),
    (Signature::Lvm, 1024, b"LABELONE"),
    (Signature::Lvm, 1536, b"LABELONE"),
    // Metadata 1.1 and 1.2 (md(4)).
    (Signature::MdRaid, 0, MD_MAGIC),
    (Signature::MdRaid, 4096, MD_MAGIC),
    (Signature::Bcache, 4096 + 24, BCACHE_MAGIC),
    (Signature::Bcachefs, 4096 + 24, BCACHEFS_MAGIC),
    (Signature::F2fs, 1024, b"\x10\x20\xf5\xf2"),
    (Signature::Apfs, 32, b"NXSB"),
    (Signature::HfsPlus, 1024, b"H+\0\x04"),
    (Signature::HfsPlus, 1024, b"HX\0\x05"),
    // Plain HFS, or an HFS+ wrapped in one.
    (Signature::HfsPlus, 1024, b"BD"),
    (Signature::Jfs, 0x8000, b"JFS1"),
    (Signature::ReiserFs, 0x1_0034, b"ReIsEr"),
    (Signature::ReiserFs, 0x2034, b"ReIsEr"),
    (Signature::Nilfs2, 0x406, b"\x34\x34"),
    (Signature::Gfs2, 0x1_0000, b"\x01\x16\x19\x70"),
    (Signature::Iso9660, 0x8001, b"CD001"),
    (Signature::Udf, 0x8001, b"BEA01"),
    (Signature::Squashfs, 0, b"hsqs"),
    (Signature::Erofs, 1024, b"\xe2\xe1\xf5\xe0"),
    (Signature::Luks, 0, b"SKUL\xba\xbe"),
];

/// What swap shows: its two versions.
const SWAP_MAGICS: [&[u8]; 2] = [b"SWAPSPACE2", b"SWAP-SPACE"];

/// What hibernation writes in their place: of the kernel (kernel/power/swap.c), uswsusp and
/// TuxOnIce.
pub(crate) const SUSPENDED: [&[u8]; 5] = [
    b"S1SUSPEND",
    b"S2SUSPEND",
    b"ULSUSPEND",
    b"LINHIB0001",
    b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c",
];

/// The magic of swap ends its first page, with ten bytes.
pub(crate) const SWAP_PAGES: [u64; 5] = [4096, 8192, 16_384, 32_768, 65_536];

const MD_MAGIC: &[u8] = b"\xfc\x4e\x2b\xa9";
const BCACHE_MAGIC: &[u8] = b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf7\x7f\x48\xba\x6d\x81";
const BCACHEFS_MAGIC: &[u8] = b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef";

/// Bytes from the start that hold all magic numbers above.
const HEAD: u64 = 0x1_1000;

/// Bytes of a ZFS label; two are at the start, two at the aligned end.
const ZFS_LABEL: u64 = 0x4_0000;

/// Bytes of one that are looked at together.
const ZFS_PIECE: u64 = 0x4000;

/// Names everything that a volume shows signs of, each once.
pub(crate) fn find(volume: &dyn ReadAt) -> Result<Vec<Signature>, Distrust> {
    let mut found = Vec::new();
    let mut add = |signature, is_there: bool| {
        if is_there && !found.contains(&signature) {
            found.push(signature);
        }
    };
    let head = head(volume)?;
    let holds = |offset: u64, magic: &[u8]| {
        usize::try_from(offset)
            .is_ok_and(|at| head.part(at, magic.len()).is_ok_and(|is| is == magic))
    };
    for (signature, offset, magic) in MAGICS {
        add(signature, holds(offset, magic));
    }
    for page in SWAP_PAGES {
        let magic = |magic: &&[u8]| holds(page - 10, magic);
        let mut all = SWAP_MAGICS.iter().chain(&SUSPENDED);
        add(Signature::Swap, all.any(magic));
    }
    add(Signature::Fat, is_fat(&head));
    for offset in old_raid(volume.size()).into_iter().flatten() {
        let magic = super::read::read(volume, offset, 4, "md metadata")?;
        add(Signature::MdRaid, magic == MD_MAGIC);
    }
    add(Signature::Zfs, is_zfs(volume)?);
    Ok(found)
}

/// The start of a volume; zeros behind the end of a tiny one.
fn head(volume: &dyn ReadAt) -> Result<Vec<u8>, Distrust> {
    let len = volume.size().min(HEAD);
    let mut head = super::read::read(volume, 0, len as usize, "the start of the volume")?;
    head.resize(HEAD as usize, 0);
    Ok(head)
}

/// FAT has no magic number: its strings may be anything, so the parameters
/// have to be possible ones (Microsoft, "FAT: General Overview of On-Disk
/// Format", section "Boot Sector and BPB").
fn is_fat(head: &[u8]) -> bool {
    let byte = |at| head.byte(at).unwrap_or(0);
    let le16 = |at| head.le16(at).unwrap_or(0);
    let jumps = byte(0) == 0xe9 || (byte(0) == 0xeb && byte(2) == 0x90);
    let (sector, cluster, copies, media) = (le16(11), byte(13), byte(16), byte(21));
    let reserved = le16(14);
    let sectors = le16(19) != 0 || head.le32(32).unwrap_or(0) != 0;
    let table = le16(22) != 0 || head.le32(36).unwrap_or(0) != 0;
    jumps
        && sector.is_power_of_two()
        && (512..=4096).contains(&sector)
        && cluster.is_power_of_two()
        && reserved != 0
        && (1..=2).contains(&copies)
        && (media == 0xf0 || media >= 0xf8)
        && sectors
        && table
}

/// Metadata 0.90 lies in the last whole, aligned 64 KiB, 1.0 at least 8 KiB
/// before the end, 4 KiB aligned (md(4)).
fn old_raid(len: u64) -> [Option<u64>; 2] {
    [
        (len & !0xffff).checked_sub(0x1_0000),
        len.checked_sub(0x2000).map(|offset| offset & !0xfff),
    ]
}

/// The second half of each of four labels is a ring of uberblocks in slots of
/// at least 1 KiB; which ones are filled depends on the pool's age ("ZFS
/// On-Disk Specification", section 1.3).
fn is_zfs(volume: &dyn ReadAt) -> Result<bool, Distrust> {
    let end = volume.size() & !(ZFS_LABEL - 1);
    let labels = [
        Some(0),
        Some(ZFS_LABEL),
        end.checked_sub(2 * ZFS_LABEL),
        end.checked_sub(ZFS_LABEL),
    ];
    let mut slots = [0; ZFS_PIECE as usize];
    for label in labels.into_iter().flatten() {
        let end = label + ZFS_LABEL;
        if end > volume.size() {
            continue;
        }
        for at in (label + ZFS_LABEL / 2..end).step_by(slots.len()) {
            super::read::read_into(volume, at, &mut slots, "a ZFS label")?;
            let is_uberblock = |slot: &[u8]| {
                matches!(
                    slot.le64(0).map(|magic| (magic, magic.swap_bytes())),
                    Ok((0x00ba_b10c, _) | (_, 0x00ba_b10c))
                )
            };
            if slots.chunks(1024).any(is_uberblock) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;

    const LEN: u64 = 4 << 20;

    fn signs(contents: &[(u64, &[u8])]) -> Vec<Signature> {
        find(&Memory::new(LEN, contents)).unwrap()
    }

    #[test]
    fn every_magic_number_is_found_at_its_place() {
        assert_eq!(signs(&[]), []);
        for (signature, offset, magic) in MAGICS {
            assert_eq!(signs(&[(offset, magic)]), [signature], "at {offset}");
        }
        for page in SWAP_PAGES {
            assert_eq!(signs(&[(page - 10, SUSPENDED[0])]), [Signature::Swap]);
        }
    }

    #[test]
    fn tiny_volumes_hold_nothing() {
        assert_eq!(find(&Memory::new(0, &[])).unwrap(), []);
        assert_eq!(
            find(&Memory::new(700, &[(0, b"XFSB")])).unwrap(),
            [Signature::Xfs]
        );
    }

    #[test]
    fn metadata_at_the_end_counts() {
        assert_eq!(signs(&[(LEN - 0x1_0000, MD_MAGIC)]), [Signature::MdRaid]);
        assert_eq!(signs(&[(LEN - 0x2000, MD_MAGIC)]), [Signature::MdRaid]);
        let uberblock = 0x00ba_b10c_u64;
        for label in [0, ZFS_LABEL, LEN - 2 * ZFS_LABEL, LEN - ZFS_LABEL] {
            let slot = label + 0x2_0000 + 5 * 1024;
            assert_eq!(signs(&[(slot, &uberblock.to_le_bytes())]), [Signature::Zfs]);
            assert_eq!(signs(&[(slot, &uberblock.to_be_bytes())]), [Signature::Zfs]);
        }
    }

    #[test]
    fn a_fat_that_only_veils_bitlocker_shows_both() {
        let mut boot = [0; 512];
        boot[..16].copy_from_slice(b"\xeb\x58\x90MSWIN4.1\0\x02\x08\x20\0");
        boot[16] = 2;
        boot[21] = 0xf8;
        boot[32..40].copy_from_slice(b"\0\0\x20\0\0\x10\0\0");
        assert_eq!(signs(&[(0, &boot)]), [Signature::Fat]);
        boot[424..440].copy_from_slice(BITLOCKER_GUID);
        let found = signs(&[(0, &boot)]);
        assert_eq!(found, [Signature::BitLocker, Signature::Fat]);
    }

    #[test]
    fn a_mirrored_ext4_shows_the_mirror_too() {
        let found = signs(&[(0x438, b"\x53\xef"), (LEN - 0x2000, MD_MAGIC)]);
        assert_eq!(found, [Signature::Ext, Signature::MdRaid]);
    }
}
