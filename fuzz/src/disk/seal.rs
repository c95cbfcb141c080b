//! Checksums, and what else has to agree with bytes that were changed.

use std::ops::Range;
use std::sync::Arc;

use mimeo_image::used::checksum::{crc16, crc32_raw, crc32c_raw};

use super::{Disk, Sectors};

/// A checksum over some bytes of a disk, and where it stands.
#[derive(Debug)]
pub(super) struct Seal {
    pub(super) sum: Sum,
    /// What it runs over, in order.
    pub(super) cover: Vec<Range<u64>>,
    /// What of that counts as zeros.
    pub(super) blank: Vec<Range<u64>>,
    /// Where its bytes go, the lowest first.
    pub(super) store: Vec<(u64, Range<usize>)>,
}

/// How it is computed.
#[derive(Clone, Debug)]
pub(super) enum Sum {
    /// A reflected CRC, from a state on.
    Crc {
        polynomial: Polynomial,
        start: u32,
        is_inverted: bool,
    },
    /// That of exFAT's boot region, repeated in a whole sector.
    Boot,
    /// The last two bytes of each 512 are those at the first place of what is stored.
    Fixups,
    /// How many of so many bits are 0.
    Zeros(u64),
}

/// A list of one range, which `vec!` might be meant to be the numbers of.
pub(super) fn one(range: Range<u64>) -> Vec<Range<u64>> {
    std::iter::once(range).collect()
}

/// Of a CRC.
#[derive(Clone, Copy, Debug)]
pub(super) enum Polynomial {
    /// IEEE 802.3.
    Ieee,
    /// RFC 3720.
    Castagnoli,
    /// ANSI, 16 bits.
    Ansi,
}

/// Goes on from a state with some bytes. Not a second opinion: that mimeo computes these as the
/// filesystems do, its tests show on disks that their own tools made.
pub(super) fn crc(polynomial: Polynomial, start: u32, bytes: &[u8]) -> u32 {
    match polynomial {
        Polynomial::Ieee => crc32_raw(start, bytes),
        Polynomial::Castagnoli => crc32c_raw(start, bytes),
        Polynomial::Ansi => crc16(start as u16, bytes).into(),
    }
}

impl Seal {
    /// A CRC-32C from `start` on over one range, which stands somewhere in it.
    pub(super) fn crc32c(start: u32, cover: Range<u64>, at: u64, is_inverted: bool) -> Self {
        Self {
            sum: Sum::Crc {
                polynomial: Polynomial::Castagnoli,
                start,
                is_inverted,
            },
            blank: one(at..at + 4),
            cover: one(cover),
            store: vec![(at, 0..4)],
        }
    }

    pub(super) fn is_count(&self) -> bool {
        matches!(self.sum, Sum::Zeros(_))
    }

    /// Whether anything that it runs over, or stands in, is not what it was.
    pub(super) fn covers_change(&self, disk: &Disk) -> bool {
        let covered = |it: &Range<u64>| disk.is_changed(it.start, it.end - it.start);
        self.cover.iter().any(covered) || self.store.iter().any(|it| disk.is_changed(it.0, 1))
    }

    /// Whether it is right on a disk as it was made.
    pub(super) fn is_right(&self, plain: &Arc<Sectors>) -> bool {
        let mut disk = Disk::new(plain);
        self.apply(&mut disk);
        let changed = disk.changed.into_iter();
        let mut same = changed.map(|(number, sector)| plain.sector(number) == *sector);
        same.all(|same| same)
    }

    /// Makes it right.
    pub(super) fn apply(&self, disk: &mut Disk) {
        let bytes = self.bytes(disk);
        match self.sum {
            Sum::Crc {
                polynomial,
                start,
                is_inverted,
            } => {
                let sum = crc(polynomial, start, &bytes);
                self.put(disk, if is_inverted { !sum } else { sum });
            }
            Sum::Zeros(bits) => {
                let set = |bit: u64| bytes[(bit / 8) as usize] >> (bit % 8) & 1 == 1;
                let zeros = (0..bits).filter(|bit| !set(*bit)).count();
                self.put(disk, zeros as u32);
            }
            Sum::Boot => {
                let mut sum = 0_u32;
                for (index, byte) in bytes.iter().enumerate() {
                    if !matches!(index, 106 | 107 | 112) {
                        sum = sum.rotate_right(1).wrapping_add(u32::from(*byte));
                    }
                }
                self.put(disk, sum);
            }
            Sum::Fixups => {
                let number = disk.bytes::<2>(self.store[0].0);
                for range in &self.cover {
                    for end in (range.start + 510..range.end).step_by(512) {
                        disk.write(end, &number);
                    }
                }
            }
        }
    }

    fn put(&self, disk: &mut Disk, sum: u32) {
        for (at, part) in &self.store {
            disk.write(*at, &sum.to_le_bytes()[part.clone()]);
        }
    }

    fn bytes(&self, disk: &Disk) -> Vec<u8> {
        let mut all = Vec::new();
        for range in &self.cover {
            let from = all.len();
            all.resize(from + (range.end - range.start) as usize, 0);
            disk.peek(range.start, &mut all[from..]);
            for blank in &self.blank {
                let (start, end) = (blank.start.max(range.start), blank.end.min(range.end));
                if start < end {
                    let at = |place: u64| from + (place - range.start) as usize;
                    all[at(start)..at(end)].fill(0);
                }
            }
        }
        all
    }
}
