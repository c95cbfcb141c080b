//! A physical volume of LVM in an image.

use std::process::Command;

use crate::common::{Alone, can_loop};
use crate::fixture::{Image, MIB};

const TOOLS: [&str; 3] = ["lvm", "mkfs.ext4", "losetup"];

/// A loop device, detached when dropped.
pub struct Device(pub String);

impl Drop for Device {
    fn drop(&mut self) {
        let status = Command::new("losetup").args(["--detach", &self.0]).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

impl Device {
    pub fn new(image: &Image) -> Self {
        Self(image.tool("losetup", &["--find", "--show"]))
    }

    /// Runs lvm with this device only, without the kernel's device-mapper.
    pub fn lvm(&self, arguments: &[&str]) {
        let config = format!(
            "devices {{ filter=[\"a|^{}$|\", \"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"] }} \
             activation {{ udev_sync=0 udev_rules=0 }} backup {{ backup=0 archive=0 }}",
            self.0
        );
        let mut command = Command::new("lvm");
        command.args(arguments).args([
            "--driverloaded",
            "n",
            "--config",
            &config,
            "--yes",
            "--quiet",
        ]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}

/// A physical volume whose second logical volume is in two pieces, the first one behind the second.
pub fn make(test: &str) -> Option<(Alone, Image)> {
    let alone = can_loop(test, &TOOLS)?;
    let image = Image::new(128 * MIB);
    let device = Device::new(&image);
    device.lvm(&["pvcreate", &device.0]);
    device.lvm(&["vgcreate", "--physicalextentsize", "4m", "room", &device.0]);
    let create = |name: &str, size: &str, place: &str| {
        let at = format!("{}:{place}", device.0);
        device.lvm(&[
            "lvcreate",
            "--name",
            name,
            "--size",
            size,
            "--zero",
            "n",
            "--wipesignatures",
            "n",
            "room",
            &at,
        ]);
    };
    create("one", "16m", "0-3");
    create("two", "20m", "16-20");
    let at = format!("{}:8-11", device.0);
    device.lvm(&["lvextend", "--size", "+16m", "room/two", &at]);
    create("raw", "4m", "24-24");
    drop(device);
    Some((alone, image))
}
