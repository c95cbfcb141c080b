//! What holds of every disk of a virtual machine: its extents go on up to its end, holes read as
//! zeros, and what it says of itself costs no more memory than its files have.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use mimeo_image::source::{DiskSource, ExtentKind, SourceOptions};
use tempfile::TempDir;

use crate::disk::shown;
use crate::memory::Limit;

/// Bytes of memory: a directory of the largest disk, and a little.
const MEMORY: usize = 40 << 20;

/// Extents that are looked at, and bytes of each.
const EXTENTS: usize = 200;
const PIECE: usize = 3000;
const ZEROS: [u8; PIECE] = [0; PIECE];

/// A folder with the files of a disk, of which the first is opened.
pub(crate) struct Folder {
    dir: TempDir,
    files: Vec<File>,
    first: &'static str,
}

impl Folder {
    pub(crate) fn new<const N: usize>(names: [&'static str; N]) -> Self {
        // In memory where there is such a folder.
        let memory = std::path::Path::new("/dev/shm");
        let dir = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
        let dir = dir.expect("a folder");
        let create = |name: &&str| File::create(dir.path().join(name)).expect("a file");
        Self {
            files: names.iter().map(create).collect(),
            first: names[0],
            dir,
        }
    }

    pub(crate) fn write(&self, index: usize, bytes: &[u8]) {
        self.files[index].set_len(bytes.len() as u64).expect("room");
        self.files[index].write_all_at(bytes, 0).expect("room");
    }

    /// Opens the disk and reads some of it.
    pub(crate) fn read(&self) {
        // Whoever uses the file is not looked for: that takes longer than everything else.
        let options = SourceOptions {
            virtual_disks: true,
            force: true,
            ..SourceOptions::EXACT
        };
        let limit = Limit::new(MEMORY);
        match DiskSource::open_with(&self.dir.path().join(self.first), &options) {
            Ok(disk) => read(&disk),
            Err(error) => shown(&error.to_string()),
        }
        limit.check();
    }
}

fn read(disk: &DiskSource) {
    shown(&disk.describe());
    let mut buffer = [1; PIECE];
    let mut at = 0;
    for _ in 0..EXTENTS {
        if at >= disk.len() {
            break;
        }
        let extent = match disk.extent_at(at) {
            Ok(extent) => extent,
            Err(error) => return shown(&error.to_string()),
        };
        assert!(extent.end > at && extent.end <= disk.len());
        let len = (extent.end - at).min(buffer.len() as u64) as usize;
        match disk.read_exact_at(at, &mut buffer[..len]) {
            Ok(()) => assert!(extent.kind != ExtentKind::Hole || buffer[..len] == ZEROS[..len]),
            Err(error) => shown(&error.to_string()),
        }
        at = extent.end;
    }
    let last = disk.len() - 1;
    let _ = disk.read_exact_at(last, &mut buffer[..1]);
    assert!(disk.read_exact_at(disk.len(), &mut buffer[..1]).is_err());
}
