//! The disks of virtual machines: files in which a disk lies in pieces.
//!
//! * qcow2, with its backing files, compressed or not, by the crate `imago`;
//! * [`vmdk`], sparse or flat, in one file or several.

mod vmdk;

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use imago::qcow2::Qcow2;
use imago::{FormatAccess, FormatDriverBuilder, Mapping, PermissiveImplicitOpenGate};

use self::vmdk::Vmdk;
use super::{Extent, ExtentKind};

/// The first bytes of a qcow2 file (QEMU, docs/interop/qcow2.txt, "Header").
const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";

/// Bytes that are looked at to tell one format from another.
const HEAD: usize = 64;

/// The longest stretch that is told at once: how far a mapping goes is found out by reading tables.
const LONGEST_EXTENT: u64 = 1 << 30;

/// Bytes of a disk at most, so that no sum with an offset overflows: an exbibyte.
const MAX_LEN: u64 = 1 << 60;

/// A disk in a file of another format.
#[derive(Debug)]
pub(super) struct VirtualDisk {
    kind: Kind,
    len: u64,
}

#[derive(Debug)]
enum Kind {
    Qcow2(Box<FormatAccess<imago::file::File>>),
    Vmdk(Vmdk),
}

impl VirtualDisk {
    /// The disk in `file`; `None` if it is none, but a disk itself.
    pub(super) fn open(file: &File, path: &Path) -> io::Result<Option<Self>> {
        let mut head = [0; HEAD];
        let head = head_of(file, &mut head)?;
        let kind = if head.starts_with(&QCOW2_MAGIC) {
            Kind::Qcow2(Box::new(open_qcow2(path)?))
        } else if Vmdk::is_one(head) {
            Kind::Vmdk(Vmdk::open(path)?)
        } else {
            return Ok(None);
        };
        let len = match &kind {
            Kind::Qcow2(disk) => disk.size(),
            Kind::Vmdk(disk) => disk.len(),
        };
        if len > MAX_LEN {
            return Err(damaged("it says that it is larger than any disk"));
        }
        Ok(Some(Self { kind, len }))
    }

    /// Length of the disk in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn format(&self) -> &'static str {
        match self.kind {
            Kind::Qcow2(_) => "qcow2",
            Kind::Vmdk(_) => "vmdk",
        }
    }

    /// Fills `buffer` with the bytes at `offset`, all of which are on the disk.
    pub(super) fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.kind {
            Kind::Qcow2(disk) => disk.read(buffer, offset),
            Kind::Vmdk(disk) => disk.read_exact_at(offset, buffer),
        }
    }

    /// The extent that `offset`, which is on the disk, lies in: data or a hole.
    pub(super) fn extent_at(&self, offset: u64) -> io::Result<Extent> {
        let most = (self.len - offset).min(LONGEST_EXTENT);
        let (is_hole, length) = match &self.kind {
            Kind::Qcow2(disk) => {
                let (mapping, length) = disk.get_mapping(offset, most)?;
                (matches!(mapping, Mapping::Zero { .. }), length)
            }
            Kind::Vmdk(disk) => disk.mapping(offset)?,
        };
        if length == 0 {
            return Err(damaged("its tables end before the disk does"));
        }
        Ok(Extent {
            kind: if is_hole {
                ExtentKind::Hole
            } else {
                ExtentKind::Data
            },
            end: offset + length.min(most),
        })
    }
}

/// Backing files are opened as the header names them, as QEMU does.
fn open_qcow2(path: &Path) -> io::Result<FormatAccess<imago::file::File>> {
    let disk = Qcow2::<imago::file::File>::builder_path(path);
    disk.open(PermissiveImplicitOpenGate::default())
        .map(FormatAccess::new)
}

/// As much of the file's beginning as there is.
fn head_of<'a>(file: &File, head: &'a mut [u8; HEAD]) -> io::Result<&'a [u8]> {
    let mut filled = 0;
    while filled < HEAD {
        match file.read_at(&mut head[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&head[..filled])
}

/// What a file of another format says is wrong or not known.
fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.into())
}
