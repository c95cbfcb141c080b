//! What can go wrong with a target.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::ByteSize;
use crate::disk::{Candidate, Signature, Use};
use crate::fit::Misfit;

/// Why a target cannot be used, or why writing it failed. Each message says
/// what failed, where, and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A path below `/dev` that no device has. (Creating a file there would
    /// fill the memory.)
    #[error("target {}: no such device; check the name with lsblk", path.display())]
    NoSuchDevice {
        /// The path.
        path: PathBuf,
    },
    /// The directory that a new file would be in does not exist.
    #[error("target {}: there is no directory {}; create it first", path.display(), parent.display())]
    ParentMissing {
        /// The path.
        path: PathBuf,
        /// Its parent.
        parent: PathBuf,
    },
    /// It is a symbolic link that leads nowhere.
    #[error("target {}: a symbolic link to something that does not exist; remove it, or name \
             where it should lead", path.display())]
    DanglingLink {
        /// The path.
        path: PathBuf,
    },
    /// It is a directory.
    #[error("target {}: it is a directory; name a file in it, or a block device", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// A character device or a socket.
    #[error("target {}: it cannot hold an image: neither a regular file nor a block device nor \
             a pipe; name a block device such as /dev/sda or /dev/nvme0n1, a file, - for \
             standard output, or null: to discard", path.display())]
    Unsupported {
        /// The path.
        path: PathBuf,
    },
    /// Another program has locked it.
    #[error("target {}: another program is sending it or writing to it; name another file",
            path.display())]
    Locked {
        /// The path.
        path: PathBuf,
    },
    /// There was no such file when it was looked at, and there is one now.
    #[error("target {}: another program has created it in the meantime and may be writing to it; \
             name another file", path.display())]
    Appeared {
        /// The path.
        path: PathBuf,
    },
    /// A named pipe that nobody reads.
    #[error("target {}: nobody reads this pipe yet; start its reader first", path.display())]
    NoReader {
        /// The path.
        path: PathBuf,
    },
    /// Standard output is a terminal.
    #[error("target -: standard output is a terminal; pipe it into a program or a file")]
    Terminal,
    /// The system does not let us write to it.
    #[error("target {}: permission denied; run as a user who may write to it \
             (block devices usually need root)", path.display())]
    PermissionDenied {
        /// The path.
        path: PathBuf,
    },
    /// It, or the file system it is on, refuses writes.
    #[error("target {}: it is read-only; look for a write-protect switch or a read-only mount",
            path.display())]
    ReadOnly {
        /// The path.
        path: PathBuf,
    },
    /// Somebody uses it.
    #[error("target {}: it is in use: {}; unmount it (umount, swapoff, vgchange -an) or \
             choose another disk", path.display(), list(uses, "; "))]
    InUse {
        /// The path.
        path: PathBuf,
        /// Who uses it.
        uses: Vec<Use>,
    },
    /// Overwriting it would destroy something, and nobody said yes to that.
    #[error(
        "target {target}: it holds {}; all of that would be lost, say --yes to overwrite it",
        list(found, ", ")
    )]
    NeedsYes {
        /// Kind, path, model, serial number and size.
        target: String,
        /// What was found on it.
        found: Vec<Signature>,
    },
    /// It is not the disk that was asked for.
    #[error("target {target}: its serial number is {}, not {wanted}; check --serial and the target",
            found.as_deref().unwrap_or("unknown"))]
    SerialMismatch {
        /// What the target is.
        target: String,
        /// The serial number asked for.
        wanted: String,
        /// The serial number of the target's disk.
        found: Option<String>,
    },
    /// `auto` found no disk that it may choose.
    #[error(
        "target auto: no internal disk is free: {}; name the target by its path",
        none(seen)
    )]
    NoDisk {
        /// All disks and why they were passed over.
        seen: Vec<Candidate>,
    },
    /// `auto` found several.
    #[error(
        "target auto: there are several disks, say which with --serial or by its path:\n  {}",
        list(free, "\n  ")
    )]
    SeveralDisks {
        /// The disks it may choose.
        free: Vec<Candidate>,
    },
    /// The image does not fit.
    #[error("target {}: too small: the image has {needed} bytes ({}), the target {available} \
             ({}); use a larger disk or a smaller image", path.display(), ByteSize(*needed),
            ByteSize(*available))]
    TooSmall {
        /// The path.
        path: PathBuf,
        /// Length of the image in bytes.
        needed: u64,
        /// Capacity of the target in bytes.
        available: u64,
    },
    /// The disk is not one for this image: see [`Misfit`].
    #[error("target {}: {misfit}", path.display())]
    Misfit {
        /// The path.
        path: PathBuf,
        /// What is in the way.
        misfit: Misfit,
    },
    /// A file that is to be resumed is longer than the image.
    #[error("target {}: it has {found} bytes ({}) and the image only {needed} ({}), so it may be \
             something else; give --yes to overwrite and shorten it, or leave --resume out",
            path.display(), ByteSize(*found), ByteSize(*needed))]
    Longer {
        /// The path.
        path: PathBuf,
        /// Length of the image in bytes.
        needed: u64,
        /// Length of the file in bytes.
        found: u64,
    },
    /// The machine's list of disks or mounts cannot be read.
    #[error("target {}: cannot find out whether it is in use: {source}; check that /sys and \
             /proc are mounted", path.display())]
    Inventory {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Looking at the target failed.
    #[error("target {}: cannot be examined: {source}; check the path, and the kernel's log \
             (dmesg) for disk errors", path.display())]
    Inspect {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Creating, emptying or sizing the file failed.
    #[error("target {}: cannot {action}: {source}; check the file system it is on", path.display())]
    Prepare {
        /// The path.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file system is full, or the image, whose length was not known
    /// beforehand, reaches the end of the device. What was written stays.
    #[error("target {}: no space left at offset {offset}; the target is incomplete, free some \
             space or use a larger one, and start again", path.display())]
    NoSpace {
        /// The path.
        path: PathBuf,
        /// Byte offset that could not be written.
        offset: u64,
    },
    /// Whoever read the stream has gone.
    #[error(
        "target {name}: the program that reads it has ended after {written} bytes, those of a \
             block that was begun included; look for its error message"
    )]
    Closed {
        /// Name of the stream.
        name: String,
        /// Bytes written until then.
        written: u64,
    },
    /// The path does not lead to the file that was written any more.
    #[error("target {}: what was written is not there any more: the file was {what} meanwhile; \
             start again, and let no other program touch it", path.display())]
    Displaced {
        /// The path.
        path: PathBuf,
        /// What became of the file.
        what: &'static str,
    },
    /// Somebody shortened the file while it was written.
    #[error("target {}: another program shortened it to {found} bytes ({}) while it was written, \
             so what it holds is lost in part; start again, and let no other program touch it",
            path.display(), ByteSize(*found))]
    Shortened {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
    },
    /// The caller skipped or repeated bytes of a stream.
    #[error(
        "target {name}: a stream was at {expected} and was to be written at {offset}; this \
             is a bug, please report it"
    )]
    OutOfOrder {
        /// Name of the stream.
        name: String,
        /// Byte offset that comes next.
        expected: u64,
        /// Byte offset that was given.
        offset: u64,
    },
    /// What is no device was to keep what it has where the image is unused.
    #[error(
        "target {target}: it reads as zeros where the image is unused; only a block device can keep \
             what it has there (--unused keep)"
    )]
    KeepsNothing {
        /// What the target is.
        target: String,
    },
    /// A pipe, or nothing, was to be read back.
    #[error("target {target}: what went there cannot be read back; name a file or a block device")]
    NotReadable {
        /// What the target is.
        target: String,
    },
    /// Reading what was written failed.
    #[error("target {}: cannot be read back at offset {offset}: {source}; do not use it, look \
             for disk errors in the kernel's log (dmesg)", path.display())]
    ReadBack {
        /// The path.
        path: PathBuf,
        /// Byte offset that could not be read.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The partition table, as it was just written, cannot be read.
    #[error("target {}: its partition table cannot be read to be fitted to the disk: {reason}; do \
             not use it, look for disk errors in the kernel's log (dmesg)", path.display())]
    Table {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Any other error of the system. What was written stays.
    #[error(
        "target {name}: cannot {action} at offset {offset}: {source}; the target is \
             incomplete, look for disk errors in the kernel's log (dmesg)"
    )]
    Io {
        /// Path or name of the stream.
        name: String,
        /// What was tried.
        action: &'static str,
        /// Byte offset.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
}

impl TargetError {
    /// Whether the target was turned down before anything was written to it;
    /// otherwise writing failed halfway and the target is incomplete.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::NoSuchDevice { .. }
            | Self::ParentMissing { .. }
            | Self::DanglingLink { .. }
            | Self::Directory { .. }
            | Self::Unsupported { .. }
            | Self::Locked { .. }
            | Self::Appeared { .. }
            | Self::NoReader { .. }
            | Self::Terminal
            | Self::PermissionDenied { .. }
            | Self::ReadOnly { .. }
            | Self::InUse { .. }
            | Self::NeedsYes { .. }
            | Self::SerialMismatch { .. }
            | Self::NoDisk { .. }
            | Self::SeveralDisks { .. }
            | Self::TooSmall { .. }
            | Self::Misfit { .. }
            | Self::Longer { .. }
            | Self::KeepsNothing { .. }
            | Self::Inventory { .. }
            | Self::Inspect { .. }
            | Self::Prepare { .. } => true,
            Self::NoSpace { .. }
            | Self::Closed { .. }
            | Self::Displaced { .. }
            | Self::Shortened { .. }
            | Self::OutOfOrder { .. }
            | Self::NotReadable { .. }
            | Self::ReadBack { .. }
            | Self::Table { .. }
            | Self::Io { .. } => false,
        }
    }

    pub(super) fn inspecting(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::PermissionDenied => Self::PermissionDenied { path },
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            _ => Self::Inspect { path, source },
        }
    }

    pub(super) fn preparing(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::Prepare {
            path: path.to_owned(),
            action,
            source,
        }
    }

    /// For an error of a random-access target.
    pub(super) fn writing(
        path: &Path,
        action: &'static str,
        offset: u64,
        source: io::Error,
    ) -> Self {
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::NoSpace {
                    path: path.to_owned(),
                    offset,
                }
            }
            _ => Self::Io {
                name: path.display().to_string(),
                action,
                offset,
                source,
            },
        }
    }
}

fn list<T: Display>(items: &[T], separator: &str) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(separator)
}

fn none(seen: &[Candidate]) -> String {
    if seen.is_empty() {
        return "this machine has no disks (is the driver loaded?)".to_owned();
    }
    list(seen, "; ")
}
