//! Model, serial number and connection of a disk, from sysfs alone: a machine
//! booted from the network often runs no udev.

use std::fs;
use std::path::Path;

use super::device::Attachment;
use super::sysfs::{flag, text, trimmed};

pub(super) struct Identity {
    pub(super) attachment: Attachment,
    pub(super) model: Option<String>,
    pub(super) serial: Option<String>,
}

pub(super) fn read(dir: &Path, kernel_name: &str) -> Identity {
    // The real place in the tree of devices tells what the disk hangs on.
    let place = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    Identity {
        attachment: attachment(dir, &place, kernel_name),
        // SCSI and NVMe say `model`, MMC says `name`.
        model: text(dir, "device/model").or_else(|| text(dir, "device/name")),
        serial: serial(dir, &place),
    }
}

fn attachment(dir: &Path, place: &Path, kernel_name: &str) -> Attachment {
    let hangs_on = |prefix: &str| {
        place
            .iter()
            .any(|part| part.to_str().is_some_and(|part| is_numbered(part, prefix)))
    };
    if !is_disk(dir, kernel_name) {
        Attachment::NotADisk
    } else if hangs_on("usb") {
        Attachment::Usb
    } else if hangs_on("session") || kernel_name.starts_with("nbd") {
        // `session1` is how the kernel names an iSCSI session.
        Attachment::Network
    } else if text(dir, "device/type").is_some_and(|kind| kind == "SD") {
        Attachment::SdCard
    } else {
        Attachment::Internal
    }
}

/// `usb3`, `session12`: the prefix and nothing but digits.
fn is_numbered(part: &str, prefix: &str) -> bool {
    part.strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether there is hardware of its own behind the device.
fn is_disk(dir: &Path, kernel_name: &str) -> bool {
    const OTHERS: [&str; 9] = [
        "loop", "ram", "zram", "dm-", "md", "sr", "fd", "mtdblock", "zd",
    ];
    if kernel_name.starts_with("nbd") {
        return true;
    }
    let other = OTHERS.iter().any(|prefix| is_numbered(kernel_name, prefix));
    // An eMMC shows its boot areas and its replay-protected area as disks.
    let emmc_area = kernel_name.starts_with("mmcblk") && !is_numbered(kernel_name, "mmcblk");
    // NVMe multipath hides the paths behind the one disk that may be used.
    dir.join("device").exists() && !other && !emmc_area && !flag(dir, "hidden")
}

fn serial(dir: &Path, place: &Path) -> Option<String> {
    // virtio and some others; NVMe and MMC; SCSI and SATA; USB bridges.
    text(dir, "serial")
        .or_else(|| text(dir, "device/serial"))
        .or_else(|| unit_serial(&fs::read(dir.join("device/vpd_pg80")).ok()?))
        .or_else(|| usb_serial(place))
}

/// The unit serial number page: byte 1 is the page code 0x80, bytes 2-3 the
/// length of the text that follows (SPC-4, 7.8.15).
fn unit_serial(page: &[u8]) -> Option<String> {
    let [_, 0x80, high, low, rest @ ..] = page else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
    trimmed(rest.get(..length)?)
}

/// The serial number of the nearest USB device above the disk. Host
/// controllers, named `usb1`, have one too, which says nothing about the disk.
fn usb_serial(place: &Path) -> Option<String> {
    place
        .ancestors()
        .skip(1)
        .take_while(|above| {
            above
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|n| !is_numbered(n, "usb"))
        })
        .filter(|above| above.join("idVendor").exists())
        .find_map(|above| text(above, "serial"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_serial_is_cut_to_its_length_and_trimmed() {
        let page = [&[0, 0x80, 0, 8][..], b"  S3Z9NB", b"garbage"].concat();
        assert_eq!(unit_serial(&page).as_deref(), Some("S3Z9NB"));
        assert_eq!(unit_serial(&[0, 0x80, 0, 200, b'A']).as_deref(), Some("A"));
        assert_eq!(unit_serial(&[0, 0x83, 0, 1, b'A']), None);
        assert_eq!(unit_serial(&[0, 0x80]), None);
        assert_eq!(unit_serial(&[0, 0x80, 0, 2, b' ', 0]), None);
    }

    #[test]
    fn numbered_names_have_digits_only() {
        assert!(is_numbered("usb3", "usb"));
        assert!(!is_numbered("usb", "usb"));
        assert!(!is_numbered("usb-storage", "usb"));
        assert!(!is_numbered("mmcblk0boot0", "mmcblk"));
    }
}
