//! Reads an image file, at any offset of the disk.

mod blocks;
mod kept;
mod open;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ed25519_dalek::VerifyingKey;

pub use self::blocks::Stored;
use self::kept::Kept;
use super::directory::PageAt;
use super::entry::{Entry, decode_page};
use super::footer::{FOOTER_LEN, Footer, Pointer, Root, SIGNATURE_LEN};
use super::part::{PART_HEADER, Part};
use super::seek_table::SeekTable;
use super::storage::{Form, Storage};
use super::writer::HELLO;
use super::{BLOCK_SIZE, Damage, Decoder, Description, FileError, Place};

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
    /// Those that nobody uses just now: there are as many as threads have read at once.
    decoders: Mutex<Vec<Decoder>>,
}

/// A frame of the disk, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// File offset of the frame; inside the encryption, if there is one.
    pub at: u64,
    /// What is in it.
    pub entry: Entry,
}

impl ImageFile {
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

    /// Pages of the manifest: file offset and length of each.
    pub(super) fn page_places(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.pages.iter().map(|page| (page.at, page.len() as u64))
    }

    fn page(&self, index: usize) -> Result<Page, FileError> {
        self.kept_pages.find_or(index, || self.read_page(index))
    }

    fn read_page(&self, index: usize) -> Result<Page, FileError> {
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
        Ok(Arc::new(page))
    }

    /// Fills `buffer` from a file offset on.
    pub(super) fn read_raw(&self, at: u64, buffer: &mut [u8]) -> Result<(), FileError> {
        self.storage.read_exact_at(&self.path, at, buffer)
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

impl std::fmt::Debug for ImageFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageFile")
            .field("path", &self.path)
            .field("footer", &self.footer)
            .finish_non_exhaustive()
    }
}
