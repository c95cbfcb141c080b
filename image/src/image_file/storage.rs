//! The bytes of an image file at any offset, encrypted or not.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::crypt::{self, Credentials, Opened};
use super::frame::{MAGIC, SKIPPABLE};
use super::seek_table::SeekTable;
use super::{Damage, FileError, part};
use crate::lock;

/// What a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An image file.
    Plain,
    /// An age file, in which an image file may be.
    Encrypted,
}

impl Form {
    /// Looks at what a path leads to; `None` if it is neither.
    ///
    /// # Errors
    /// Those of the system.
    pub fn of_path(path: &Path) -> io::Result<Option<Self>> {
        if fs::metadata(path)?.is_file() {
            Self::of(&File::open(path)?)
        } else {
            Ok(None)
        }
    }

    /// Looks at the first and last bytes of a file; `None` if it is neither.
    ///
    /// # Errors
    /// Those of the system.
    pub fn of(file: &File) -> io::Result<Option<Self>> {
        let read = |offset, buffer: &mut [u8]| file.read_exact_at(buffer, offset);
        let len = (&mut &*file).seek(SeekFrom::End(0))?;
        let mut start = [0; crypt::MAGIC.len()];
        if len < start.len() as u64 {
            return Ok(None);
        }
        read(0, &mut start)?;
        if start == crypt::MAGIC {
            return Ok(Some(Self::Encrypted));
        }
        // Also one whose end is missing, which must not pass for something else.
        if part::is_head(&start) {
            return Ok(Some(Self::Plain));
        }
        let is_zstd = start.starts_with(&SKIPPABLE) || start.starts_with(&MAGIC);
        let has_table = is_zstd && SeekTable::find(len, read)?.is_some();
        Ok(has_table.then_some(Self::Plain))
    }
}

/// An opened file.
pub(super) struct Storage {
    content: Content,
    len: u64,
}

enum Content {
    Plain(File),
    Encrypted(Box<Opened>),
}

impl Storage {
    pub(super) fn open(path: &Path, credentials: &Credentials) -> Result<Self, FileError> {
        let failed = |source| FileError::io(path, "open it", 0, source);
        // Looked at before it is opened, which would wait for a pipe's writer.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(FileError::NotAnImage {
                path: path.to_owned(),
            });
        }
        let file = File::open(path).map_err(failed)?;
        if !lock::for_reading(&file) {
            return Err(failed(io::Error::other(
                "another program is writing to it; wait until that is done",
            )));
        }
        match Form::of(&file).map_err(failed)? {
            None => Err(FileError::NotAnImage {
                path: path.to_owned(),
            }),
            Some(Form::Plain) if !credentials.is_empty() => Err(FileError::NotEncrypted {
                path: path.to_owned(),
            }),
            Some(Form::Plain) => Ok(Self {
                len: (&file).seek(SeekFrom::End(0)).map_err(failed)?,
                content: Content::Plain(file),
            }),
            Some(Form::Encrypted) => {
                let opened = Opened::open(file, credentials).map_err(|why| FileError::Locked {
                    path: path.to_owned(),
                    why,
                })?;
                Ok(Self {
                    len: opened.len(),
                    content: Content::Encrypted(Box::new(opened)),
                })
            }
        }
    }

    /// Bytes of the image file; encrypted, of what is inside.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn form(&self) -> Form {
        match self.content {
            Content::Plain(_) => Form::Plain,
            Content::Encrypted(_) => Form::Encrypted,
        }
    }

    /// Fills `buffer` from `offset` on; `path` is for messages.
    pub(super) fn read_exact_at(
        &self,
        path: &Path,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), FileError> {
        match &self.content {
            Content::Plain(file) => file
                .read_exact_at(buffer, offset)
                .map_err(|source| FileError::io(path, "read", offset, source)),
            Content::Encrypted(opened) => {
                opened
                    .read_exact_at(offset, buffer)
                    .map_err(|source| match source.kind() {
                        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                            FileError::damaged(path, offset, Damage::Encrypted)
                        }
                        _ => FileError::io(path, "read", offset, source),
                    })
            }
        }
    }
}
