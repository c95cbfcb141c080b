//! A target that is a block device.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::ioctl_blksszget;

use super::paged::PagedFile;
use super::ranges::{align, discard, zero_out};
use super::{Medium, ReadMode, TargetError, TargetOptions, TargetReader};
use crate::disk::{BlockDevice, DeviceNumber, Signature, System, Use, probe};
use crate::fit::{Misfit, Needs};
use crate::zeros::is_zero;

/// Shorter ranges are zeroed by writing zeros: BLKZEROOUT waits for the disk,
/// which for every single 256 KiB block would cost a hard disk a rotation
/// (8 ms) each, a third of its speed. From 1 MiB on the wait is amortized.
const MIN_ZERO_OUT: u64 = 1 << 20;

/// Read at once, to find out whether zeros are there already.
const LOOK_AT_ONCE: usize = 1 << 20;

/// The most that one BLKZEROOUT zeroes. It cannot be interrupted, and where the
/// kernel has to write the zeros itself 256 MiB take a hard disk two seconds.
const MAX_ZERO_OUT: u64 = 256 << 20;

/// The most that one BLKDISCARD discards: it cannot be interrupted.
const MAX_DISCARD: u64 = 1 << 30;

/// A block device that is not in use and was claimed for us alone.
#[derive(Debug)]
pub struct DeviceTarget {
    file: File,
    path: PathBuf,
    device: BlockDevice,
    len: u64,
    holds: Vec<Signature>,
    /// Bytes of an image that is longer and was found to fit without its end.
    cut: Option<u64>,
}

impl DeviceTarget {
    /// Claims a device, after checking everything that can be checked.
    pub(super) fn open(
        path: &Path,
        options: &TargetOptions,
        system: &System,
    ) -> Result<Self, TargetError> {
        let failed = |error| TargetError::inspecting(path, error);
        let number = DeviceNumber::from_raw(std::fs::metadata(path).map_err(failed)?.rdev());
        let device = system
            .device(number)
            .ok_or_else(|| unlisted(path, number))?;
        check(path, &device, options, system)?;
        let (file, len) = claim(path, number, &device)?;
        let holds = match probe(&file, len) {
            Ok(holds) => holds,
            // An unreadable disk may still be writable, if the user says so.
            Err(_) if options.yes => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        if !holds.is_empty() && !options.yes {
            return Err(TargetError::NeedsYes {
                target: device.to_string(),
                found: holds,
            });
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            device,
            len,
            holds,
            cut: None,
        })
    }

    pub(super) fn check(&mut self, needs: &Needs) -> Result<(), TargetError> {
        needs
            .check(self.len, self.sector()?)
            .map_err(|misfit| match misfit {
                Misfit::Length { needed, available } => TargetError::TooSmall {
                    path: self.path.clone(),
                    needed,
                    available,
                },
                misfit => TargetError::Misfit {
                    path: self.path.clone(),
                    misfit,
                },
            })?;
        self.cut = Some(needs.len).filter(|len| *len > self.len);
        Ok(())
    }

    /// Bytes of a logical sector.
    fn sector(&self) -> Result<u32, TargetError> {
        ioctl_blksszget(&self.file).map_err(|error| {
            TargetError::preparing(&self.path, "ask for its sector size", error.into())
        })
    }

    /// Length of the device in bytes.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.len
    }

    /// What the kernel knows about it.
    #[must_use]
    pub fn device(&self) -> &BlockDevice {
        &self.device
    }

    /// Partition tables and file systems on it, which will be lost.
    #[must_use]
    pub fn holds(&self) -> &[Signature] {
        &self.holds
    }

    /// What it is and what is on it, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let found: Vec<String> = self.holds.iter().map(ToString::to_string).collect();
        match found.is_empty() {
            true => self.device.to_string(),
            false => format!("{}, holding {}", self.device, found.join(", ")),
        }
    }

    pub(super) fn prepare(self, image_len: Option<u64>) -> Result<DeviceWriter, TargetError> {
        let available = self.len;
        let cut = self.cut.filter(|cut| Some(*cut) == image_len);
        if let (Some(needed), None) = (image_len.filter(|needed| *needed > available), cut) {
            return Err(TargetError::TooSmall {
                path: self.path,
                needed,
                available,
            });
        }
        let sector = self.sector()?;
        // Whole pages, so that no cached page is half zeroed behind the cache.
        let unit = u64::from(sector).max(rustix::param::page_size() as u64);
        let paged = PagedFile::new(self.file, self.path);
        Ok(DeviceWriter {
            paged,
            len: self.len,
            end: cut.unwrap_or(self.len),
            sector,
            unit,
            can_zero_out: true,
        })
    }
}

fn unlisted(path: &Path, number: DeviceNumber) -> TargetError {
    TargetError::Inventory {
        path: path.to_owned(),
        source: System::unlisted(number),
    }
}

/// Checks what the kernel's inventory says, before the device is opened.
fn check(
    path: &Path,
    device: &BlockDevice,
    options: &TargetOptions,
    system: &System,
) -> Result<(), TargetError> {
    if let Some(wanted) = &options.serial {
        let found = device.disk.serial.clone();
        if found.as_deref() != Some(wanted.trim()) {
            let (target, wanted) = (device.to_string(), wanted.clone());
            return Err(TargetError::SerialMismatch {
                target,
                wanted,
                found,
            });
        }
    }
    let uses = system.uses(device);
    if !uses.is_empty() {
        return Err(TargetError::InUse {
            path: path.to_owned(),
            uses,
        });
    }
    if device.read_only() {
        return Err(TargetError::ReadOnly {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// Opens the device so that nobody can mount it meanwhile: `O_EXCL` without
/// `O_CREAT` claims a block device (open(2)).
fn claim(
    path: &Path,
    number: DeviceNumber,
    device: &BlockDevice,
) -> Result<(File, u64), TargetError> {
    let failed = |error| TargetError::inspecting(path, error);
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_EXCL)
        .open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::ResourceBusy => TargetError::InUse {
            path: path.to_owned(),
            uses: vec![Use::Claimed {
                device: device.name().to_owned(),
            }],
        },
        _ => failed(error),
    })?;
    let meta = file.metadata().map_err(failed)?;
    let opened = DeviceNumber::from_raw(meta.rdev());
    if !meta.file_type().is_block_device() || opened != number {
        // The name was given to something else since it was checked.
        return Err(unlisted(path, opened));
    }
    let len = file.seek(SeekFrom::End(0)).map_err(failed)?;
    Ok((file, len))
}

/// A device that is being written.
#[derive(Debug)]
pub(super) struct DeviceWriter {
    pub(super) paged: PagedFile,
    /// Bytes of the device.
    pub(super) len: u64,
    /// What may be written ends here; of a longer image that fits without its end this is that
    /// image's, and what lies behind the device is dropped.
    end: u64,
    /// Bytes of a logical sector.
    pub(super) sector: u32,
    unit: u64,
    can_zero_out: bool,
}

impl DeviceWriter {
    pub(super) fn medium(&self) -> Medium {
        self.paged.medium()
    }

    /// The page cache reads what is needed of a sector that is written in part,
    /// so the other bytes of the last sector stay.
    pub(super) fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), TargetError> {
        let range = self.cut(offset, data.len() as u64)?;
        let len = (range.end - range.start) as usize;
        self.paged.write_at(range.start, &data[..len])
    }

    pub(super) fn zero_at(&mut self, offset: u64, len: u64) -> Result<(), TargetError> {
        let range = self.cut(offset, len)?;
        if range.end - range.start < MIN_ZERO_OUT || !self.can_zero_out {
            return self.paged.write_zeros(range);
        }
        let (head, body, tail) = align(range, self.unit);
        self.paged.write_zeros(head)?;
        self.zero_out(body)?;
        self.paged.write_zeros(tail)
    }

    /// As [`Self::zero_at`] where it does not hold zeros; returns how many bytes did.
    pub(super) fn clear_at(&mut self, offset: u64, len: u64) -> Result<u64, TargetError> {
        let range = self.cut(offset, len)?;
        let mut reader = self.reader(ReadMode::Cached)?;
        let mut piece = vec![0; LOOK_AT_ONCE];
        // What lies behind the device need not be written.
        let behind = len - (range.end - range.start);
        let (end, mut at, mut kept) = (range.end, range.start, behind);
        // From here to `at` it holds something else than zeros.
        let mut from = at;
        while at < end {
            let bytes = (end - at).min(LOOK_AT_ONCE as u64);
            let piece = &mut piece[..bytes as usize];
            // What cannot be read may still be written.
            let blank = reader.read_at(at, piece).is_ok() && is_zero(piece);
            if blank {
                self.zero_at(from, at - from)?;
                kept += bytes;
                from = at + bytes;
            }
            at += bytes;
        }
        self.zero_at(from, end - from)?;
        Ok(kept)
    }

    /// Lets the device forget whole units of a range; false if it cannot, and keeps it all.
    pub(super) fn discard_at(&mut self, offset: u64, len: u64) -> Result<bool, TargetError> {
        let (_, mut body, _) = align(self.cut(offset, len)?, self.unit);
        while !body.is_empty() {
            let piece = body.start..body.end.min(body.start + MAX_DISCARD);
            let done = self
                .paged
                .attempt("discard", piece.start, |file| Ok(discard(file, &piece)))?;
            if !done {
                return Ok(false);
            }
            body.start = piece.end;
        }
        Ok(true)
    }

    fn zero_out(&mut self, body: Range<u64>) -> Result<(), TargetError> {
        let mut at = body.start;
        while at < body.end && self.can_zero_out {
            let piece = at..body.end.min(at + MAX_ZERO_OUT);
            let end = piece.end;
            self.can_zero_out = self
                .paged
                .attempt("zero", at, |file| zero_out(file, &piece))?;
            if self.can_zero_out {
                at = end;
            }
        }
        self.paged.write_zeros(at..body.end)
    }

    pub(super) fn flush(&mut self) -> Result<(), TargetError> {
        self.paged.sync()
    }

    pub(super) fn reader(&self, mode: ReadMode) -> Result<TargetReader, TargetError> {
        self.paged.reader(mode)
    }

    /// The part of a range that is on the device.
    fn cut(&self, offset: u64, len: u64) -> Result<Range<u64>, TargetError> {
        match offset.checked_add(len).filter(|end| *end <= self.end) {
            Some(end) => Ok(offset.min(self.len)..end.min(self.len)),
            None => Err(TargetError::NoSpace {
                path: self.paged.path().to_owned(),
                offset: self.len,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_device_cannot_zero_the_zeros_are_written() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let len = 4 * MIN_ZERO_OUT;
        let content: Vec<u8> = (0..len).map(|index| (index % 251) as u8 + 1).collect();
        std::fs::write(path.path(), &content).unwrap();
        // A regular file does not know BLKZEROOUT.
        let file = OpenOptions::new().write(true).open(path.path()).unwrap();
        let paged = PagedFile::new(file, path.path().to_owned());
        let mut writer = DeviceWriter {
            paged,
            len,
            end: len,
            sector: 512,
            unit: 4096,
            can_zero_out: true,
        };
        for (start, end) in [
            (5, MIN_ZERO_OUT + 7),
            (2 * MIN_ZERO_OUT, 4 * MIN_ZERO_OUT - 1),
        ] {
            writer.zero_at(start, end - start).unwrap();
            assert!(!writer.can_zero_out);
        }
        let read = std::fs::read(path.path()).unwrap();
        for (index, byte) in read.iter().enumerate() {
            let at = index as u64;
            let zeroed = (5..MIN_ZERO_OUT + 7).contains(&at)
                || (2 * MIN_ZERO_OUT..4 * MIN_ZERO_OUT - 1).contains(&at);
            assert_eq!(*byte, if zeroed { 0 } else { content[index] }, "at {index}");
        }
        assert_eq!(read.len() as u64, len);
    }

    #[test]
    fn where_the_device_cannot_discard_it_keeps_everything() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let content = vec![7; 3 * 4096];
        std::fs::write(path.path(), &content).unwrap();
        // A regular file does not know BLKDISCARD.
        let file = OpenOptions::new().write(true).open(path.path()).unwrap();
        let mut writer = DeviceWriter {
            paged: PagedFile::new(file, path.path().to_owned()),
            len: content.len() as u64,
            end: content.len() as u64,
            sector: 512,
            unit: 4096,
            can_zero_out: true,
        };
        // Nothing whole lies in it.
        assert!(writer.discard_at(5, 4096).unwrap());
        assert!(!writer.discard_at(5, 2 * 4096).unwrap());
        assert!(writer.discard_at(4096, 4 * 4096).is_err(), "beyond its end");
        writer.write_at(0, b"it goes on").unwrap();
        assert_eq!(std::fs::read(path.path()).unwrap()[10..], content[10..]);
    }
}
