//! What a target must have, and why one has it not.

use thiserror::Error;

use crate::ByteSize;

/// What the image of a disk needs of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Bytes of the image.
    pub len: u64,
    /// Bytes that a target must have at least; at most `len`.
    pub least: u64,
    /// Bytes of a logical sector of the disk that the image is of, where that is known.
    pub sector: Option<u32>,
    /// The partition that ends last.
    pub last: Option<Last>,
}

/// The partition that ends last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// Its number, from 1.
    pub number: u32,
    /// The byte behind it.
    pub end: u64,
}

/// Why a target does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Misfit {
    /// A partition would be cut off.
    #[error("partition {number} ends {} beyond this disk: shrink it on the reference machine, or \
             use a larger disk", ByteSize(*beyond))]
    Partition {
        /// Its number.
        number: u32,
        /// Bytes of the disk that are missing.
        beyond: u64,
    },
    /// All partitions fit, but nothing is left for the GPT's backup.
    #[error("partition {number} leaves no room for the GPT's backup at the end of this disk, \
             which lacks {}: shrink it on the reference machine, or use a larger disk",
            ByteSize(*lacks))]
    NoRoom {
        /// Its number.
        number: u32,
        /// Bytes of the disk that are missing.
        lacks: u64,
    },
    /// The image is longer than the disk, and no part of it can be left out.
    #[error("too small: the image has {needed} bytes ({}), the target {available} ({}); use a \
             larger disk or a smaller image", ByteSize(*needed), ByteSize(*available))]
    Length {
        /// Bytes of the image.
        needed: u64,
        /// Bytes of the target.
        available: u64,
    },
    /// Partition table, boot code and filesystems count in sectors of another size.
    #[error(
        "the image is of a disk with logical sectors of {image} bytes, and this one has \
             {target}: its partitions would not be found; use a disk with sectors of {image} \
             bytes, or make the image from one with {target}"
    )]
    Sector {
        /// Bytes of a sector by the image.
        image: u32,
        /// Bytes of a sector of the target.
        target: u32,
    },
}

impl Needs {
    /// Of an image of which nothing but its length is known.
    #[must_use]
    pub fn exactly(len: u64) -> Self {
        Self {
            len,
            least: len,
            sector: None,
            last: None,
        }
    }

    /// Whether a block device of `capacity` bytes, whose logical sectors have `sector`, can take
    /// the image.
    ///
    /// # Errors
    /// What is in the way.
    pub fn check(&self, capacity: u64, sector: u32) -> Result<(), Misfit> {
        if let Some(image) = self.sector.filter(|image| *image != sector) {
            let target = sector;
            return Err(Misfit::Sector { image, target });
        }
        // Whoever holds all of the image has what the reference machine has, right or wrong.
        if capacity >= self.len || capacity >= self.least {
            return Ok(());
        }
        Err(match self.last {
            Some(Last { number, end }) if end > capacity => Misfit::Partition {
                number,
                beyond: end - capacity,
            },
            Some(Last { number, .. }) if self.least < self.len => Misfit::NoRoom {
                number,
                lacks: self.least - capacity,
            },
            _ => Misfit::Length {
                needed: self.len,
                available: capacity,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    fn needs() -> Needs {
        Needs {
            len: 20 * GB,
            least: 14 * GB + 16_896,
            sector: Some(512),
            last: Some(Last {
                number: 3,
                end: 14 * GB,
            }),
        }
    }

    fn refusal(needs: Needs, capacity: u64, sector: u32) -> String {
        needs.check(capacity, sector).unwrap_err().to_string()
    }

    #[test]
    fn a_smaller_disk_does_if_all_partitions_fit() {
        for capacity in [14 * GB + 16_896, 19 * GB, 20 * GB, 99 * GB] {
            assert_eq!(needs().check(capacity, 512), Ok(()));
        }
        let said = refusal(needs(), 9_800_000_000, 512);
        let words = "partition 3 ends 4.2 GB beyond this disk: shrink it on the reference machine";
        assert!(said.starts_with(words), "{said}");
        let said = refusal(needs(), 14 * GB + 896, 512);
        assert!(said.contains("which lacks 16.0 kB"), "{said}");
    }

    #[test]
    fn an_image_without_partitions_has_to_fit_as_a_whole() {
        let whole = Needs::exactly(20 * GB);
        assert_eq!(whole.check(20 * GB, 4096), Ok(()));
        let said = refusal(whole, 20 * GB - 1, 512);
        assert!(said.starts_with("too small: the image has"), "{said}");
        let dynamic = Needs {
            least: 20 * GB,
            ..needs()
        };
        let said = refusal(dynamic, 19 * GB, 512);
        assert!(said.starts_with("too small: the image has"), "{said}");
    }

    #[test]
    fn sectors_of_another_size_are_refused_whatever_the_length() {
        let said = refusal(needs(), 99 * GB, 4096);
        assert!(
            said.contains("sectors of 512 bytes, and this one has 4096"),
            "{said}"
        );
        let large = Needs {
            sector: Some(4096),
            ..needs()
        };
        assert!(refusal(large, 99 * GB, 512).contains("sectors of 4096 bytes"));
    }
}
