//! The directory: where the pages of the manifest are, and what they hash to.

use super::entry::{ENTRY_LEN, PAGE_ENTRIES, PAGE_HEADER};
use super::part::{self, Fields, PART_HEADER, Part};
use super::{Damage, Place, blocks_of};

/// Bytes for each page.
const PAGE_LEN: usize = 56;

/// Where a page of the manifest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageAt {
    /// The first block of the disk that it speaks for.
    pub(super) place: Place,
    /// Entries on it.
    pub(super) entries: u32,
    /// File offset of the first frame that it speaks for.
    pub(super) first: u64,
    /// File offset of the page.
    pub(super) at: u64,
    /// BLAKE3 of the page, from its magic number on.
    pub(super) hash: [u8; 32],
}

impl PageAt {
    /// Bytes of the page.
    pub(super) fn len(&self) -> usize {
        PAGE_HEADER + self.entries as usize * ENTRY_LEN
    }

    fn end(&self) -> u64 {
        self.at + self.len() as u64
    }
}

/// The directory as it is in the file.
pub(super) fn encode(pages: &[PageAt]) -> Vec<u8> {
    let mut frame = part::begin(Part::Directory, pages.len() * PAGE_LEN);
    for page in pages {
        frame.extend(page.place.0.to_le_bytes());
        frame.extend(page.entries.to_le_bytes());
        frame.extend(page.first.to_le_bytes());
        frame.extend(page.at.to_le_bytes());
        frame.extend(page.hash);
    }
    frame
}

/// The longest directory that a disk can have.
pub(super) fn max_len(disk_len: u64) -> u64 {
    let pages = blocks_of(disk_len).div_ceil(PAGE_ENTRIES.into());
    PART_HEADER as u64 + pages * PAGE_LEN as u64
}

/// The pages of the file whose disk has `disk_len` bytes. The frames begin at `start`, and what
/// follows the last page at `end`: between these every byte belongs to one page.
pub(super) fn decode(
    frame: &[u8],
    disk_len: u64,
    start: u64,
    end: u64,
) -> Result<Vec<PageAt>, Damage> {
    let damaged = Damage::Part(Part::Directory);
    let content = part::content(Part::Directory, frame)?;
    let (records, rest) = content.as_chunks::<PAGE_LEN>();
    if records.is_empty() || !rest.is_empty() {
        return Err(damaged);
    }
    let mut pages: Vec<PageAt> = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        let page = decode_page_at(record).ok_or(damaged.clone())?;
        let is_last = index + 1 == records.len();
        let expected = pages.last().map_or(start, PageAt::end);
        let follows = match pages.last() {
            None => page.place == Place(0),
            Some(before) => page.place.0 > before.place.0,
        };
        let right = follows
            && page.place.offset() < disk_len
            && page.first == expected
            && page.at > page.first
            && page.at < end
            && if is_last {
                (1..=PAGE_ENTRIES).contains(&page.entries)
            } else {
                page.entries == PAGE_ENTRIES
            };
        if !right {
            return Err(damaged);
        }
        pages.push(page);
    }
    if pages.last().map(PageAt::end) == Some(end) {
        Ok(pages)
    } else {
        Err(damaged)
    }
}

fn decode_page_at(record: &[u8; PAGE_LEN]) -> Option<PageAt> {
    let mut fields = Fields(record);
    Some(PageAt {
        place: Place(fields.u32()?),
        entries: fields.u32()?,
        first: fields.u64()?,
        at: fields.u64()?,
        hash: fields.bytes()?,
    })
}
