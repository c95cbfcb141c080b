//! The files: their names, and what is said of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{FileAttr, FileType, INodeNo};
use mimeo_image::slices::{Slice, Slices, Which};
use mimeo_image::used::ReadAt;

use crate::disk::Disk;

/// The longest name of a volume that a file is named after: names of LVM have 128 bytes, and a
/// damaged image may have others.
const MAX_NAME: usize = 200;

/// Bytes that are best read at once: a block of an image file.
const READ_SIZE: u32 = 256 << 10;

/// A directory of files; nothing in it changes.
#[derive(Debug)]
pub(super) struct Tree {
    files: Vec<NamedFile>,
    /// When what is in the files was so.
    time: SystemTime,
    owner: (u32, u32),
}

/// A file.
#[derive(Debug)]
pub(super) struct NamedFile {
    pub(super) name: String,
    pub(super) bytes: Arc<dyn ReadAt>,
}

impl Tree {
    /// Of the slices of a disk, which was found at `path`.
    pub(super) fn new(disk: &Disk, path: &Path, slices: Slices) -> Self {
        let named = |Slice { which, bytes }| NamedFile {
            name: name(&which),
            bytes,
        };
        Self {
            files: slices.all.into_iter().map(named).collect(),
            time: captured(disk)
                .or_else(|| fs::metadata(path).ok()?.modified().ok())
                .unwrap_or(SystemTime::UNIX_EPOCH),
            owner: (
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            ),
        }
    }

    /// The names of all files.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// Every file, with its number.
    pub(super) fn files(&self) -> impl Iterator<Item = (INodeNo, &NamedFile)> {
        let first = INodeNo::ROOT.0 + 1;
        (first..).map(INodeNo).zip(&self.files)
    }

    /// The file of this number.
    pub(super) fn file(&self, number: INodeNo) -> Option<&NamedFile> {
        let index = number.0.checked_sub(INodeNo::ROOT.0 + 1)?;
        self.files.get(usize::try_from(index).ok()?)
    }

    /// The whole disk's bytes.
    pub(super) fn disk_len(&self) -> u64 {
        self.files.first().map_or(0, |disk| disk.bytes.size())
    }

    /// What is said of a file or the directory.
    pub(super) fn about(&self, number: INodeNo) -> Option<FileAttr> {
        let (kind, perm, size) = if number == INodeNo::ROOT {
            (FileType::Directory, 0o555, 0)
        } else {
            let file = self.file(number)?;
            (FileType::RegularFile, 0o444, file.bytes.size())
        };
        Some(FileAttr {
            ino: number,
            size,
            blocks: size.div_ceil(512),
            atime: self.time,
            mtime: self.time,
            ctime: self.time,
            crtime: self.time,
            kind,
            perm,
            nlink: if number == INodeNo::ROOT { 2 } else { 1 },
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            blksize: READ_SIZE,
            flags: 0,
        })
    }
}

/// When an image was captured.
fn captured(disk: &Disk) -> Option<SystemTime> {
    let Disk::Image(file) = disk else {
        return None;
    };
    let time: jiff::Timestamp = file.description().created.parse().ok()?;
    Some(time.into())
}

/// `disk.img`, `p2.img`, `p3-group-volume.img`.
fn name(which: &Which) -> String {
    match which {
        Which::Disk => "disk.img".to_owned(),
        Which::Partition(number) => format!("p{number}.img"),
        Which::Logical { partition, name } => {
            let on = partition.map_or(String::new(), |number| format!("p{number}-"));
            // Whoever made the image must steer neither paths nor terminals.
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "+_.-".contains(c);
            let name = name.replace('/', "-").replace(|c| !is_plain(c), "_");
            format!("{on}{name:.MAX_NAME$}.img")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_partitions_and_volumes() {
        let logical = |partition, name: &str| Which::Logical {
            partition,
            name: name.to_owned(),
        };
        assert_eq!(name(&Which::Disk), "disk.img");
        assert_eq!(name(&Which::Partition(5)), "p5.img");
        assert_eq!(name(&logical(Some(3), "vg0/root")), "p3-vg0-root.img");
        assert_eq!(name(&logical(None, "vg0/root")), "vg0-root.img");
        assert_eq!(name(&logical(None, "../\u{1b}[\n")), "..-___.img");
        assert!(name(&logical(Some(3), &"x".repeat(5000))).len() < 255);
    }
}
