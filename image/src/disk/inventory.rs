//! Reading `/sys/block`.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::device::{BlockDevice, DeviceNumber, Disk, Partition};
use super::identity;
use super::mounts::{Mount, parse_mountinfo, parse_swaps};
use super::sysfs::{flag, text};

/// sysfs counts the size of a device in units of 512 bytes, whatever its
/// sector size is (Documentation/ABI/stable/sysfs-block).
const SYSFS_SECTOR: u64 = 512;

/// What the kernel says about block devices and their use, at one moment.
#[derive(Clone, Debug)]
pub struct System {
    disks: Vec<Disk>,
    mounts: Vec<Mount>,
    swaps: Vec<PathBuf>,
}

impl System {
    /// Reads the running machine.
    ///
    /// # Errors
    /// When `/sys/block` or `/proc/self/mountinfo` cannot be read: without
    /// them nobody can tell whether a disk is in use.
    pub fn host() -> io::Result<Self> {
        let swaps = match fs::read_to_string("/proc/swaps") {
            Ok(text) => text,
            // A kernel built without swap has no such file.
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(named(Path::new("/proc/swaps"), &error)),
        };
        let mountinfo = Path::new("/proc/self/mountinfo");
        // Mount points need not be valid UTF-8.
        let mounts = fs::read(mountinfo).map_err(|error| named(mountinfo, &error))?;
        Self::read(Path::new("/sys"), &String::from_utf8_lossy(&mounts), &swaps)
    }

    /// Reads disks below `sysfs`, and takes the texts of mountinfo and swaps.
    ///
    /// # Errors
    /// When `sysfs/block` cannot be listed.
    pub fn read(sysfs: &Path, mountinfo: &str, swaps: &str) -> io::Result<Self> {
        let block = sysfs.join("block");
        let mut disks = Vec::new();
        for entry in fs::read_dir(&block).map_err(|error| named(&block, &error))? {
            // A disk may vanish between the listing and the reading.
            disks.extend(read_disk(&entry?.path()));
        }
        disks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            disks,
            mounts: parse_mountinfo(mountinfo),
            swaps: parse_swaps(swaps),
        })
    }

    /// All block devices that are not partitions, in the order of their names.
    #[must_use]
    pub fn disks(&self) -> &[Disk] {
        &self.disks
    }

    /// All mounts.
    #[must_use]
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// Files and devices that the kernel swaps to.
    #[must_use]
    pub fn swaps(&self) -> &[PathBuf] {
        &self.swaps
    }

    /// The disk or partition with this number.
    #[must_use]
    pub fn device(&self, number: DeviceNumber) -> Option<BlockDevice> {
        self.disks.iter().find_map(|disk| {
            let partition = disk
                .partitions
                .iter()
                .position(|part| part.number == number);
            (disk.number == number || partition.is_some()).then(|| BlockDevice {
                disk: disk.clone(),
                partition,
            })
        })
    }

    /// The error for a device that should be in this inventory and is not.
    pub(crate) fn unlisted(number: DeviceNumber) -> io::Error {
        let text = format!("device {number} is not in /sys/block");
        io::Error::new(ErrorKind::NotFound, text)
    }

    /// The whole disk with this name.
    #[must_use]
    pub fn disk(&self, name: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.name == name)
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn read_disk(dir: &Path) -> Option<Disk> {
    let kernel_name = dir.file_name()?.to_str()?;
    let identity = identity::read(dir, kernel_name);
    let mut partitions: Vec<_> = list(dir)
        .into_iter()
        .filter(|name| dir.join(name).join("partition").exists())
        .filter_map(|name| read_partition(&dir.join(&name), &name))
        .collect();
    partitions.sort_by(|a, b| a.name.cmp(&b.name));
    Some(Disk {
        name: device_name(kernel_name),
        number: DeviceNumber::parse(&text(dir, "dev")?)?,
        size: sectors(dir)?,
        removable: flag(dir, "removable"),
        read_only: flag(dir, "ro"),
        attachment: identity.attachment,
        model: identity.model,
        serial: identity.serial,
        partitions,
        holders: holders(dir),
        mapper_name: text(dir, "dm/name"),
        backing_file: text(dir, "loop/backing_file").map(PathBuf::from),
    })
}

fn read_partition(dir: &Path, kernel_name: &str) -> Option<Partition> {
    Some(Partition {
        name: device_name(kernel_name),
        number: DeviceNumber::parse(&text(dir, "dev")?)?,
        size: sectors(dir)?,
        read_only: flag(dir, "ro"),
        holders: holders(dir),
    })
}

/// sysfs writes `/` as `!`: `cciss!c0d0` is `/dev/cciss/c0d0`.
fn device_name(kernel_name: &str) -> String {
    kernel_name.replace('!', "/")
}

fn holders(dir: &Path) -> Vec<String> {
    list(&dir.join("holders"))
        .iter()
        .map(|name| device_name(name))
        .collect()
}

fn sectors(dir: &Path) -> Option<u64> {
    text(dir, "size")?
        .parse::<u64>()
        .ok()?
        .checked_mul(SYSFS_SECTOR)
}

fn list(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}
