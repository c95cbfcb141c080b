//! Content that a filesystem keeps and no clone needs: page files and hibernation files of Windows,
//! swap files of Linux.
//!
//! Of these files everything but the first page is called unused: what writes them anew reads no
//! more of them than that. It is done only where the map of the filesystem is trusted, a file lies
//! in its pieces without holes, and whole blocks are its own; any other file is left in, and it
//! is said why.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::ByteSize;
use crate::files::{Files, Kind, Node};
use crate::golden::{Place, legible, swap_files};
use crate::source::DiskSource;
use crate::used::read::{Reader, Window};
use crate::used::{Area, Distrust, Layout, ReadAt, Signature, Verdict, Volume, lvm};

/// Bytes at the start of a file that stay: the page with the signature.
const PAGE: u64 = 4096;

/// Characters of a path that are shown.
const MAX_PATH: usize = 1024;

/// What Windows keeps memory in, in the root directory.
const WINDOWS: [&str; 3] = ["pagefile.sys", "swapfile.sys", "hiberfil.sys"];

/// The end of the first page of swap that nobody sleeps in.
const SWAP: &[u8] = b"SWAPSPACE2";

/// What can be left out of a disk.
#[derive(Debug, Default)]
pub struct Scrub {
    /// Byte ranges of the disk, in order and apart from each other.
    pub ranges: Vec<Range<u64>>,
    /// Every file that was found, and what becomes of it.
    pub files: Vec<Scrubbed>,
}

/// A file with content that no clone needs. It displays as a line for an operator.
#[derive(Debug)]
pub struct Scrubbed {
    /// Where the filesystem is.
    pub place: Place,
    /// The path in it.
    pub path: String,
    /// Bytes that are left out, or why none are.
    pub outcome: Result<u64, Distrust>,
}

impl fmt::Display for Scrubbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, path, .. } = self;
        match &self.outcome {
            Ok(bytes) => write!(f, "{place}: {} of {path} are left out", ByteSize(*bytes)),
            Err(why) => write!(f, "{place}: {path} is sent as it is: {why}"),
        }
    }
}

impl DiskSource {
    /// Leaves out what no clone needs, and tells of every file that was looked at. Nothing happens
    /// where unused bytes are not left out.
    pub fn scrub(&mut self) -> Vec<Scrubbed> {
        let Some(layout) = self.layout() else {
            return Vec::new();
        };
        let Scrub { ranges, files } = Scrub::find(&self.whole(), layout);
        self.leave_out(&ranges);
        files
    }
}

impl Scrub {
    /// Looks for such files on a disk, in filesystems whose maps are trusted.
    #[must_use]
    pub fn find(disk: &Arc<dyn ReadAt>, layout: &Layout) -> Self {
        let mut scrub = Self::default();
        for area in &layout.areas {
            let len = area.place.end - area.place.start;
            if let Some(window) = Window::new(Arc::clone(disk), area.place.start, len) {
                let reader: Reader = Arc::new(window);
                scrub.area(&reader, area);
            }
        }
        scrub.ranges = merged(scrub.ranges);
        scrub
    }

    fn area(&mut self, reader: &Reader, area: &Area) {
        let start = area.place.start;
        let place = Place {
            partition: area.partition.as_ref().map(|it| it.number),
            volume: None,
            holds: area.volume.signatures.clone(),
        };
        if !is_trusted(&area.volume) {
            return;
        }
        if area.volume.signatures != [Signature::Lvm] {
            self.volume(reader, &place, |range| vec![moved(&range, start)]);
            return;
        }
        // The map was put together from the same description: it is there, and trusted.
        for (name, linear) in lvm::volumes(reader).unwrap_or_default() {
            let is_same = |it: &&lvm::LogicalVolume| it.name == name;
            let Some(inner) = area.volume.logical.iter().find(is_same) else {
                continue;
            };
            if !is_trusted(&inner.volume) {
                continue;
            }
            let place = Place {
                volume: Some(name),
                holds: inner.volume.signatures.clone(),
                ..place.clone()
            };
            let reader: Reader = Arc::clone(&linear) as Reader;
            self.volume(&reader, &place, |range| {
                let pieces = linear.places(range).into_iter();
                pieces.map(|it| moved(&it, start)).collect()
            });
        }
    }

    /// Looks through one filesystem; `on_disk` says where bytes of it lie.
    fn volume(
        &mut self,
        reader: &Reader,
        place: &Place,
        on_disk: impl Fn(Range<u64>) -> Vec<Range<u64>>,
    ) {
        let [signature @ (Signature::Ext | Signature::Ntfs)] = *place.holds.as_slice() else {
            return;
        };
        let is_swap = signature == Signature::Ext;
        let found = Files::open_as(reader, signature).and_then(|files| {
            let paths = if is_swap {
                swap_files(&files)?
            } else {
                WINDOWS.map(str::to_owned).into()
            };
            Ok((files, paths))
        });
        let (files, paths) = match found {
            Ok(found) => found,
            Err(why) => return self.add(place, "its files", Err(why)),
        };
        for path in paths {
            let outcome = match file(&files, &path, is_swap) {
                Ok(None) => continue,
                Ok(Some(ranges)) => {
                    let total = ranges.iter().map(|range| range.end - range.start).sum();
                    self.ranges.extend(ranges.into_iter().flat_map(&on_disk));
                    Ok(total)
                }
                Err(why) => Err(why),
            };
            self.add(place, &path, outcome);
        }
    }

    fn add(&mut self, place: &Place, path: &str, outcome: Result<u64, Distrust>) {
        self.files.push(Scrubbed {
            place: place.clone(),
            path: legible(path, MAX_PATH),
            outcome,
        });
    }
}

fn moved(range: &Range<u64>, by: u64) -> Range<u64> {
    range.start + by..range.end + by
}

fn is_trusted(volume: &Volume) -> bool {
    matches!(volume.verdict, Verdict::Trusted { .. })
}

/// Whole blocks of a file behind its first page, as byte ranges of the volume; `None` if there is
/// no such file.
fn file(files: &Files, path: &str, is_swap: bool) -> Result<Option<Vec<Range<u64>>>, Distrust> {
    let Some(node) = files.find(path)? else {
        return Ok(None);
    };
    if node.kind != Kind::File {
        return Err(Distrust::Arrangement("something else than a file there"));
    }
    if node.len <= PAGE {
        return Ok(Some(Vec::new()));
    }
    if is_swap {
        let page = files.read(&node, PAGE as usize)?;
        if !page.ends_with(SWAP) {
            return Err(Distrust::Arrangement("no signature of swap"));
        }
    }
    blocks(&node, files.unit()).map(Some)
}

fn blocks(node: &Node, unit: u64) -> Result<Vec<Range<u64>>, Distrust> {
    let first = PAGE.next_multiple_of(unit);
    let last = node.len - node.len % unit;
    let mut ranges = Vec::new();
    let mut at = 0;
    for piece in node.pieces()? {
        if at >= node.len {
            break;
        }
        if piece.from != at {
            return Err(Distrust::Arrangement("a hole"));
        }
        at = piece.from + piece.len;
        let (start, end) = (piece.from.max(first), at.min(last));
        if start < end {
            let place = piece.place + (start - piece.from);
            ranges.push(place..place + (end - start));
        }
    }
    if at < node.len {
        return Err(Distrust::Arrangement("a hole"));
    }
    Ok(ranges)
}

/// Sorted, and what touches joined: two names may lead to the same file.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut all: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Content, Piece};

    fn node(len: u64, pieces: &[(u64, u64, u64)]) -> Node {
        let piece = |&(from, len, place): &(u64, u64, u64)| Piece {
            from,
            len,
            place,
            is_written: true,
        };
        Node {
            kind: Kind::File,
            len,
            content: Content::Pieces(pieces.iter().map(piece).collect()),
        }
    }

    #[test]
    fn whole_blocks_behind_the_first_page_are_told() {
        let of = |len, pieces, unit| {
            let ranges = blocks(&node(len, pieces), unit).ok()?;
            Some(
                ranges
                    .iter()
                    .map(|it| (it.start, it.end))
                    .collect::<Vec<_>>(),
            )
        };
        let two = [(0, 8192, 1 << 20), (8192, 8192, 40_960)];
        let (first, second) = ((1_052_672, 1_056_768), (40_960, 49_152));
        assert_eq!(of(16_384, &two, 4096).unwrap(), [first, second]);
        // The last block is not whole, then the first is larger than the page.
        assert_eq!(of(16_000, &two, 4096).unwrap(), [first, (40_960, 45_056)]);
        assert_eq!(of(16_384, &two, 8192).unwrap(), [second]);
        assert_eq!(of(16_384, &two, 1024).unwrap(), [first, second]);
        // What was kept behind the end is nobody's business.
        assert_eq!(of(8192, &two, 4096).unwrap(), [first]);
        assert_eq!(of(20_000, &two, 4096), None, "the end is a hole");
        let late = [(4096, 12_288, 0)];
        assert_eq!(of(16_384, &late, 4096), None, "the start is a hole");
    }

    #[test]
    fn ranges_are_joined() {
        let ranges = vec![10..20, 0..5, 5..7, 15..30, 40..41, 10..20];
        assert_eq!(merged(ranges), [0..7, 10..30, 40..41]);
    }
}
