//! The join code: what the sender shows and a person types at every machine.

use std::fmt;

use bip39::Language;

/// The largest number of a code; the smallest is 1.
const MOST: u64 = 99;

/// A number and two words of the 2048 of BIP 39: one of 4 * 10^8.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinCode {
    number: u8,
    words: [&'static str; 2],
}

/// What was given is no join code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinCodeError {
    /// It does not look like one.
    #[error(
        "a join code is a number from 1 to {MOST} and two words, such as 7-amateur-falcon; the sender shows it"
    )]
    Shape,
    /// A word that is not on the list.
    #[error("{word} is not a word of join codes{}", match .meant {
        Some(meant) => format!("; {meant} is one"),
        None => String::new(),
    })]
    Word {
        /// The word.
        word: String,
        /// The only one on the list that is like it.
        meant: Option<&'static str>,
    },
}

impl JoinCode {
    /// A code from random bytes.
    #[must_use]
    pub fn draw(random: [u8; 32]) -> Self {
        let part = |at: usize| {
            let bytes = random[at..at + 8].try_into().expect("eight bytes");
            u64::from_be_bytes(bytes)
        };
        let words = words();
        let word = |at| words[(part(at) % words.len() as u64) as usize];
        Self {
            number: (part(0) % MOST + 1) as u8,
            words: [word(8), word(16)],
        }
    }

    /// Reads what somebody typed: in any case, with any signs between the parts. Four letters are
    /// enough of a word: no two on the list begin with the same.
    ///
    /// # Errors
    ///
    /// When it is no code; the message says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, JoinCodeError> {
        let mut parts = text
            .split(|sign: char| !sign.is_alphanumeric())
            .filter(|part| !part.is_empty());
        let (Some(number), Some(first), Some(second), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JoinCodeError::Shape);
        };
        let number = number.parse::<u8>().map_err(|_| JoinCodeError::Shape)?;
        if number == 0 || u64::from(number) > MOST {
            return Err(JoinCodeError::Shape);
        }
        let words = [find(first)?, find(second)?];
        Ok(Self { number, words })
    }
}

impl fmt::Display for JoinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.words;
        write!(f, "{}-{first}-{second}", self.number)
    }
}

impl fmt::Debug for JoinCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinCode(..)")
    }
}

fn words() -> &'static [&'static str; 2048] {
    Language::English.word_list()
}

fn find(typed: &str) -> Result<&'static str, JoinCodeError> {
    let typed = typed.to_lowercase();
    let is_meant =
        |word: &&'static str| *word == typed || (typed.len() >= 4 && word.starts_with(&typed));
    if let Some(word) = words().iter().copied().find(is_meant) {
        return Ok(word);
    }
    let mut near = words().iter().filter(|word| is_near(word, &typed));
    let meant = near.next().copied();
    let meant = meant.filter(|_| near.next().is_none());
    Err(JoinCodeError::Word { word: typed, meant })
}

/// Whether one letter was left out, added, or mistyped, or two were exchanged.
fn is_near(word: &str, typed: &str) -> bool {
    let (word, typed) = (word.as_bytes(), typed.as_bytes());
    let same = word.iter().zip(typed).take_while(|(a, b)| a == b).count();
    let (word, typed) = (&word[same..], &typed[same..]);
    let behind = |a: usize, b: usize| {
        let rests = word.get(a..).zip(typed.get(b..));
        rests.is_some_and(|(word, typed)| word == typed)
    };
    let exchanged = word.len() > 1 && typed.len() > 1 && word[0] == typed[1] && word[1] == typed[0];
    behind(1, 1) || behind(1, 0) || behind(0, 1) || (exchanged && behind(2, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_shown() {
        for seed in 0..=255u8 {
            let mut random = [seed; 32];
            random[15] = seed.wrapping_mul(91);
            let code = JoinCode::draw(random);
            assert_eq!(JoinCode::parse(&code.to_string()), Ok(code));
        }
    }

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = JoinCode::parse("7-amateur-trumpet").unwrap();
        for typed in ["7 Amateur TRUMPET", " 07_amat.trum ", "7-amateur - trumpet"] {
            assert_eq!(JoinCode::parse(typed).as_ref(), Ok(&code), "{typed}");
        }
        assert_eq!(code.to_string(), "7-amateur-trumpet");
        assert_eq!(format!("{code:?}"), "JoinCode(..)", "logs do not tell it");
    }

    #[test]
    fn what_is_no_code_is_refused_and_why() {
        for text in [
            "",
            "7",
            "7-zoo",
            "zoo-7-zoo",
            "0-zoo-zoo",
            "100-zoo-zoo",
            "7-zoo-zoo-zoo",
            "-7-",
        ] {
            assert_eq!(JoinCode::parse(text), Err(JoinCodeError::Shape), "{text}");
        }
        let meant = |text| match JoinCode::parse(text) {
            Err(JoinCodeError::Word { meant, .. }) => meant,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(meant("7-zebra-trmupet"), Some("trumpet"));
        assert_eq!(meant("7-zebra-trumptt"), Some("trumpet"));
        assert_eq!(meant("7-zebra-trupet"), Some("trumpet"));
        assert_eq!(meant("7-zebra-trrumpet"), Some("trumpet"));
        assert_eq!(meant("7-zebra-xylophone"), None);
        let said = JoinCode::parse("7-zebra-trmupet").unwrap_err().to_string();
        assert_eq!(said, "trmupet is not a word of join codes; trumpet is one");
    }

    #[test]
    fn codes_are_drawn_from_the_whole_list() {
        let draw = |number: u64, first: u64, second: u64| {
            let mut random = [0; 32];
            for (at, part) in [(0, number), (8, first), (16, second)] {
                random[at..at + 8].copy_from_slice(&part.to_be_bytes());
            }
            JoinCode::draw(random).to_string()
        };
        assert_eq!(draw(0, 0, 2047), "1-abandon-zoo");
        assert_eq!(draw(98, 2047, 2048), "99-zoo-abandon");
    }
}
