//! Reads an image file, at any offset of the disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::VerifyingKey;

use super::directory::{self, PageAt};
use super::entry::{Coding, Content, Entry, check, decode_page};
use super::footer::{FOOTER_LEN, Footer, Pointer, Root, SIGNATURE_LEN, decode_signature};
use super::frame::run_frame;
use super::part::{PART_HEADER, Part};
use super::seek_table::SeekTable;
use super::storage::{Form, Storage};
use super::writer::HELLO;
use super::{
    BLOCK_SIZE, BlockDigest, Credentials, Damage, Decoder, Description, FileError, Place,
    description,
};
use crate::used::ReadAt;

/// Pages that are kept, of 250 KB each: whoever reads in order needs one at a time.
const PAGES_KEPT: usize = 8;

/// Decompressed blocks that are kept for [`ImageFile::read_at`]: 8 MiB.
const BLOCKS_KEPT: usize = 32;

/// Bytes of the head.
pub(super) const HEAD_LEN: u64 = (PART_HEADER + HELLO.len()) as u64;

/// The entries of a page, with the file offset of each frame.
type Page = Arc<Vec<(u64, Entry)>>;

/// An image file that was opened. All methods may be called from several threads at once.
///
/// Opening checks everything but the pages and the frames of the disk. A page is checked when it
/// is read, a block by its digest whenever it is: what is damaged is never taken for the disk.
pub struct ImageFile {
    path: PathBuf,
    storage: Storage,
    pub(super) seek_table: SeekTable,
    footer: Footer,
    root: Root,
    signer: Result<Option<VerifyingKey>, Damage>,
    description: Description,
    pages: Vec<PageAt>,
    kept_pages: Kept<usize, Page>,
    kept_blocks: Kept<Place, Arc<Vec<u8>>>,
    decoder: Mutex<Decoder>,
}

/// A frame of the disk, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// File offset of the frame; inside the encryption, if there is one.
    pub at: u64,
    /// What is in it.
    pub entry: Entry,
}

/// A block as it is stored and as it is on the disk. To be used again: it keeps its memory.
#[derive(Debug, Default)]
pub struct Stored {
    frame: Vec<u8>,
    raw: Vec<u8>,
}

impl Stored {
    /// The bytes of the block.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// What is sent of a block of this coding: its frame if it is compressed, else itself.
    #[must_use]
    pub fn body(&self, coding: Coding) -> &[u8] {
        match coding {
            Coding::Zstd => &self.frame,
            Coding::Raw => &self.raw,
        }
    }
}

impl ImageFile {
    /// Opens an image file; one that is encrypted needs credentials.
    ///
    /// # Errors
    /// If it cannot be read or opened, is no image file, or its description, directory, footer or
    /// signature are damaged.
    pub fn open(path: &Path, credentials: &Credentials) -> Result<Self, FileError> {
        let file = Self::open_to_sign(path, credentials)?;
        if let Err(damage) = &file.signer {
            let at = file.signature_at();
            return Err(FileError::damaged(path, at, damage.clone()));
        }
        Ok(file)
    }

    /// As [`Self::open`], whatever is in the signature's place.
    pub(super) fn open_to_sign(path: &Path, credentials: &Credentials) -> Result<Self, FileError> {
        let storage = Storage::open(path, credentials)?;
        let read = |at, buffer: &mut [u8]| storage.read_exact_at(path, at, buffer);
        let none = || FileError::NotAnImage {
            path: path.to_owned(),
        };
        let seek_table = SeekTable::find(storage.len(), read)?.ok_or_else(none)?;
        let ends = (FOOTER_LEN + SIGNATURE_LEN) as u64;
        let signature_at = seek_table
            .at
            .checked_sub(ends)
            .filter(|at| *at > HEAD_LEN)
            .ok_or_else(none)?;
        let footer_at = signature_at + SIGNATURE_LEN as u64;
        let mut frames = vec![0; ends as usize];
        read(signature_at, &mut frames)?;
        let (signature, footer) = frames.split_at(SIGNATURE_LEN);
        let damaged = |at| move |damage| FileError::damaged(path, at, damage);
        let (footer, root) = Footer::decode(footer, footer_at).map_err(damaged(footer_at))?;
        let opening = Opening {
            path,
            storage: &storage,
        };
        let description =
            opening.read(Part::Description, &footer.description, description::MAX_LEN)?;
        let description =
            Description::decode(&description).map_err(damaged(footer.description.at))?;
        let limit = directory::max_len(footer.disk_len);
        let directory = opening.read(Part::Directory, &footer.directory, limit)?;
        let pages = directory::decode(&directory, footer.disk_len, HEAD_LEN, footer.description.at)
            .map_err(damaged(footer.directory.at))?;
        Ok(Self {
            path: path.to_owned(),
            seek_table,
            root,
            signer: decode_signature(signature, &root),
            footer,
            description,
            pages,
            storage,
            kept_pages: Kept::new(PAGES_KEPT),
            kept_blocks: Kept::new(BLOCKS_KEPT),
            decoder: Mutex::default(),
        })
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the disk.
    #[must_use]
    pub fn disk_len(&self) -> u64 {
        self.footer.disk_len
    }

    /// Bytes of the image file; inside the encryption, if there is one.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        self.storage.len()
    }

    /// Whether it is encrypted.
    #[must_use]
    pub fn form(&self) -> Form {
        self.storage.form()
    }

    /// What it says of the disk.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The digest over all that it says of the disk.
    #[must_use]
    pub fn root(&self) -> Root {
        self.root
    }

    /// Whose signature it has, if it has one.
    #[must_use]
    pub fn signer(&self) -> Option<&VerifyingKey> {
        self.signer.as_ref().ok()?.as_ref()
    }

    /// File offset of the signature's frame.
    pub(super) fn signature_at(&self) -> u64 {
        self.seek_table.at - (FOOTER_LEN + SIGNATURE_LEN) as u64
    }

    /// The parts behind the frames, by offset and length.
    pub(super) fn tail(&self) -> [(u64, u64); 4] {
        let pair = |pointer: &Pointer| (pointer.at, pointer.len);
        let signature = self.signature_at();
        [
            pair(&self.footer.description),
            pair(&self.footer.directory),
            (signature, SIGNATURE_LEN as u64),
            (signature + SIGNATURE_LEN as u64, FOOTER_LEN as u64),
        ]
    }

    /// All frames of the disk, in the order of their places. After an error the next page goes on.
    pub fn entries(&self) -> impl Iterator<Item = Result<Located, FileError>> + Send + '_ {
        (0..self.pages.len()).flat_map(|index| {
            let (page, error) = match self.page(index) {
                Ok(page) => (page, None),
                Err(error) => (Page::default(), Some(error)),
            };
            let located = (0..page.len()).map(move |n| {
                let (at, entry) = page[n];
                Ok(Located { at, entry })
            });
            located.chain(error.map(Err))
        })
    }

    /// The frame that holds the block at `place`.
    ///
    /// # Errors
    /// If its page cannot be read or is damaged, or the disk ends before.
    pub fn locate(&self, place: Place) -> Result<Located, FileError> {
        let after = self.pages.partition_point(|page| page.place <= place);
        let page = self.page(after.saturating_sub(1))?;
        let after = page.partition_point(|(_, entry)| entry.place <= place);
        let found = after.checked_sub(1).map(|index| page[index]);
        match found {
            Some((at, entry)) if place.0 - entry.place.0 < entry.blocks() => {
                Ok(Located { at, entry })
            }
            _ => Err(self.out_of_range(place.offset(), BLOCK_SIZE as u64)),
        }
    }

    /// Reads a block as it is stored, and decompresses it to check it.
    ///
    /// # Errors
    /// [`FileError::DamagedBlock`] if it is not what was captured; if it cannot be read.
    ///
    /// # Panics
    /// If it is a run, which is not stored.
    pub fn read_block(
        &self,
        block: &Located,
        decoder: &mut Decoder,
        stored: &mut Stored,
    ) -> Result<(), FileError> {
        let Content::Block(coding, digest) = block.entry.content else {
            panic!("runs are not stored");
        };
        let disk_len = self.disk_len();
        let len = block.entry.raw_len(disk_len) as usize;
        self.read_frame(block, &mut stored.frame)?;
        decoder
            .decode(coding, &stored.frame, len, &mut stored.raw)
            .and_then(|()| {
                let found = BlockDigest::of(block.entry.place, &stored.raw, disk_len);
                (found == digest).then_some(()).ok_or(Damage::Block)
            })
            .map_err(|damage| self.damaged_block(block, damage))
    }

    /// Checks that a frame of the disk is what was written: that of a run, or of a block.
    ///
    /// # Errors
    /// As [`Self::read_block`].
    pub fn check(
        &self,
        located: &Located,
        decoder: &mut Decoder,
        stored: &mut Stored,
    ) -> Result<(), FileError> {
        match located.entry.content {
            Content::Block(..) => self.read_block(located, decoder, stored),
            Content::Run(_, count) => {
                self.read_frame(located, &mut stored.frame)?;
                if stored.frame == run_frame(count) {
                    Ok(())
                } else {
                    Err(self.damaged_block(located, Damage::Frame))
                }
            }
        }
    }

    /// Fills `buffer` with the bytes of the disk from `offset` on; unused areas are zeros.
    ///
    /// # Errors
    /// As [`Self::read_block`]; [`FileError::OutOfRange`] beyond the disk.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FileError> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.disk_len()) {
            return Err(self.out_of_range(offset, buffer.len() as u64));
        }
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let place = Place((at / BLOCK_SIZE as u64) as u32);
            let located = self.locate(place)?;
            let begin = located.entry.place.offset();
            let left = begin + located.entry.raw_len(self.disk_len()) - at;
            let len = left.min((buffer.len() - done) as u64) as usize;
            let piece = &mut buffer[done..done + len];
            match located.entry.content {
                Content::Run(..) => piece.fill(0),
                Content::Block(..) => {
                    let raw = self.block(&located)?;
                    piece.copy_from_slice(&raw[(at - begin) as usize..][..len]);
                }
            }
            done += len;
        }
        Ok(())
    }

    fn block(&self, located: &Located) -> Result<Arc<Vec<u8>>, FileError> {
        let place = located.entry.place;
        if let Some(raw) = self.kept_blocks.find(&place) {
            return Ok(raw);
        }
        let mut stored = Stored::default();
        let mut decoder = self.decoder.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_block(located, &mut decoder, &mut stored)?;
        drop(decoder);
        let raw = Arc::new(stored.raw);
        self.kept_blocks.keep(place, Arc::clone(&raw));
        Ok(raw)
    }

    /// Pages of the manifest: file offset and length of each.
    pub(super) fn page_places(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.pages.iter().map(|page| (page.at, page.len() as u64))
    }

    fn page(&self, index: usize) -> Result<Page, FileError> {
        if let Some(page) = self.kept_pages.find(&index) {
            return Ok(page);
        }
        let place = &self.pages[index];
        let damaged = |damage| FileError::damaged(&self.path, place.at, damage);
        let mut frame = vec![0; place.len()];
        self.read_raw(place.at, &mut frame)?;
        if blake3::hash(&frame) != place.hash {
            return Err(damaged(Damage::Hash(Part::Page)));
        }
        let disk_len = self.disk_len();
        let page =
            decode_page(&frame, place.first, place.at, place.place, disk_len).map_err(damaged)?;
        // It must go on where the next one begins, or at the disk's end.
        let end = page.last().map(|(_, entry)| entry.place.0 + entry.blocks());
        let expected = match self.pages.get(index + 1) {
            Some(next) => u64::from(next.place.0),
            None => super::blocks_of(disk_len),
        };
        if end.map(u64::from) != Some(expected) {
            return Err(damaged(Damage::Part(Part::Page)));
        }
        let page = Arc::new(page);
        self.kept_pages.keep(index, Arc::clone(&page));
        Ok(page)
    }

    fn read_frame(&self, located: &Located, frame: &mut Vec<u8>) -> Result<(), FileError> {
        frame.resize(located.entry.stored_len as usize, 0);
        self.read_raw(located.at, frame)
            .map_err(|error| match error {
                FileError::Damaged { damage, .. } => self.damaged_block(located, damage),
                error => error,
            })?;
        if check(frame) == located.entry.check {
            Ok(())
        } else {
            Err(self.damaged_block(located, Damage::Stored))
        }
    }

    /// Fills `buffer` from a file offset on.
    pub(super) fn read_raw(&self, at: u64, buffer: &mut [u8]) -> Result<(), FileError> {
        self.storage.read_exact_at(&self.path, at, buffer)
    }

    fn damaged_block(&self, located: &Located, damage: Damage) -> FileError {
        FileError::DamagedBlock {
            path: self.path.clone(),
            offset: located.at,
            place: located.entry.place,
            end: located.entry.place.offset() + located.entry.raw_len(self.disk_len()),
            damage,
        }
    }

    fn out_of_range(&self, offset: u64, len: u64) -> FileError {
        FileError::OutOfRange {
            path: self.path.clone(),
            offset,
            end: offset.saturating_add(len),
            len: self.disk_len(),
        }
    }
}

/// The disk, for whoever looks at what is on it.
impl ReadAt for ImageFile {
    fn size(&self) -> u64 {
        self.disk_len()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, buffer).map_err(io::Error::other)
    }
}

impl std::fmt::Debug for ImageFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageFile")
            .field("path", &self.path)
            .field("footer", &self.footer)
            .finish_non_exhaustive()
    }
}

/// What is read while a file is opened.
struct Opening<'a> {
    path: &'a Path,
    storage: &'a Storage,
}

impl Opening<'_> {
    /// Reads a part that the footer points to; `limit` bounds the memory.
    fn read(&self, part: Part, pointer: &Pointer, limit: u64) -> Result<Vec<u8>, FileError> {
        let damaged = |damage| FileError::damaged(self.path, pointer.at, damage);
        let fits =
            pointer.len <= limit && pointer.end().is_some_and(|end| end <= self.storage.len());
        if !fits {
            return Err(damaged(Damage::Part(part)));
        }
        let mut frame = vec![0; pointer.len as usize];
        self.storage
            .read_exact_at(self.path, pointer.at, &mut frame)?;
        if blake3::hash(&frame) == pointer.hash {
            Ok(frame)
        } else {
            Err(damaged(Damage::Hash(part)))
        }
    }
}

/// What was used last, a few of them.
struct Kept<K, V> {
    /// The last used one is the last.
    kept: Mutex<Vec<(K, V)>>,
    most: usize,
}

impl<K: PartialEq, V: Clone> Kept<K, V> {
    fn new(most: usize) -> Self {
        Self {
            kept: Mutex::new(Vec::with_capacity(most)),
            most,
        }
    }

    fn find(&self, key: &K) -> Option<V> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(of, _)| of == key)?;
        kept[at..].rotate_left(1);
        kept.last().map(|(_, value)| value.clone())
    }

    fn keep(&self, key: K, value: V) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == self.most {
            kept.remove(0);
        }
        kept.push((key, value));
    }
}
