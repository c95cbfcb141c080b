//! The seek table of the zstd seekable format: the last frame of the file, with the lengths of all
//! others, for the tools that know it. mimeo itself finds frames by its manifest.
//!
//! (facebook/zstd, contrib/seekable_format/zstd_seekable_compression_format.md)

use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

use tempfile::SpooledTempFile;

use super::frame::SKIPPABLE_HEADER;

/// Magic number of its skippable frame.
const FRAME_MAGIC: u32 = 0x184d_2a5e;

/// The last four bytes of the file.
const MAGIC: u32 = 0x8f92_eab1;

/// Number of frames, descriptor, magic number.
const FOOTER: usize = 4 + 1 + 4;

/// Bytes for each frame: its length, and that of what it holds. There are no checksums, as the
/// manifest has better ones.
pub(super) const RECORD: usize = 4 + 4;

/// The most frames that the format's own reader takes (ZSTD_SEEKABLE_MAXFRAMES): blocks of 32 TiB.
pub(super) const MAX_FRAMES: u32 = 0x800_0000;

/// More than this is written to a temporary file until it is needed.
const IN_MEMORY: usize = 16 << 20;

/// Gathers the lengths of frames as they are written.
pub(super) struct Recorder {
    records: SpooledTempFile,
    frames: u32,
}

impl Recorder {
    /// What does not fit into memory goes to `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            records: tempfile::spooled_tempfile_in(IN_MEMORY, folder),
            frames: 0,
        }
    }

    /// Takes the next frame; false if there are too many.
    pub(super) fn push(&mut self, stored: u32, raw: u32) -> io::Result<bool> {
        if self.frames == MAX_FRAMES {
            return Ok(false);
        }
        self.frames += 1;
        self.records.write_all(&record(stored, raw))?;
        Ok(true)
    }

    /// Writes the seek table.
    pub(super) fn write(mut self, out: &mut impl Write) -> io::Result<()> {
        let (head, foot) = ends(self.frames);
        out.write_all(&head)?;
        self.records.seek(SeekFrom::Start(0))?;
        let mut piece = vec![0; 64 << 10];
        loop {
            match self.records.read(&mut piece)? {
                0 => break,
                len => out.write_all(&piece[..len])?,
            }
        }
        out.write_all(&foot)
    }
}

pub(super) fn record(stored: u32, raw: u32) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..4].copy_from_slice(&stored.to_le_bytes());
    record[4..].copy_from_slice(&raw.to_le_bytes());
    record
}

/// What is before and after the records.
fn ends(frames: u32) -> ([u8; SKIPPABLE_HEADER], [u8; FOOTER]) {
    let len = FOOTER + frames as usize * RECORD;
    let (mut head, mut foot) = ([0; SKIPPABLE_HEADER], [0; FOOTER]);
    head[..4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
    // At most 2^30 + 9.
    head[4..].copy_from_slice(&(len as u32).to_le_bytes());
    foot[..4].copy_from_slice(&frames.to_le_bytes());
    foot[5..].copy_from_slice(&MAGIC.to_le_bytes());
    (head, foot)
}

/// Where a seek table is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeekTable {
    /// File offset.
    pub(super) at: u64,
    /// Frames before it.
    pub(super) frames: u32,
}

impl SeekTable {
    /// File offset of the first record.
    pub(super) fn records_at(&self) -> u64 {
        self.at + SKIPPABLE_HEADER as u64
    }

    /// Finds the seek table that a file of `len` bytes ends with, by `read`, which fills a buffer
    /// from an offset.
    pub(super) fn find<E>(
        len: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<Option<Self>, E> {
        let Some(foot_at) = len.checked_sub(FOOTER as u64) else {
            return Ok(None);
        };
        let mut foot = [0; FOOTER];
        read(foot_at, &mut foot)?;
        let [a, b, c, d, ..] = foot;
        let frames = u32::from_le_bytes([a, b, c, d]);
        if frames > MAX_FRAMES {
            return Ok(None);
        }
        let (expected_head, expected_foot) = ends(frames);
        let before = SKIPPABLE_HEADER as u64 + u64::from(frames) * RECORD as u64;
        let Some(at) = foot_at.checked_sub(before) else {
            return Ok(None);
        };
        let mut head = [0; SKIPPABLE_HEADER];
        read(at, &mut head)?;
        let is_one = head == expected_head && foot == expected_foot;
        Ok(is_one.then_some(Self { at, frames }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seek_table_is_what_the_standard_says_and_is_found() {
        let mut recorder = Recorder::new(Path::new("."));
        recorder.push(88, 0).unwrap();
        recorder.push(0x1234, 262_144).unwrap();
        let mut table = vec![7; 11];
        recorder.write(&mut table).unwrap();
        let golden = b"\x5e\x2a\x4d\x18\x19\0\0\0\x58\0\0\0\0\0\0\0\x34\x12\0\0\0\0\x04\0\x02\0\0\0\0\xb1\xea\x92\x8f";
        assert_eq!(&table[11..], golden);
        let find = |bytes: &[u8]| {
            SeekTable::find(bytes.len() as u64, |at, buffer: &mut [u8]| {
                buffer.copy_from_slice(&bytes[at as usize..][..buffer.len()]);
                Ok::<_, ()>(())
            })
            .unwrap()
        };
        assert_eq!(find(&table), Some(SeekTable { at: 11, frames: 2 }));
        for len in 0..table.len() {
            assert_eq!(find(&table[..len]), None);
        }
        for at in (11..19).chain(35..table.len()) {
            table[at] ^= 1 << (at % 8);
            assert_eq!(find(&table), None, "{at}");
            table[at] ^= 1 << (at % 8);
        }
    }
}
