//! Finds everything in an image file, from its end.

use std::path::Path;
use std::sync::Mutex;

use super::kept::Kept;
use super::{HEAD_LEN, ImageFile};
use crate::image_file::footer::{FOOTER_LEN, Footer, Pointer, SIGNATURE_LEN, decode_signature};
use crate::image_file::part::Part;
use crate::image_file::seek_table::SeekTable;
use crate::image_file::storage::Storage;
use crate::image_file::{Credentials, Damage, Description, FileError, description, directory};

/// Pages that are kept, of 250 KB each: whoever reads in order needs one at a time.
const PAGES_KEPT: usize = 8;

/// Decompressed blocks that are kept for [`ImageFile::read_at`]: 16 MiB. Several who read in order,
/// with some blocks read ahead of each, do not drive out one another's.
const BLOCKS_KEPT: usize = 64;

impl ImageFile {
    /// Opens an image file; one that is encrypted needs credentials, others take none.
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
    pub(in crate::image_file) fn open_to_sign(
        path: &Path,
        credentials: &Credentials,
    ) -> Result<Self, FileError> {
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
            decoders: Mutex::default(),
        })
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
