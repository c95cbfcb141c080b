//! What can go wrong with a source.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::ByteSize;
use crate::disk::Use;
use crate::image_file::FileError;
use crate::used::Distrust;

/// Why a source cannot be used or read. Each message says what failed, where,
/// and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing has this name.
    #[error("image {}: no such file or device; check the path", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// The system does not let us read it.
    #[error("image {}: permission denied; run as a user who may read it \
             (block devices usually need root)", path.display())]
    PermissionDenied {
        /// The path.
        path: PathBuf,
    },
    /// There is nothing in it: a file of 0 bytes, a drive without a medium, a
    /// stream that ended at once.
    #[error(
        "image {name}: it is empty (0 bytes); check that it was captured completely, \
             or that the drive has a medium"
    )]
    Empty {
        /// Path or name of the stream.
        name: String,
    },
    /// It is a directory.
    #[error("image {}: it is a directory; name an image file or a block device", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// A character device or a socket.
    #[error("image {}: neither a regular file nor a block device nor a pipe; name an image \
             file, a block device such as /dev/sda, or - for standard input", path.display())]
    Unsupported {
        /// The path.
        path: PathBuf,
    },
    /// Another program is overwriting it.
    #[error("image {}: another program is writing to it; wait until that is done", path.display())]
    Locked {
        /// The path.
        path: PathBuf,
    },
    /// Standard input is a terminal.
    #[error("image -: standard input is a terminal; pipe an image into it")]
    Terminal,
    /// Somebody may write to it while it is read.
    #[error("image {}: it would change while it is read: {}; unmount it, mount it read-only, \
             take it out of LVM or md, or start the machine from the network; \
             --used off --force copies it all the same", path.display(), list(uses))]
    InUse {
        /// The path.
        path: PathBuf,
        /// Who uses it.
        uses: Vec<Use>,
    },
    /// A system sleeps in it and goes on from there when it is started.
    #[error("image {}: {area}: {why}; --force copies it whole as it is", path.display())]
    Hibernated {
        /// The path.
        path: PathBuf,
        /// Which partition.
        area: String,
        /// What shows it, and the remedy.
        why: String,
    },
    /// What is unused of a stream is not known before it was read.
    #[error(
        "image {name}: of a stream nobody knows what is unused; leave out --used auto, or name a \
             file or block device"
    )]
    StreamUsed {
        /// Name of the stream.
        name: String,
    },
    /// It is the file of a virtual machine's disk, which cannot be read.
    #[error("image {}: {source}; qemu-img convert -O raw makes a raw disk of what it understands",
            path.display())]
    Format {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// It is an image file that cannot be used, or no longer.
    #[error(transparent)]
    Captured(FileError),
    /// A map that was trusted is not what it was.
    #[error("image {}: its map of used blocks changed while it was read: {why}; start again with an \
             image that nobody changes, or with --used off", path.display())]
    Map {
        /// The path.
        path: PathBuf,
        /// What is wrong now.
        why: Distrust,
    },
    /// The source ends before the length it had when it was opened.
    #[error("image {}: only {got} of {wanted} bytes at offset {offset}, it has become shorter \
             while it was read; start again with an image that nobody changes", path.display())]
    Shrunk {
        /// The path.
        path: PathBuf,
        /// Byte offset of the read.
        offset: u64,
        /// Bytes asked for.
        wanted: u64,
        /// Bytes that were there.
        got: u64,
    },
    /// It is no longer what was opened.
    #[error("image {}: {change}; what was read is not one image, start again with an image \
             that nobody changes", path.display())]
    Changed {
        /// The path.
        path: PathBuf,
        /// What changed.
        change: Change,
    },
    /// The caller asked for bytes that the source never had.
    #[error("image {}: bytes {offset} to {end} were asked for, but it has only {len}; this is a \
             bug, please report it", path.display())]
    OutOfRange {
        /// The path.
        path: PathBuf,
        /// First byte asked for.
        offset: u64,
        /// End of the range asked for.
        end: u64,
        /// Length of the source.
        len: u64,
    },
    /// The machine's list of disks or mounts cannot be read.
    #[error("image {}: cannot find out whether it is in use: {source}; check that /sys and \
             /proc are mounted", path.display())]
    Inventory {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Any other error of the system.
    #[error(
        "image {name}: cannot {action} at offset {offset}: {source}; look for disk errors \
             in the kernel's log (dmesg)"
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

/// How a source differs from what was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Its length.
    Length {
        /// Bytes when it was opened.
        was: u64,
        /// Bytes now.
        is: u64,
    },
    /// Its time of last modification.
    Modified,
    /// The path names another file or device now.
    Replaced,
    /// The path names nothing any more.
    Removed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { was, is } => {
                let (from, to) = (ByteSize(*was), ByteSize(*is));
                write!(
                    f,
                    "its length changed from {was} ({from}) to {is} bytes ({to})"
                )
            }
            Self::Modified => f.write_str("it was written to since it was opened"),
            Self::Replaced => f.write_str("it was replaced since it was opened"),
            Self::Removed => f.write_str("it was removed since it was opened"),
        }
    }
}

impl SourceError {
    /// Whether the source was turned down before anything was read from it.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Captured(error) => matches!(
                error,
                FileError::NotAnImage { .. }
                    | FileError::Locked { .. }
                    | FileError::NotEncrypted { .. }
            ),
            Self::NotFound { .. }
            | Self::PermissionDenied { .. }
            | Self::Empty { .. }
            | Self::Directory { .. }
            | Self::Unsupported { .. }
            | Self::Locked { .. }
            | Self::Terminal
            | Self::InUse { .. }
            | Self::Hibernated { .. }
            | Self::StreamUsed { .. }
            | Self::Format { .. }
            | Self::Inventory { .. } => true,
            Self::Map { .. }
            | Self::Shrunk { .. }
            | Self::Changed { .. }
            | Self::OutOfRange { .. }
            | Self::Io { .. } => false,
        }
    }

    pub(super) fn opening(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotFound => Self::NotFound { path },
            ErrorKind::PermissionDenied => Self::PermissionDenied { path },
            _ => Self::io(&path, "open it", 0, source),
        }
    }

    pub(super) fn io(path: &Path, action: &'static str, offset: u64, source: io::Error) -> Self {
        Self::Io {
            name: path.display().to_string(),
            action,
            offset,
            source,
        }
    }
}

fn list(uses: &[Use]) -> String {
    uses.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
