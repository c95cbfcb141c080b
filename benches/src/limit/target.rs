//! Where a receiver puts what it receives.

use std::fs::File;
use std::io::IoSlice;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::io::pwritev;

/// The most pieces that one call writes, `UIO_MAXIOV` of the kernel.
const MAX_PIECES: usize = 1024;

/// A file, or nothing.
pub(super) struct Target(Option<File>);

impl Target {
    /// Makes the file; `null:` is none.
    pub(super) fn create(path: &Path) -> Result<Self> {
        if path == Path::new("null:") {
            return Ok(Self(None));
        }
        let file = File::create(path).with_context(|| format!("cannot make {path:?}"))?;
        Ok(Self(Some(file)))
    }

    /// Writes pieces that follow each other, the first one to `place`. The kernel
    /// gathers them: they are copied only once after they were received.
    pub(super) fn write(&self, mut place: u64, pieces: &[IoSlice<'_>]) -> Result<()> {
        let Some(file) = &self.0 else {
            return Ok(());
        };
        for pieces in pieces.chunks(MAX_PIECES) {
            let size: usize = pieces.iter().map(|piece| piece.len()).sum();
            let written = pwritev(file, pieces, place).context("cannot write the target")?;
            ensure!(written == size, "the target is full");
            place += size as u64;
        }
        Ok(())
    }

    /// Waits until everything is on the disk, as mimeo does before it confirms.
    pub(super) fn flush(&self) -> Result<()> {
        match &self.0 {
            Some(file) => file.sync_all().context("cannot flush the target"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_pieces_lands_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("target");
        let target = Target::create(&path).unwrap();
        let bytes: Vec<u8> = (0..2 * MAX_PIECES + 1).map(|n| (n % 251) as u8).collect();
        let pieces: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
        target.write(1, &pieces).unwrap();
        target.write(0, &[IoSlice::new(b"x")]).unwrap();
        target.flush().unwrap();
        let found = std::fs::read(&path).unwrap();
        assert_eq!(found[0], b'x');
        assert_eq!(found[1..], bytes);
    }

    #[test]
    fn nothing_takes_everything() {
        let target = Target::create(Path::new("null:")).unwrap();
        target.write(7, &[IoSlice::new(b"x")]).unwrap();
        target.flush().unwrap();
        assert!(!Path::new("null:").exists());
    }
}
