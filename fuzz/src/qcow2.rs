//! Disks of QEMU with changes, which the crate `imago` reads.
//!
//! Backing files and data files are left out: what they are called is taken from the file, and a
//! fuzzer is not to open what lies about.

use std::sync::LazyLock;

use arbitrary::Arbitrary;

use crate::disk::{self, Edit};
use crate::virtual_disk::Folder;

/// Of the header (QEMU, docs/interop/qcow2.txt): where the name of a backing file is, and how long it
/// is; incompatible features, of which one is a data file elsewhere.
const BACKING: std::ops::Range<usize> = 8..20;
const INCOMPATIBLE: usize = 79;
const DATA_FILE: u8 = 4;

#[derive(Debug, Arbitrary)]
struct Input {
    disk: u8,
    /// In the header and the tables, or anywhere.
    is_head: bool,
    #[arbitrary(with = crate::value::at_most::<12, _>)]
    edits: Vec<Edit>,
    cut: Option<u16>,
}

static DISKS: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    ["v3", "v2", "packed"].map(|name| {
        let path = disk::folder().join(format!("{name}.qcow2"));
        std::fs::read(path).expect("the disk is there")
    })
});

thread_local! {
    static FOLDER: Folder = Folder::new(["disk"]);
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input>(data) else {
        return;
    };
    let mut bytes = DISKS[usize::from(input.disk) % DISKS.len()].clone();
    let len = if input.is_head { 128 } else { bytes.len() };
    for edit in &input.edits {
        edit.apply_flat(&mut bytes[..len]);
    }
    bytes[BACKING].fill(0);
    bytes[INCOMPATIBLE] &= !DATA_FILE;
    if let Some(cut) = input.cut {
        bytes.truncate(bytes.len() - usize::from(cut) % bytes.len());
    }
    FOLDER.with(|folder| {
        folder.write(0, &bytes);
        folder.read();
    });
}
