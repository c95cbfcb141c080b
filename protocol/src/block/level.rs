//! How hard the sender compresses.

use core::fmt;
use core::num::NonZeroI8;
use core::str::FromStr;

/// A compression level: none at all, or a level of zstd. One byte: the sender keeps it for every block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(Option<NonZeroI8>);

const _: () = assert!(size_of::<Level>() == 1);

/// Text or a number that is no compression level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected none, fast, default, max, or a zstd level from -7 to 22 but 0, found {found:?}")]
pub struct LevelError {
    found: String,
}

impl Level {
    /// Every block is sent as it is.
    pub const NONE: Level = Level(None);
    /// zstd 1, for links of several Gbit/s.
    pub const FAST: Level = Level(NonZeroI8::new(1));
    /// zstd 3.
    pub const DEFAULT: Level = Level(NonZeroI8::new(3));
    /// zstd 19: an image that is captured once and sent often. The levels above differ only in
    /// windows that are larger than a block.
    pub const MAX: Level = Level(NonZeroI8::new(19));

    /// The given level of zstd.
    ///
    /// # Errors
    ///
    /// Levels from -7 to 22 exist; 0, which zstd takes for its default, is refused.
    pub fn zstd(level: i32) -> Result<Level, LevelError> {
        let known = (-7..=22).contains(&level);
        let number = i8::try_from(level).ok().and_then(NonZeroI8::new);
        match number.filter(|_| known) {
            Some(number) => Ok(Level(Some(number))),
            None => Err(LevelError {
                found: level.to_string(),
            }),
        }
    }

    /// The level of zstd; nothing for [`Level::NONE`].
    #[must_use]
    pub fn as_zstd(self) -> Option<i32> {
        self.0.map(|number| number.get().into())
    }
}

impl Default for Level {
    fn default() -> Level {
        Level::DEFAULT
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Level, LevelError> {
        match text {
            "none" => Ok(Level::NONE),
            "fast" => Ok(Level::FAST),
            "default" => Ok(Level::DEFAULT),
            "max" => Ok(Level::MAX),
            number => number
                .parse()
                .map_err(|_| LevelError {
                    found: number.to_owned(),
                })
                .and_then(Level::zstd),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Level::NONE => f.write_str("none"),
            Level::FAST => f.write_str("fast"),
            Level::DEFAULT => f.write_str("default"),
            Level::MAX => f.write_str("max"),
            other => write!(f, "{}", other.as_zstd().unwrap_or_default()),
        }
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
        assert_eq!("3".parse(), Ok(Level::DEFAULT));
    }

    #[test]
    fn other_levels_are_refused() {
        for text in ["", "0", "23", "-8", "best", "3 "] {
            let error = text.parse::<Level>().unwrap_err().to_string();
            assert!(error.ends_with(&format!("found {text:?}")), "{error}");
        }
    }
}
