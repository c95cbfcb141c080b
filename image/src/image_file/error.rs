//! What can go wrong with an image file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Place;
use super::part::Part;

/// Why an image file cannot be read or written. Each message says what failed, where, and what
/// to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system failed.
    #[error("image file {}: cannot {action} at offset {offset}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Byte offset in the file.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else, or its end is missing.
    #[error("{}: it is no image file of mimeo, or its end is missing: it does not end with a \
             seek table and a footer; check that it was copied completely", path.display())]
    NotAnImage {
        /// The path.
        path: PathBuf,
    },
    /// Its bytes are not what was written.
    #[error("image file {}: damaged at offset {offset}: {damage}; copy it again from where it \
             is whole", path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// Byte offset in the file, of the frame.
        offset: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// A block of the disk is not what was captured.
    #[error("image file {}: damaged at offset {offset}, block {} of the disk (bytes {} to {}): \
             {damage}; copy it again from where it is whole",
             path.display(), place.0, place.offset(), end)]
    DamagedBlock {
        /// The path.
        path: PathBuf,
        /// Byte offset in the file, of the frame.
        offset: u64,
        /// The first block of the disk that is in the frame.
        place: Place,
        /// Byte offset on the disk at which the frame's content ends.
        end: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// It is encrypted, and cannot be decrypted.
    #[error("image file {}: {why}", path.display())]
    Locked {
        /// The path.
        path: PathBuf,
        /// Why, and what to do.
        why: Locked,
    },
    /// It was given what opens one that is encrypted.
    #[error("{}: it is not encrypted; leave out --passphrase-file and --identity", path.display())]
    NotEncrypted {
        /// The path.
        path: PathBuf,
    },
    /// The caller asked for bytes that the disk never had.
    #[error("image file {}: bytes {offset} to {end} of the disk were asked for, but it has only \
             {len}; this is a bug, please report it", path.display())]
    OutOfRange {
        /// The path.
        path: PathBuf,
        /// First byte asked for.
        offset: u64,
        /// End of the range asked for.
        end: u64,
        /// Length of the disk.
        len: u64,
    },
    /// Something is there already.
    #[error("image file {}: it exists already and is left as it is; name another file, or \
             overwrite it with --overwrite", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The format has an end.
    #[error("image file {}: {what} do not fit into one image file; capture partitions one by \
             one, into a file each", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// What there is too much of.
        what: &'static str,
    },
}

/// How bytes differ from what must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A part of the file is no such part, or what it says contradicts itself.
    Part(Part),
    /// A part has another digest than what points to it.
    Hash(Part),
    /// The file was made by a later mimeo.
    Version(u8),
    /// An entry of a page, by its number.
    Entry(usize),
    /// A frame is not exactly one frame of its block.
    Frame,
    /// A frame is not what was written.
    Stored,
    /// A block does not have its digest.
    Block,
    /// The signature is not one of this file.
    Signature,
    /// The seek table says something else of a frame, by its number.
    SeekTable(u32),
    /// The description is no text that can be understood.
    Description(String),
    /// What is encrypted there was changed, or is not all there.
    Encrypted,
    /// The digest of the whole disk is another one than that of its blocks.
    Disk,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(part) => write!(f, "{part} is not one, or contradicts itself"),
            Self::Hash(part) => write!(f, "{part} does not have its digest"),
            Self::Version(found) => write!(
                f,
                "version {found} of the format, this program knows 1: use a newer mimeo"
            ),
            Self::Entry(index) => write!(f, "entry {index} of a manifest page contradicts itself"),
            Self::Frame => f.write_str("what is stored is not one frame of the block"),
            Self::Stored => f.write_str("what is stored is not what was written"),
            Self::Block => f.write_str("the block does not have its digest"),
            Self::Signature => f.write_str("the signature is not one of this image"),
            Self::SeekTable(frame) => write!(f, "the seek table is wrong about frame {frame}"),
            Self::Description(why) => write!(f, "the description cannot be read: {why}"),
            Self::Encrypted => f.write_str("what is encrypted there was changed or cut off"),
            Self::Disk => f.write_str("the BLAKE3 hash that it states is not that of its blocks"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "the file's head",
            Self::Page => "a manifest page",
            Self::Description => "the description",
            Self::Directory => "the directory of pages",
            Self::Signature => "the signature's place",
            Self::Footer => "the footer",
        })
    }
}

/// Why an encrypted file stays closed.
#[derive(Debug, Error)]
pub enum Locked {
    /// Nothing was given to open it with.
    #[error("it is encrypted (age); give --passphrase-file FILE or --identity FILE")]
    NoCredentials,
    /// It is for somebody else.
    #[error("it is encrypted, and not for this passphrase or identity; give the right one")]
    WrongCredentials,
    /// It cannot be changed in place.
    #[error(
        "it is encrypted, so nothing in it can be changed without writing all of it anew; sign it when \
             it is captured (capture --sign-key), or sign it decrypted and encrypt it again: \
             `age -d -o PLAIN FILE`, `mimeo-image sign --sign-key KEY PLAIN`, `age -r .. -o FILE PLAIN`"
    )]
    Sealed,
    /// Its header is damaged, or of another age.
    #[error("it is encrypted, and cannot be decrypted: {0}")]
    Other(String),
}

impl FileError {
    /// Whether the file's content is at fault, rather than the system or who asked.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::DamagedBlock { .. })
    }

    pub(super) fn io(path: &Path, action: &'static str, offset: u64, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            action,
            offset,
            source,
        }
    }

    pub(super) fn damaged(path: &Path, offset: u64, damage: Damage) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            offset,
            damage,
        }
    }
}
