//! A target that is being written.

use super::device::DeviceWriter;
use super::file::FileWriter;
use super::{
    Fitted, Medium, NullTarget, ReadMode, StreamTarget, Target, TargetError, TargetReader,
};

/// A target that is being written, by one thread.
///
/// Offsets and lengths are bytes of the image. Blocks may come in any order,
/// unless [`Self::is_sequential`]. When an operation has failed the target is
/// incomplete; a disk's later operations fail as well, its flush above all.
#[derive(Debug)]
pub struct TargetWriter(Kind);

#[derive(Debug)]
enum Kind {
    Device(DeviceWriter),
    File(FileWriter),
    Stream(StreamTarget),
    Null(NullTarget),
}

impl TargetWriter {
    pub(super) fn new(target: Target, image_len: Option<u64>) -> Result<Self, TargetError> {
        Ok(Self(match target {
            Target::Device(device) => Kind::Device(device.prepare(image_len)?),
            Target::File(file) => Kind::File(file.prepare(image_len)?),
            Target::Stream(stream) => Kind::Stream(stream),
            Target::Null(null) => Kind::Null(null),
        }))
    }

    pub(super) fn resume(
        target: Target,
        image_len: Option<u64>,
        yes: bool,
    ) -> Result<Self, TargetError> {
        Ok(Self(match target {
            Target::Device(device) => Kind::Device(device.prepare(image_len)?),
            Target::File(file) => Kind::File(file.resume(image_len, yes)?),
            Target::Stream(_) | Target::Null(_) => {
                let target = target.describe();
                return Err(TargetError::NotReadable { target });
            }
        }))
    }

    /// What may go wrong, for people: the file system of a file may be too full.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        match &self.0 {
            Kind::File(file) => file.warning(),
            Kind::Device(_) | Kind::Stream(_) | Kind::Null(_) => None,
        }
    }

    /// Whether every write must begin where the one before it ended.
    #[must_use]
    pub fn is_sequential(&self) -> bool {
        matches!(self.0, Kind::Stream(_))
    }

    /// Writes `data` at `offset`. It may wait until older data is on the disk,
    /// so that no more than [`super::MAX_DIRTY`] bytes are not.
    ///
    /// # Errors
    /// [`TargetError::NoSpace`], [`TargetError::Closed`], [`TargetError::Io`],
    /// [`TargetError::Shortened`];
    /// [`TargetError::OutOfOrder`] if a sequential target is at another offset.
    pub fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), TargetError> {
        match &mut self.0 {
            Kind::Device(device) => device.write_at(offset, data),
            Kind::File(file) => file.write_at(offset, data),
            Kind::Stream(stream) => {
                stream.expect_offset(offset)?;
                stream.write_next(data)
            }
            Kind::Null(null) => {
                null.discard(data.len() as u64);
                Ok(())
            }
        }
    }

    /// Makes `len` bytes at `offset` read as zeros: a hole in a file, zeroed by
    /// a device itself where it can, written zeros elsewhere. On a device one
    /// call for a long range is much faster than many for short ones.
    ///
    /// # Errors
    /// As [`Self::write_at`].
    pub fn zero_at(&mut self, offset: u64, len: u64) -> Result<(), TargetError> {
        match &mut self.0 {
            Kind::Device(device) => device.zero_at(offset, len),
            Kind::File(file) => file.zero_at(offset, len),
            Kind::Stream(stream) => {
                stream.expect_offset(offset)?;
                stream.zero_next(len)
            }
            Kind::Null(null) => {
                null.discard(len);
                Ok(())
            }
        }
    }

    /// As [`Self::zero_at`], but looks first, so that zeros are not written again. Returns how
    /// many of the bytes were zeros already: of a file, those in holes.
    ///
    /// # Errors
    /// As [`Self::write_at`].
    pub fn clear_at(&mut self, offset: u64, len: u64) -> Result<u64, TargetError> {
        match &mut self.0 {
            Kind::Device(device) => device.clear_at(offset, len),
            Kind::File(file) => file.clear_at(offset, len),
            Kind::Stream(_) | Kind::Null(_) => self.zero_at(offset, len).map(|()| 0),
        }
    }

    /// Tells a device that nobody needs what it holds in a range, whatever it reads as afterwards;
    /// false if it cannot be told. Of a file the range becomes a hole, of others zeros.
    ///
    /// # Errors
    /// As [`Self::write_at`].
    pub fn discard_at(&mut self, offset: u64, len: u64) -> Result<bool, TargetError> {
        match &mut self.0 {
            Kind::Device(device) => device.discard_at(offset, len),
            Kind::File(_) | Kind::Stream(_) | Kind::Null(_) => {
                self.zero_at(offset, len).map(|()| true)
            }
        }
    }

    /// Gives a file its final length: that of the image. A stream must be there
    /// already; a device keeps what lies behind the image.
    ///
    /// # Errors
    /// As [`Self::write_at`].
    pub fn finish(&mut self, len: u64) -> Result<(), TargetError> {
        match &mut self.0 {
            Kind::File(file) => file.finish(len),
            Kind::Stream(stream) => stream.expect_offset(len),
            Kind::Device(_) | Kind::Null(_) => Ok(()),
        }
    }

    /// Waits until everything that was written is on the disk. Only after this
    /// may a target be called complete.
    ///
    /// # Errors
    /// As [`Self::write_at`] and [`Self::confirm`]; also for errors of earlier writes that show
    /// only now.
    pub fn flush(&mut self) -> Result<(), TargetError> {
        match &mut self.0 {
            Kind::Device(device) => device.flush(),
            Kind::File(file) => file.flush(),
            Kind::Stream(stream) => stream.flush(),
            Kind::Null(_) => Ok(()),
        }
    }

    /// Checks that a file is still where it was and as long as it was made, as [`Self::flush`]
    /// does too: another program may have removed, replaced or shortened it. Nothing can become
    /// of any other target without an error.
    ///
    /// # Errors
    /// [`TargetError::Displaced`], [`TargetError::Shortened`]; as [`Self::write_at`].
    pub fn confirm(&mut self) -> Result<(), TargetError> {
        match &mut self.0 {
            Kind::File(file) => file.confirm(),
            Kind::Device(_) | Kind::Stream(_) | Kind::Null(_) => Ok(()),
        }
    }

    /// Fits the partition table of an image of `image_len` bytes to the disk that it was written to
    /// and flushed: see [`crate::fit`]. It changes nothing of any other target. When this fails the
    /// table may be on its way, and [`Self::fit`] of a later writer completes it.
    ///
    /// # Errors
    /// As [`Self::write_at`]; [`TargetError::Table`] if the table cannot be read.
    pub fn fit(&mut self, image_len: u64) -> Result<Fitted, TargetError> {
        match &mut self.0 {
            Kind::Device(device) => device.fit(image_len),
            Kind::File(_) | Kind::Stream(_) | Kind::Null(_) => Ok(Fitted::default()),
        }
    }

    /// Bytes of a device; nothing else has an end of its own.
    #[must_use]
    pub fn capacity(&self) -> Option<u64> {
        match &self.0 {
            Kind::Device(device) => Some(device.len),
            Kind::File(_) | Kind::Stream(_) | Kind::Null(_) => None,
        }
    }

    /// Reads what the target holds, of a file or a block device. Both may be
    /// used side by side; what is written is read.
    ///
    /// # Errors
    /// [`TargetError::NotReadable`] of a stream and of `null:`;
    /// [`TargetError::ReadBack`] if the system refuses.
    pub fn reader(&self, mode: ReadMode) -> Result<TargetReader, TargetError> {
        let target = match &self.0 {
            Kind::Device(device) => return device.reader(mode),
            Kind::File(file) => return file.reader(mode),
            Kind::Stream(stream) => stream.describe(),
            Kind::Null(_) => "null:".to_owned(),
        };
        Err(TargetError::NotReadable { target })
    }

    /// What the disk behind the target takes; nothing of a target without one.
    #[must_use]
    pub fn medium(&self) -> Medium {
        match &self.0 {
            Kind::Device(device) => device.medium(),
            Kind::File(file) => file.medium(),
            Kind::Stream(_) | Kind::Null(_) => Medium::default(),
        }
    }

    /// Bytes discarded so far; `None` unless the target is `null:`.
    #[must_use]
    pub fn discarded(&self) -> Option<u64> {
        match &self.0 {
            Kind::Null(null) => Some(null.discarded()),
            Kind::Device(_) | Kind::File(_) | Kind::Stream(_) => None,
        }
    }
}
