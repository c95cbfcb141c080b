//! A made-up sysfs for tests.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::System;

pub(crate) struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("block")).unwrap();
        Self { root }
    }

    /// A disk of `sectors` x 512 bytes.
    pub(crate) fn disk(&self, name: &str, number: &str, sectors: u64) -> Entry {
        self.disk_at(&format!("devices/bus/block/{name}"), number, sectors)
    }

    /// A disk at a place of the device tree, linked from `block` as in sysfs.
    pub(crate) fn disk_at(&self, place: &str, number: &str, sectors: u64) -> Entry {
        let dir = self.root.path().join(place);
        let link = self
            .root
            .path()
            .join("block")
            .join(dir.file_name().unwrap());
        fs::create_dir_all(&dir).unwrap();
        symlink(&dir, link).unwrap();
        Entry::new(dir, number, sectors)
    }

    pub(crate) fn system(&self, mountinfo: &str, swaps: &str) -> System {
        System::read(self.root.path(), mountinfo, swaps).unwrap()
    }
}

/// A directory being filled; `holder` applies to the partition made last.
pub(crate) struct Entry {
    dir: PathBuf,
    last: RefCell<PathBuf>,
}

impl Entry {
    fn new(dir: PathBuf, number: &str, sectors: u64) -> Self {
        write(&dir.join("dev"), number);
        write(&dir.join("size"), &sectors.to_string());
        let last = RefCell::new(dir.clone());
        Self { dir, last }
    }

    pub(crate) fn attribute(self, name: &str, value: &str) -> Self {
        write(&self.dir.join(name), value);
        self
    }

    pub(crate) fn hardware(self) -> Self {
        fs::create_dir_all(self.dir.join("device")).unwrap();
        self
    }

    pub(crate) fn partition(self, name: &str, number: &str, sectors: u64) -> Self {
        let dir = self.dir.join(name);
        write(&dir.join("partition"), "1");
        write(&dir.join("dev"), number);
        write(&dir.join("size"), &sectors.to_string());
        self.last.replace(dir);
        self
    }

    pub(crate) fn holder(self, name: &str) -> Self {
        write(&self.last.borrow().join("holders").join(name), "");
        self
    }
}

fn write(path: &Path, value: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("{value}\n")).unwrap();
}
