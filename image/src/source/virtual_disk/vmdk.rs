//! vmdk, the format of VMware (Virtual Disk Format 1.1, 2007): a disk is a row of extents, each of
//! which is a file that is flat or sparse, or nothing but zeros.
//!
//! The row stands in a descriptor, which is a file of its own or lies in the only sparse extent.

mod descriptor;
mod sparse;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use self::descriptor::{Descriptor, Kind, Line};
use self::sparse::Sparse;
use super::damaged;

/// Everything is counted in these.
const SECTOR: u64 = 512;

/// Bytes of the directories of all extents, which are kept: 8 TB have 1 MiB of them, whether in one
/// file or in 4000.
const MAX_DIRECTORIES: u64 = 32 << 20;

/// A disk of VMware.
#[derive(Debug)]
pub(super) struct Vmdk {
    /// In the order of their places, without gaps.
    extents: Vec<Extent>,
    len: u64,
}

#[derive(Debug)]
struct Extent {
    /// Byte offset on the disk of its end.
    end: u64,
    /// Bytes.
    len: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Zeros,
    /// A file, and the byte offset in it at which the extent begins.
    Flat(File, u64),
    Sparse(Box<Sparse>),
}

impl Vmdk {
    /// Whether a file that begins like this is one.
    pub(super) fn is_one(head: &[u8]) -> bool {
        sparse::is_one(head) || descriptor::is_one(head)
    }

    /// Opens it, and the files that it consists of.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut head = [0; 21];
        file.read_exact_at(&mut head, 0)?;
        let mut disk = Self {
            extents: Vec::new(),
            len: 0,
        };
        if sparse::is_one(&head) {
            let extent = Sparse::open(file)?;
            if let Some(text) = extent.descriptor()? {
                Descriptor::parse(&text)?.check_whole()?;
            }
            disk.push(extent.len(), Content::Sparse(Box::new(extent)))?;
        } else {
            let text = descriptor::read(&file)?;
            let descriptor = Descriptor::parse(&text)?;
            descriptor.check_whole()?;
            let mut directories = 0;
            for line in &descriptor.extents {
                let len = line.sectors.saturating_mul(SECTOR);
                let content = open_extent(path, line, len)?;
                if let Content::Sparse(sparse) = &content {
                    directories += sparse.directory_len();
                }
                if directories > MAX_DIRECTORIES {
                    return Err(damaged("its extents have larger tables than any disk"));
                }
                disk.push(len, content)?;
            }
        }
        if disk.len == 0 {
            return Err(damaged("its descriptor names no extent"));
        }
        Ok(disk)
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    fn push(&mut self, len: u64, content: Content) -> io::Result<()> {
        let end = self
            .len
            .checked_add(len)
            .filter(|end| *end <= super::MAX_LEN);
        self.len = end.ok_or_else(|| damaged("its extents are larger than any disk"))?;
        self.extents.push(Extent {
            end: self.len,
            len,
            content,
        });
        Ok(())
    }

    /// The extent that `offset` lies in, and where in it.
    fn find(&self, offset: u64) -> io::Result<(&Extent, u64)> {
        let index = self.extents.partition_point(|extent| extent.end <= offset);
        let extent = self.extents.get(index);
        let extent = extent.ok_or_else(|| damaged("bytes beyond its end were asked for"))?;
        Ok((extent, offset + extent.len - extent.end))
    }

    pub(super) fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let (extent, inner) = self.find(offset + done as u64)?;
            let rest = &mut buffer[done..];
            let count =
                usize::try_from(extent.len - inner).map_or(rest.len(), |left| left.min(rest.len()));
            let part = &mut rest[..count];
            match &extent.content {
                Content::Zeros => part.fill(0),
                Content::Flat(file, start) => file.read_exact_at(part, start + inner)?,
                Content::Sparse(sparse) => sparse.read_exact_at(inner, part)?,
            }
            done += count;
        }
        Ok(())
    }

    /// Whether zeros begin at `offset` that are stored nowhere, and how far that goes.
    pub(super) fn mapping(&self, offset: u64) -> io::Result<(bool, u64)> {
        let (extent, inner) = self.find(offset)?;
        let left = extent.len - inner;
        Ok(match &extent.content {
            Content::Zeros => (true, left),
            Content::Flat(..) => (false, left),
            // Its file may hold more than the descriptor takes of it.
            Content::Sparse(sparse) => {
                let (is_hole, length) = sparse.mapping(inner)?;
                (is_hole, length.min(left))
            }
        })
    }
}

/// Extents lie beside their descriptor.
fn open_extent(descriptor: &Path, line: &Line, len: u64) -> io::Result<Content> {
    let open = |name: &str| {
        if name.contains('/') || name.is_empty() {
            let what = format!("its extent {name:?} lies in another folder; move it beside it");
            return Err(damaged(what));
        }
        let path = descriptor.with_file_name(name);
        File::open(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("extent {name:?}: {error}")))
    };
    match &line.kind {
        Kind::Zero => Ok(Content::Zeros),
        Kind::Flat { file, start } => {
            let (name, file) = (file, open(file)?);
            let start = start.saturating_mul(SECTOR);
            if file.metadata()?.len() < start.saturating_add(len) {
                return Err(damaged(format!("its extent {name:?} is cut off")));
            }
            Ok(Content::Flat(file, start))
        }
        Kind::Sparse { file } => {
            let sparse = Sparse::open(open(file)?)?;
            if sparse.len() < len {
                return Err(damaged(format!("its extent {file:?} is too short")));
            }
            Ok(Content::Sparse(Box::new(sparse)))
        }
    }
}
