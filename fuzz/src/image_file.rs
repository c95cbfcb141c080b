//! Image files with changes: what is read is what was captured, or an error that says what is wrong.
//!
//! Digests keep almost every change from being looked at, so they are made right again: of frames in
//! their entries, of pages in the directory, of description and directory in the footer, and the root.
//! Where they are not, whatever is read is what was captured.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use mimeo_image::image_file::{
    BLOCK_SIZE, Content, Credentials, Decoder, Description, Encoder, Encryption, FileError,
    ImageFile, ImageWriter, Level, NewBlock, Place, RunKind, Stored, Verifier,
};
use mimeo_image::used::ReadAt as _;

use crate::disk::{Edit, shown};
use crate::memory::Limit;

/// Bytes of the parts that stand at known distances (docs/image-format.md).
const PART_HEADER: usize = 20;
const SIGNATURE: usize = PART_HEADER + 32 + 64;
const FOOTER: usize = PART_HEADER + 8 + 2 * 48 + 32;
const SEEK_RECORD: usize = 8;
const SEEK_FOOTER: usize = 9;
const ENTRY: usize = 48;
const PAGE_AT: usize = 56;

/// Flags of an input: digests stay as they are; all of the file is verified; it is cut off.
const UNSEALED: u8 = 1;
const VERIFIED: u8 = 2;
const CUT: u8 = 4;

/// Bytes of memory: pages, a decoder and some blocks.
const MEMORY: usize = 32 << 20;

#[derive(Debug, Arbitrary)]
struct Input {
    file: u8,
    flags: u8,
    /// Behind the first block or in all of the file.
    part: bool,
    #[arbitrary(with = crate::value::at_most::<12, _>)]
    edits: Vec<Edit>,
    cut: u16,
    at: [u8; 4],
}

/// An image file, and the disk that it was made of.
struct Made {
    bytes: Vec<u8>,
    disk: Vec<u8>,
}

static MADE: LazyLock<[Made; 3]> = LazyLock::new(|| {
    let mut text = b"mimeo images a whole room ".repeat(11_000);
    text.truncate(BLOCK_SIZE);
    // A match up to the end of a block is unpacked byte by byte, which takes longer than all else.
    let end = blake3::hash(b"end");
    text[BLOCK_SIZE - 32..].copy_from_slice(end.as_bytes());
    let (text, short) = (&text[..], &text[..700]);
    [
        make(&[Piece::Block(&short[..300])]),
        make(&[
            Piece::Block(text),
            Piece::Run(RunKind::Zero, 2),
            Piece::Block(&short[..9]),
        ]),
        make(&[
            Piece::Run(RunKind::Unused, 3),
            Piece::Block(text),
            Piece::Run(RunKind::Zero, 1),
            Piece::Block(short),
        ]),
    ]
});

/// A file of which only the content changes: it is opened anew by a path that leads to it.
struct Scratch {
    file: File,
    path: PathBuf,
}

thread_local! {
    static SCRATCH: Scratch = {
        let dir = tempfile::tempdir().expect("a folder");
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(dir.path().join("image"))
            .expect("a file");
        use std::os::fd::AsRawFd as _;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Scratch { file, path }
    };
}

enum Piece<'a> {
    Block(&'a [u8]),
    Run(RunKind, u32),
}

fn make(pieces: &[Piece<'_>]) -> Made {
    let mut disk = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Block(raw) => disk.extend_from_slice(raw),
            Piece::Run(_, count) => disk.resize(disk.len() + *count as usize * BLOCK_SIZE, 0),
        }
    }
    let dir = tempfile::tempdir().expect("a folder");
    let (path, len) = (dir.path().join("image"), disk.len() as u64);
    let writer = ImageWriter::create(&path, false, Encryption::None, len);
    let mut writer = writer.expect("a new file");
    let (mut encoder, mut place) = (Encoder::new(Level::FAST), 0);
    for piece in pieces {
        match piece {
            Piece::Block(raw) => {
                let (_, block) = NewBlock::encode(&mut encoder, Place(place), raw, len);
                writer
                    .push_block(&block.expect("it is not zeros"))
                    .expect("room");
                place += 1;
            }
            Piece::Run(kind, count) => {
                writer.push_run(*kind, *count).expect("room");
                place += count;
            }
        }
    }
    let description = Description {
        tool: "mimeo".to_owned(),
        level: "fast".to_owned(),
        labels: [("room".to_owned(), "12".to_owned())].into(),
        ..Description::default()
    };
    writer.finish(&description, None).expect("room");
    Made {
        bytes: fs::read(&path).expect("it was written"),
        disk,
    }
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input>(data) else {
        return;
    };
    let made = &MADE[usize::from(input.file) % MADE.len()];
    let mut bytes = made.bytes.clone();
    // Most of a file are its parts.
    let from = if input.part { bytes.len() / 2 } else { 0 };
    for edit in &input.edits {
        edit.apply_flat(&mut bytes[from..]);
    }
    let is_sealed = input.flags & UNSEALED == 0;
    if is_sealed {
        seal(&mut bytes);
    }
    if input.flags & CUT != 0 {
        bytes.truncate(bytes.len() - usize::from(input.cut) % bytes.len());
    }
    SCRATCH.with(|scratch| {
        scratch.file.set_len(bytes.len() as u64).expect("room");
        scratch.file.write_all_at(&bytes, 0).expect("room");
        let limit = Limit::new(MEMORY);
        match ImageFile::open(&scratch.path, &Credentials::default()) {
            Ok(file) => read(&file, &input, (!is_sealed).then_some(&made.disk)),
            Err(error) => told(&error),
        }
        limit.check();
    });
}

/// Reads some of it; without digests that were made right, what can be read is what was captured.
fn read(file: &ImageFile, input: &Input, captured: Option<&Vec<u8>>) {
    let len = file.disk_len();
    assert!(captured.is_none_or(|disk| disk.len() as u64 == len));
    let (mut decoder, mut stored) = (Decoder::new(), Stored::default());
    let mut next = 0;
    let mut is_whole = true;
    let mut runs = 0;
    for located in file.entries().take(64) {
        let located = match located {
            Ok(located) => located,
            Err(error) => {
                told(&error);
                is_whole = false;
                continue;
            }
        };
        let entry = located.entry;
        assert!(!is_whole || entry.place.offset() == next);
        assert!(entry.raw_len(len) > 0 && entry.place.offset() < len);
        next = entry.place.offset() + entry.raw_len(len);
        assert!(located.at + u64::from(entry.stored_len) < file.stored_len());
        match entry.content {
            Content::Block(coding, _) => {
                match file.read_block(&located, &mut decoder, &mut stored) {
                    Ok(()) => {
                        assert_eq!(stored.raw().len() as u64, entry.raw_len(len));
                        assert!(!stored.body(coding).is_empty());
                    }
                    Err(error) => told(&error),
                }
            }
            Content::Run(_, count) => runs += count,
        }
    }
    for at in input.at {
        let at = u64::from(at) * len / 256;
        let mut buffer = [1; 3000];
        let buffer = &mut buffer[..len.min(3000) as usize];
        let at = at.min(len - buffer.len() as u64);
        match file.read_at(at, buffer) {
            Ok(()) => {
                let same = |disk: &Vec<u8>| disk[at as usize..].starts_with(buffer);
                assert!(captured.is_none_or(same), "at {at}");
            }
            Err(error) => told(&error),
        }
    }
    assert!(file.read_exact_at(len, &mut [0]).is_err());
    if input.flags & VERIFIED != 0 && runs < 16 {
        match Verifier::new(file, true).run(|_| true) {
            Ok(verified) => {
                verified.damaged.iter().for_each(told);
                let all = verified.damaged.len() as u64;
                assert!(all == verified.damages || all == 100 && verified.damages > all);
            }
            Err(error) => told(&error),
        }
    }
}

/// An error says what is wrong, and is never one of the system or of who asks.
fn told(error: &FileError) {
    shown(&error.to_string());
    let is_other = matches!(error, FileError::NotAnImage { .. });
    assert!(error.is_damage() || is_other, "{error}");
}

/// Makes all digests right that have a place to stand at.
fn seal(bytes: &mut [u8]) {
    let Some(footer) = footer_at(bytes) else {
        return;
    };
    let description = footer + PART_HEADER + 8;
    let directory = description + 48;
    if let Some(range) = pointer(bytes, directory, directory + 8) {
        let records = range.start + PART_HEADER..range.end;
        for record in records.step_by(PAGE_AT).take(16) {
            seal_page(bytes, record, range.end);
        }
    }
    for at in [description, directory] {
        if let Some(range) = pointer(bytes, at, at + 8) {
            let hash = blake3::hash(&bytes[range]);
            bytes[at + 16..at + 48].copy_from_slice(hash.as_bytes());
        }
    }
    let root = footer + FOOTER - 32;
    let digest = blake3::derive_key("mimeo image file 1 root", &bytes[footer..root]);
    bytes[root..root + 32].copy_from_slice(&digest);
}

fn footer_at(bytes: &[u8]) -> Option<usize> {
    let frames = bytes.len().checked_sub(SEEK_FOOTER)?;
    let table = SEEK_FOOTER + 8 + number::<4>(bytes, frames)? * SEEK_RECORD;
    let end = bytes.len().checked_sub(table)?;
    let footer = end.checked_sub(FOOTER)?;
    footer.checked_sub(SIGNATURE)?;
    Some(footer)
}

/// A page, by its record in the directory.
fn seal_page(bytes: &mut [u8], record: usize, end: usize) {
    let (Some(count), Some(first), Some(at)) = (
        number::<4>(bytes, record + 4),
        number::<8>(bytes, record + 8),
        number::<8>(bytes, record + 16),
    ) else {
        return;
    };
    let len = count.saturating_mul(ENTRY).saturating_add(PART_HEADER + 12);
    let page = at..at.saturating_add(len);
    if record + PAGE_AT > end || bytes.get(page.clone()).is_none() {
        return;
    }
    let mut frame = first;
    for entry in (at + PART_HEADER + 12..page.end).step_by(ENTRY) {
        let stored = number::<4>(bytes, entry + 8).unwrap_or(0) & 0xff_ffff;
        let range = frame..frame.saturating_add(stored);
        frame = range.end;
        if let Some(frame) = bytes.get(range) {
            let hash = blake3::hash(frame);
            bytes[entry + 12..entry + 16].copy_from_slice(&hash.as_bytes()[..4]);
        }
    }
    let hash = blake3::hash(&bytes[page]);
    bytes[record + 24..record + 56].copy_from_slice(hash.as_bytes());
}

/// What a place and a length that stand there mean, if it is in the file.
fn pointer(bytes: &[u8], at: usize, len: usize) -> Option<std::ops::Range<usize>> {
    let (from, len) = (number::<8>(bytes, at)?, number::<8>(bytes, len)?);
    let range = from..from.checked_add(len)?;
    bytes.get(range.clone()).map(|_| range)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(bytes.get(at..at.checked_add(N)?)?);
    usize::try_from(u64::from_le_bytes(wide)).ok()
}
