//! A file, and where its content lies.

use crate::used::read::read;
use crate::used::{Distrust, ReadAt};

/// Pieces of a file that are kept, 2 MiB of them; what is in more is not followed.
const MAX_PIECES: usize = 1 << 16;

/// What something in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link of Linux.
    Link,
    /// A device, a pipe, a socket.
    Other,
}

/// A part of a file that lies in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Byte offset in the file.
    pub from: u64,
    /// Bytes.
    pub len: u64,
    /// Byte offset on the volume.
    pub place: u64,
    /// Whether it was ever written: what was not reads as zeros.
    pub is_written: bool,
}

/// Where the content of a file is.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// In the structure that describes the file.
    Inline(Vec<u8>),
    /// In pieces, in order; between them it is zeros.
    Pieces(Vec<Piece>),
    /// In the index that a file record has: a directory of NTFS, by its reference.
    Index(u64),
    /// It takes more than reading to have it. In words: "it has a file that is compressed".
    Opaque(&'static str),
}

/// A file, a directory, a link.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Bytes of content; of a directory what it takes.
    pub len: u64,
    pub(crate) content: Content,
}

impl Node {
    /// Where it lies on the volume, in order; what is between the pieces is zeros. They may reach
    /// beyond its length. Content that is kept in the file's description is in no piece.
    ///
    /// # Errors
    /// When its content does not lie there as it is.
    pub fn pieces(&self) -> Result<&[Piece], Distrust> {
        match &self.content {
            Content::Inline(_) | Content::Index(_) => Ok(&[]),
            Content::Pieces(pieces) => Ok(pieces),
            Content::Opaque(why) => Err(Distrust::Arrangement(why)),
        }
    }

    /// Reads bytes of it, which are allocated: `len` is one that was bounded.
    pub(crate) fn read(
        &self,
        volume: &dyn ReadAt,
        from: u64,
        len: usize,
    ) -> Result<Vec<u8>, Distrust> {
        let mut bytes = vec![0; len];
        if let Content::Inline(all) = &self.content {
            let all = usize::try_from(from).ok().and_then(|from| all.get(from..));
            let count = len.min(all.map_or(0, <[u8]>::len));
            bytes[..count].copy_from_slice(&all.unwrap_or_default()[..count]);
            return Ok(bytes);
        }
        let end = from.saturating_add(len as u64);
        for piece in self.pieces()?.iter().filter(|piece| piece.is_written) {
            let (start, stop) = (piece.from.max(from), (piece.from + piece.len).min(end));
            if start < stop {
                let place = piece.place + (start - piece.from);
                let part = read(volume, place, (stop - start) as usize, "a file")?;
                let at = (start - from) as usize;
                bytes[at..at + part.len()].copy_from_slice(&part);
            }
        }
        Ok(bytes)
    }
}

/// Puts pieces together, in the order of the file.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: Vec<Piece>,
    /// Bytes that a piece may lie in.
    volume: u64,
}

impl Pieces {
    /// Of a file on a filesystem of so many bytes.
    pub(crate) fn new(volume: u64) -> Self {
        Self {
            pieces: Vec::new(),
            volume,
        }
    }

    /// Adds what follows; it has to lie behind all before it, and on the volume.
    pub(crate) fn push(&mut self, piece: Piece) -> Result<(), Distrust> {
        let range = |value| Distrust::Range {
            what: "the place of a piece of a file",
            value,
        };
        let end = piece.place.checked_add(piece.len);
        if end.is_none_or(|end| end > self.volume) {
            return Err(range(piece.place));
        }
        let is_behind = self
            .pieces
            .last()
            .is_none_or(|last| last.from + last.len <= piece.from);
        if piece.len == 0 || !is_behind || piece.from.checked_add(piece.len).is_none() {
            return Err(range(piece.from));
        }
        let is_full = self.pieces.len() == MAX_PIECES;
        match self.pieces.last_mut() {
            Some(last)
                if last.from + last.len == piece.from
                    && last.place + last.len == piece.place
                    && last.is_written == piece.is_written =>
            {
                last.len += piece.len;
            }
            _ if is_full => {
                return Err(Distrust::Arrangement("a file in very many pieces"));
            }
            _ => self.pieces.push(piece),
        }
        Ok(())
    }

    pub(crate) fn done(self) -> Content {
        Content::Pieces(self.pieces)
    }
}
