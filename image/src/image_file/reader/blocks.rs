//! Reads blocks of the disk, each checked by its digest whenever it is read.

use std::io;
use std::sync::{Arc, PoisonError};

use super::{ImageFile, Located};
use crate::image_file::entry::{Coding, Content, check};
use crate::image_file::frame::run_frame;
use crate::image_file::{BLOCK_SIZE, BlockDigest, Damage, Decoder, FileError, Place};
use crate::used::ReadAt;

/// A block as it is stored and as it is on the disk. To be used again: it keeps its memory.
#[derive(Debug, Default)]
pub struct Stored {
    frame: Vec<u8>,
    raw: Vec<u8>,
}

impl Stored {
    /// The bytes of the block.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// What is sent of a block of this coding: its frame if it is compressed, else itself.
    #[must_use]
    pub fn body(&self, coding: Coding) -> &[u8] {
        match coding {
            Coding::Zstd => &self.frame,
            Coding::Raw => &self.raw,
        }
    }
}

impl ImageFile {
    /// Reads a block as it is stored, and decompresses it to check it.
    ///
    /// # Errors
    /// [`FileError::DamagedBlock`] if it is not what was captured; if it cannot be read.
    ///
    /// # Panics
    /// If it is a run, which is not stored.
    pub fn read_block(
        &self,
        block: &Located,
        decoder: &mut Decoder,
        stored: &mut Stored,
    ) -> Result<(), FileError> {
        let Content::Block(coding, digest) = block.entry.content else {
            panic!("runs are not stored");
        };
        let disk_len = self.disk_len();
        let len = block.entry.raw_len(disk_len) as usize;
        self.read_frame(block, &mut stored.frame)?;
        decoder
            .decode(coding, &stored.frame, len, &mut stored.raw)
            .and_then(|()| {
                let found = BlockDigest::of(block.entry.place, &stored.raw, disk_len);
                (found == digest).then_some(()).ok_or(Damage::Block)
            })
            .map_err(|damage| self.damaged_block(block, damage))
    }

    /// Checks that a frame of the disk is what was written: that of a run, or of a block.
    ///
    /// # Errors
    /// As [`Self::read_block`].
    pub fn check(
        &self,
        located: &Located,
        decoder: &mut Decoder,
        stored: &mut Stored,
    ) -> Result<(), FileError> {
        match located.entry.content {
            Content::Block(..) => self.read_block(located, decoder, stored),
            Content::Run(_, count) => {
                self.read_frame(located, &mut stored.frame)?;
                if stored.frame == run_frame(count) {
                    Ok(())
                } else {
                    Err(self.damaged_block(located, Damage::Frame))
                }
            }
        }
    }

    /// Fills `buffer` with the bytes of the disk from `offset` on; unused areas are zeros. Blocks that
    /// were read last are kept, and several threads read different blocks at the same time.
    ///
    /// # Errors
    /// As [`Self::read_block`]; [`FileError::OutOfRange`] beyond the disk.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FileError> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.disk_len()) {
            return Err(self.out_of_range(offset, buffer.len() as u64));
        }
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let place = Place((at / BLOCK_SIZE as u64) as u32);
            let located = self.locate(place)?;
            let begin = located.entry.place.offset();
            let left = begin + located.entry.raw_len(self.disk_len()) - at;
            let len = left.min((buffer.len() - done) as u64) as usize;
            let piece = &mut buffer[done..done + len];
            match located.entry.content {
                Content::Run(..) => piece.fill(0),
                Content::Block(..) => {
                    let raw = self.block(&located)?;
                    piece.copy_from_slice(&raw[(at - begin) as usize..][..len]);
                }
            }
            done += len;
        }
        Ok(())
    }

    fn block(&self, located: &Located) -> Result<Arc<Vec<u8>>, FileError> {
        self.kept_blocks.find_or(located.entry.place, || {
            let decoders = || self.decoders.lock().unwrap_or_else(PoisonError::into_inner);
            let mut decoder = decoders().pop().unwrap_or_default();
            let mut stored = Stored::default();
            let read = self.read_block(located, &mut decoder, &mut stored);
            decoders().push(decoder);
            read.map(|()| Arc::new(stored.raw))
        })
    }

    fn read_frame(&self, located: &Located, frame: &mut Vec<u8>) -> Result<(), FileError> {
        frame.resize(located.entry.stored_len as usize, 0);
        self.read_raw(located.at, frame)
            .map_err(|error| match error {
                FileError::Damaged { damage, .. } => self.damaged_block(located, damage),
                error => error,
            })?;
        if check(frame) == located.entry.check {
            Ok(())
        } else {
            Err(self.damaged_block(located, Damage::Stored))
        }
    }

    fn damaged_block(&self, located: &Located, damage: Damage) -> FileError {
        FileError::DamagedBlock {
            path: self.path.clone(),
            offset: located.at,
            place: located.entry.place,
            end: located.entry.place.offset() + located.entry.raw_len(self.disk_len()),
            damage,
        }
    }
}

/// The disk, for whoever looks at what is on it.
impl ReadAt for ImageFile {
    fn size(&self) -> u64 {
        self.disk_len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, buffer).map_err(io::Error::other)
    }
}
