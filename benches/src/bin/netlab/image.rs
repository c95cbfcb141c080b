//! The image, and room for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use mimeo_benches::fixture::{make_disk, random_file};
use mimeo_benches::units::parse_size;
use rustix::fs::{statfs, statvfs};

/// Where the files of a disk come from.
const SOURCES: [&str; 2] = ["/usr/lib", "/usr/bin"];

/// `f_type` of a tmpfs, include/uapi/linux/magic.h.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// The image's arguments.
#[derive(Args)]
pub(crate) struct Image {
    /// Length of the image that is made
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = parse_size)]
    size: u64,
    /// What the image that is made holds
    #[arg(long, value_enum, default_value_t = Kind::Random)]
    kind: Kind,
    /// Send this file instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["size", "kind"])]
    image: Option<PathBuf>,
}

/// What an image holds.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Random bytes, which cannot be compressed
    Random,
    /// A partitioned disk with this machine's programs in a real filesystem
    Disk,
}

impl Image {
    /// The path of the image, which is made in `directory` where none is given.
    pub(crate) fn provide(&self, directory: &Path) -> Result<PathBuf> {
        match &self.image {
            Some(given) => given.canonicalize().with_context(|| format!("{given:?}")),
            None => self.kind.make(directory.join("image"), self.size),
        }
    }

    /// Its length, and how much of that is made.
    pub(crate) fn lengths(&self) -> Result<(u64, u64)> {
        match &self.image {
            Some(given) => {
                let about = given.metadata().with_context(|| format!("{given:?}"))?;
                Ok((about.len(), 0))
            }
            None => Ok((self.size, self.size)),
        }
    }

    /// What a reader of figures should know of it.
    pub(crate) fn describe(&self) -> String {
        match (&self.image, self.kind) {
            (Some(given), _) => given.display().to_string(),
            (None, Kind::Random) => format!("{} of random bytes", size(self.size)),
            (None, Kind::Disk) => format!("a disk of {} with programs", size(self.size)),
        }
    }
}

impl Kind {
    /// Makes an image of `length` bytes.
    pub(crate) fn make(self, path: PathBuf, length: u64) -> Result<PathBuf> {
        match self {
            Self::Random => {
                random_file(&path, length, 1).with_context(|| format!("cannot write {path:?}"))?;
            }
            Self::Disk => {
                make_disk(&path, length, &SOURCES.map(PathBuf::from), 1)?;
            }
        }
        Ok(path)
    }
}

/// A length with the largest unit that divides it.
pub(crate) fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units
        .iter()
        .find(|(_, shift)| bytes.is_multiple_of(1 << shift));
    match unit {
        Some((name, shift)) if bytes > 0 => format!("{} {name}", bytes >> shift),
        _ => format!("{bytes} B"),
    }
}

/// True when what is written to `directory` stays in memory.
pub(crate) fn is_in_memory(directory: &Path) -> Result<bool> {
    let about = statfs(directory).with_context(|| format!("cannot use {directory:?}"))?;
    Ok(about.f_type == TMPFS_MAGIC)
}

/// Left to the programs and the system where images are kept in memory.
const SPARE: u64 = 2 << 30;

/// Refuses what does not fit: a machine whose memory is full of images does nothing any more.
pub(crate) fn ensure_space(directory: &Path, needed: u64) -> Result<()> {
    let spare = if is_in_memory(directory)? { SPARE } else { 0 };
    let free = free_space(directory)?.saturating_sub(spare);
    ensure!(
        needed <= free,
        "{directory:?} has room for {} MiB, but the image and its copies take {} MiB",
        free >> 20,
        needed >> 20
    );
    Ok(())
}

/// How many bytes fit into `directory`. A tmpfs may promise more than the machine has.
pub(crate) fn free_space(directory: &Path) -> Result<u64> {
    let about = statvfs(directory).with_context(|| format!("cannot use {directory:?}"))?;
    let free = about.f_bavail * about.f_frsize;
    if !is_in_memory(directory)? {
        return Ok(free);
    }
    let text = fs::read_to_string("/proc/meminfo")?;
    Ok(free.min(available_memory(&text).context("the kernel does not tell its free memory")?))
}

/// `MemAvailable` of `/proc/meminfo`, proc_meminfo(5), in bytes.
fn available_memory(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_they_are_given() {
        for (bytes, text) in [
            (0, "0 B"),
            (1000, "1000 B"),
            (3 << 10, "3 KiB"),
            (256 << 20, "256 MiB"),
            (8 << 30, "8 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn free_memory_is_read() {
        let text = "MemTotal:  24000 kB\nMemAvailable:   1000 kB\nBuffers: 7 kB\n";
        assert_eq!(available_memory(text), Some(1_024_000));
        assert_eq!(available_memory("MemTotal:  24000 kB\n"), None);
    }

    #[test]
    fn there_is_room_for_something() {
        assert!(free_space(&std::env::temp_dir()).unwrap() > 0);
    }
}
