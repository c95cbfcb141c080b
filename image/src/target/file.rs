//! A target that is a regular file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FallocateFlags, access, fallocate, fstatvfs};
use rustix::io::Errno;

use super::paged::PagedFile;
use super::{Medium, ReadMode, TargetError, TargetReader};
use crate::ByteSize;
use crate::disk::System;
use crate::lock;
use crate::source::{next_data, next_hole};

/// A file that exists and will be overwritten, or one to be created.
#[derive(Debug)]
pub struct FileTarget {
    path: PathBuf,
    existing: Option<(File, u64)>,
}

impl FileTarget {
    /// Opens a file without changing it.
    pub(super) fn existing(path: &Path) -> Result<Self, TargetError> {
        let failed = |error| TargetError::inspecting(path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(TargetError::Unsupported {
                path: path.to_owned(),
            });
        }
        if !lock::for_writing(&file) {
            return Err(TargetError::Locked {
                path: path.to_owned(),
            });
        }
        // Files work without sysfs too, in a container for instance.
        let uses = System::host().map_or_else(|_| Vec::new(), |system| system.file_uses(&meta));
        if !uses.is_empty() {
            return Err(TargetError::InUse {
                path: path.to_owned(),
                uses,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            existing: Some((file, meta.len())),
        })
    }

    /// Checks that a file could be created.
    pub(super) fn new_file(path: &Path) -> Result<Self, TargetError> {
        let parent = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => {
                return Err(TargetError::Directory {
                    path: path.to_owned(),
                });
            }
        };
        let real_parent = match fs::canonicalize(parent) {
            Ok(real) if real.is_dir() => real,
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(TargetError::inspecting(path, error));
            }
            _ if is_below_dev(parent) => return Err(no_such_device(path)),
            _ => {
                let (path, parent) = (path.to_owned(), parent.to_owned());
                return Err(TargetError::ParentMissing { path, parent });
            }
        };
        if is_below_dev(&real_parent) {
            return Err(no_such_device(path));
        }
        if fs::symlink_metadata(path).is_ok() {
            return Err(TargetError::DanglingLink {
                path: path.to_owned(),
            });
        }
        access(&real_parent, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| TargetError::inspecting(path, error.into()))?;
        Ok(Self {
            path: path.to_owned(),
            existing: None,
        })
    }

    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.existing {
            Some((_, len)) => {
                format!(
                    "file {}, {}, will be overwritten",
                    self.path.display(),
                    ByteSize(*len)
                )
            }
            None => format!("new file {}", self.path.display()),
        }
    }

    /// What it is and what becomes of it where what it holds is compared first, for people.
    #[must_use]
    pub fn describe_resumed(&self) -> String {
        match &self.existing {
            Some((_, len)) => {
                format!(
                    "file {}, {}, keeping what it holds of the image",
                    self.path.display(),
                    ByteSize(*len)
                )
            }
            None => self.describe(),
        }
    }

    fn open_or_create(self) -> Result<(File, PathBuf, bool), TargetError> {
        let path = self.path;
        Ok(match self.existing {
            Some((file, _)) => (file, path, false),
            None => (create(&path)?, path, true),
        })
    }

    /// Creates the file if there is none; what it holds stays.
    pub(super) fn resume(
        self,
        image_len: Option<u64>,
        yes: bool,
    ) -> Result<FileWriter, TargetError> {
        let len = self.existing.as_ref().map_or(0, |&(_, len)| len);
        if let Some(needed) = image_len.filter(|needed| *needed < len && !yes) {
            return Err(TargetError::Longer {
                path: self.path,
                needed,
                found: len,
            });
        }
        let (file, path, created) = self.open_or_create()?;
        let needed = image_len.unwrap_or(0).saturating_sub(len);
        Ok(FileWriter {
            warning: too_full(&file, &path, needed),
            paged: PagedFile::new(file, path),
            len,
            created,
            can_punch: true,
        })
    }

    /// Creates or empties the file, so that it is a hole of the image's length.
    pub(super) fn prepare(self, image_len: Option<u64>) -> Result<FileWriter, TargetError> {
        let (file, path, created) = self.open_or_create()?;
        file.set_len(0)
            .map_err(|error| TargetError::preparing(&path, "empty it", error))?;
        let len = image_len.unwrap_or(0);
        file.set_len(len).map_err(|error| {
            TargetError::preparing(&path, "make it as long as the image", error)
        })?;
        Ok(FileWriter {
            warning: too_full(&file, &path, len),
            paged: PagedFile::new(file, path),
            len,
            created,
            can_punch: true,
        })
    }
}

fn no_such_device(path: &Path) -> TargetError {
    TargetError::NoSuchDevice {
        path: path.to_owned(),
    }
}

/// Whether a directory is for device nodes; `/dev/shm` is for files.
fn is_below_dev(dir: &Path) -> bool {
    dir.starts_with("/dev") && !dir.starts_with("/dev/shm")
}

fn create(path: &Path) -> Result<File, TargetError> {
    // `create_new`: what appeared since it was looked at was not looked at.
    let created = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path);
    let file = created.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => TargetError::Appeared {
            path: path.to_owned(),
        },
        _ => TargetError::preparing(path, "create it", error),
    })?;
    // Its name is there before its lock: who came in between has it.
    if !lock::for_writing(&file) {
        return Err(TargetError::Locked {
            path: path.to_owned(),
        });
    }
    Ok(file)
}

/// Only a hint: the image may have holes, and others may free or take space.
fn too_full(file: &File, path: &Path, needed: u64) -> Option<String> {
    let space = fstatvfs(file).ok()?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    (needed > free).then(|| {
        format!(
            "target {}: the image needs {} and the file system it is on has only {} free: it will be \
             full before the end unless enough of the image is zeros; free some space, or name a \
             target elsewhere",
            path.display(),
            ByteSize(needed),
            ByteSize(free),
        )
    })
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct FileWriter {
    warning: Option<String>,
    paged: PagedFile,
    len: u64,
    created: bool,
    can_punch: bool,
}

impl FileWriter {
    pub(super) fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    pub(super) fn medium(&self) -> Medium {
        self.paged.medium()
    }

    pub(super) fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), TargetError> {
        self.check_length()?;
        self.paged.write_at(offset, data)?;
        self.len = self.len.max(offset + data.len() as u64);
        Ok(())
    }

    /// Makes a range a hole, or zeros where it cannot be one. What was never
    /// written is a hole already, so it costs one look.
    pub(super) fn zero_at(&mut self, offset: u64, len: u64) -> Result<(), TargetError> {
        self.check_length()?;
        let end = offset.saturating_add(len);
        let covered = end.min(self.len);
        if offset < covered {
            let data = self
                .paged
                .attempt("find holes", offset, |file| next_data(file, offset))?;
            if let Some(start) = data.filter(|start| *start < covered) {
                self.clear(start, covered)?;
            }
        }
        if end > self.len {
            self.paged
                .attempt("extend it", self.len, |file| file.set_len(end))?;
            self.len = end;
        }
        Ok(())
    }

    /// As [`Self::zero_at`]; returns how many of the bytes were in holes.
    pub(super) fn clear_at(&mut self, offset: u64, len: u64) -> Result<u64, TargetError> {
        let (end, mut at, mut holes) = ((offset + len).min(self.len), offset, 0);
        while at < end {
            let found = self.paged.attempt("find holes", at, |file| {
                let data = next_data(file, at)?.unwrap_or(end).min(end);
                let hole = match data {
                    data if data < end => next_hole(file, data)?.unwrap_or(end).min(end),
                    _ => end,
                };
                Ok((data, hole))
            });
            let (data, hole) = found?;
            holes += data - at;
            at = hole;
        }
        self.zero_at(offset, len)?;
        Ok(holes)
    }

    fn clear(&mut self, start: u64, end: u64) -> Result<(), TargetError> {
        if self.can_punch {
            let punch = |file: &File| punch(file, start, end);
            self.can_punch = self.paged.attempt("punch a hole", start, punch)?;
        }
        if self.can_punch {
            return Ok(());
        }
        self.paged.write_zeros(start..end)
    }

    /// Gives the file its final length.
    pub(super) fn finish(&mut self, len: u64) -> Result<(), TargetError> {
        self.check_length()?;
        self.paged
            .attempt("set its length", len, |file| file.set_len(len))?;
        self.len = len;
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), TargetError> {
        self.paged.sync()?;
        self.confirm()?;
        if self.created {
            // A new file's name is on the disk only when its directory is.
            let parent = self
                .paged
                .path()
                .parent()
                .filter(|dir| !dir.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new(".")).to_owned();
            self.paged
                .attempt("flush its directory", 0, |_| sync_dir(&parent))?;
        }
        Ok(())
    }

    pub(super) fn reader(&self, mode: ReadMode) -> Result<TargetReader, TargetError> {
        self.paged.reader(mode)
    }

    /// Checks that the path leads to this file and that the file is as long as it was made.
    pub(super) fn confirm(&mut self) -> Result<(), TargetError> {
        self.check_length()?;
        let here = self.paged.attempt("look at it", 0, File::metadata)?;
        let displaced = |path: &Path, what| TargetError::Displaced {
            path: path.to_owned(),
            what,
        };
        let path = self.paged.path();
        match fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (here.dev(), here.ino()) => Ok(()),
            Ok(_) => Err(displaced(path, "replaced by another")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(displaced(path, "removed or renamed"))
            }
            Err(error) => Err(TargetError::writing(path, "look at it", 0, error)),
        }
    }

    /// Whoever shortens the file takes what was written, and the next write or the final length
    /// would hide that behind a hole. (What is shortened and extended between two looks is not
    /// found here.)
    fn check_length(&mut self) -> Result<(), TargetError> {
        let found = self.paged.attempt("look at it", 0, File::metadata)?.len();
        if found < self.len {
            return Err(TargetError::Shortened {
                path: self.paged.path().to_owned(),
                found,
            });
        }
        Ok(())
    }
}

/// fallocate(2); `false` if the file system cannot make holes.
fn punch(file: &File, start: u64, end: u64) -> io::Result<bool> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    loop {
        match fallocate(file, flags, start, end - start) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    match File::open(dir).and_then(|dir| dir.sync_all()) {
        // Some file systems cannot flush a directory, and a directory may be
        // writable without being readable.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::PermissionDenied
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_hole_can_be_made_the_zeros_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("target");
        let target = FileTarget::new_file(&path).unwrap();
        let mut writer = target.prepare(Some(300_000)).unwrap();
        writer.can_punch = false;
        writer.write_at(0, &[7; 200_000]).unwrap();
        writer.zero_at(10, 250_000).unwrap();
        writer.finish(300_000).unwrap();
        let read = fs::read(&path).unwrap();
        assert_eq!(read.len(), 300_000);
        assert!(read[..10] == [7; 10] && read[10..].iter().all(|byte| *byte == 0));
    }
}
