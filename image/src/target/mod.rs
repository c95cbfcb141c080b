//! Where an image is written to.
//!
//! ```text
//! Target::open     looks, refuses, changes nothing; describe(), capacity()
//!      |
//! Target::check    the image's needs are known: refuses a disk that it does not fit
//!      |
//! Target::prepare  the image's length is known now, or known to be unknown
//!      |
//! TargetWriter     write_at, zero_at  ...  finish, flush, fit
//!      |
//! TargetReader     read_at, past the page cache or through it
//! ```
//!
//! Everything that can be refused is refused by the first three steps, except
//! what only shows while writing. A target that fails halfway keeps what was
//! written; it is up to the caller to say that it is not an image.

mod device;
mod dirty;
mod error;
mod file;
mod fitting;
mod medium;
mod null;
mod paged;
mod ranges;
mod reader;
mod stream;
mod unused;
mod writer;

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

pub use device::DeviceTarget;
pub use dirty::MAX_DIRTY;
pub use error::TargetError;
pub use file::FileTarget;
pub use fitting::Fitted;
pub use medium::{Medium, Taken};
pub use null::NullTarget;
pub use reader::{ReadMode, ReadPath, TargetReader};
pub use stream::StreamTarget;
pub use unused::Unused;
pub use writer::TargetWriter;

use crate::disk::{Candidate, System, candidates};
use crate::fit::Needs;

/// What the user allows.
#[derive(Clone, Debug, Default)]
pub struct TargetOptions {
    /// Overwrite a device although it has a partition table or a file system.
    pub yes: bool,
    /// The serial number that the target's disk must have; with `auto` it
    /// chooses among several disks.
    pub serial: Option<String>,
}

/// A target that was looked at and not touched.
#[derive(Debug)]
pub enum Target {
    /// A block device, claimed for us alone.
    Device(Box<DeviceTarget>),
    /// A regular file, existing or not.
    File(FileTarget),
    /// Standard output or a named pipe.
    Stream(StreamTarget),
    /// Nothing: all is discarded.
    Null(NullTarget),
}

impl Target {
    /// Looks at what `spec` names: `auto` is the machine's only internal disk
    /// that is not in use, `-` standard output, `null:` discards, everything
    /// else is a path to a block device, a file or a named pipe.
    ///
    /// Nothing is changed. A named pipe must have its reader already.
    ///
    /// # Errors
    /// Always a refusal ([`TargetError::is_refusal`]): a device that is in use,
    /// read-only, has another serial number or holds something that `yes` does
    /// not allow to overwrite; a path that cannot be written.
    pub fn open(spec: &OsStr, options: &TargetOptions) -> Result<Self, TargetError> {
        if spec == "auto" {
            return open_auto(options);
        }
        let target = if spec == "null:" {
            Self::Null(NullTarget::default())
        } else if spec == "-" {
            Self::Stream(StreamTarget::stdout()?)
        } else {
            open_path(Path::new(spec), options)?
        };
        match (&target, &options.serial) {
            (Self::Device(_), _) | (_, None) => Ok(target),
            (_, Some(wanted)) => Err(TargetError::SerialMismatch {
                target: target.describe(),
                wanted: wanted.clone(),
                found: None,
            }),
        }
    }

    /// How many bytes it holds, where that is known beforehand: of a device.
    #[must_use]
    pub fn capacity(&self) -> Option<u64> {
        match self {
            Self::Device(device) => Some(device.capacity()),
            Self::File(_) | Self::Stream(_) | Self::Null(_) => None,
        }
    }

    /// What would be overwritten, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Device(device) => device.describe(),
            Self::File(file) => file.describe(),
            Self::Stream(stream) => stream.describe(),
            Self::Null(_) => "null: (everything is discarded)".to_owned(),
        }
    }

    /// As [`Self::describe`], for [`Self::resume`].
    #[must_use]
    pub fn describe_resumed(&self) -> String {
        match self {
            Self::File(file) => file.describe_resumed(),
            Self::Device(_) | Self::Stream(_) | Self::Null(_) => self.describe(),
        }
    }

    /// Whether it must be written in order, from the first byte to the last.
    #[must_use]
    pub fn is_sequential(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Checks that a disk can take an image with these needs. One that is shorter than the image
    /// and holds all that counts of it is then prepared for it: see [`Needs::check`]. Everything
    /// but a block device takes anything.
    ///
    /// # Errors
    /// [`TargetError::TooSmall`], [`TargetError::Misfit`].
    pub fn check(&mut self, needs: &Needs) -> Result<(), TargetError> {
        match self {
            Self::Device(device) => device.check(needs),
            Self::File(_) | Self::Stream(_) | Self::Null(_) => Ok(()),
        }
    }

    /// Makes it ready for an image of `image_len` bytes, or of a length that is
    /// not known yet. A file is created or emptied by this.
    ///
    /// # Errors
    /// [`TargetError::TooSmall`] if a device cannot hold the image;
    /// [`TargetError::Prepare`] if a file cannot be created or sized.
    pub fn prepare(self, image_len: Option<u64>) -> Result<TargetWriter, TargetError> {
        TargetWriter::new(self, image_len)
    }

    /// As [`Self::prepare`], but what it holds stays until it is overwritten: blocks that are
    /// right already need not be written. A file gets the image's length in the end.
    ///
    /// # Errors
    /// As [`Self::prepare`]; [`TargetError::Longer`] if a file is longer than the image, unless
    /// `yes` allows to cut it; [`TargetError::NotReadable`] of a stream and of `null:`.
    pub fn resume(self, image_len: Option<u64>, yes: bool) -> Result<TargetWriter, TargetError> {
        TargetWriter::resume(self, image_len, yes)
    }
}

/// Whether what `spec` names can be read back, as far as that can be told
/// without opening it: a pipe cannot, nor what is discarded.
#[must_use]
pub fn can_be_read_back(spec: &OsStr) -> bool {
    let is_pipe = || fs::metadata(spec).is_ok_and(|meta| meta.file_type().is_fifo());
    spec != "-" && spec != "null:" && !is_pipe()
}

fn open_path(path: &Path, options: &TargetOptions) -> Result<Target, TargetError> {
    let kind = match fs::metadata(path) {
        Ok(meta) => meta.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return FileTarget::new_file(path).map(Target::File);
        }
        Err(error) => return Err(TargetError::inspecting(path, error)),
    };
    if kind.is_block_device() {
        let system = host(path)?;
        DeviceTarget::open(path, options, &system).map(|device| Target::Device(Box::new(device)))
    } else if kind.is_file() {
        FileTarget::existing(path).map(Target::File)
    } else if kind.is_fifo() {
        StreamTarget::open_fifo(path).map(Target::Stream)
    } else if kind.is_dir() {
        Err(TargetError::Directory {
            path: path.to_owned(),
        })
    } else {
        Err(TargetError::Unsupported {
            path: path.to_owned(),
        })
    }
}

fn open_auto(options: &TargetOptions) -> Result<Target, TargetError> {
    let system = host(Path::new("auto"))?;
    let path = choose(&system, options.serial.as_deref())?;
    let device = DeviceTarget::open(&path, options, &system)?;
    Ok(Target::Device(Box::new(device)))
}

/// The path of the only disk that `auto` can mean.
fn choose(system: &System, serial: Option<&str>) -> Result<PathBuf, TargetError> {
    let all = candidates(system, serial);
    let free: Vec<&Candidate> = all.iter().filter(|c| c.obstacle.is_none()).collect();
    match free[..] {
        [only] => Ok(Path::new("/dev").join(&only.disk.name)),
        [] => Err(TargetError::NoDisk { seen: all }),
        _ => Err(TargetError::SeveralDisks {
            free: free.into_iter().cloned().collect(),
        }),
    }
}

fn host(path: &Path) -> Result<System, TargetError> {
    System::host().map_err(|source| TargetError::Inventory {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fake::Tree;

    #[test]
    fn auto_is_the_only_free_disk() {
        let tree = Tree::new();
        tree.disk("nvme0n1", "259:0", 1000).hardware();
        tree.disk("loop0", "7:0", 1000);
        let chosen = choose(&tree.system("", ""), None).unwrap();
        assert_eq!(chosen, Path::new("/dev/nvme0n1"));
    }

    #[test]
    fn auto_with_no_free_disk_lists_those_there_are() {
        let tree = Tree::new();
        tree.disk("sda", "8:0", 1_953_525_168)
            .hardware()
            .attribute("device/model", "WDC");
        let system = tree.system("1 0 8:0 / /home rw - ext4 /dev/sda rw\n", "");
        let error = choose(&system, None).unwrap_err();
        assert!(error.is_refusal());
        let text = error.to_string();
        assert!(
            text.contains("/dev/sda, WDC, serial unknown, 1.0 TB (in use"),
            "{text}"
        );
        assert!(text.contains("/home"), "{text}");
        let nothing = choose(&Tree::new().system("", ""), None)
            .unwrap_err()
            .to_string();
        assert!(nothing.contains("this machine has no disks"), "{nothing}");
    }

    #[test]
    fn auto_with_several_disks_asks_for_a_serial_number() {
        let tree = Tree::new();
        tree.disk("sda", "8:0", 1000)
            .hardware()
            .attribute("device/serial", "AAA");
        tree.disk("sdb", "8:16", 2000)
            .hardware()
            .attribute("device/serial", "BBB");
        let system = tree.system("", "");
        let error = choose(&system, None).unwrap_err();
        assert!(error.is_refusal());
        let text = error.to_string();
        for part in [
            "--serial",
            "serial AAA",
            "serial BBB",
            "/dev/sda",
            "/dev/sdb",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(choose(&system, Some("BBB")).unwrap(), Path::new("/dev/sdb"));
        assert!(matches!(
            choose(&system, Some("C")),
            Err(TargetError::NoDisk { .. })
        ));
    }
}
