//! Entries of the manifest, one for each frame of the disk, and the pages they are on.

use super::digest::BlockDigest;
use super::frame::{raw_frame_len, run_frame_len};
use super::part::{self, Fields, PART_HEADER, Part};
use super::{BLOCK_SIZE, Damage, MAX_RUN, Place};

/// Entries of a page, all but the last: so a page speaks for at least 1 GiB of the disk, and
/// what finds the pages of 8 TB is half a megabyte.
pub(super) const PAGE_ENTRIES: u32 = 4096;

/// Bytes of an entry.
pub(super) const ENTRY_LEN: usize = 48;

/// Bytes of a page in front of its entries.
pub(super) const PAGE_HEADER: usize = PART_HEADER + 12;

/// How the frame of a block is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// By a compressor; the frame is shorter than the block.
    Zstd,
    /// As raw blocks of zstd, from which the block can be gathered.
    Raw,
}

/// What an area of the disk reads as without being stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// The disk has zeros there.
    Zero,
    /// No filesystem uses it; whatever the disk had there, the file says zeros.
    Unused,
}

/// What is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// One block of the disk, and what it hashes to.
    Block(Coding, BlockDigest),
    /// So many whole blocks, 1 to [`MAX_RUN`].
    Run(RunKind, u32),
}

/// What the manifest says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The first block of the disk that is in the frame.
    pub place: Place,
    /// What it is.
    pub content: Content,
    /// Bytes of the frame.
    pub stored_len: u32,
    /// The first bytes of the BLAKE3 hash of the frame: a flipped bit that changes nothing when
    /// it is decompressed is found too.
    pub(super) check: [u8; 4],
}

impl Entry {
    /// The entry of a frame.
    pub(super) fn of(place: Place, content: Content, frame: &[u8]) -> Self {
        Self {
            place,
            content,
            stored_len: frame.len() as u32,
            check: check(frame),
        }
    }

    /// Blocks of the disk that are in the frame.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        match self.content {
            Content::Block(..) => 1,
            Content::Run(_, count) => count,
        }
    }

    /// Bytes of the disk that are in the frame.
    #[must_use]
    pub fn raw_len(&self, disk_len: u64) -> u64 {
        let end = self.place.offset() + u64::from(self.blocks()) * BLOCK_SIZE as u64;
        end.min(disk_len) - self.place.offset()
    }

    fn encode(&self, page: &mut Vec<u8>) {
        let (kind, digest) = match self.content {
            Content::Block(Coding::Zstd, digest) => (1, digest.0),
            Content::Block(Coding::Raw, digest) => (2, digest.0),
            Content::Run(RunKind::Zero, _) => (3, [0; 32]),
            Content::Run(RunKind::Unused, _) => (4, [0; 32]),
        };
        page.extend(self.place.0.to_le_bytes());
        page.extend(self.blocks().to_le_bytes());
        // Three bytes are enough for every frame, the fourth is the kind.
        page.extend((self.stored_len | kind << 24).to_le_bytes());
        page.extend(self.check);
        page.extend(digest);
    }

    /// The entry of what lies at `place` of a disk of `disk_len` bytes; `None` if its fields
    /// contradict each other.
    fn decode(bytes: &[u8; ENTRY_LEN], place: Place, disk_len: u64) -> Option<Self> {
        let mut fields = Fields(bytes);
        let at = fields.u32()?;
        let blocks = fields.u32()?;
        let stored = fields.u32()?;
        let (kind, stored_len) = (stored >> 24, stored & 0x00ff_ffff);
        let check = fields.bytes()?;
        let digest = fields.bytes()?;
        let end = u64::from(place.0) + u64::from(blocks);
        let content = match kind {
            1 => Content::Block(Coding::Zstd, BlockDigest(digest)),
            2 => Content::Block(Coding::Raw, BlockDigest(digest)),
            3 | 4 if digest != [0; 32] || end * BLOCK_SIZE as u64 > disk_len => return None,
            3 => Content::Run(RunKind::Zero, blocks),
            4 => Content::Run(RunKind::Unused, blocks),
            _ => return None,
        };
        let entry = Self {
            place,
            content,
            stored_len,
            check,
        };
        let counts = at == place.0
            && (1..=MAX_RUN).contains(&blocks)
            && blocks == entry.blocks()
            && place.offset() < disk_len;
        if !counts {
            return None;
        }
        let raw_len = entry.raw_len(disk_len) as usize;
        let stored_len = stored_len as usize;
        let fits = match content {
            Content::Block(Coding::Zstd, _) => (1..raw_len).contains(&stored_len),
            Content::Block(Coding::Raw, _) => stored_len == raw_frame_len(raw_len),
            Content::Run(_, count) => stored_len == run_frame_len(count),
        };
        fits.then_some(entry)
    }
}

/// What the manifest keeps of a frame.
pub(super) fn check(frame: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = *blake3::hash(frame).as_bytes();
    [a, b, c, d]
}

/// A page as it is in the file. `first` is the file offset of the first entry's frame.
pub(super) fn encode_page(first: u64, entries: &[Entry]) -> Vec<u8> {
    let content = PAGE_HEADER - PART_HEADER + entries.len() * ENTRY_LEN;
    let mut page = part::begin(Part::Page, content);
    page.extend(first.to_le_bytes());
    page.extend((entries.len() as u32).to_le_bytes());
    entries.iter().for_each(|entry| entry.encode(&mut page));
    page
}

/// The entries of a page, with the file offset of each frame.
///
/// The page tells of the frames between `first` and the page itself, which is at `page_at`; the
/// first of them holds the block at `place` of a disk of `disk_len` bytes.
pub(super) fn decode_page(
    page: &[u8],
    first: u64,
    page_at: u64,
    place: Place,
    disk_len: u64,
) -> Result<Vec<(u64, Entry)>, Damage> {
    let mut fields = Fields(part::content(Part::Page, page)?);
    let head = (fields.u64(), fields.u32());
    let (bytes, rest) = fields.0.as_chunks::<ENTRY_LEN>();
    if head != (Some(first), Some(bytes.len() as u32)) || !rest.is_empty() {
        return Err(Damage::Part(Part::Page));
    }
    let (mut at, mut place) = (first, u64::from(place.0));
    let mut entries = Vec::with_capacity(bytes.len());
    for (index, bytes) in bytes.iter().enumerate() {
        let damaged = Damage::Entry(index);
        let next = u32::try_from(place).map_err(|_| damaged.clone())?;
        let entry = Entry::decode(bytes, Place(next), disk_len).ok_or(damaged)?;
        entries.push((at, entry));
        at += u64::from(entry.stored_len);
        place += u64::from(entry.blocks());
    }
    if at == page_at {
        Ok(entries)
    } else {
        Err(Damage::Part(Part::Page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = (usize, fn(&mut Entry));

    const LEN: u64 = 3 * BLOCK_SIZE as u64 + 7;

    fn entries() -> Vec<Entry> {
        let digest = BlockDigest([0xd1; 32]);
        let entry = |place, content, stored_len| Entry {
            place: Place(place),
            content,
            stored_len,
            check: [0xc1; 4],
        };
        vec![
            entry(0, Content::Block(Coding::Zstd, digest), 0x1234),
            entry(1, Content::Run(RunKind::Unused, 2), 26),
            entry(3, Content::Block(Coding::Raw, digest), 9 + 3 + 7),
        ]
    }

    #[test]
    fn a_page_is_what_the_format_says() {
        let page = encode_page(0x58, &entries());
        let mut golden = b"\x50\x2a\x4d\x18\xa8\0\0\0mimeoimg\x02\x01\0\0".to_vec();
        golden.extend(b"\x58\0\0\0\0\0\0\0\x03\0\0\0");
        golden.extend(b"\0\0\0\0\x01\0\0\0\x34\x12\0\x01\xc1\xc1\xc1\xc1");
        golden.extend([0xd1; 32]);
        golden.extend(b"\x01\0\0\0\x02\0\0\0\x1a\0\0\x04\xc1\xc1\xc1\xc1");
        golden.extend([0; 32]);
        golden.extend(b"\x03\0\0\0\x01\0\0\0\x13\0\0\x02\xc1\xc1\xc1\xc1");
        golden.extend([0xd1; 32]);
        assert_eq!(page, golden);
        let at = 0x58 + 0x1234 + 26 + 19;
        let decoded = decode_page(&page, 0x58, at, Place(0), LEN).unwrap();
        let places = [0x58, 0x58 + 0x1234, 0x58 + 0x1234 + 26];
        assert_eq!(
            decoded,
            places.into_iter().zip(entries()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let at = 0x58 + 0x1234 + 26 + 19;
        let decode =
            |entries: &[Entry]| decode_page(&encode_page(0x58, entries), 0x58, at, Place(0), LEN);
        assert!(decode(&entries()).is_ok());
        let wrong: [Change; 6] = [
            (0, |it| it.place.0 = 1),
            (0, |it| it.stored_len = 0),
            (0, |it| it.stored_len = BLOCK_SIZE as u32),
            (1, |it| it.content = Content::Run(RunKind::Zero, 0)),
            (1, |it| it.content = Content::Run(RunKind::Zero, 3)),
            (2, |it| it.stored_len = 20),
        ];
        for (index, change) in wrong {
            let mut entries = entries();
            change(&mut entries[index]);
            assert_eq!(decode(&entries), Err(Damage::Entry(index)));
        }
        // Beyond the disk, and not up to the page.
        let mut more = entries();
        more.push(Entry {
            place: Place(4),
            ..more[2]
        });
        assert_eq!(decode(&more), Err(Damage::Entry(3)));
        assert_eq!(decode(&entries()[..2]), Err(Damage::Part(Part::Page)));
    }
}
