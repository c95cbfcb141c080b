//! Fits the partition table of a written disk to its length.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::device::DeviceWriter;
use super::{TargetError, TargetReader};
use crate::fit::{Moves, Note, Write};
use crate::used::ReadAt;

/// What became of the partition table.
#[derive(Clone, Debug, Default)]
pub struct Fitted {
    /// For the operator.
    pub notes: Vec<Note>,
    writes: Vec<Write>,
}

impl Fitted {
    /// Whether anything was written.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Reads back what was written. Returns where the disk holds something else.
    ///
    /// # Errors
    /// [`TargetError::ReadBack`].
    pub fn prove(&self, reader: &mut TargetReader) -> Result<Option<Range<u64>>, TargetError> {
        for write in &self.writes {
            let mut held = vec![0; write.bytes.len()];
            let read = reader.read_at(write.at, &mut held)?;
            if read < held.len() || held != write.bytes {
                return Ok(Some(write.place()));
            }
        }
        Ok(None)
    }
}

impl DeviceWriter {
    pub(super) fn fit(&mut self, image_len: u64) -> Result<Fitted, TargetError> {
        let held = Held {
            file: self.paged.file(),
            len: self.len,
        };
        let moves =
            Moves::of(&held, image_len, self.sector).map_err(|reason| TargetError::Table {
                path: self.paged.path().to_owned(),
                reason: reason.to_string(),
            })?;
        let mut writes = Vec::new();
        for step in moves.steps {
            for write in step.writes {
                self.paged.write_at(write.at, &write.bytes)?;
                writes.push(write);
            }
            self.paged.sync()?;
        }
        Ok(Fitted {
            notes: moves.notes,
            writes,
        })
    }
}

/// What a device that is being written holds.
#[derive(Debug)]
struct Held<'a> {
    file: &'a File,
    len: u64,
}

impl ReadAt for Held<'_> {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}
