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

/// Room for one raw block.
pub type RawBlock = [u8; BLOCK_SIZE];

/// Turns bodies back into raw blocks. Keep one per thread: its zstd context is reused.
pub struct Decoder {
    context: DCtx<'static>,
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
        }
    }

    /// The raw block of `raw_len` bytes of which `body` is the body: `body` itself, or what it
    /// decompresses to, which then stands in `out`.
    ///
    /// Nothing is allocated, whatever the body says. Bytes that decode need not be the right
    /// ones: compare their [`super::BlockDigest`].
    ///
    /// # Errors
    ///
    /// [`DecodeError`] unless `body` is exactly one body of the given coding that holds `raw_len`
    /// bytes. What `out` holds then is undefined.
    pub fn decode<'a>(
        &mut self,
        coding: Coding,
        body: &'a [u8],
        raw_len: usize,
        out: &'a mut RawBlock,
    ) -> Result<&'a [u8], DecodeError> {
        check_raw_len(raw_len)?;
        match coding {
            Coding::Raw if body.len() == raw_len => Ok(body),
            Coding::Raw => Err(DecodeError::Length {
                expected: raw_len,
                found: body.len(),
            }),
            Coding::Zstd => {
                let out = &mut out[..raw_len];
                self.decompress(body, out)?;
                Ok(out)
            }
        }
    }

    fn decompress(&mut self, body: &[u8], out: &mut [u8]) -> Result<(), DecodeError> {
        let expected = out.len();
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
        let written = self.context.decompress(out, body).map_err(corrupt)?;
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes that zstd cannot make shorter.
    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn text(len: usize) -> Vec<u8> {
        b"a room of thirty machines. "
            .iter()
            .copied()
            .cycle()
            .take(len)
            .collect()
    }

    fn room() -> Box<RawBlock> {
        vec![0xa5; BLOCK_SIZE].try_into().unwrap()
    }

    fn check(level: Level, raw: &[u8], expected: Coding) {
        let mut body = Vec::new();
        let coding = Encoder::new(level).encode(raw, &mut body);
        assert_eq!(coding, expected, "{} bytes at {level}", raw.len());
        let body = match coding {
            Coding::Zstd => &body,
            Coding::Raw => raw,
        };
        let (mut decoder, mut out) = (Decoder::new(), room());
        let decoded = decoder.decode(coding, body, raw.len(), &mut out);
        assert!(decoded.unwrap() == raw);
        assert_eq!(content_size(coding, body), Some(raw.len()));
        if coding == Coding::Zstd {
            assert!(body.len() < raw.len());
            // Any zstd tool reads the body.
            assert!(zstd::stream::decode_all(body).unwrap() == raw);
        }
    }

    #[test]
    fn a_length_that_no_block_has_is_not_a_content_size() {
        let too_long = zstd::bulk::compress(&text(BLOCK_SIZE + 1), 1).unwrap();
        let empty = zstd::bulk::compress(&[], 1).unwrap();
        for body in [&too_long[..], &empty, b"", b"no frame", &empty[..4]] {
            assert_eq!(content_size(Coding::Zstd, body), None);
        }
        assert_eq!(content_size(Coding::Raw, &[]), None);
        assert_eq!(content_size(Coding::Raw, &[0; BLOCK_SIZE + 1]), None);
    }

    #[test]
    fn blocks_of_all_lengths_return() {
        let levels = [
            Level::FAST,
            Level::DEFAULT,
            Level::MAX,
            Level::zstd(-7).unwrap(),
        ];
        for len in [300, 1000, 131_072, 131_073, BLOCK_SIZE - 1, BLOCK_SIZE] {
            check(Level::NONE, &text(len), Coding::Raw);
            check(Level::NONE, &noise(len), Coding::Raw);
            for level in levels {
                check(level, &text(len), Coding::Zstd);
                check(level, &noise(len), Coding::Raw);
            }
        }
        check(Level::NONE, &[0], Coding::Raw);
    }

    #[test]
    fn contexts_are_reused_without_growing() {
        let (mut encoder, mut decoder) = (Encoder::new(Level::DEFAULT), Decoder::new());
        let (mut body, mut out) = (Vec::new(), room());
        for raw in [text(BLOCK_SIZE), noise(BLOCK_SIZE), text(5000), text(300)] {
            let coding = encoder.encode(&raw, &mut body);
            assert!(body.capacity() <= 264 * 1024, "{}", body.capacity());
            if coding == Coding::Zstd {
                let decoded = decoder.decode(coding, &body, raw.len(), &mut out);
                assert!(decoded.unwrap() == raw);
            }
        }
    }

    #[test]
    fn a_raw_body_is_exactly_its_block() {
        let (mut decoder, mut out) = (Decoder::new(), room());
        let body = noise(1000);
        for expected in [1, 999, 1001, BLOCK_SIZE] {
            let found = body.len();
            assert_eq!(
                decoder.decode(Coding::Raw, &body, expected, &mut out),
                Err(DecodeError::Length { expected, found })
            );
        }
        for found in [0, BLOCK_SIZE + 1, usize::MAX] {
            assert_eq!(
                decoder.decode(Coding::Raw, &body, found, &mut out),
                Err(DecodeError::RawLen { found })
            );
        }
    }

    #[test]
    fn only_exactly_one_frame_of_the_right_size_is_taken() {
        let raw = text(5000);
        let mut body = Vec::new();
        assert_eq!(
            Encoder::new(Level::DEFAULT).encode(&raw, &mut body),
            Coding::Zstd
        );
        let (mut decoder, mut out) = (Decoder::new(), room());
        let mut decode = |body: &[u8], len| {
            let decoded = decoder.decode(Coding::Zstd, body, len, &mut out);
            decoded.map(<[u8]>::len)
        };
        assert_eq!(decode(&body, 5000), Ok(5000));
        for expected in [4999, 5001] {
            let found = DecodeError::ContentSize {
                expected,
                found: Some(5000),
            };
            assert_eq!(decode(&body, expected), Err(found));
        }
        assert_eq!(decode(&body, 0), Err(DecodeError::RawLen { found: 0 }));
        let found = DecodeError::RawLen {
            found: BLOCK_SIZE + 1,
        };
        assert_eq!(decode(&body, BLOCK_SIZE + 1), Err(found));
        for len in 0..body.len() {
            assert!(
                decode(&body[..len], 5000).is_err(),
                "{len} of {} bytes",
                body.len()
            );
        }
        let (frame, found) = (body.len(), body.len() + 1);
        let trailing = [&body[..], &[0]].concat();
        assert_eq!(
            decode(&trailing, 5000),
            Err(DecodeError::Trailing { frame, found })
        );
        let twice = [&body[..], &body[..]].concat();
        assert!(matches!(
            decode(&twice, 10_000),
            Err(DecodeError::ContentSize { .. })
        ));
        let skippable = b"\x50\x2a\x4d\x18\x01\x00\x00\x00\x00";
        let behind = [skippable, &body[..]].concat();
        assert_eq!(decode(&behind, 5000), Err(DecodeError::NoFrame));
        let long = [&body[..], &vec![0; 5000]].concat();
        assert_eq!(
            decode(&long, 5000),
            Err(DecodeError::NotShorter {
                raw_len: 5000,
                found: long.len()
            })
        );
    }

    #[test]
    fn a_frame_without_content_size_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        std::io::Write::write_all(&mut encoder, &text(5000)).unwrap();
        let body = encoder.finish().unwrap();
        let found = DecodeError::ContentSize {
            expected: 5000,
            found: None,
        };
        assert_eq!(
            Decoder::new().decode(Coding::Zstd, &body, 5000, &mut room()),
            Err(found)
        );
    }

    proptest! {
        #[test]
        fn damaged_bodies_never_panic(
            len in 300..10_000_usize,
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut body = Vec::new();
            prop_assert_eq!(Encoder::new(Level::FAST).encode(&text(len), &mut body), Coding::Zstd);
            for (index, byte) in hits {
                let n = index.index(body.len());
                body[n] = byte;
            }
            // Without a checksum a damaged frame may decode: the digest is what proves a block.
            let _ = Decoder::new().decode(Coding::Zstd, &body, len, &mut room());
        }

        #[test]
        fn random_bodies_are_refused(
            body in prop::collection::vec(any::<u8>(), 0..200),
            len in 0..300_000_usize,
        ) {
            let framed = [&[0x28, 0xb5, 0x2f, 0xfd][..], &body].concat();
            let (mut decoder, mut out) = (Decoder::new(), room());
            prop_assert!(decoder.decode(Coding::Zstd, &body, len, &mut out).is_err());
            let _ = decoder.decode(Coding::Zstd, &framed, len, &mut out);
        }
    }
}
