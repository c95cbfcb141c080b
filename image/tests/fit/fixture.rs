//! Images of disks, disks, and those who judge them.

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mimeo_image::fit::{Geometry, Needs, Note};
use mimeo_image::source::DiskSource;
use mimeo_image::{ReadMode, Target, TargetError, TargetOptions};

use crate::common::{Alone, Loop, can_loop, run};

pub const MIB: u64 = 1 << 20;

pub const TOOLS: [&str; 4] = ["losetup", "sgdisk", "sfdisk", "partx"];

/// Sectors of a backup of 128 entries: 32, and its header.
pub const BACKUP: u64 = 33 * 512;

/// An image file in a directory of its own.
pub struct Image {
    pub path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Image {
    /// Of 512-byte sectors, divided by sgdisk.
    pub fn new(len: u64, sgdisk: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        File::create(&path).unwrap().set_len(len).unwrap();
        let image = Self { path, _dir: dir };
        if !sgdisk.is_empty() {
            let args: Vec<&OsStr> = sgdisk.iter().map(OsStr::new).collect();
            run("sgdisk", &[&args[..], &[image.path.as_os_str()]].concat());
        }
        image
    }

    /// Divided as a disk with sectors of 4096 bytes.
    pub fn with_large_sectors(len: u64, sgdisk: &[&str]) -> Self {
        let image = Self::new(len, &[]);
        let device = Loop::new(len as usize, &["--sector-size", "4096"]);
        let mut args: Vec<&OsStr> = vec!["--zap-all".as_ref()];
        run("sgdisk", &[&args[..], &[device.path.as_os_str()]].concat());
        args = sgdisk.iter().map(OsStr::new).collect();
        run("sgdisk", &[&args[..], &[device.path.as_os_str()]].concat());
        std::fs::write(&image.path, device.read()).unwrap();
        image
    }

    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }

    pub fn geometry(&self) -> Geometry {
        Geometry::of(&DiskSource::open(&self.path).unwrap(), None)
    }

    pub fn needs(&self) -> Needs {
        self.geometry().needs()
    }

    /// Breaks a byte.
    pub fn spoil(&self, at: u64) {
        let file = File::options()
            .read(true)
            .write(true)
            .open(&self.path)
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[!byte[0]], at).unwrap();
    }
}

/// A disk with a boot partition and another one, and bytes where boot code and the content are.
pub fn ordinary(len: u64) -> Image {
    let image = Image::new(
        len,
        &[
            "-n",
            "1:2048:+4M",
            "-t",
            "1:ef00",
            "-n",
            "3:0:+8M",
            "-c",
            "3:daten",
            "-A",
            "3:set:2",
        ],
    );
    let file = File::options().write(true).open(&image.path).unwrap();
    file.write_all_at(b"boot code", 0).unwrap();
    file.write_all_at(b"the first partition", MIB).unwrap();
    image
}

/// Writes an image to a device as a receiver does.
pub fn restore(image: &Image, device: &Path) -> Result<Vec<Note>, TargetError> {
    let options = TargetOptions {
        yes: true,
        serial: None,
    };
    let mut target = Target::open(device.as_os_str(), &options)?;
    target.check(&image.needs())?;
    let bytes = image.bytes();
    let len = bytes.len() as u64;
    let mut writer = target.prepare(Some(len))?;
    for (index, piece) in bytes.chunks(256 << 10).enumerate() {
        let offset = index as u64 * (256 << 10);
        if piece.iter().all(|byte| *byte == 0) {
            writer.zero_at(offset, piece.len() as u64)?;
        } else {
            writer.write_at(offset, piece)?;
        }
    }
    writer.finish(len)?;
    writer.flush()?;
    let fitted = writer.fit(len)?;
    let mut reader = writer.reader(ReadMode::Direct)?;
    assert_eq!(fitted.prove(&mut reader)?, None);
    if fitted.is_changed() {
        // A disk that loses one byte of it is found out.
        let at = bytes_on(device) - sector(device) + 20;
        let vandal = File::options().read(true).write(true).open(device).unwrap();
        let mut byte = [0];
        vandal.read_exact_at(&mut byte, at).unwrap();
        vandal.write_all_at(&[!byte[0]], at).unwrap();
        vandal.sync_all().unwrap();
        let found = fitted.prove(&mut reader)?.unwrap();
        assert!(found.contains(&at), "{found:?}");
        vandal.write_all_at(&byte, at).unwrap();
    }
    // A second time changes nothing.
    let held = std::fs::read(device).unwrap();
    writer.fit(len)?;
    assert!(held == std::fs::read(device).unwrap());
    Ok(fitted.notes)
}

fn sector(device: &Path) -> u64 {
    let size = run("blockdev", &["--getss".as_ref(), device.as_os_str()]);
    size.parse().unwrap()
}

fn bytes_on(device: &Path) -> u64 {
    let size = run("blockdev", &["--getsize64".as_ref(), device.as_os_str()]);
    size.parse().unwrap()
}

/// What sgdisk and sfdisk have to say against a disk.
pub fn assert_sound(device: &Path) {
    let said = run("sgdisk", &["-v".as_ref(), device.as_os_str()]);
    assert!(said.contains("No problems found"), "{said}");
    assert!(
        !said.contains("aution") && !said.contains("arning"),
        "{said}"
    );
    let output = Command::new("sfdisk")
        .arg("--verify")
        .arg(device)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("No errors detected"),
        "{said}"
    );
    assert!(
        !said.contains("mismatch") && !said.contains("not on the end"),
        "{said}"
    );
}

/// Partitions with types, names, identifiers and attributes.
pub fn table(path: &Path) -> Vec<String> {
    let dump = run("sfdisk", &["--dump".as_ref(), path.as_os_str()]);
    let part = |line: &str| {
        line.split_once(" : ")
            .map(|(_, rest)| rest.to_owned())
            .or_else(|| line.starts_with("label-id").then(|| line.to_owned()))
    };
    dump.lines().filter_map(part).collect()
}

/// The partitions that libblkid finds, which wants of a GPT what the kernel wants.
pub fn seen(device: &Path) -> usize {
    let options = ["--show", "--noheadings", "--output", "NR"].map(OsStr::new);
    let output = Command::new("partx")
        .args(options)
        .arg(device)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().count()
}

pub fn can(test: &str) -> Option<Alone> {
    can_loop(test, &TOOLS)
}

/// A disk full of noise, as one that was used before.
pub fn disk(len: u64, sector: &str) -> Loop {
    Loop::new(len as usize, &["--sector-size", sector])
}
