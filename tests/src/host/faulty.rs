//! A file system of one file that fails where a test wants it to.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use mimeo_benches::netlab::skip;

/// What goes wrong with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The byte at this offset cannot be written: an error of the disk.
    Write(u64),
    /// There is no room for the byte at this offset, nor for those behind it.
    Full(u64),
    /// Everything can be written, and flushing it fails.
    Flush,
    /// The byte at this offset cannot be read.
    Read(u64),
    /// The first write that reaches this offset takes so long.
    Stall(u64, Duration),
    /// The byte at this offset is another when it is read.
    Lie(u64),
}

/// The file system, mounted until it is dropped.
#[derive(Debug)]
pub struct FaultyFile {
    path: PathBuf,
    mounted: Option<BackgroundSession>,
}

/// The name of the only file.
const NAME: &str = "file";

const FILE: INodeNo = INodeNo(2);

/// Nothing is remembered by the kernel: every question reaches the file system.
const TTL: Duration = Duration::ZERO;

impl FaultyFile {
    /// Mounts one on `directory`, which is made, whose file holds `content`; [`None`], with a
    /// message, where the kernel refuses.
    ///
    /// # Panics
    ///
    /// When it does although `MIMEO_REQUIRE_ALL=1` is set, or the directory cannot be made.
    #[must_use]
    pub fn new(test: &str, directory: &Path, fault: Fault, content: Vec<u8>) -> Option<Self> {
        fs::create_dir(directory).expect("a directory can be made");
        let disk = Disk {
            fault,
            state: Mutex::new(State {
                content,
                stalled: false,
            }),
        };
        match fuser::spawn_mount(disk, directory, &Config::default()) {
            Ok(mounted) => Some(Self {
                path: directory.join(NAME),
                mounted: Some(mounted),
            }),
            Err(error) => {
                skip(test, &format!("a file system of its own: {error}"));
                None
            }
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        let ended = self.mounted.take().map(BackgroundSession::umount_and_join);
        if let Some(Err(error)) = ended {
            eprintln!("{} was left behind: {error}", self.path.display());
        }
    }
}

struct Disk {
    fault: Fault,
    state: Mutex<State>,
}

struct State {
    content: Vec<u8>,
    stalled: bool,
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn about(&self, inode: INodeNo) -> Option<FileAttr> {
        let (kind, perm, size) = match inode {
            INodeNo::ROOT => (FileType::Directory, 0o755, 0),
            FILE => (
                FileType::RegularFile,
                0o600,
                self.state().content.len() as u64,
            ),
            _ => return None,
        };
        Some(FileAttr {
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
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    /// Writes, or fails to.
    fn put(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let end = offset + data.len() as u64;
        match self.fault {
            Fault::Write(at) if (offset..end).contains(&at) => return Err(Errno::EIO),
            Fault::Full(at) if end > at => return Err(Errno::ENOSPC),
            Fault::Stall(at, pause) if end > at && self.is_first_stall() => {
                std::thread::sleep(pause);
            }
            _ => {}
        }
        let content = &mut self.state().content;
        let (from, end) = (offset as usize, end as usize);
        if content.len() < end {
            content.resize(end, 0);
        }
        content[from..end].copy_from_slice(data);
        Ok(())
    }

    fn is_first_stall(&self) -> bool {
        !std::mem::replace(&mut self.state().stalled, true)
    }

    /// Reads, or fails to.
    fn held(&self, offset: u64, wanted: u64) -> Result<Vec<u8>, Errno> {
        let state = self.state();
        let len = state.content.len() as u64;
        let end = len.min(offset + wanted);
        let range = offset.min(end)..end;
        let mut bytes = state.content[range.start as usize..range.end as usize].to_vec();
        match self.fault {
            Fault::Read(at) if range.contains(&at) => Err(Errno::EIO),
            Fault::Lie(at) if range.contains(&at) => {
                bytes[(at - range.start) as usize] ^= 1;
                Ok(bytes)
            }
            _ => Ok(bytes),
        }
    }
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.about(FILE).filter(|_| name == NAME) {
            Some(about) => reply.entry(&TTL, &about, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.about(inode) {
            Some(about) => reply.attr(&TTL, &about),
            None => reply.error(Errno::ENOENT),
        }
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
            self.state().content.resize(size as usize, 0);
        }
        match self.about(inode) {
            Some(about) => reply.attr(&TTL, &about),
            None => reply.error(Errno::ENOENT),
        }
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
        match self.held(offset, size.into()) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
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
        match self.put(offset, data) {
            Ok(()) => reply.written(u32::try_from(data.len()).expect("requests are small")),
            Err(error) => reply.error(error),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        if self.fault == Fault::Flush {
            reply.error(Errno::EIO);
        } else {
            reply.ok();
        }
    }
}
