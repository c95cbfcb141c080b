//! Blocks of the disk into frames and back.

use std::fmt;
use std::str::FromStr;

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, compress_bound, find_frame_compressed_size, get_frame_content_size,
};

use super::entry::Coding;
use super::frame::{MAGIC, gather_raw_frame, push_raw_frame};
use super::{BLOCK_SIZE, Damage};

/// How hard blocks are compressed: not at all, or a level of zstd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Option<i32>);

/// A word that is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected none, fast, default, max, or a zstd level from -7 to 22 but 0, found {0:?}")]
pub struct LevelError(String);

impl Level {
    /// Blocks are stored as they are.
    pub const NONE: Self = Self(None);
    /// zstd 1: as fast as a disk is read.
    pub const FAST: Self = Self(Some(1));
    /// zstd 3.
    pub const DEFAULT: Self = Self(Some(3));
    /// zstd 19: an image that is captured once and sent often. The levels above differ only in
    /// windows that are larger than a block.
    pub const MAX: Self = Self(Some(19));

    const NAMES: [(Self, &'static str); 4] = [
        (Self::NONE, "none"),
        (Self::FAST, "fast"),
        (Self::DEFAULT, "default"),
        (Self::MAX, "max"),
    ];
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        if let Some((level, _)) = Self::NAMES.iter().find(|(_, name)| *name == text) {
            return Ok(*level);
        }
        match text.parse() {
            // 0 is what zstd takes for its own default.
            Ok(level) if level != 0 && (-7..=22).contains(&level) => Ok(Self(Some(level))),
            _ => Err(LevelError(text.to_owned())),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(level, _)| level == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{}", self.0.unwrap_or_default()),
        }
    }
}

/// Makes frames. One for each thread: its zstd context is large and used again.
pub struct Encoder(Option<CCtx<'static>>);

impl Encoder {
    /// An encoder that compresses at the given level.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self(level.0.map(|level| {
            let mut context = CCtx::create();
            context
                .set_parameter(CParameter::CompressionLevel(level))
                .expect("a new context takes any level, and clamps it");
            context
        }))
    }

    /// Makes `frame` the frame of `raw`, which has 1 to [`BLOCK_SIZE`] bytes: a compressed one if
    /// that is shorter than `raw` itself.
    pub(super) fn encode(&mut self, raw: &[u8], frame: &mut Vec<u8>) -> Coding {
        frame.clear();
        if let Some(context) = &mut self.0 {
            frame.reserve(compress_bound(raw.len()));
            // It has room for the worst case, so only memory can be missing; and raw is right then.
            let compressed = context.compress2(frame, raw);
            if compressed.is_ok_and(|len| len < raw.len()) {
                return Coding::Zstd;
            }
            frame.clear();
        }
        push_raw_frame(raw, frame);
        Coding::Raw
    }
}

/// Makes blocks of frames. One for each thread: its zstd context is used again.
pub struct Decoder(DCtx<'static>);

impl Decoder {
    /// A decoder.
    #[must_use]
    pub fn new() -> Self {
        Self(DCtx::create())
    }

    /// Makes `raw` the block of `len` bytes that is in `frame`. What decodes need not be right:
    /// compare its digest.
    pub(super) fn decode(
        &mut self,
        coding: Coding,
        frame: &[u8],
        len: usize,
        raw: &mut Vec<u8>,
    ) -> Result<(), Damage> {
        debug_assert!(len <= BLOCK_SIZE);
        let decoded = match coding {
            Coding::Raw => gather_raw_frame(frame, len, raw),
            Coding::Zstd => self.decompress(frame, len, raw),
        };
        if decoded { Ok(()) } else { Err(Damage::Frame) }
    }

    /// Exactly one frame that states that it holds `len` bytes, and does.
    fn decompress(&mut self, frame: &[u8], len: usize, raw: &mut Vec<u8>) -> bool {
        raw.clear();
        let is_one = frame.starts_with(&MAGIC)
            && get_frame_content_size(frame).ok().flatten() == Some(len as u64)
            && find_frame_compressed_size(frame) == Ok(frame.len());
        if !is_one {
            return false;
        }
        raw.resize(len, 0);
        self.0.decompress(raw.as_mut_slice(), frame) == Ok(len)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_shown() {
        for text in ["none", "fast", "default", "max", "-7", "2", "22"] {
            assert_eq!(text.parse::<Level>().unwrap().to_string(), text);
        }
        for text in ["", "0", "23", "-8", "best", "3 "] {
            let error = text.parse::<Level>().unwrap_err().to_string();
            assert!(error.ends_with(&format!("found {text:?}")), "{error}");
        }
    }

    #[test]
    fn a_block_comes_back_from_its_frame() {
        let text = b"mimeo images a whole room ".repeat(10_000);
        let (mut frame, mut again) = (Vec::new(), Vec::new());
        for (level, len, coding) in [
            (Level::NONE, BLOCK_SIZE, Coding::Raw),
            (Level::FAST, BLOCK_SIZE, Coding::Zstd),
            (Level::MAX, 1000, Coding::Zstd),
            (Level::DEFAULT, 1, Coding::Raw),
        ] {
            let raw = &text.repeat(2)[..len];
            assert_eq!(Encoder::new(level).encode(raw, &mut frame), coding);
            let mut decoder = Decoder::new();
            decoder.decode(coding, &frame, len, &mut again).unwrap();
            assert_eq!(again, raw);
            assert!(decoder.decode(coding, &frame, len - 1, &mut again).is_err());
            frame.push(0);
            assert!(decoder.decode(coding, &frame, len, &mut again).is_err());
        }
    }
}
