//! Reading what a target holds: before it is written, to keep what is right
//! already, and after it was flushed, to prove that it holds the image.
//!
//! A proof must not come from the page cache, which has what was written and
//! not what the disk made of it. So [`ReadMode::Direct`] opens the target a
//! second time with `O_DIRECT` (open(2)): the same file or device, whatever has
//! become of its name. What a disk keeps in a cache of its own lies beyond what
//! a program can ask for.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags, fadvise, fcntl_getfl, fcntl_setfl, fstatfs};
use rustix::io::Errno;

use super::TargetError;

/// Offsets, lengths and memory of direct reads are multiples of this. 64 KiB is
/// the largest sector that Linux has names for, and the largest page, so every
/// smaller demand is met too and none has to be asked for.
const ALIGN: usize = 64 << 10;

/// Read at once: 1 MiB keeps a hard disk at its sequential speed and a fast one
/// busy.
const ROOM: usize = 1 << 20;

/// Where bytes are to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// The page cache, and what is not in it from the disk.
    Cached,
    /// The disk.
    Direct,
}

/// Where bytes do come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPath {
    /// The page cache, as was asked for.
    Cached,
    /// The disk, past the page cache: the file system took `O_DIRECT`. (One
    /// with a cache of its own may take it and not mean it.)
    Direct,
    /// `O_DIRECT` was refused: the page cache was told to forget the target
    /// before it was read. It may have kept some of it.
    CacheDropped,
    /// The file system is in memory: there is no disk behind the page cache.
    Memory,
}

/// Reads a file or a block device that is a target.
#[derive(Debug)]
pub struct TargetReader {
    file: File,
    name: PathBuf,
    path: ReadPath,
    room: Room,
}

impl TargetReader {
    /// `file` stays as it is; `name` is for messages.
    pub(super) fn new(file: &File, name: &Path, mode: ReadMode) -> Result<Self, TargetError> {
        let opened = match mode {
            ReadMode::Cached => file.try_clone().map(|file| (file, ReadPath::Cached)),
            ReadMode::Direct => past_the_cache(file),
        };
        let (file, path) = opened.map_err(|source| failed(name, 0, source))?;
        Ok(Self {
            file,
            name: name.to_owned(),
            path,
            room: Room::new(),
        })
    }

    /// Where bytes come from. What began as [`ReadPath::Direct`] may go on as
    /// [`ReadPath::CacheDropped`], so ask when all is read.
    #[must_use]
    pub fn path(&self) -> ReadPath {
        self.path
    }

    /// Fills `buffer` with the bytes from `offset` on. Returns how many there
    /// are: fewer than asked for only where the target ends. Fastest for
    /// multiples of 1 MiB.
    ///
    /// # Errors
    /// [`TargetError::ReadBack`].
    pub fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, TargetError> {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let read = match self.path {
                ReadPath::Direct => self.read_direct(at, &mut buffer[done..]),
                _ => self.file.read_at(&mut buffer[done..], at),
            };
            match read {
                Ok(0) if self.ends_at(at)? => break,
                // The kernel has no bytes and no error: a read that stops
                // short of a bad sector may do so.
                Ok(0) => return Err(failed(&self.name, at, Errno::IO.into())),
                Ok(fresh) => done += fresh,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if self.path == ReadPath::Direct && is_refusal(&error) => {
                    self.give_up_direct()
                        .map_err(|source| failed(&self.name, at, source))?;
                }
                Err(error) => return Err(failed(&self.name, at, error)),
            }
        }
        Ok(done)
    }

    /// Reads whole units around what is wanted. Returns how many bytes of that
    /// came with the first read.
    fn read_direct(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let skipped = (at % ALIGN as u64) as usize;
        let units = (skipped + buffer.len()).next_multiple_of(ALIGN);
        let room = self.room.bytes(units.min(ROOM));
        let read = self.file.read_at(room, at - skipped as u64)?;
        let fresh = read.saturating_sub(skipped).min(buffer.len());
        buffer[..fresh].copy_from_slice(&room[skipped..][..fresh]);
        Ok(fresh)
    }

    fn ends_at(&self, at: u64) -> Result<bool, TargetError> {
        let end = (&self.file).seek(SeekFrom::End(0));
        let end = end.map_err(|source| failed(&self.name, at, source))?;
        Ok(at >= end)
    }

    /// Some file systems take `O_DIRECT` and refuse to read with it.
    fn give_up_direct(&mut self) -> io::Result<()> {
        let flags = fcntl_getfl(&self.file)?;
        fcntl_setfl(&self.file, flags - OFlags::DIRECT)?;
        drop_cache(&self.file)?;
        self.path = ReadPath::CacheDropped;
        Ok(())
    }
}

fn failed(name: &Path, offset: u64, source: io::Error) -> TargetError {
    TargetError::ReadBack {
        path: name.to_owned(),
        offset,
        source,
    }
}

fn is_refusal(error: &io::Error) -> bool {
    let refusals = [Errno::INVAL, Errno::OPNOTSUPP];
    refusals
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn past_the_cache(file: &File) -> io::Result<(File, ReadPath)> {
    if is_in_memory(file) {
        return Ok((file.try_clone()?, ReadPath::Memory));
    }
    let direct = OFlags::DIRECT.bits().cast_signed();
    // Not by its name, which may lead elsewhere by now.
    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
    match OpenOptions::new()
        .read(true)
        .custom_flags(direct)
        .open(again)
    {
        Ok(file) => Ok((file, ReadPath::Direct)),
        Err(error) => {
            tracing::debug!(%error, "no direct reads");
            let file = file.try_clone()?;
            drop_cache(&file)?;
            Ok((file, ReadPath::CacheDropped))
        }
    }
}

/// Whether it is a file of a file system in memory: those take `O_DIRECT` since
/// Linux 6.6, and mean nothing by it. (The node of a device is on one too, but
/// not what the device holds.) Numbers of statfs(2).
fn is_in_memory(file: &File) -> bool {
    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;
    let is_file = file.metadata().is_ok_and(|about| about.is_file());
    let system = fstatfs(file).map(|about| about.f_type as u32);
    is_file && system.is_ok_and(|system| [TMPFS, RAMFS].contains(&system))
}

/// Makes the page cache forget a file or device. It keeps what is dirty or
/// mapped, so everything is written first.
fn drop_cache(file: &File) -> io::Result<()> {
    file.sync_data()?;
    fadvise(file, 0, None, Advice::DontNeed)?;
    Ok(())
}

/// Memory for direct reads, aligned as those want it.
#[derive(Debug, Default)]
struct Room {
    /// Allocated when first used.
    bytes: Vec<u8>,
}

impl Room {
    fn new() -> Self {
        Self::default()
    }

    /// The first `len` bytes, at most [`ROOM`].
    fn bytes(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = vec![0; ROOM + ALIGN];
        }
        let from = self.bytes.as_ptr().align_offset(ALIGN);
        &mut self.bytes[from..from + len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_direct_reads_are_refused_the_cache_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("target");
        let content: Vec<u8> = (0..300_001_u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let mut reader = TargetReader::new(&file, &path, ReadMode::Direct).unwrap();
        let began = reader.path();
        if began == ReadPath::Direct {
            reader.give_up_direct().unwrap();
            assert_eq!(reader.path(), ReadPath::CacheDropped);
        }
        let mut buffer = vec![0; 400_000];
        assert_eq!(reader.read_at(7, &mut buffer).unwrap(), 300_001 - 7);
        assert_eq!(buffer[..300_001 - 7], content[7..]);
        // The writer's descriptor keeps its own flags.
        let flags = fcntl_getfl(&file).unwrap();
        assert!(!flags.contains(OFlags::DIRECT));
    }
}
