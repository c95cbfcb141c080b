//! What is known about one block device.

use std::fmt;
use std::path::PathBuf;

use crate::ByteSize;

/// The number by which the kernel knows a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceNumber {
    /// The driver's number.
    pub major: u32,
    /// The device's number within its driver.
    pub minor: u32,
}

impl DeviceNumber {
    /// From `st_dev` or `st_rdev` of stat(2).
    #[must_use]
    pub fn from_raw(raw: u64) -> Self {
        Self {
            major: rustix::fs::major(raw),
            minor: rustix::fs::minor(raw),
        }
    }

    /// From `8:1`, the form used in sysfs and in mountinfo.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// How a disk is connected, as far as the choice of a target depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// SATA, SAS, NVMe, eMMC, virtio: part of the machine.
    Internal,
    /// Behind a USB port.
    Usb,
    /// In a slot for memory cards.
    SdCard,
    /// Reached over a network (iSCSI, nbd).
    Network,
    /// Not hardware of its own: loop, ram, zram, device-mapper, md, optical,
    /// floppy, boot areas of an eMMC.
    NotADisk,
}

/// A whole disk: a directory in `/sys/block`.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The kernel's name with `!` turned into `/`, as under `/dev`: `sda`.
    pub name: String,
    /// Number of the device node.
    pub number: DeviceNumber,
    /// Size in bytes; 0 without a medium.
    pub size: u64,
    /// Whether the medium can be taken out, as the kernel says.
    pub removable: bool,
    /// Whether the kernel refuses writes.
    pub read_only: bool,
    /// How it is connected.
    pub attachment: Attachment,
    /// Model as the disk reports it.
    pub model: Option<String>,
    /// Serial number as the disk reports it.
    pub serial: Option<String>,
    /// Partitions, in the order of their names.
    pub partitions: Vec<Partition>,
    /// Names of devices built upon the whole disk (device-mapper, md).
    pub holders: Vec<String>,
    /// Name under `/dev/mapper`, for device-mapper devices.
    pub mapper_name: Option<String>,
    /// The file or device behind a loop device.
    pub backing_file: Option<PathBuf>,
}

/// A partition of a disk.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Name under `/dev`.
    pub name: String,
    /// Number of the device node.
    pub number: DeviceNumber,
    /// Size in bytes.
    pub size: u64,
    /// Whether the kernel refuses writes.
    pub read_only: bool,
    /// Names of devices built upon this partition (device-mapper, md).
    pub holders: Vec<String>,
}

impl fmt::Display for Disk {
    /// `/dev/sda, Samsung SSD 870, serial S5Y1NG0, 500.1 GB`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "/dev/{}, {}",
            self.name,
            self.model.as_deref().unwrap_or("model unknown")
        )?;
        match &self.serial {
            Some(serial) => write!(f, ", serial {serial}")?,
            None => f.write_str(", serial unknown")?,
        }
        write!(f, ", {}", ByteSize(self.size))
    }
}

/// A block device that was named: a disk, or one partition of it.
#[derive(Clone, Debug)]
pub struct BlockDevice {
    /// The disk.
    pub disk: Disk,
    /// Index into the disk's partitions; `None` for the whole disk.
    pub partition: Option<usize>,
}

impl BlockDevice {
    /// The named partition, if it is not a whole disk.
    #[must_use]
    pub fn part(&self) -> Option<&Partition> {
        self.partition
            .and_then(|index| self.disk.partitions.get(index))
    }

    /// Name under `/dev`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.part().map_or(&self.disk.name, |part| &part.name)
    }

    /// Whether the kernel refuses writes to the device or to its disk.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.disk.read_only || self.part().is_some_and(|part| part.read_only)
    }
}

impl fmt::Display for BlockDevice {
    /// `disk /dev/sda, ...` or `partition /dev/sda1, 1.0 GB, of /dev/sda, ...`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part() {
            None => write!(f, "disk {}", self.disk),
            Some(part) => {
                let size = ByteSize(part.size);
                write!(f, "partition /dev/{}, {size}, of {}", part.name, self.disk)
            }
        }
    }
}
