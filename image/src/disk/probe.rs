//! What a device holds, by the magic numbers at well-known places.
//!
//! This guards against overwriting something by mistake, so it errs on the
//! side of finding too much; it is no replacement for libblkid.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

/// Something recognized on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(&'static str);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A magic number: what it shows, its byte offset from the start of the
/// device, its bytes.
type Magic = (&'static str, u64, &'static [u8]);

/// From the on-disk layouts: UEFI 5.3.2 (header at LBA 1 of 512 or 4096
/// bytes), Linux' include/uapi/linux/magic.h and the file systems' headers.
const MAGICS: [Magic; 38] = [
    ("GPT partition table", 512, b"EFI PART"),
    ("GPT partition table", 4096, b"EFI PART"),
    ("NTFS", 3, b"NTFS    "),
    ("ReFS", 3, b"ReFS\0"),
    ("BitLocker", 3, b"-FVE-FS-"),
    ("exFAT", 3, b"EXFAT   "),
    ("FAT", 54, b"FAT12   "),
    ("FAT", 54, b"FAT16   "),
    ("FAT", 82, b"FAT32   "),
    ("ext2/3/4", 0x438, b"\x53\xef"),
    ("XFS", 0, b"XFSB"),
    ("btrfs", 0x1_0040, b"_BHRfS_M"),
    ("F2FS", 1024, b"\x10\x20\xf5\xf2"),
    ("JFS", 0x8000, b"JFS1"),
    ("ReiserFS", 0x1_0034, b"ReIsEr"),
    ("APFS", 32, b"NXSB"),
    ("HFS+", 1024, b"H+\0\x04"),
    ("HFS+", 1024, b"HX\0\x05"),
    ("ISO 9660", 0x8001, b"CD001"),
    ("UDF", 0x8001, b"BEA01"),
    ("squashfs", 0, b"hsqs"),
    ("EROFS", 1024, b"\xe2\xe1\xf5\xe0"),
    // The magic ends a page: of 4, 16 or 64 KiB.
    ("swap", 4096 - 10, b"SWAPSPACE2"),
    ("swap", 4096 - 10, b"SWAP-SPACE"),
    ("swap", 16_384 - 10, b"SWAPSPACE2"),
    ("swap", 65_536 - 10, b"SWAPSPACE2"),
    // A label may be in any of the first four sectors.
    ("LVM", 24, b"LVM2 001"),
    ("LVM", 512 + 24, b"LVM2 001"),
    ("LVM", 1024 + 24, b"LVM2 001"),
    ("LVM", 1536 + 24, b"LVM2 001"),
    ("LUKS", 0, b"LUKS\xba\xbe"),
    // Member of an md array, metadata 1.1 and 1.2.
    ("RAID member", 0, b"\xfc\x4e\x2b\xa9"),
    ("RAID member", 4096, b"\xfc\x4e\x2b\xa9"),
    (
        "bcache",
        4096 + 24,
        b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf7\x7f\x48\xba\x6d\x81",
    ),
    // The first uberblock of the first label, in either byte order.
    ("ZFS", 0x2_0000, b"\x0c\xb1\xba\x00\x00\x00\x00\x00"),
    ("ZFS", 0x2_0000, b"\x00\x00\x00\x00\x00\xba\xb1\x0c"),
    ("Apple partition map", 512, b"PM\0\0"),
    ("BSD disklabel", 512, b"\x57\x45\x56\x82"),
];

/// Of an MBR, and of the boot sectors of FAT, exFAT and NTFS.
const BOOT_SIGNATURE: Magic = ("MBR partition table or boot sector", 510, b"\x55\xaa");

/// Names the partition tables and file systems found on a device of `len`
/// bytes, each once.
///
/// # Errors
/// When the device cannot be read.
pub fn probe(device: &File, len: u64) -> io::Result<Vec<Signature>> {
    let mut found: Vec<Signature> = Vec::new();
    let at_the_end = backup_gpt(len).into_iter().chain(old_raid(len)).flatten();
    for magic in MAGICS.into_iter().chain(at_the_end) {
        let signature = Signature(magic.0);
        if !found.contains(&signature) && holds(device, len, magic)? {
            found.push(signature);
        }
    }
    // A GPT has a protective MBR, a boot sector a file system; neither is news.
    if found.is_empty() && holds(device, len, BOOT_SIGNATURE)? {
        found.push(Signature(BOOT_SIGNATURE.0));
    }
    Ok(found)
}

/// The second GPT header is in the last sector, of 512 or 4096 bytes.
fn backup_gpt(len: u64) -> [Option<Magic>; 2] {
    [512, 4096].map(|sector| {
        let offset = len.checked_sub(sector)?;
        Some((
            "GPT partition table (backup)",
            offset,
            b"EFI PART".as_slice(),
        ))
    })
}

/// md metadata 0.90 lies in the last whole, aligned 64 KiB, 1.0 at
/// least 8 KiB before the end, 4 KiB aligned (md(4)).
fn old_raid(len: u64) -> [Option<Magic>; 2] {
    let oldest = (len & !0xffff).checked_sub(0x1_0000);
    let old = len.checked_sub(0x2000).map(|offset| offset & !0xfff);
    [oldest, old].map(|offset| Some(("RAID member", offset?, b"\xfc\x4e\x2b\xa9".as_slice())))
}

fn holds(device: &File, len: u64, (_, offset, magic): Magic) -> io::Result<bool> {
    let mut bytes = [0; 16];
    let bytes = &mut bytes[..magic.len()];
    if offset + magic.len() as u64 > len {
        return Ok(false);
    }
    match device.read_exact_at(bytes, offset) {
        Ok(()) => Ok(bytes == magic),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(len: u64, contents: &[(u64, &[u8])]) -> (File, u64) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(len).unwrap();
        for (offset, bytes) in contents {
            file.write_all_at(bytes, *offset).unwrap();
        }
        (file, len)
    }

    fn names(contents: &[(u64, &[u8])]) -> String {
        let (file, len) = device(1 << 20, contents);
        let found = probe(&file, len).unwrap();
        found
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn blank_and_tiny_devices_hold_nothing() {
        assert_eq!(names(&[]), "");
        let (file, len) = device(100, &[(0, b"XFS")]);
        assert!(probe(&file, len).unwrap().is_empty());
    }

    #[test]
    fn every_magic_number_is_found_at_its_place() {
        for (name, offset, magic) in MAGICS {
            assert_eq!(names(&[(offset, magic)]), name, "at {offset}");
        }
    }

    #[test]
    fn an_mbr_is_named_only_when_it_is_all_there_is() {
        assert!(names(&[(510, b"\x55\xaa")]).starts_with("MBR"));
        assert_eq!(
            names(&[(510, b"\x55\xaa"), (512, b"EFI PART")]),
            "GPT partition table"
        );
        assert_eq!(names(&[(510, b"\x55\xaa"), (3, b"NTFS    ")]), "NTFS");
    }

    #[test]
    fn what_is_left_at_the_end_of_a_wiped_disk_counts() {
        let end = 1 << 20;
        assert!(names(&[(end - 512, b"EFI PART")]).contains("backup"));
        assert!(names(&[(end - 4096, b"EFI PART")]).contains("backup"));
        assert_eq!(
            names(&[(end - 0x1_0000, b"\xfc\x4e\x2b\xa9")]),
            "RAID member"
        );
        assert_eq!(names(&[(end - 0x2000, b"\xfc\x4e\x2b\xa9")]), "RAID member");
    }
}
