//! Devices and file systems of a test, and a look at the kernel's tables. Everything made here is
//! undone when it is dropped.

use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mimeo_benches::netlab::skip;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// True when this is root; otherwise says that `test` is skipped.
///
/// # Panics
///
/// When it is not root although `MIMEO_REQUIRE_ALL=1` is set.
#[must_use]
pub fn root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip(test, &"it needs root's rights");
    }
    root
}

/// A block device over a file.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
}

impl LoopDevice {
    /// Makes one of `size` bytes, whose file is `backing`; [`None`], with a message, where the
    /// kernel has no loop devices.
    ///
    /// # Panics
    ///
    /// When there is none although `MIMEO_REQUIRE_ALL=1` is set, or the file cannot be written.
    #[must_use]
    pub fn new(test: &str, backing: &Path, size: u64) -> Option<Self> {
        Self::with_sectors(test, backing, size, 512)
    }

    /// As [`Self::new`], with logical sectors of `sector` bytes.
    ///
    /// # Panics
    ///
    /// As [`Self::new`].
    #[must_use]
    pub fn with_sectors(test: &str, backing: &Path, size: u64, sector: u32) -> Option<Self> {
        let file = File::create(backing).expect("the device's file can be made");
        file.set_len(size)
            .expect("the device's file can have its size");
        let output = Command::new("losetup")
            .args(["--find", "--show", "--sector-size", &sector.to_string()])
            .arg(backing)
            .output();
        match checked(output) {
            Ok(output) => {
                let path = String::from_utf8_lossy(&output.stdout).trim().into();
                Some(Self { path })
            }
            Err(error) => {
                skip(test, &format!("losetup: {error}"));
                None
            }
        }
    }

    /// Its path below `/dev`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        undo(
            Command::new("losetup").arg("--detach").arg(&self.path),
            &self.path.display(),
        );
    }
}

/// A small file system in memory.
#[derive(Debug)]
pub struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    /// Mounts one of `mebibytes` on `path`, which is made; [`None`], with a message, where the
    /// kernel refuses.
    ///
    /// # Panics
    ///
    /// When it does although `MIMEO_REQUIRE_ALL=1` is set.
    #[must_use]
    pub fn new(test: &str, path: PathBuf, mebibytes: u64) -> Option<Self> {
        fs::create_dir(&path).expect("a directory can be made");
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path);
        match checked(mount.output()) {
            Ok(_) => Some(Self { path }),
            Err(error) => {
                skip(test, &format!("mount: {error}"));
                None
            }
        }
    }

    /// A file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        undo(Command::new("umount").arg(&self.path), &self.path.display());
    }
}

/// A terminal: where a person types, and where a program reads.
///
/// # Panics
///
/// When the kernel has none left.
#[must_use]
pub fn terminal() -> (File, OwnedFd) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal can be made");
    grantpt(&person)
        .and_then(|()| unlockpt(&person))
        .expect("a terminal that was just made is one's own");
    let name = ptsname(&person, Vec::new()).expect("a terminal has a name");
    let program = File::options()
        .read(true)
        .write(true)
        .open(name.to_string_lossy().as_ref())
        .expect("a terminal can be opened");
    (person.into(), program.into())
}

/// The IPv4 UDP sockets of a process that are bound to `lo` or to groups.
///
/// # Errors
///
/// The process has ended, or belongs to somebody else.
pub fn udp_sockets(process: u32) -> io::Result<Vec<SocketAddrV4>> {
    let mut inodes = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/fd"))? {
        let Ok(link) = fs::read_link(entry?.path()) else {
            continue;
        };
        let link = link.to_string_lossy().into_owned();
        let inode = link
            .strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'));
        inodes.extend(inode.map(ToOwned::to_owned));
    }
    let table = fs::read_to_string("/proc/net/udp")?;
    let sockets = table.lines().filter_map(|line| {
        // Columns as in proc_net_udp(5): the local address is the second, the inode the tenth.
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = columns.get(1)?.split_once(':')?;
        // The kernel prints the address as a number of the machine's own byte order.
        let address = u32::from_str_radix(address, 16).ok()?.to_ne_bytes();
        let port = u16::from_str_radix(port, 16).ok()?;
        let own = inodes
            .iter()
            .any(|inode| Some(&inode.as_str()) == columns.get(9));
        own.then(|| SocketAddrV4::new(Ipv4Addr::from(address), port))
    });
    Ok(sockets.collect())
}

/// An output only of a program that succeeded.
fn checked(output: io::Result<Output>) -> Result<Output, String> {
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// Runs what undoes something; a test that ends can only tell that it failed.
fn undo(command: &mut Command, what: &dyn Display) {
    if let Err(error) = checked(command.output()) {
        eprintln!("{what} was left behind: {error}");
    }
}
