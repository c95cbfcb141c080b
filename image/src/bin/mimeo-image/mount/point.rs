//! The directory that something is mounted on, and why that may fail.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use crate::outcome::Error;

/// The kernel's side of FUSE.
const DEVICE: &str = "/dev/fuse";

/// A directory that is there.
#[derive(Debug)]
pub(super) struct MountPoint(PathBuf);

impl MountPoint {
    /// Looks at what the operator named.
    pub(super) fn find(path: &Path) -> Result<Self, Error> {
        let name = path.display();
        let about = fs::metadata(path).map_err(|error| match error.raw_os_error() {
            Some(code) if code == Errno::NOTCONN.raw_os_error() => Error::Usage(format!(
                "{name}: what was mounted there before has died; unmount it first: `{}`",
                Self(path.to_owned()).unmounting()
            )),
            _ if error.kind() == ErrorKind::NotFound => Error::Usage(format!(
                "{name}: there is no such directory to mount on; make it: `mkdir {name}`"
            )),
            _ => Error::Usage(format!("{name}: it cannot be mounted on: {error}")),
        })?;
        if !about.is_dir() {
            return Err(Error::Usage(format!(
                "{name}: it is no directory; name one to mount on"
            )));
        }
        // What is said of it later holds whatever becomes of the current directory.
        let path = path.canonicalize().map_err(|error| {
            Error::Usage(format!("{name}: its path cannot be followed: {error}"))
        })?;
        let point = Self(path);
        if point.is_mounted(&about) {
            return Err(Error::Usage(format!(
                "{name}: something is mounted there already, which would be hidden; name an empty \
                 directory, or unmount it first: `{}`",
                point.unmounting()
            )));
        }
        Ok(point)
    }

    /// Whether it is the root of a filesystem: unlike its parent it lies on another device.
    fn is_mounted(&self, about: &fs::Metadata) -> bool {
        match self.0.parent().map(fs::metadata) {
            Some(Ok(parent)) => parent.dev() != about.dev(),
            Some(Err(_)) => false,
            None => true,
        }
    }

    /// Its full path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What unmounts it, by who mounts it.
    pub(super) fn unmounting(&self) -> String {
        let program = if rustix::process::geteuid().is_root() {
            "umount"
        } else {
            "fusermount3 -u"
        };
        format!("{program} {}", self.0.display())
    }

    /// Why nothing was mounted, and what to do.
    pub(super) fn failed(&self, error: &io::Error) -> Error {
        let name = self.0.display();
        let is_root = rustix::process::geteuid().is_root();
        let remedy = match fs::OpenOptions::new().read(true).write(true).open(DEVICE) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                format!("{DEVICE} may not be opened by this user: mount as root")
            }
            Err(_) => format!(
                "{DEVICE} cannot be opened: load the kernel's module (`modprobe fuse`); a container \
                 must be given the device (docker: --device {DEVICE} --cap-add SYS_ADMIN)"
            ),
            Ok(_) if error.to_string().contains("user_allow_other") => {
                "--allow is for root, unless /etc/fuse.conf has a line user_allow_other: add it, or \
                 mount as root"
                    .to_owned()
            }
            Ok(_) if error.kind() == ErrorKind::NotFound && !is_root => {
                "who is not root needs the program fusermount3: install it (package fuse3), or mount \
                 as root"
                    .to_owned()
            }
            Ok(_) if is_root => {
                "mounting needs the capability SYS_ADMIN (docker: --cap-add SYS_ADMIN)".to_owned()
            }
            Ok(_) => format!("check who owns {name}, or mount as root"),
        };
        let error = error.to_string();
        Error::Failure(format!("{name}: cannot mount: {}; {remedy}", error.trim()))
    }

    /// Takes it away although it is in use, where it could not be unmounted because of that.
    pub(super) fn detach(&self, error: &io::Error) -> Result<(), Error> {
        let name = self.0.display();
        let failed =
            |error: &io::Error| Error::Failure(format!("{name}: cannot be unmounted: {error}"));
        if error.kind() != ErrorKind::ResourceBusy {
            return Err(failed(error));
        }
        unmount(&self.0, UnmountFlags::DETACH).map_err(|error| failed(&error.into()))
    }
}
