//! Answers the kernel.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use fuser::{
    Errno, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, ReplyOpen, ReplyStatfs, Request,
};
use rustix::fs::OFlags;

use super::tree::{NamedFile, Tree};
use super::warnings::{Teller, Warnings};

/// How long the kernel may believe what it was told: nothing changes.
const TTL: Duration = Duration::from_secs(3600);

/// What a direct read that meets damage is tried in; the smallest sector is no larger.
const PIECE: usize = 512;

/// Bytes that statfs counts in.
const UNIT: u32 = 4096;

const MAX_NAME: u32 = 255;

thread_local! {
    /// What is read, for each thread that answers: used again, it is paged in once.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The files, for the kernel.
#[derive(Debug)]
pub(super) struct Served {
    tree: Tree,
    warnings: Teller,
}

impl Served {
    pub(super) fn new(tree: Tree, warnings: Warnings) -> Self {
        Self {
            tree,
            warnings: Teller::new(warnings),
        }
    }

    /// Fills the front of `buffer`, and returns how much of it: all, unless `partly` is true and there
    /// is damage behind.
    fn read(
        &self,
        file: &NamedFile,
        offset: u64,
        buffer: &mut [u8],
        partly: bool,
    ) -> Result<usize, Errno> {
        let failed = |error: &io::Error| self.warnings.warn(error.to_string());
        match file.bytes.read_exact_at(offset, buffer) {
            Ok(()) => return Ok(buffer.len()),
            Err(error) => failed(&error),
        }
        if !partly {
            return Err(Errno::EIO);
        }
        let mut read = 0;
        for piece in buffer.chunks_mut(PIECE) {
            if let Err(error) = file.bytes.read_exact_at(offset + read as u64, piece) {
                failed(&error);
                break;
            }
            read += piece.len();
        }
        if read == 0 { Err(Errno::EIO) } else { Ok(read) }
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut files = self.tree.files();
        let found = files.find(|(_, file)| parent == INodeNo::ROOT && name == file.name.as_str());
        match found.and_then(|(number, _)| self.tree.about(number)) {
            Some(about) => reply.entry(&TTL, &about, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.tree.about(number) {
            Some(about) => reply.attr(&TTL, &about),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // What the page cache has of a file stays right.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    #[allow(clippy::too_many_arguments, reason = "the trait's")]
    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(file) = self.tree.file(number) else {
            return reply.error(Errno::ENOENT);
        };
        let left = file.bytes.size().saturating_sub(offset);
        let len = left.min(size.into()) as usize;
        // A shorter answer is right to who reads past the page cache only: for the cache it would
        // be the file's end.
        let direct = flags.0 & OFlags::DIRECT.bits().cast_signed() != 0;
        BUFFER.with_borrow_mut(|buffer| {
            if buffer.len() < len {
                buffer.resize(len, 0);
            }
            let buffer = &mut buffer[..len];
            match Served::read(self, file, offset, buffer, direct) {
                Ok(read) => reply.data(&buffer[..read]),
                Err(error) => reply.error(error),
            }
        });
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        if number != INodeNo::ROOT {
            return reply.error(Errno::ENOTDIR);
        }
        let itself = [".", ".."].map(|name| (INodeNo::ROOT, FileType::Directory, name));
        let files = self.tree.files();
        let files = files.map(|(number, file)| (number, FileType::RegularFile, &*file.name));
        let all = itself.into_iter().chain(files);
        for ((number, kind, name), next) in all.zip(1..).skip(offset as usize) {
            if reply.add(number, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let blocks = self.tree.disk_len().div_ceil(UNIT.into());
        let files = self.tree.names().count() as u64 + 1;
        reply.statfs(blocks, 0, 0, files, 0, UNIT, MAX_NAME, UNIT);
    }
}
