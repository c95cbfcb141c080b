//! A file or device that is written through the page cache.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::dirty::{DirtyPages, Step, WINDOW};
use super::medium::{Medium, Watch};
use super::{ReadMode, TargetError, TargetReader};

/// 64 KiB of zeros, to be written where a hole cannot be made.
pub(super) static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// An open file with a bounded number of dirty pages.
///
/// Once writing failed everything fails: the kernel reports an error of
/// writeback only once, so a later fsync would wrongly succeed.
#[derive(Debug)]
pub(super) struct PagedFile {
    file: File,
    path: PathBuf,
    dirty: DirtyPages,
    steps: Vec<Step>,
    medium: Medium,
    /// Waits for writeback, from the first that is started.
    watch: Option<Watch>,
    /// End of what was written, for messages about errors that have no place.
    reached: u64,
    failed: bool,
}

impl PagedFile {
    pub(super) fn new(file: File, path: PathBuf) -> Self {
        Self {
            file,
            path,
            dirty: DirtyPages::default(),
            steps: Vec::new(),
            medium: Medium::default(),
            watch: None,
            reached: 0,
            failed: false,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn medium(&self) -> Medium {
        self.medium.clone()
    }

    pub(super) fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), TargetError> {
        let mut at = offset;
        for piece in data.chunks(WINDOW as usize) {
            self.attempt("write", at, |file| file.write_all_at(piece, at))?;
            let end = at + piece.len() as u64;
            self.reached = self.reached.max(end);
            self.bound(at..end)?;
            at = end;
        }
        Ok(())
    }

    pub(super) fn write_zeros(&mut self, range: Range<u64>) -> Result<(), TargetError> {
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(ZEROS.len() as u64);
            self.write_at(at, &ZEROS[..len as usize])?;
            at += len;
        }
        Ok(())
    }

    /// Waits until everything is on the disk, including its own cache.
    pub(super) fn sync(&mut self) -> Result<(), TargetError> {
        if let Some(mut watch) = self.watch.take() {
            // What it was told of an error nobody else is told.
            while let Some(at) = watch.oldest() {
                self.attempt("write back", at, |_| watch.wait_oldest())?;
            }
        }
        self.attempt("flush", self.reached, File::sync_all)
    }

    /// Reads what is written; it need not be flushed.
    pub(super) fn reader(&self, mode: ReadMode) -> Result<TargetReader, TargetError> {
        TargetReader::new(&self.file, &self.path, mode)
    }

    /// To read what is written; it need not be flushed.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Runs an operation that changes the file, unless one failed before.
    pub(super) fn attempt<T>(
        &mut self,
        action: &'static str,
        offset: u64,
        operation: impl FnOnce(&File) -> io::Result<T>,
    ) -> Result<T, TargetError> {
        let result = if self.failed {
            Err(io::Error::other("writing failed before"))
        } else {
            operation(&self.file)
        };
        result.map_err(|source| {
            self.failed = true;
            TargetError::writing(&self.path, action, offset, source)
        })
    }

    fn bound(&mut self, written: Range<u64>) -> Result<(), TargetError> {
        let mut steps = std::mem::take(&mut self.steps);
        self.dirty.record(written, &mut steps);
        let mut watch = self.watch.take();
        for step in steps.drain(..) {
            let (Step::Start(range) | Step::Wait(range)) = &step;
            let at = range.start;
            let medium = &self.medium.clone();
            self.attempt("write back", at, |file| {
                let watch = match &mut watch {
                    Some(watch) => watch,
                    none => none.insert(Watch::start(file, medium.clone(), wait_for)?),
                };
                match step {
                    Step::Start(range) => {
                        sync_range(file, range.clone(), libc::SYNC_FILE_RANGE_WRITE)?;
                        watch.on_started(range);
                        Ok(())
                    }
                    // Pieces are waited for in the order in which they were started.
                    Step::Wait(_) => watch.wait_oldest(),
                }
            })?;
        }
        self.watch = watch;
        self.steps = steps;
        Ok(())
    }
}

/// Waits until a range is on the disk.
fn wait_for(file: &File, range: Range<u64>) -> io::Result<()> {
    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    sync_range(file, range, flags)
}

/// sync_file_range(2). Where it is unknown, waiting becomes fdatasync(2) and
/// starting becomes nothing.
#[allow(unsafe_code, reason = "neither std nor rustix offers sync_file_range")]
fn sync_range(file: &File, range: Range<u64>, flags: libc::c_uint) -> io::Result<()> {
    let offset = libc::off64_t::try_from(range.start).map_err(io::Error::other)?;
    let len = libc::off64_t::try_from(range.end - range.start).map_err(io::Error::other)?;
    loop {
        // SAFETY: the descriptor is open for the duration of the call, and the
        // call takes no pointers.
        let result = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, flags) };
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ENOSYS | libc::EOPNOTSUPP | libc::EINVAL | libc::ESPIPE) => {
                let wait = flags & libc::SYNC_FILE_RANGE_WAIT_AFTER != 0;
                return if wait { file.sync_data() } else { Ok(()) };
            }
            _ => return Err(error),
        }
    }
}
