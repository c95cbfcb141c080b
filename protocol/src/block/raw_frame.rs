//! Raw frames: zstd frames whose blocks are stored, for what does not compress.
//!
//! | bytes | field (RFC 8878 section 3.1.1) | value |
//! |---|---|---|
//! | 0..4 | magic number | 28 b5 2f fd |
//! | 4 | frame header descriptor | a0: single segment, 4-byte content size, no checksum |
//! | 5..9 | frame content size, little-endian | length of the raw block |
//! | 9..12 | block header, little-endian | size * 8 + (1 in the last block) |
//! | 12.. | raw block | at most 131,072 bytes |
//!
//! The last two rows are repeated for what exceeds 131,072 bytes. A raw block has only one raw
//! frame, so a frame can be taken apart without copying and checked without parsing.

use super::DecodeError;
use crate::units::{BLOCK_SIZE, MAX_BODY};

/// Magic number and frame header descriptor.
const PREFIX: [u8; 5] = [0x28, 0xb5, 0x2f, 0xfd, 0xa0];

/// Bytes of the frame header.
const HEADER: usize = PREFIX.len() + 4;

/// Bytes of a block header.
const BLOCK_HEADER: usize = 3;

/// Largest block of a zstd frame in bytes (`Block_Maximum_Size`).
const PART: usize = 128 * 1024;

const _: () = assert!(BLOCK_SIZE <= 2 * PART && raw_frame_len(BLOCK_SIZE) <= MAX_BODY);

/// Length in bytes of the raw frame of `raw_len` bytes.
#[must_use]
pub const fn raw_frame_len(raw_len: usize) -> usize {
    HEADER + BLOCK_HEADER * raw_len.div_ceil(PART) + raw_len
}

/// Makes `body` the raw frame of `raw`, which has 1 to [`BLOCK_SIZE`] bytes.
pub(super) fn write(raw: &[u8], body: &mut Vec<u8>) {
    body.clear();
    body.extend_from_slice(&PREFIX);
    body.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    let parts = raw.len().div_ceil(PART);
    for (n, part) in raw.chunks(PART).enumerate() {
        body.extend_from_slice(&block_header(part.len(), n + 1 == parts));
        body.extend_from_slice(part);
    }
}

/// The raw bytes inside a raw frame, in order and without copying; the second slice is empty
/// for blocks of up to 128 KiB.
///
/// # Errors
///
/// [`DecodeError`] unless `body` is exactly the raw frame of `raw_len` bytes.
pub fn raw_parts(body: &[u8], raw_len: usize) -> Result<[&[u8]; 2], DecodeError> {
    super::coding::check_raw_len(raw_len)?;
    let expected = raw_frame_len(raw_len);
    if body.len() != expected {
        return Err(DecodeError::Length {
            expected,
            found: body.len(),
        });
    }
    let (header, blocks) = body.split_at(HEADER);
    let (prefix, content_size) = header.split_at(PREFIX.len());
    if prefix != PREFIX || content_size != (raw_len as u32).to_le_bytes() {
        return Err(DecodeError::RawHeader { at: 0 });
    }
    let first_len = raw_len.min(PART);
    let (first, second) = blocks.split_at(BLOCK_HEADER + first_len);
    let parts = [take_part(first, HEADER, second.is_empty())?, second];
    if second.is_empty() {
        return Ok(parts);
    }
    Ok([parts[0], take_part(second, HEADER + first.len(), true)?])
}

/// The content of a raw block of a frame that begins `at` bytes into its frame.
fn take_part(block: &[u8], at: usize, last: bool) -> Result<&[u8], DecodeError> {
    let (header, content) = block.split_at(BLOCK_HEADER);
    if header != block_header(content.len(), last) {
        return Err(DecodeError::RawHeader { at });
    }
    Ok(content)
}

fn block_header(len: usize, last: bool) -> [u8; BLOCK_HEADER] {
    let [a, b, c, _] = ((len as u32) << 3 | u32::from(last)).to_le_bytes();
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_short_frame_has_golden_bytes() {
        let mut body = Vec::new();
        write(b"disk", &mut body);
        let golden = b"\x28\xb5\x2f\xfd\xa0\x04\x00\x00\x00\x21\x00\x00disk";
        assert_eq!(body, golden);
    }

    #[test]
    fn a_full_frame_has_golden_headers() {
        let mut body = Vec::new();
        write(&[7; BLOCK_SIZE], &mut body);
        assert_eq!(body.len(), 262_159);
        let first = b"\x28\xb5\x2f\xfd\xa0\x00\x00\x04\x00\x00\x00\x10\x07\x07";
        assert_eq!(body[..14], first[..]);
        let second = 12 + 131_072;
        assert_eq!(body[second - 1..second + 4], b"\x07\x01\x00\x10\x07"[..]);
    }

    #[test]
    fn zstd_reads_raw_frames_and_so_do_we() {
        for len in [
            1,
            2,
            255,
            256,
            1023,
            1024,
            PART - 1,
            PART,
            PART + 1,
            BLOCK_SIZE,
        ] {
            let raw: Vec<u8> = (0..len).map(|n| ((n * n) >> 7) as u8).collect();
            let mut body = Vec::new();
            write(&raw, &mut body);
            assert_eq!(body.len(), raw_frame_len(len));
            let mut read = Vec::new();
            zstd::stream::read::Decoder::new(&body[..])
                .unwrap()
                .read_to_end(&mut read)
                .unwrap();
            assert!(read == raw, "{len} bytes by zstd");
            assert!(
                raw_parts(&body, len).unwrap().concat() == raw,
                "{len} bytes"
            );
        }
    }

    #[test]
    fn any_changed_header_is_refused() {
        let raw = vec![1; PART + 5];
        let mut body = Vec::new();
        write(&raw, &mut body);
        let second = HEADER + BLOCK_HEADER + PART;
        for n in (0..HEADER + BLOCK_HEADER).chain(second..second + BLOCK_HEADER) {
            for bit in 0..8 {
                body[n] ^= 1 << bit;
                assert!(
                    raw_parts(&body, raw.len()).is_err(),
                    "bit {bit} of byte {n}"
                );
                body[n] ^= 1 << bit;
            }
        }
        assert!(raw_parts(&body, raw.len()).is_ok());
        for len in [
            0,
            1,
            raw.len() - 1,
            raw.len() + 1,
            BLOCK_SIZE + 1,
            usize::MAX,
        ] {
            assert!(raw_parts(&body, len).is_err(), "{len}");
        }
        for len in 0..body.len() {
            assert!(raw_parts(&body[..len], raw.len()).is_err());
        }
    }
}
