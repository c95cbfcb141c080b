//! A file on a disk that keeps something else than it was given: one byte is another when it is read.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::common::skip;

const NAME: &str = "file";

const FILE: INodeNo = INodeNo(2);

/// The kernel remembers nothing.
const TTL: Duration = Duration::ZERO;

/// Mounted until it is dropped.
pub struct Liar {
    pub path: PathBuf,
    mounted: Option<BackgroundSession>,
}

impl Liar {
    /// Of which the byte at this offset is another; none, with a message, where there is no FUSE.
    pub fn new(test: &str, directory: &Path, wrong: u64) -> Option<Self> {
        let fuse = File::options().read(true).write(true).open("/dev/fuse");
        if !rustix::process::geteuid().is_root() || fuse.is_err() {
            skip(test, "it needs root and /dev/fuse");
            return None;
        }
        fs::create_dir(directory).unwrap();
        let content = Mutex::default();
        let disk = Disk { wrong, content };
        let mounted = fuser::spawn_mount(disk, directory, &Config::default()).unwrap();
        Some(Self {
            path: directory.join(NAME),
            mounted: Some(mounted),
        })
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        let ended = self.mounted.take().map(BackgroundSession::umount_and_join);
        assert!(matches!(ended, Some(Ok(()))) || std::thread::panicking());
    }
}

#[derive(Debug)]
struct Disk {
    wrong: u64,
    content: Mutex<Vec<u8>>,
}

impl Disk {
    fn content(&self) -> MutexGuard<'_, Vec<u8>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn about(&self, inode: INodeNo) -> FileAttr {
        let (kind, perm, size) = match inode {
            INodeNo::ROOT => (FileType::Directory, 0o755, 0),
            _ => (FileType::RegularFile, 0o600, self.content().len() as u64),
        };
        FileAttr {
            ino: inode,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == NAME {
            reply.entry(&TTL, &self.about(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.about(inode));
    }

    #[allow(clippy::too_many_arguments, reason = "the trait's")]
    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if let Some(size) = size {
            self.content().resize(size as usize, 0);
        }
        reply.attr(&TTL, &self.about(inode));
    }

    #[allow(clippy::too_many_arguments, reason = "the trait's")]
    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let content = self.content();
        let end = content.len().min(offset as usize + size as usize);
        let mut bytes = content[end.min(offset as usize)..end].to_vec();
        if (offset..end as u64).contains(&self.wrong) {
            bytes[(self.wrong - offset) as usize] ^= 1;
        }
        reply.data(&bytes);
    }

    #[allow(clippy::too_many_arguments, reason = "the trait's")]
    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut content = self.content();
        let (from, end) = (offset as usize, offset as usize + data.len());
        if content.len() < end {
            content.resize(end, 0);
        }
        content[from..end].copy_from_slice(data);
        reply.written(data.len() as u32);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }
}
