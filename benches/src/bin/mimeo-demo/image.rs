//! The image of the demo.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use mimeo_benches::fixture::make_disk;
use mimeo_image::ByteSize;

/// Where the disk's files come from: programs and what belongs to them.
const SOURCES: [&str; 4] = ["/usr/lib", "/usr/bin", "/usr/share", "/opt"];

/// How many bytes a given image has.
pub(crate) fn length(image: &Path) -> Result<u64> {
    let about = fs::metadata(image).with_context(|| format!("cannot use {}", image.display()))?;
    ensure!(
        about.is_file(),
        "{} is not a regular file; the demo sends nothing else",
        image.display()
    );
    Ok(about.len())
}

/// Makes a disk of `size` bytes in `directory`.
pub(crate) fn make(directory: &Path, size: u64) -> Result<PathBuf> {
    let path = directory.join("image");
    println!(
        "making a disk of {} with files of this machine",
        ByteSize(size)
    );
    let disk = make_disk(&path, size, &SOURCES.map(PathBuf::from), 1)?;
    println!("it has {} files of {}", disk.files, ByteSize(disk.bytes));
    Ok(path)
}
