//! What becomes of a few bytes.

use arbitrary::{Arbitrary, Result, Unstructured};

use super::{Disk, SECTOR};
use crate::value::Near;

/// A change.
#[derive(Clone, Copy, Debug)]
pub enum Edit {
    /// A number becomes another one.
    Number {
        /// Where.
        at: Spot,
        /// Bytes of it: 1, 2, 4, 8.
        width: usize,
        /// Which byte is first.
        is_big_endian: bool,
        /// What it becomes.
        to: Near,
    },
    /// Bits of a byte become others.
    Flip(Spot, u8),
    /// A sector of zeros.
    Zero(Spot),
    /// A sector as another one.
    Copy(Spot, Spot),
    /// A sector that cannot be read any more.
    Dead(Spot),
}

/// A place: a sector of those that are not zeros, and a byte from its start, perhaps behind its end.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Spot {
    sector: u16,
    byte: u16,
}

/// Six bytes as a rule: derived it would take nine and more.
impl Arbitrary<'_> for Edit {
    fn arbitrary(u: &mut Unstructured<'_>) -> Result<Self> {
        let how = u8::arbitrary(u)?;
        let at = Spot::arbitrary(u)?;
        Ok(match how {
            0..192 => Self::Number {
                at,
                width: 1 << (how & 3),
                is_big_endian: how & 4 != 0,
                to: u.arbitrary()?,
            },
            192..224 => Self::Flip(at, u.arbitrary()?),
            224..234 => Self::Zero(at),
            234..248 => Self::Copy(at, u.arbitrary()?),
            _ => Self::Dead(at),
        })
    }

    fn size_hint(_: usize) -> (usize, Option<usize>) {
        (5, Some(14))
    }
}

impl Spot {
    /// Within something of `len` bytes.
    fn flat(self, len: usize) -> usize {
        (usize::from(self.sector) << 8 ^ usize::from(self.byte)) % len.max(1)
    }

    fn sector(self, disk: &Disk) -> u64 {
        disk.plain.place(self.sector)
    }

    /// Mostly in the sector; else in the one behind it.
    fn place(self, disk: &Disk) -> u64 {
        self.sector(disk) + u64::from(self.byte) % (2 * SECTOR as u64)
    }
}

impl Edit {
    /// Changes a disk.
    pub(super) fn apply(&self, disk: &mut Disk) {
        match self {
            Self::Number { at, .. } | Self::Flip(at, _) => {
                let place = at.place(disk);
                let mut bytes = disk.bytes::<8>(place);
                let len = self.change(&mut bytes);
                disk.write(place, &bytes[..len]);
            }
            Self::Zero(at) => disk.write(at.sector(disk), &[0; SECTOR]),
            Self::Copy(from, to) => {
                let sector = disk.bytes::<SECTOR>(from.sector(disk));
                disk.write(to.sector(disk), &sector);
            }
            Self::Dead(at) => {
                disk.dead.insert(at.sector(disk) / SECTOR as u64);
            }
        }
    }

    /// Changes bytes that are a file; sectors mean 16 bytes there.
    pub fn apply_flat(&self, file: &mut [u8]) {
        const PART: usize = 16;
        match self {
            Self::Number { at, .. } | Self::Flip(at, _) => {
                let place = at.flat(file.len());
                let mut bytes = [0; 8];
                let end = file.len().min(place + 8);
                bytes[..end - place].copy_from_slice(&file[place..end]);
                let len = self.change(&mut bytes).min(end - place);
                file[place..place + len].copy_from_slice(&bytes[..len]);
            }
            Self::Zero(at) | Self::Dead(at) => {
                let at = at.flat(file.len());
                let end = file.len().min(at + PART);
                file[at..end].fill(0);
            }
            Self::Copy(from, to) => {
                let (from, to) = (from.flat(file.len()), to.flat(file.len()));
                let len = PART.min(file.len() - from.max(to));
                file.copy_within(from..from + len, to);
            }
        }
    }

    /// Changes the number or the bits at the start of `bytes`, and says how many bytes that are.
    fn change(&self, bytes: &mut [u8; 8]) -> usize {
        match *self {
            Self::Number {
                width,
                is_big_endian,
                to,
                ..
            } => {
                let part = &mut bytes[..width];
                if is_big_endian {
                    part.reverse();
                }
                let mut wide = [0; 8];
                wide[..width].copy_from_slice(part);
                let number = to.to_u64(u64::from_le_bytes(wide));
                part.copy_from_slice(&number.to_le_bytes()[..width]);
                if is_big_endian {
                    part.reverse();
                }
                width
            }
            Self::Flip(_, bits) => {
                bytes[0] ^= bits;
                1
            }
            Self::Zero(_) | Self::Copy(..) | Self::Dead(_) => 0,
        }
    }
}
