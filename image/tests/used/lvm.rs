//! LVM2.

use std::process::Command;

use mimeo_image::used::Verdict;

use crate::common::{Alone, can_loop};
use crate::fixture::{Image, MIB, damage, poison};

const TOOLS: [&str; 3] = ["lvm", "mkfs.ext4", "losetup"];

/// A loop device, detached when dropped.
struct Device(String);

impl Drop for Device {
    fn drop(&mut self) {
        let status = Command::new("losetup").args(["--detach", &self.0]).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

impl Device {
    fn new(image: &Image) -> Self {
        Self(image.tool("losetup", &["--find", "--show"]))
    }

    /// Runs lvm with this device only, without the kernel's device-mapper.
    fn lvm(&self, arguments: &[&str]) {
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
fn make(test: &str) -> Option<(Alone, Image)> {
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

/// Puts a filesystem over the pieces of a logical volume, in extents of 4 MiB behind 1 MiB.
fn put(image: &Image, pieces: &[(u64, u64)]) -> Image {
    let len: u64 = pieces.iter().map(|(_, count)| count * 4 * MIB).sum();
    let volume = Image::new(len);
    volume.tool("mkfs.ext4", &["-q", "-F", "-b", "1024"]);
    let mut at = 0;
    for (extent, count) in pieces {
        let bytes = volume.read(at, (count * 4 * MIB) as usize);
        image.write(MIB + extent * 4 * MIB, &bytes);
        at += count * 4 * MIB;
    }
    volume
}

/// The logical volume as it is now.
fn get(image: &Image, pieces: &[(u64, u64)]) -> Vec<u8> {
    let piece = |(extent, count): &(u64, u64)| {
        image.read(MIB + extent * 4 * MIB, (count * 4 * MIB) as usize)
    };
    pieces.iter().flat_map(piece).collect()
}

#[test]
fn linear_volumes_are_read_in_their_pieces() {
    let Some((_alone, image)) = make("LVM") else {
        return;
    };
    let pieces = [(16, 5), (8, 4)];
    put(&image, &[(0, 4)]);
    let volume = put(&image, &pieces);
    let used = poison(&image);
    let layout = image.layout();
    let inner = &layout.areas[0].volume.logical;
    let names: Vec<_> = inner.iter().map(|volume| volume.name.as_str()).collect();
    assert_eq!(names, ["room/one", "room/two", "room/raw"]);
    let mut sum = MIB + 4 * MIB + (128 - 1) % 4 * MIB;
    for volume in &inner[..2] {
        let Verdict::Trusted { used } = volume.volume.verdict else {
            panic!("{:?}", volume.volume.verdict);
        };
        sum += used;
    }
    assert_eq!(used, sum);
    assert!(matches!(inner[2].volume.verdict, Verdict::Whole(_)));
    // What the pieces hold is still a filesystem.
    volume.write(0, &get(&image, &pieces));
    volume.tool("e2fsck", &["-f", "-n"]);
    let device = Device::new(&image);
    device.lvm(&["pvck", &device.0]);
}

#[test]
fn what_is_not_linear_or_not_right_is_copied_whole() {
    let Some((_alone, image)) = make("traps of LVM") else {
        return;
    };
    assert!(image.layout().used() < 64 * MIB);
    // A label, then a metadata area, then its text.
    let header = image.read(4096, 512);
    let offset = u64::from_le_bytes(header[40..48].try_into().unwrap());
    for (at, reason) in [
        (512 + 40, "label"),
        (4096 + 41, "metadata area"),
        (4096 + offset + 20, "volume group"),
    ] {
        let was = image.read(at, 1);
        image.write(at, &[was[0] ^ 1]);
        let why = image.distrust();
        assert!(
            why.contains("checksum") && why.contains(reason),
            "{reason}: {why}"
        );
        image.write(at, &was);
    }
    let device = Device::new(&image);
    device.lvm(&[
        "lvcreate", "--type", "striped", "--name", "again", "--size", "4m", "--zero", "n", "room",
    ]);
    device.lvm(&[
        "lvcreate", "--type", "zero", "--name", "thin", "--size", "4m", "room",
    ]);
    drop(device);
    assert!(image.distrust().contains("not linear"));
}

#[test]
fn damage_has_a_clear_outcome() {
    let Some((_alone, image)) = make("damaged LVM") else {
        return;
    };
    damage(&image, &[(512, 128), (4096, 80)], 60);
}
