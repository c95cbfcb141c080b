//! Frames of zstd (RFC 8878) that are written by hand: those that a compressor would not make so.
//!
//! * A skippable frame (section 3.1.2) holds what decompressors pass over.
//! * A frame of raw blocks holds a block of the disk that does not compress, at places that are
//!   known without looking.
//! * A frame of RLE blocks holds a run of zeros: 4 bytes for 128 KiB, the least that zstd can say.

use std::ops::Range;

use super::{BLOCK_SIZE, MAX_RUN};

/// Magic number of frames that are decompressed (section 3.1.1).
pub(super) const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// The first of the sixteen magic numbers of skippable frames; the seek table has another one.
pub(super) const SKIPPABLE: [u8; 4] = 0x184d_2a50_u32.to_le_bytes();

/// Magic number and length of a skippable frame.
pub(super) const SKIPPABLE_HEADER: usize = 8;

/// No block of a frame may hold more (section 3.1.1.2.4).
const MAX_CONTENT: usize = 128 << 10;

/// Bytes in front of the content of each block of a frame.
const BLOCK_HEADER: usize = 3;

/// Frame header descriptor: a content size of 4 bytes follows; the window is as long as the content.
const SINGLE_SEGMENT: u8 = 0b1010_0000;

/// Frame header descriptor: a window descriptor follows, and a content size of 4 bytes.
const WITH_WINDOW: u8 = 0b1000_0000;

/// A window of 2^(10 + 7) bytes: the least that lets blocks hold [`MAX_CONTENT`].
const WINDOW: u8 = 7 << 3;

const RAW_HEADER: usize = 4 + 1 + 4;

const RUN_HEADER: usize = 4 + 1 + 1 + 4;

/// An RLE block: its header, and the byte that is repeated.
const RLE_BLOCK: usize = BLOCK_HEADER + 1;

/// How a block of a frame is coded.
#[derive(Clone, Copy)]
enum Kind {
    Raw = 0,
    Rle = 1,
}

fn block_header(kind: Kind, content: usize, last: bool) -> [u8; BLOCK_HEADER] {
    let bits = u32::from(last) | (kind as u32) << 1 | (content as u32) << 3;
    let [a, b, c, _] = bits.to_le_bytes();
    [a, b, c]
}

/// Length of the frame of raw blocks that holds `len` bytes, 1 to [`BLOCK_SIZE`].
pub(super) fn raw_frame_len(len: usize) -> usize {
    RAW_HEADER + len.div_ceil(MAX_CONTENT) * BLOCK_HEADER + len
}

/// Appends the frame of raw blocks that holds `raw`.
pub(super) fn push_raw_frame(raw: &[u8], frame: &mut Vec<u8>) {
    frame.extend(MAGIC);
    frame.push(SINGLE_SEGMENT);
    frame.extend((raw.len() as u32).to_le_bytes());
    let last = raw.len().div_ceil(MAX_CONTENT) - 1;
    for (n, piece) in raw.chunks(MAX_CONTENT).enumerate() {
        frame.extend(block_header(Kind::Raw, piece.len(), n == last));
        frame.extend(piece);
    }
}

/// Where the frame of raw blocks that holds `len` bytes has these bytes.
fn raw_pieces(len: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = RAW_HEADER;
    (0..len).step_by(MAX_CONTENT).map(move |from| {
        let piece = (len - from).min(MAX_CONTENT);
        let start = at + BLOCK_HEADER;
        at = start + piece;
        start..at
    })
}

/// Makes `raw` what a frame of raw blocks holds; false if it is not exactly the one that
/// [`push_raw_frame`] makes of it.
pub(super) fn gather_raw_frame(frame: &[u8], len: usize, raw: &mut Vec<u8>) -> bool {
    raw.clear();
    if frame.len() != raw_frame_len(len) {
        return false;
    }
    let mut header = Vec::with_capacity(RAW_HEADER);
    header.extend(MAGIC);
    header.push(SINGLE_SEGMENT);
    header.extend((len as u32).to_le_bytes());
    let mut right = frame.starts_with(&header);
    for piece in raw_pieces(len) {
        let last = piece.end == frame.len();
        let expected = block_header(Kind::Raw, piece.len(), last);
        right &= frame[piece.start - BLOCK_HEADER..piece.start] == expected;
        raw.extend(&frame[piece]);
    }
    right
}

/// Length of the frame of a run of `blocks` blocks of the disk, 1 to [`MAX_RUN`].
pub(super) fn run_frame_len(blocks: u32) -> usize {
    RUN_HEADER + blocks as usize * (BLOCK_SIZE / MAX_CONTENT) * RLE_BLOCK
}

/// The frame of a run of `blocks` blocks of zeros, 1 to [`MAX_RUN`].
pub(super) fn run_frame(blocks: u32) -> Vec<u8> {
    debug_assert!((1..=MAX_RUN).contains(&blocks));
    let mut frame = Vec::with_capacity(run_frame_len(blocks));
    frame.extend(MAGIC);
    frame.extend([WITH_WINDOW, WINDOW]);
    // At most 2^30.
    frame.extend((blocks * BLOCK_SIZE as u32).to_le_bytes());
    let count = blocks as usize * (BLOCK_SIZE / MAX_CONTENT);
    for n in 1..=count {
        frame.extend(block_header(Kind::Rle, MAX_CONTENT, n == count));
        frame.push(0);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_the_standard() {
        let mut frame = Vec::new();
        push_raw_frame(b"mimeo", &mut frame);
        let golden = b"\x28\xb5\x2f\xfd\xa0\x05\0\0\0\x29\0\0mimeo";
        assert_eq!(frame, golden);
        let golden = b"\x28\xb5\x2f\xfd\x80\x38\0\0\x04\0\x02\0\x10\0\x03\0\x10\0";
        assert_eq!(run_frame(1), golden);
    }

    #[test]
    fn zstd_decompresses_them_to_what_they_hold() {
        let raw: Vec<u8> = (0..BLOCK_SIZE).map(|at| ((at * at) >> 3) as u8).collect();
        for len in [
            1,
            255,
            256,
            65_792,
            MAX_CONTENT,
            MAX_CONTENT + 1,
            BLOCK_SIZE,
        ] {
            let (mut frame, mut again) = (Vec::new(), Vec::new());
            push_raw_frame(&raw[..len], &mut frame);
            assert_eq!(frame.len(), raw_frame_len(len));
            assert_eq!(zstd::bulk::decompress(&frame, len).unwrap(), raw[..len]);
            assert!(gather_raw_frame(&frame, len, &mut again));
            assert_eq!(again, raw[..len]);
        }
        for blocks in [1, 2, 64] {
            let (frame, len) = (run_frame(blocks), blocks as usize * BLOCK_SIZE);
            assert_eq!(frame.len(), run_frame_len(blocks));
            assert_eq!(zstd::bulk::decompress(&frame, len).unwrap(), vec![0; len]);
        }
        assert_eq!(run_frame(MAX_RUN).len(), run_frame_len(MAX_RUN));
    }

    #[test]
    fn a_frame_of_raw_blocks_is_that_of_its_content_or_none() {
        let (mut frame, mut raw) = (Vec::new(), Vec::new());
        push_raw_frame(&[7; MAX_CONTENT + 5], &mut frame);
        let content: Vec<_> = raw_pieces(MAX_CONTENT + 5).collect();
        assert!(!gather_raw_frame(&frame, MAX_CONTENT + 4, &mut raw));
        for at in 0..frame.len() {
            if content.iter().any(|piece| piece.contains(&at)) {
                continue;
            }
            frame[at] ^= 1 << (at % 8);
            assert!(!gather_raw_frame(&frame, MAX_CONTENT + 5, &mut raw), "{at}");
            frame[at] ^= 1 << (at % 8);
        }
        assert!(gather_raw_frame(&frame, MAX_CONTENT + 5, &mut raw));
    }
}
