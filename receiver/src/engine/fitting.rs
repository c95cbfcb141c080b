//! Makes a written target the disk that it is, and not the one that the image is of.

use std::ops::Range;

use mimeo_image::fit::Note;
use mimeo_image::target::{ReadMode, TargetError, TargetWriter};
use mimeo_protocol::units::{BLOCK_SIZE, Place};

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fitting {
    /// The partition table is that of the disk.
    Right(Vec<Note>),
    /// What was written there reads back differently.
    Different(Range<u64>),
}

/// Fits the partition table to the disk; it is flushed. With `verify` what was written is read
/// back from the disk.
pub(super) fn fit(
    target: &mut TargetWriter,
    image_len: u64,
    verify: bool,
) -> Result<Fitting, TargetError> {
    let fitted = target.fit(image_len)?;
    if verify && fitted.is_changed() {
        let mut reader = target.reader(ReadMode::Direct)?;
        if let Some(range) = fitted.prove(&mut reader)? {
            return Ok(Fitting::Different(range));
        }
    }
    Ok(Fitting::Right(fitted.notes))
}

/// The block that a shorter target ends in. It has no digest that could prove the part of it which
/// is written, so that part is kept: it was part of a block that had its digest.
#[derive(Debug, Default)]
pub(super) struct Edge {
    /// Bytes of the target, if the image is longer.
    target_len: Option<u64>,
    written: Vec<u8>,
}

impl Edge {
    pub(super) fn new(target: &TargetWriter, image_len: Option<u64>) -> Self {
        let is_cut = |capacity: &u64| image_len.is_some_and(|len| len > *capacity);
        Self {
            target_len: target.capacity().filter(is_cut),
            written: Vec::new(),
        }
    }

    /// Blocks from `place` on were written: `raw`, or zeros.
    pub(super) fn on_written(&mut self, place: Place, blocks: u32, raw: Option<&[u8]>) {
        let Some(target_len) = self.target_len else {
            return;
        };
        let edge = target_len / BLOCK_SIZE as u64;
        let len = (target_len % BLOCK_SIZE as u64) as usize;
        let first = u64::from(place.0);
        if (first..first + u64::from(blocks)).contains(&edge) {
            self.written = match raw {
                Some(raw) => raw[..len.min(raw.len())].to_vec(),
                None => vec![0; len],
            };
        }
    }

    /// Reads the part back; returns where the target differs.
    pub(super) fn prove(&self, target: &TargetWriter) -> Result<Option<Range<u64>>, TargetError> {
        let (Some(end), false) = (self.target_len, self.written.is_empty()) else {
            return Ok(None);
        };
        let at = end - self.written.len() as u64;
        let mut held = vec![0; self.written.len()];
        let read = target.reader(ReadMode::Direct)?.read_at(at, &mut held)?;
        let same = read == held.len() && held == self.written;
        Ok((!same).then_some(at..end))
    }
}
