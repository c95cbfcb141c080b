//! Which disk the word `auto` may mean.

use std::fmt;

use super::device::{Attachment, Disk};
use super::inventory::System;
use super::usage::Use;

/// A real disk of this machine, and why it may not be chosen by itself.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The disk.
    pub disk: Disk,
    /// Why `auto` passes it over; `None` if it may be chosen.
    pub obstacle: Option<Obstacle>,
}

/// Why a disk is not chosen by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Behind a USB port.
    Usb,
    /// The medium can be taken out.
    Removable,
    /// Reached over a network.
    Network,
    /// The kernel refuses writes.
    ReadOnly,
    /// In use.
    InUse(Vec<Use>),
    /// Its serial number is not the one that was asked for.
    OtherSerial,
}

/// The hardware disks of a machine that have a medium, in the order of their
/// names. With `serial`, disks with another serial number get an obstacle.
#[must_use]
pub fn candidates(system: &System, serial: Option<&str>) -> Vec<Candidate> {
    let is_real = |disk: &&Disk| disk.attachment != Attachment::NotADisk && disk.size > 0;
    let candidate = |disk: &Disk| Candidate {
        disk: disk.clone(),
        obstacle: obstacle(system, disk, serial),
    };
    system
        .disks()
        .iter()
        .filter(is_real)
        .map(candidate)
        .collect()
}

fn obstacle(system: &System, disk: &Disk, serial: Option<&str>) -> Option<Obstacle> {
    if serial.is_some_and(|wanted| disk.serial.as_deref() != Some(wanted.trim())) {
        return Some(Obstacle::OtherSerial);
    }
    match disk.attachment {
        Attachment::Usb => return Some(Obstacle::Usb),
        Attachment::SdCard => return Some(Obstacle::Removable),
        Attachment::Network => return Some(Obstacle::Network),
        Attachment::Internal | Attachment::NotADisk => {}
    }
    if disk.removable {
        return Some(Obstacle::Removable);
    }
    if disk.read_only {
        return Some(Obstacle::ReadOnly);
    }
    let uses = system.disk_uses(disk);
    (!uses.is_empty()).then_some(Obstacle::InUse(uses))
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usb => f.write_str("attached by USB"),
            Self::Removable => f.write_str("removable"),
            Self::Network => f.write_str("reached over a network"),
            Self::ReadOnly => f.write_str("read-only"),
            Self::InUse(uses) => match uses.first() {
                Some(first) => write!(f, "in use: {first}"),
                None => f.write_str("in use"),
            },
            Self::OtherSerial => f.write_str("not the serial number asked for"),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.disk)?;
        match &self.obstacle {
            Some(obstacle) => write!(f, " ({obstacle})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fake::Tree;

    fn names(candidates: &[Candidate]) -> Vec<&str> {
        let free = candidates.iter().filter(|c| c.obstacle.is_none());
        free.map(|c| c.disk.name.as_str()).collect()
    }

    fn obstacle_of(tree: &Tree, name: &str) -> Option<Obstacle> {
        let all = candidates(&tree.system("", ""), None);
        all.into_iter()
            .find(|c| c.disk.name == name)
            .expect("listed")
            .obstacle
    }

    #[test]
    fn the_only_internal_disk_is_free_and_odd_devices_are_not_even_listed() {
        let tree = Tree::new();
        tree.disk("sda", "8:0", 1000).hardware();
        for (name, number) in [("loop0", "7:0"), ("ram0", "1:0"), ("zram0", "254:0")] {
            tree.disk(name, number, 1000);
        }
        for (name, number) in [
            ("dm-0", "253:0"),
            ("md127", "9:127"),
            ("nvme0c0n1", "259:9"),
        ] {
            tree.disk(name, number, 1000);
        }
        for (name, number) in [("sr0", "11:0"), ("fd0", "2:0"), ("mmcblk0boot0", "179:8")] {
            tree.disk(name, number, 1000).hardware();
        }
        tree.disk("nvme0c1n1", "259:7", 1000)
            .hardware()
            .attribute("hidden", "1");
        tree.disk("sdz", "65:144", 0).hardware();
        let all = candidates(&tree.system("", ""), None);
        assert_eq!(names(&all), ["sda"]);
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn external_removable_and_read_only_disks_are_passed_over() {
        let tree = Tree::new();
        tree.disk_at("devices/pci0/usb2/2-1/host6/block/sdb", "8:16", 1000)
            .hardware();
        tree.disk_at("devices/platform/host7/session1/block/sdc", "8:32", 1000)
            .hardware();
        tree.disk("sdd", "8:48", 1000)
            .hardware()
            .attribute("removable", "1");
        tree.disk("sde", "8:64", 1000)
            .hardware()
            .attribute("ro", "1");
        tree.disk("mmcblk0", "179:0", 1000)
            .hardware()
            .attribute("device/type", "SD");
        assert_eq!(obstacle_of(&tree, "sdb"), Some(Obstacle::Usb));
        assert_eq!(obstacle_of(&tree, "sdc"), Some(Obstacle::Network));
        assert_eq!(obstacle_of(&tree, "sdd"), Some(Obstacle::Removable));
        assert_eq!(obstacle_of(&tree, "sde"), Some(Obstacle::ReadOnly));
        assert_eq!(obstacle_of(&tree, "mmcblk0"), Some(Obstacle::Removable));
    }

    #[test]
    fn used_disks_are_passed_over() {
        let tree = Tree::new();
        tree.disk("sda", "8:0", 1000)
            .hardware()
            .partition("sda1", "8:1", 10);
        tree.disk("sdb", "8:16", 1000)
            .hardware()
            .partition("sdb1", "8:17", 10);
        tree.disk("sdc", "8:32", 1000)
            .hardware()
            .partition("sdc1", "8:33", 10)
            .holder("dm-0");
        tree.disk("nvme0n1", "259:0", 1000).hardware();
        let mounts = "1 0 8:1 / / rw - ext4 /dev/root rw\n";
        let swaps = "Filename\n/dev/sdb1 partition 1 0 -2\n";
        let all = candidates(&tree.system(mounts, swaps), None);
        assert_eq!(names(&all), ["nvme0n1"]);
        let text = all
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            text.contains("/dev/sda1 is mounted read-write at / (the running system)"),
            "{text}"
        );
        assert!(text.contains("/dev/sdb1 is used as swap"), "{text}");
        assert!(text.contains("/dev/sdc1 is part of /dev/dm-0"), "{text}");
    }

    #[test]
    fn serial_narrows_several_and_never_frees_a_used_one() {
        let tree = Tree::new();
        tree.disk("sda", "8:0", 1000)
            .hardware()
            .attribute("device/serial", "AAA");
        tree.disk("sdb", "8:16", 1000)
            .hardware()
            .attribute("device/serial", " BBB \n");
        tree.disk("sdc", "8:32", 1000)
            .hardware()
            .attribute("device/serial", "CCC");
        let system = tree.system("1 0 8:32 / /srv rw - xfs /dev/sdc rw\n", "");
        assert_eq!(names(&candidates(&system, None)), ["sda", "sdb"]);
        assert_eq!(names(&candidates(&system, Some("BBB"))), ["sdb"]);
        assert!(names(&candidates(&system, Some("CCC"))).is_empty());
        assert!(names(&candidates(&system, Some("BB"))).is_empty());
    }
}
