//! What the skippable frames of an image file begin with.
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 4 | magic number of a skippable frame, `50 2a 4d 18` |
//! | 4 | 4 | length of what follows |
//! | 8 | 8 | `mimeoimg` |
//! | 16 | 1 | which part it is |
//! | 17 | 1 | version of the format: 1 |
//! | 18 | 2 | 0 |

use super::Damage;
use super::frame::{SKIPPABLE, SKIPPABLE_HEADER};

const NAME: [u8; 8] = *b"mimeoimg";

const VERSION: u8 = 1;

/// Bytes in front of the content.
pub(super) const PART_HEADER: usize = SKIPPABLE_HEADER + 12;

/// A part of the file that is not the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Part {
    /// The first of all: says what the file is.
    Head = 1,
    /// A page of the manifest.
    Page = 2,
    /// What the disk is.
    Description = 3,
    /// Where the pages are.
    Directory = 4,
    /// The signature, or its place.
    Signature = 5,
    /// Where the description and the directory are.
    Footer = 6,
}

/// Begins the frame of a part whose content has `content` bytes.
pub(super) fn begin(part: Part, content: usize) -> Vec<u8> {
    let len = u32::try_from(PART_HEADER - SKIPPABLE_HEADER + content)
        .expect("every part has a limit far below 4 GiB");
    let mut frame = Vec::with_capacity(PART_HEADER + content);
    frame.extend(SKIPPABLE);
    frame.extend(len.to_le_bytes());
    frame.extend(NAME);
    frame.extend([part as u8, VERSION, 0, 0]);
    frame
}

/// Whether a file that begins so is an image file, of whatever version.
pub(super) fn is_head(start: &[u8]) -> bool {
    let (name, part) = (
        SKIPPABLE_HEADER..SKIPPABLE_HEADER + NAME.len(),
        PART_HEADER - 4,
    );
    start.starts_with(&SKIPPABLE)
        && start.get(name) == Some(&NAME)
        && start.get(part) == Some(&(Part::Head as u8))
}

/// The content of a frame, all of it, that must be this part.
pub(super) fn content(part: Part, frame: &[u8]) -> Result<&[u8], Damage> {
    let content = frame.get(PART_HEADER..).ok_or(Damage::Part(part))?;
    let expected = begin(part, content.len());
    if frame[..PART_HEADER] == expected {
        return Ok(content);
    }
    let version = PART_HEADER - 3;
    let mut newer = expected;
    newer[version] = frame[version];
    Err(if frame[..PART_HEADER] == newer {
        Damage::Version(frame[version])
    } else {
        Damage::Part(part)
    })
}

/// Reads the fields of a part's content, one after the other.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }
}
