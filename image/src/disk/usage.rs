//! Who uses a block device or an image file.
//!
//! Uses are found from the device upwards: mounts and swap on the device and
//! its partitions, device-mapper and md devices built upon them, loop devices
//! that show them, and whatever uses those.

use std::fmt;
use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::device::{BlockDevice, DeviceNumber, Disk};
use super::inventory::System;
use super::mounts::Mount;

/// One use of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// A file system on it is mounted.
    Mounted {
        /// Device that holds the file system, below `/dev`.
        device: String,
        /// Where it is mounted.
        at: PathBuf,
        /// Whether the file system is read-only.
        read_only: bool,
    },
    /// The kernel swaps to it.
    Swap {
        /// Device or file.
        device: PathBuf,
    },
    /// Another device is built upon it.
    Held {
        /// Device that is held, below `/dev`.
        device: String,
        /// Holder: `dm-0`, `md127`.
        by: String,
    },
    /// The kernel says that it is busy and nothing else is known: another disk
    /// of a btrfs or ZFS, a mount in another mount namespace.
    Claimed {
        /// The device, below `/dev`.
        device: String,
    },
}

impl Use {
    /// Whether the device's content may change while it is used so.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self {
            Self::Mounted { read_only, .. } => !read_only,
            Self::Swap { .. } | Self::Claimed { .. } => true,
            Self::Held { .. } => false,
        }
    }

    /// Whether what is read from the device may change while it is read: what is built upon it
    /// may be written to as long as it exists.
    #[must_use]
    pub fn spoils_reading(&self) -> bool {
        self.writes() || matches!(self, Self::Held { .. })
    }

    /// Whether the running system needs it: it is mounted at `/`, `/usr` or
    /// below `/boot`.
    #[must_use]
    pub fn is_running_system(&self) -> bool {
        match self {
            Self::Mounted { at, .. } => {
                at == Path::new("/") || at == Path::new("/usr") || at.starts_with("/boot")
            }
            Self::Swap { .. } | Self::Held { .. } | Self::Claimed { .. } => false,
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted {
                device,
                at,
                read_only,
            } => {
                let how = if *read_only {
                    "read-only"
                } else {
                    "read-write"
                };
                write!(f, "/dev/{device} is mounted {how} at {}", at.display())?;
            }
            Self::Swap { device } => write!(f, "{} is used as swap", device.display())?,
            Self::Held { device, by } => write!(f, "/dev/{device} is part of /dev/{by}")?,
            Self::Claimed { device } => {
                write!(f, "/dev/{device} is claimed by a file system or a program")?;
            }
        }
        if self.is_running_system() {
            f.write_str(" (the running system)")?;
        }
        Ok(())
    }
}

impl System {
    /// All uses of a device: of the whole disk and every partition if it is a
    /// disk, of the partition and of its disk as a whole if it is a partition.
    #[must_use]
    pub fn uses(&self, device: &BlockDevice) -> Vec<Use> {
        let mut search = Search::new(self);
        let disk = &device.disk;
        search.visit(Node {
            name: &disk.name,
            number: disk.number,
            holders: &disk.holders,
        });
        for (index, part) in disk.partitions.iter().enumerate() {
            if device.partition.is_none_or(|chosen| chosen == index) {
                search.visit(Node {
                    name: &part.name,
                    number: part.number,
                    holders: &part.holders,
                });
            }
        }
        search.found
    }

    /// All uses of a disk with all its partitions.
    #[must_use]
    pub fn disk_uses(&self, disk: &Disk) -> Vec<Use> {
        self.uses(&BlockDevice {
            disk: disk.clone(),
            partition: None,
        })
    }

    /// All uses of a regular file: as swap, or by way of loop devices.
    #[must_use]
    pub fn file_uses(&self, file: &Metadata) -> Vec<Use> {
        let mut search = Search::new(self);
        for swap in self.swaps() {
            if fs::metadata(swap).is_ok_and(|swap| same_file(&swap, file)) {
                search.found.push(Use::Swap {
                    device: swap.clone(),
                });
            }
        }
        search.loops(|backing| same_file(backing, file));
        search.found
    }
}

/// Whether somebody has claimed a block device for himself alone. `O_EXCL`
/// without `O_CREAT` on a block device fails with `EBUSY` then (open(2)).
#[must_use]
pub fn is_claimed(path: &Path) -> bool {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_EXCL)
        .open(path);
    opened.is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
}

fn same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// A device on which uses are looked for.
#[derive(Clone, Copy)]
struct Node<'a> {
    name: &'a str,
    number: DeviceNumber,
    holders: &'a [String],
}

struct Search<'a> {
    system: &'a System,
    found: Vec<Use>,
    visited: Vec<DeviceNumber>,
}

impl<'a> Search<'a> {
    fn new(system: &'a System) -> Self {
        Self {
            system,
            found: Vec::new(),
            visited: Vec::new(),
        }
    }

    /// Ends, because no device is visited twice.
    fn visit(&mut self, node: Node<'a>) {
        if self.visited.contains(&node.number) {
            return;
        }
        self.visited.push(node.number);
        self.mounts(&node);
        for swap in self.system.swaps() {
            if self.is_named(swap, &node) {
                self.found.push(Use::Swap {
                    device: swap.clone(),
                });
            }
        }
        for holder in node.holders {
            self.found.push(Use::Held {
                device: node.name.to_owned(),
                by: holder.clone(),
            });
            if let Some(disk) = self.system.disk(holder) {
                self.visit_disk(disk);
            }
        }
        self.loops(|backing| {
            backing.file_type().is_block_device()
                && DeviceNumber::from_raw(backing.rdev()) == node.number
        });
    }

    fn visit_disk(&mut self, disk: &'a Disk) {
        self.visit(Node {
            name: &disk.name,
            number: disk.number,
            holders: &disk.holders,
        });
        for part in &disk.partitions {
            self.visit(Node {
                name: &part.name,
                number: part.number,
                holders: &part.holders,
            });
        }
    }

    fn mounts(&mut self, node: &Node<'_>) {
        let system = self.system;
        let on_node = |mount: &&Mount| {
            // btrfs shows a made-up number, so its source counts as well.
            mount.number == node.number || self.is_named(&mount.source, node)
        };
        let found: Vec<_> = system
            .mounts()
            .iter()
            .filter(on_node)
            .map(|mount| Use::Mounted {
                device: node.name.to_owned(),
                at: mount.at.clone(),
                read_only: mount.read_only,
            })
            .collect();
        self.found.extend(found);
    }

    /// Uses of the loop devices whose backing file or device is `wanted`.
    fn loops(&mut self, wanted: impl Fn(&Metadata) -> bool) {
        for disk in self.system.disks() {
            let backing = disk
                .backing_file
                .as_ref()
                .and_then(|path| fs::metadata(path).ok());
            if backing.is_some_and(|backing| wanted(&backing)) {
                self.visit_disk(disk);
            }
        }
    }

    /// Whether a path names the device: by its name below `/dev`, by its name
    /// below `/dev/mapper`, or as another node or link with its number.
    fn is_named(&self, path: &Path, node: &Node<'_>) -> bool {
        if path
            .strip_prefix("/dev")
            .is_ok_and(|rest| rest == Path::new(node.name))
        {
            return true;
        }
        if let Ok(mapper_name) = path.strip_prefix("/dev/mapper") {
            let disk = self.system.disk(node.name);
            let own = disk.and_then(|disk| disk.mapper_name.as_deref());
            return own.is_some_and(|own| mapper_name == Path::new(own));
        }
        path.starts_with("/dev")
            && fs::metadata(path).is_ok_and(|meta| {
                meta.file_type().is_block_device()
                    && DeviceNumber::from_raw(meta.rdev()) == node.number
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fake::Tree;

    /// `sda` with two partitions, of which the second holds an encrypted one.
    fn tree() -> Tree {
        let tree = Tree::new();
        let disk = tree.disk("sda", "8:0", 1000).hardware();
        disk.partition("sda1", "8:1", 10)
            .partition("sda2", "8:2", 900)
            .holder("dm-0");
        tree.disk("dm-0", "253:0", 900)
            .attribute("dm/name", "vault");
        tree
    }

    fn uses(system: &System, number: &str) -> Vec<String> {
        let device = system.device(DeviceNumber::parse(number).unwrap()).unwrap();
        system
            .uses(&device)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_mount_is_found_through_the_devices_built_upon_a_partition() {
        // btrfs: the number is made up, the source is a name of device-mapper.
        let mounts = "1 0 0:35 / /home rw - btrfs /dev/mapper/vault rw\n";
        let system = tree().system(mounts, "");
        let held = "/dev/sda2 is part of /dev/dm-0";
        let mounted = "/dev/dm-0 is mounted read-write at /home";
        assert_eq!(uses(&system, "8:0"), [held, mounted]);
        assert_eq!(uses(&system, "8:2"), [held, mounted]);
        assert_eq!(uses(&system, "253:0"), [mounted]);
        assert!(uses(&system, "8:1").is_empty());
    }

    #[test]
    fn a_partition_is_in_use_when_its_whole_disk_is_and_not_when_its_sibling_is() {
        let mounts = "1 0 8:1 / /boot/efi rw - vfat /dev/sda1 ro\n";
        let system = tree().system(mounts, "");
        let mounted = "/dev/sda1 is mounted read-only at /boot/efi (the running system)";
        assert!(uses(&system, "8:0").contains(&mounted.to_owned()));
        assert_eq!(uses(&system, "8:2"), ["/dev/sda2 is part of /dev/dm-0"]);
        let system = tree().system("1 0 8:0 / /mnt rw - ext4 /dev/sda rw\n", "");
        assert_eq!(
            uses(&system, "8:1"),
            ["/dev/sda is mounted read-write at /mnt"]
        );
    }

    #[test]
    fn only_writable_mounts_and_swap_change_a_device() {
        let at = PathBuf::from("/mnt");
        let mounted = |read_only| Use::Mounted {
            device: "sda".to_owned(),
            at: at.clone(),
            read_only,
        };
        assert!(mounted(false).writes() && !mounted(true).writes());
        assert!(
            Use::Swap {
                device: "/dev/sda".into()
            }
            .writes()
        );
        assert!(
            Use::Claimed {
                device: "sda".to_owned()
            }
            .writes()
        );
        let held = Use::Held {
            device: "sda".to_owned(),
            by: "dm-0".to_owned(),
        };
        assert!(!held.writes() && held.spoils_reading());
        assert!(mounted(false).spoils_reading() && !mounted(true).spoils_reading());
    }

    #[test]
    fn a_swap_file_is_in_use() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let swaps = format!("Filename\n{} file 1 0 -2\n", file.path().display());
        let system = tree().system("", &swaps);
        let uses = system.file_uses(&file.as_file().metadata().unwrap());
        assert_eq!(
            uses,
            [Use::Swap {
                device: file.path().to_owned()
            }]
        );
        let other = tempfile::tempfile().unwrap().metadata().unwrap();
        assert!(system.file_uses(&other).is_empty());
    }
}
