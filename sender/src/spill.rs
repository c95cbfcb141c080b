//! The pages of a manifest that memory is not to hold, in a file without a name.
//!
//! Written as they come, read again where a receiver asks for what is old: a late one, or a cycle for
//! those that were slow. Both go through the image in order, so that the system has read ahead.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mimeo_protocol::sender::{PageStore, PagesLost};
use mimeo_protocol::units::{PageNumber, SYMBOL_SIZE, Symbol};

/// The newest pages stay in memory: repairs are of what was sent a moment ago, and most images, up to
/// 100 GB, have no more.
const IN_MEMORY: usize = (16 << 20) / SYMBOL_SIZE;

/// Pages that are written together, 90 KiB: half a second of a Gigabit in between.
const AT_ONCE: usize = 64;

/// Pages of the file that stay in memory once they were read, 1.4 MB: in a later cycle that sends but a
/// block here and there, reports go on naming those of some hundred pages.
const READ: usize = 1024;

/// Bytes of a check, behind its page.
const CHECK: usize = 8;

/// Bytes of a page in the file.
const RECORD: usize = SYMBOL_SIZE + CHECK;

/// Where the file is made unless TMPDIR names another folder: what /tmp holds may be in memory. The
/// second, where the first does not exist or cannot be written to.
const FOLDERS: [&str; 2] = ["/var/tmp", "/tmp"];

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
enum SpillError {
    /// There is none.
    #[error(
        "cannot make a temporary file for the manifest in {}: {error}; name a folder with TMPDIR",
        folder.display()
    )]
    Make { folder: PathBuf, error: io::Error },
    /// No random numbers for its key.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    /// It does not take any more.
    #[error(
        "cannot write the manifest to its temporary file in {}: {error}; it takes 170 MB for each TB \
         that is sent: make room, or name another folder with TMPDIR",
        folder.display()
    )]
    Write { folder: PathBuf, error: io::Error },
    /// It cannot be read.
    #[error(
        "cannot read page {number} of the manifest from its temporary file in {}: {error}",
        folder.display()
    )]
    Read {
        folder: PathBuf,
        number: PageNumber,
        error: io::Error,
    },
    /// It holds something else than was written.
    #[error(
        "page {number} of the manifest was damaged in its temporary file in {}: the disk or the memory \
         of this machine is failing",
        folder.display()
    )]
    Damaged { folder: PathBuf, number: PageNumber },
}

impl From<SpillError> for PagesLost {
    fn from(error: SpillError) -> Self {
        Self(error.to_string())
    }
}

/// Keeps the newest pages in memory and the others in a file that has no name, so that nobody else opens
/// it and nothing is left of it.
#[derive(Debug)]
pub struct SpilledPages {
    in_memory: usize,
    newest: VecDeque<Box<Symbol>>,
    /// Pages in the file.
    spilled: usize,
    file: Option<PageFile>,
    /// Pages of the file that were read, each in the place that its number has in it.
    read: Vec<Option<(PageNumber, Box<Symbol>)>>,
}

impl Default for SpilledPages {
    fn default() -> Self {
        Self::keeping(IN_MEMORY)
    }
}

impl SpilledPages {
    /// A store that keeps at least this many of the newest pages in memory. The file is not made before
    /// there are more.
    #[must_use]
    pub fn keeping(in_memory: usize) -> Self {
        Self {
            in_memory,
            newest: VecDeque::new(),
            spilled: 0,
            file: None,
            read: Vec::new(),
        }
    }

    fn spill(&mut self, pages: usize) -> Result<(), SpillError> {
        if self.file.is_none() {
            self.file = Some(PageFile::make()?);
        }
        let file = self.file.as_ref().expect("it was made");
        let oldest = self.newest.iter().take(pages).map(|page| &**page);
        file.write(self.spilled, oldest)?;
        self.newest.drain(..pages);
        self.spilled += pages;
        Ok(())
    }
}

impl PageStore for SpilledPages {
    fn push(&mut self, page: &Symbol) -> Result<(), PagesLost> {
        self.newest.push_back(Box::new(*page));
        let at_once = AT_ONCE.min(self.in_memory).max(1);
        if self.newest.len() >= self.in_memory + at_once {
            self.spill(at_once)?;
        }
        Ok(())
    }

    fn page(&mut self, number: PageNumber) -> Result<&Symbol, PagesLost> {
        let at = number.0 as usize;
        if let Some(newest) = at.checked_sub(self.spilled) {
            let page = self.newest.get(newest);
            let unknown = || PagesLost(format!("page {number} of the manifest was never kept"));
            return page.map(|page| &**page).ok_or_else(unknown);
        }
        if self.read.is_empty() {
            self.read.resize_with(READ, || None);
        }
        let read = &mut self.read[at % READ];
        if read.as_ref().is_none_or(|(of, _)| *of != number) {
            let file = self.file.as_ref().expect("pages were written to it");
            *read = Some((number, file.read(number)?));
        }
        let (_, page) = read.as_ref().expect("it was read just now");
        Ok(page)
    }
}

/// A file of pages, each with a check behind it: a key is drawn for the file, so that nothing else that a
/// failing disk may come up with is taken for a page of it.
#[derive(Debug)]
struct PageFile {
    file: File,
    folder: PathBuf,
    key: [u8; blake3::KEY_LEN],
}

impl PageFile {
    fn make() -> Result<Self, SpillError> {
        let named = std::env::var_os("TMPDIR").filter(|folder| !folder.is_empty());
        let Some(named) = named else {
            let [first, second] = FOLDERS.map(Path::new);
            return Self::make_in(first).or_else(|error| Self::make_in(second).map_err(|_| error));
        };
        Self::make_in(Path::new(&named))
    }

    fn make_in(folder: &Path) -> Result<Self, SpillError> {
        match tempfile::tempfile_in(folder) {
            Ok(file) => Self::of(file, folder),
            Err(error) => Err(SpillError::Make {
                folder: folder.to_owned(),
                error,
            }),
        }
    }

    fn of(file: File, folder: &Path) -> Result<Self, SpillError> {
        let mut key = [0; blake3::KEY_LEN];
        getrandom::fill(&mut key).map_err(SpillError::Random)?;
        let folder = folder.to_owned();
        Ok(Self { file, folder, key })
    }

    /// Writes pages that follow each other.
    fn write<'a>(
        &self,
        first: usize,
        pages: impl Iterator<Item = &'a Symbol>,
    ) -> Result<(), SpillError> {
        let mut bytes = Vec::with_capacity(AT_ONCE * RECORD);
        for (number, page) in (first..).zip(pages) {
            bytes.extend_from_slice(&page[..]);
            bytes.extend_from_slice(&self.check(number, page));
        }
        let written = self.file.write_all_at(&bytes, offset(first));
        written.map_err(|error| SpillError::Write {
            folder: self.folder.clone(),
            error,
        })
    }

    fn read(&self, number: PageNumber) -> Result<Box<Symbol>, SpillError> {
        let at = number.0 as usize;
        let mut record = [0; RECORD];
        if let Err(error) = self.file.read_exact_at(&mut record, offset(at)) {
            return Err(SpillError::Read {
                folder: self.folder.clone(),
                number,
                error,
            });
        }
        let (page, check) = record
            .split_first_chunk()
            .expect("a record begins with its page");
        if *check != self.check(at, page) {
            return Err(SpillError::Damaged {
                folder: self.folder.clone(),
                number,
            });
        }
        Ok(Box::new(*page))
    }

    fn check(&self, number: usize, page: &Symbol) -> [u8; CHECK] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(number as u64).to_le_bytes()).update(page);
        let mut check = [0; CHECK];
        hasher.finalize_xof().fill(&mut check);
        check
    }
}

fn offset(page: usize) -> u64 {
    page as u64 * RECORD as u64
}

#[cfg(test)]
mod tests;
