//! Making a device zero or forget a range by itself.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `_IO(0x12, 127)`, include/uapi/linux/fs.h. Takes two u64: offset and length
/// in bytes, multiples of the logical sector. The range reads as zeros
/// afterwards, also from the page cache.
const BLKZEROOUT: Opcode = opcode::none(0x12, 127);

/// `_IO(0x12, 119)`, include/uapi/linux/fs.h. Takes the same. What the range
/// reads as afterwards is up to the device.
const BLKDISCARD: Opcode = opcode::none(0x12, 119);

/// Zeroes a range of a block device; `false` if neither kernel nor device can.
pub(super) fn zero_out(device: &File, range: &Range<u64>) -> io::Result<bool> {
    call::<BLKZEROOUT>(device, range)
}

/// Lets a block device forget a range; `false` if it cannot. A device that fails to forget keeps what
/// it has, which is nobody's loss.
pub(super) fn discard(device: &File, range: &Range<u64>) -> bool {
    call::<BLKDISCARD>(device, range).unwrap_or(false)
}

#[allow(unsafe_code, reason = "rustix has no wrapper for the two")]
fn call<const OPCODE: Opcode>(device: &File, range: &Range<u64>) -> io::Result<bool> {
    let range = [range.start, range.end - range.start];
    // SAFETY: BLKZEROOUT and BLKDISCARD, of which OPCODE is one, read exactly
    // two u64 from their argument, and return nothing. On anything but a block
    // device they fail with ENOTTY.
    match unsafe { ioctl(device, Setter::<OPCODE, [u64; 2]>::new(range)) } {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Splits a range into an unaligned head, a body aligned to `unit` at both ends
/// and an unaligned tail; any of them may be empty.
pub(super) fn align(range: Range<u64>, unit: u64) -> (Range<u64>, Range<u64>, Range<u64>) {
    let start = range.start.next_multiple_of(unit).min(range.end);
    let end = (range.end - range.end % unit).max(start);
    (range.start..start, start..end, end..range.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_within_one_unit_has_no_body() {
        assert_eq!(align(10..20, 512), (10..20, 20..20, 20..20));
        assert_eq!(align(512..1024, 512), (512..512, 512..1024, 1024..1024));
        assert_eq!(align(500..1025, 512), (500..512, 512..1024, 1024..1025));
    }

    proptest! {
        #[test]
        fn parts_join_to_the_range(start in 0_u64..1 << 20, len in 0_u64..1 << 20) {
            let unit = 4096;
            let (head, body, tail) = align(start..start + len, unit);
            prop_assert_eq!(head.start, start);
            prop_assert_eq!(head.end, body.start);
            prop_assert_eq!(body.end, tail.start);
            prop_assert_eq!(tail.end, start + len);
            prop_assert!(body.is_empty() || body.start % unit == 0 && body.end % unit == 0);
            prop_assert!(head.end - head.start < unit && tail.end - tail.start < unit);
        }
    }
}
