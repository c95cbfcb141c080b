//! A regular file or a block device as it is, every byte of it; or the disk of a virtual machine that
//! lies in a file.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise, ioctl_blksszget};

use super::extent::{next_data, next_hole};
use super::state::{State, length};
use super::virtual_disk::VirtualDisk;
use super::{Extent, ExtentKind, SourceError, SourceOptions};
use crate::ByteSize;
use crate::disk::{BlockDevice, DeviceNumber, System, Use, is_claimed};
use crate::lock;
use crate::used::ReadAt;

/// A regular file or a block device. Its length is fixed when it is opened.
#[derive(Debug)]
pub(super) struct RawDisk {
    file: File,
    path: PathBuf,
    len: u64,
    opened: State,
    device: Option<Box<BlockDevice>>,
    /// What the file holds, where it is not the disk itself.
    inner: Option<VirtualDisk>,
}

impl RawDisk {
    /// Opens a regular file or a block device.
    pub(super) fn open(path: &Path, options: &SourceOptions) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|error| SourceError::opening(path, error))?;
        let failed = |error| SourceError::io(path, "examine it", 0, error);
        let meta = file.metadata().map_err(failed)?;
        let kind = meta.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(SourceError::Unsupported {
                path: path.to_owned(),
            });
        }
        if kind.is_file() && !lock::for_reading(&file) {
            return Err(SourceError::Locked {
                path: path.to_owned(),
            });
        }
        let len = length(&file).map_err(failed)?;
        if len == 0 {
            return Err(SourceError::Empty {
                name: path.display().to_string(),
            });
        }
        let device = find_device(path, &meta)?;
        if !options.even_in_use(device.is_some()) {
            check_unused(path, &meta, device.as_deref())?;
        }
        // Only advice: reading works as well without it.
        let _ = fadvise(&file, 0, NonZeroU64::new(len), Advice::Sequential);
        let inner = if options.virtual_disks && kind.is_file() {
            let inner = VirtualDisk::open(&file, path);
            inner.map_err(|source| SourceError::Format {
                path: path.to_owned(),
                source,
            })?
        } else {
            None
        };
        let disk_len = inner.as_ref().map_or(len, VirtualDisk::len);
        if disk_len == 0 {
            return Err(SourceError::Empty {
                name: path.display().to_string(),
            });
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            len: disk_len,
            opened: State::of(&meta, len),
            device,
            inner,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are not holes; stat(2) counts them in units of 512.
    pub(super) fn allocated(&self) -> Result<u64, SourceError> {
        if self.is_device() {
            return Ok(self.len);
        }
        let meta = self.file.metadata();
        let meta = meta.map_err(|error| SourceError::io(&self.path, "examine it", 0, error))?;
        Ok(meta.blocks().saturating_mul(512).min(self.len))
    }

    pub(super) fn is_device(&self) -> bool {
        self.device.is_some()
    }

    /// Bytes of a logical sector of a block device.
    pub(super) fn sector(&self) -> Option<u32> {
        self.device.as_ref()?;
        ioctl_blksszget(&self.file).ok()
    }

    /// Fills `buffer` with the bytes at `offset`.
    pub(super) fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        let wanted = buffer.len() as u64;
        self.check_range(offset, wanted)?;
        if let Some(inner) = &self.inner {
            let read = inner.read_exact_at(offset, buffer);
            return read.map_err(|error| SourceError::io(&self.path, "read", offset, error));
        }
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            match self.file.read_at(&mut buffer[filled..], at) {
                Ok(0) => return Err(self.shrunk(offset, wanted, filled as u64)),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(SourceError::io(&self.path, "read", at, error)),
            }
        }
        Ok(())
    }

    /// The extent that `offset` lies in, from there to its end: data or a hole.
    pub(super) fn extent_at(&self, offset: u64) -> Result<Extent, SourceError> {
        self.check_range(offset, 1)?;
        if self.is_device() {
            return Ok(Extent {
                kind: ExtentKind::Data,
                end: self.len,
            });
        }
        let failed = |error| SourceError::io(&self.path, "find holes", offset, error);
        if let Some(inner) = &self.inner {
            return inner.extent_at(offset).map_err(failed);
        }
        let Some(data) = next_data(&self.file, offset).map_err(failed)? else {
            // Also said beyond the end of a file, and a file that was cut off
            // must not pass for one that ends in zeros.
            let now = length(&self.file).map_err(failed)?;
            if now < self.len {
                return Err(self.shrunk(offset, self.len - offset, now.saturating_sub(offset)));
            }
            return Ok(Extent {
                kind: ExtentKind::Hole,
                end: self.len,
            });
        };
        if data > offset {
            return Ok(Extent {
                kind: ExtentKind::Hole,
                end: data.min(self.len),
            });
        }
        let hole = next_hole(&self.file, offset).map_err(failed)?;
        // A hole at `offset` itself means that it was punched just now; it is
        // read as data then, so that every extent has a length.
        let end = hole.filter(|hole| *hole > offset).unwrap_or(self.len);
        Ok(Extent {
            kind: ExtentKind::Data,
            end: end.min(self.len),
        })
    }

    pub(super) fn check_unchanged(&self) -> Result<(), SourceError> {
        self.opened.check(&self.file, &self.path)
    }

    pub(super) fn describe(&self) -> String {
        match &self.device {
            Some(device) => device.to_string(),
            None => {
                let format = self.inner.as_ref().map_or("file", VirtualDisk::format);
                format!("{format} {}, {}", self.path.display(), ByteSize(self.len))
            }
        }
    }

    pub(super) fn check_range(&self, offset: u64, length: u64) -> Result<(), SourceError> {
        let end = offset.saturating_add(length);
        if end <= self.len {
            return Ok(());
        }
        Err(SourceError::OutOfRange {
            path: self.path.clone(),
            offset,
            end,
            len: self.len,
        })
    }

    fn shrunk(&self, offset: u64, wanted: u64, got: u64) -> SourceError {
        SourceError::Shrunk {
            path: self.path.clone(),
            offset,
            wanted,
            got,
        }
    }
}

/// What is known about a source that is a block device.
fn find_device(path: &Path, meta: &Metadata) -> Result<Option<Box<BlockDevice>>, SourceError> {
    if !meta.file_type().is_block_device() {
        return Ok(None);
    }
    let failed = |source| SourceError::Inventory {
        path: path.to_owned(),
        source,
    };
    let number = DeviceNumber::from_raw(meta.rdev());
    let device = System::host().map_err(failed)?.device(number);
    let device = device.ok_or_else(|| failed(System::unlisted(number)))?;
    Ok(Some(Box::new(device)))
}

/// Refuses a source that may be written to while it is read: by the running system, or by what is
/// built upon it.
fn check_unused(
    path: &Path,
    meta: &Metadata,
    device: Option<&BlockDevice>,
) -> Result<(), SourceError> {
    let system = System::host();
    let mut uses = match device {
        Some(device) => {
            let system = system.map_err(|source| SourceError::Inventory {
                path: path.to_owned(),
                source,
            })?;
            let mut uses = system.uses(device);
            if uses.is_empty() && is_claimed(path) {
                uses.push(Use::Claimed {
                    device: device.name().to_owned(),
                });
            }
            uses
        }
        // Files work without sysfs too, in a container for instance.
        None => system.map_or_else(|_| Vec::new(), |system| system.file_uses(meta)),
    };
    uses.retain(Use::spoils_reading);
    if uses.is_empty() {
        return Ok(());
    }
    Err(SourceError::InUse {
        path: path.to_owned(),
        uses,
    })
}

impl ReadAt for RawDisk {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        RawDisk::read_exact_at(self, offset, buffer).map_err(io::Error::other)
    }
}
