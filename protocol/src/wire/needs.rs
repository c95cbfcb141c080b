//! What an image needs of a target, as a welcome tells it.

use super::{Reader, WireError, Write};

/// What the image of a disk needs of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetNeeds {
    /// Bytes that a target must have at least; at most those of the image.
    pub least: u64,
    /// Bytes of a logical sector of the disk that the image is of, where that is known.
    pub sector: Option<u32>,
    /// The partition that ends last.
    pub last: Option<LastPartition>,
}

/// The partition that ends last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastPartition {
    /// Its number, from 1.
    pub number: u32,
    /// The byte behind it.
    pub end: u64,
}

/// Stands for needs that are not known.
const UNKNOWN: u64 = u64::MAX;

impl TargetNeeds {
    /// Bytes of it on the wire.
    pub const LEN: usize = 24;

    pub(super) fn encode(needs: Option<&Self>, out: &mut Vec<u8>) {
        out.put_u64(needs.map_or(UNKNOWN, |needs| needs.least));
        out.put_u32(needs.and_then(|needs| needs.sector).unwrap_or(0));
        let last = needs.and_then(|needs| needs.last);
        out.put_u32(last.map_or(0, |last| last.number));
        out.put_u64(last.map_or(0, |last| last.end));
    }

    /// Reads the needs of an image of `image_len` bytes.
    pub(super) fn decode(
        reader: &mut Reader<'_>,
        image_len: Option<u64>,
    ) -> Result<Option<Self>, WireError> {
        let least = reader.u64("least target")?;
        let sector = reader.u32("sector size")?;
        let number = reader.u32("last partition")?;
        let end = reader.u64("its end")?;
        let invalid = |field| Err(WireError::Value { field });
        if least == UNKNOWN {
            return match (sector, number, end) {
                (0, 0, 0) => Ok(None),
                _ => invalid("least target"),
            };
        }
        if image_len.is_none_or(|len| least > len) {
            return invalid("least target");
        }
        if sector != 0 && !(sector.is_power_of_two() && (512..=65_536).contains(&sector)) {
            return invalid("sector size");
        }
        if (number == 0) != (end == 0) {
            return invalid("last partition");
        }
        Ok(Some(Self {
            least,
            sector: Some(sector).filter(|sector| *sector > 0),
            last: (number > 0).then_some(LastPartition { number, end }),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], image_len: Option<u64>) -> Result<Option<TargetNeeds>, WireError> {
        let mut reader = Reader::new(bytes);
        let needs = TargetNeeds::decode(&mut reader, image_len)?;
        reader.finish()?;
        Ok(needs)
    }

    /// `least`, sector, number, end, as they stand on the wire.
    fn bytes(least: u64, sector: u32, number: u32, end: u64) -> Vec<u8> {
        let mut bytes = least.to_be_bytes().to_vec();
        bytes.extend_from_slice(&sector.to_be_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&end.to_be_bytes());
        bytes
    }

    #[test]
    fn golden_bytes() {
        let needs = TargetNeeds {
            least: 0x0102_0304_0506,
            sector: Some(4096),
            last: Some(LastPartition {
                number: 3,
                end: 0x0102_0304_0500,
            }),
        };
        let golden = b"\0\0\x01\x02\x03\x04\x05\x06\0\0\x10\0\0\0\0\x03\0\0\x01\x02\x03\x04\x05\0";
        let mut out = Vec::new();
        TargetNeeds::encode(Some(&needs), &mut out);
        assert_eq!((out.as_slice(), out.len()), (&golden[..], TargetNeeds::LEN));
        assert_eq!(decode(golden, Some(1 << 50)), Ok(Some(needs)));
        out.clear();
        TargetNeeds::encode(None, &mut out);
        assert_eq!(out, bytes(u64::MAX, 0, 0, 0));
        for image_len in [None, Some(5)] {
            assert_eq!(decode(&out, image_len), Ok(None));
        }
        let plain = TargetNeeds {
            least: 5,
            sector: None,
            last: None,
        };
        assert_eq!(decode(&bytes(5, 0, 0, 0), Some(5)), Ok(Some(plain)));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let refused = [
            // Of a stream nothing is known; no target needs more than the image.
            (bytes(5, 0, 0, 0), None),
            (bytes(6, 0, 0, 0), Some(5)),
            (bytes(u64::MAX, 512, 0, 0), Some(5)),
            (bytes(u64::MAX, 0, 1, 5), Some(5)),
            (bytes(5, 256, 0, 0), Some(5)),
            (bytes(5, 1000, 0, 0), Some(5)),
            (bytes(5, 1 << 17, 0, 0), Some(5)),
            (bytes(5, 512, 0, 3), Some(5)),
            (bytes(5, 512, 1, 0), Some(5)),
        ];
        for (bytes, image_len) in refused {
            let read = decode(&bytes, image_len);
            assert!(matches!(read, Err(WireError::Value { .. })), "{bytes:?}");
        }
    }
}
