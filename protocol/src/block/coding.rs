//! Bodies: raw blocks, compressed where that makes them shorter, and back.

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, compress_bound, find_frame_compressed_size, get_error_name,
    get_frame_content_size,
};

use super::Level;
use super::probe::Probe;
use crate::units::BLOCK_SIZE;

/// How the body of a block is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// A zstd frame (RFC 8878) that states its content size and is shorter than the block.
    Zstd,
    /// The block itself: it is sent from where it was read to and written from where it came.
    Raw,
}

/// Why a body is not that of the expected block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No block has this many bytes.
    #[error("expected a block of 1 to {BLOCK_SIZE} bytes, found {found}")]
    RawLen {
        /// Bytes asked for.
        found: usize,
    },
    /// A raw body has another length than its block.
    #[error("expected a raw body of {expected} bytes, found {found}")]
    Length {
        /// Length of the expected block.
        expected: usize,
        /// Length of the body.
        found: usize,
    },
    /// A compressed body is not shorter than its block.
    #[error("expected a compressed body of fewer than {raw_len} bytes, found {found}")]
    NotShorter {
        /// Length of the expected block.
        raw_len: usize,
        /// Length of the body.
        found: usize,
    },
    /// A body does not begin with the magic number of zstd frames.
    #[error("expected a zstd frame, found other bytes")]
    NoFrame,
    /// A frame states another content size, or none.
    #[error("expected a frame of {expected} bytes of content, found {found:?}")]
    ContentSize {
        /// Length of the raw block.
        expected: usize,
        /// Content size that the frame states, if any.
        found: Option<u64>,
    },
    /// A body goes on behind its frame.
    #[error("expected a body of one frame of {frame} bytes, found {found} bytes")]
    Trailing {
        /// Length of the frame.
        frame: usize,
        /// Length of the body.
        found: usize,
    },
    /// zstd could not decompress the frame.
    #[error("cannot decompress a frame: {reason}")]
    Corrupt {
        /// What zstd says.
        reason: &'static str,
    },
}

/// Makes bodies. Keep one per thread: its zstd context is large and reused.
pub struct Encoder {
    /// Nothing where the level is none.
    context: Option<CCtx<'static>>,
    /// Nothing where time does not matter.
    probe: Option<Probe>,
}

/// Turns bodies back into raw blocks. Keep one per thread: its zstd context is reused.
pub struct Decoder {
    context: DCtx<'static>,
    /// What a compressed block is decompressed into.
    room: Box<[u8]>,
}

impl Encoder {
    /// An encoder that compresses at the given level.
    #[must_use]
    pub fn new(level: Level) -> Encoder {
        let context = level.as_zstd().map(|level| {
            let mut context = CCtx::create();
            context
                .set_parameter(CParameter::CompressionLevel(level))
                .expect("a new context takes any level, and clamps it");
            context
        });
        Encoder {
            context,
            probe: (level.as_zstd() <= Level::DEFAULT.as_zstd()).then(Probe::default),
        }
    }

    /// Makes `body` the body of `raw` if that is shorter than `raw`. Levels up to the default do
    /// not try what looks random. With [`Coding::Raw`] the
    /// body is `raw` itself, and what `body` holds means nothing.
    ///
    /// `body` keeps its memory, which grows to at most 264 KiB.
    ///
    /// # Panics
    ///
    /// Unless `raw` has 1 to [`BLOCK_SIZE`] bytes.
    pub fn encode(&mut self, raw: &[u8], body: &mut Vec<u8>) -> Coding {
        assert!(
            (1..=BLOCK_SIZE).contains(&raw.len()),
            "a block has 1 to {BLOCK_SIZE} bytes"
        );
        let probe = self.probe.as_mut();
        if probe.is_some_and(|probe| !probe.is_worth_it(raw)) {
            return Coding::Raw;
        }
        let shorter = self.compress(raw, body);
        if let Some(probe) = &mut self.probe {
            probe.on_compressed(shorter);
        }
        if shorter { Coding::Zstd } else { Coding::Raw }
    }

    /// Makes `body` the compressed body of `raw`, whatever it looks like; false if it would not
    /// be shorter. What was shorter once will be again, with the same bytes.
    pub fn compress(&mut self, raw: &[u8], body: &mut Vec<u8>) -> bool {
        let Some(context) = &mut self.context else {
            return false;
        };
        body.clear();
        body.reserve(compress_bound(raw.len()));
        // With room for the worst case this fails only where zstd gets no memory; the raw block
        // is right then, too.
        let compressed = context.compress2(body, raw);
        compressed.is_ok_and(|len| len < raw.len())
    }
}

impl Decoder {
    /// A decoder.
    #[must_use]
    pub fn new() -> Decoder {
        Decoder {
            context: DCtx::create(),
            room: vec![0; BLOCK_SIZE].into(),
        }
    }

    /// The raw block of `raw_len` bytes of which `body` is the body: `body` itself, or what it
    /// decompresses to.
    ///
    /// Nothing is allocated, whatever the body says. Bytes that decode need not be the right
    /// ones: compare their [`super::BlockDigest`].
    ///
    /// # Errors
    ///
    /// [`DecodeError`] unless `body` is exactly one body of the given coding that holds `raw_len`
    /// bytes.
    pub fn decode<'a>(
        &'a mut self,
        coding: Coding,
        body: &'a [u8],
        raw_len: usize,
    ) -> Result<&'a [u8], DecodeError> {
        check_raw_len(raw_len)?;
        match coding {
            Coding::Raw if body.len() == raw_len => Ok(body),
            Coding::Raw => Err(DecodeError::Length {
                expected: raw_len,
                found: body.len(),
            }),
            Coding::Zstd => {
                self.decompress(body, raw_len)?;
                Ok(&self.room[..raw_len])
            }
        }
    }

    /// Decompresses to the start of the room.
    fn decompress(&mut self, body: &[u8], expected: usize) -> Result<(), DecodeError> {
        let corrupt = |code| DecodeError::Corrupt {
            reason: get_error_name(code),
        };
        if body.len() >= expected {
            return Err(DecodeError::NotShorter {
                raw_len: expected,
                found: body.len(),
            });
        }
        // zstd would also take skippable frames and the formats before version 0.8.
        if !body.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            return Err(DecodeError::NoFrame);
        }
        let content_size = get_frame_content_size(body).unwrap_or(None);
        if content_size != Some(expected as u64) {
            return Err(DecodeError::ContentSize {
                expected,
                found: content_size,
            });
        }
        let frame = find_frame_compressed_size(body).map_err(corrupt)?;
        if frame != body.len() {
            return Err(DecodeError::Trailing {
                frame,
                found: body.len(),
            });
        }
        let written = self
            .context
            .decompress(&mut self.room[..expected], body)
            .map_err(corrupt)?;
        if written != expected {
            let found = Some(written as u64);
            return Err(DecodeError::ContentSize { expected, found });
        }
        Ok(())
    }
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

/// Length of the raw block that a body states; `None` where it is no body or states no length
/// that a block can have.
///
/// For the last block of an image of unknown length: only its digest proves that it is right.
#[must_use]
pub fn content_size(coding: Coding, body: &[u8]) -> Option<usize> {
    let stated = match coding {
        Coding::Raw => body.len(),
        Coding::Zstd => {
            let stated = get_frame_content_size(body).ok().flatten()?;
            usize::try_from(stated).ok()?
        }
    };
    check_raw_len(stated).is_ok().then_some(stated)
}

fn check_raw_len(found: usize) -> Result<(), DecodeError> {
    if (1..=BLOCK_SIZE).contains(&found) {
        Ok(())
    } else {
        Err(DecodeError::RawLen { found })
    }
}

#[cfg(test)]
mod tests;
