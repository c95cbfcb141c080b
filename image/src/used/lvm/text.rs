//! The text format of LVM's metadata: `name { ... }`, `name = value`, comments.

use crate::used::Distrust;

/// Sections within sections; volume groups have four.
const MAX_DEPTH: usize = 8;

/// Values that are kept, of which each takes some 100 bytes: a segment of a logical volume has eight.
const MAX_VALUES: usize = 1 << 18;

/// A value.
#[derive(Debug)]
enum Value {
    Number(u64),
    Text(String),
    List(Vec<Value>),
    Section(Section),
}

/// Names and values, in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Section(Vec<(String, Value)>);

impl Section {
    fn find(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(it, _)| it == name)
            .map(|(_, value)| value)
    }

    /// All sections in it.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Value::Section(section) => Some((name.as_str(), section)),
            _ => None,
        })
    }

    pub(super) fn section(&self, name: &str) -> Option<&Self> {
        match self.find(name)? {
            Value::Section(section) => Some(section),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.find(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.find(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A list of a text and a number, and of nothing else.
    pub(super) fn pair(&self, name: &str) -> Option<(&str, u64)> {
        match self.find(name)? {
            Value::List(list) => match list.as_slice() {
                [Value::Text(text), Value::Number(number)] => Some((text, *number)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Parses a whole text, which may end with zero bytes.
pub(super) fn parse(text: &[u8]) -> Result<Section, Distrust> {
    let mut parser = Parser {
        rest: text,
        left: MAX_VALUES,
    };
    parser.section(0)
}

const BROKEN: Distrust = Distrust::Damaged {
    what: "the description of the volume group cannot be read",
};

struct Parser<'a> {
    rest: &'a [u8],
    /// Values that may still come.
    left: usize,
}

impl Parser<'_> {
    /// Skips blanks and comments; the next byte, which is not taken.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let (first, rest) = self.rest.split_first()?;
            match first {
                b'#' => {
                    let end = rest.iter().position(|byte| *byte == b'\n');
                    self.rest = &rest[end.unwrap_or(rest.len())..];
                }
                first if first.is_ascii_whitespace() || *first == 0 => self.rest = rest,
                first => return Some(*first),
            }
        }
    }

    fn take(&mut self, wanted: u8) -> Result<(), Distrust> {
        if self.peek() != Some(wanted) {
            return Err(BROKEN);
        }
        self.rest = &self.rest[1..];
        Ok(())
    }

    /// The longest start of the rest whose bytes all are `part` of a word.
    fn word(&mut self, part: fn(u8) -> bool) -> Result<String, Distrust> {
        self.peek();
        let end = self.rest.iter().position(|byte| !part(*byte));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        if word.is_empty() {
            return Err(BROKEN);
        }
        Ok(String::from_utf8_lossy(word).into_owned())
    }

    /// Entries up to the closing brace; at depth 0 to the end.
    fn section(&mut self, depth: usize) -> Result<Section, Distrust> {
        let mut section = Section::default();
        loop {
            match self.peek() {
                None if depth == 0 => return Ok(section),
                Some(b'}') if depth > 0 => {
                    self.take(b'}')?;
                    return Ok(section);
                }
                _ => {}
            }
            let name = self.word(|byte| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte))?;
            let value = if self.peek() == Some(b'{') {
                self.take(b'{')?;
                if depth == MAX_DEPTH {
                    return Err(BROKEN);
                }
                self.count()?;
                Value::Section(self.section(depth + 1)?)
            } else {
                self.take(b'=')?;
                self.value(true)?
            };
            section.0.push((name, value));
        }
    }

    /// Counts what is kept.
    fn count(&mut self) -> Result<(), Distrust> {
        let left = self.left.checked_sub(1);
        self.left = left.ok_or(Distrust::Arrangement("a very long description"))?;
        Ok(())
    }

    fn value(&mut self, may_be_list: bool) -> Result<Value, Distrust> {
        self.count()?;
        match self.peek().ok_or(BROKEN)? {
            b'"' => self.text().map(Value::Text),
            b'[' if may_be_list => {
                self.take(b'[')?;
                let mut list = Vec::new();
                while self.peek() != Some(b']') {
                    list.push(self.value(false)?);
                    if self.peek() == Some(b',') {
                        self.take(b',')?;
                    }
                }
                self.take(b']')?;
                Ok(Value::List(list))
            }
            _ => {
                let word =
                    self.word(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))?;
                // Negative and broken numbers stand for nothing that is asked for.
                Ok(word.parse().map_or(Value::Text(word), Value::Number))
            }
        }
    }

    /// In quotes; a backslash takes the next byte as it is.
    fn text(&mut self) -> Result<String, Distrust> {
        self.take(b'"')?;
        let mut text = Vec::new();
        loop {
            let (first, rest) = self.rest.split_first().ok_or(BROKEN)?;
            self.rest = rest;
            match first {
                b'"' => return Ok(String::from_utf8_lossy(&text).into_owned()),
                b'\\' => {
                    let (next, rest) = self.rest.split_first().ok_or(BROKEN)?;
                    text.push(*next);
                    self.rest = rest;
                }
                other => text.push(*other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sections_values_and_comments_are_read() {
        let text = b"# head\nvg {\n id = \"a\\\"b\" # end\n seqno=7\n flags = []\n s { stripes = [\"pv0\", 3] }\n}\nx = -1\n\0";
        let all = parse(text).unwrap();
        let (name, group) = all.sections().next().unwrap();
        assert_eq!(name, "vg");
        assert_eq!(group.text("id"), Some("a\"b"));
        assert_eq!(group.number("seqno"), Some(7));
        assert_eq!(
            group.section("s").unwrap().pair("stripes"),
            Some(("pv0", 3))
        );
        assert_eq!(group.pair("flags"), None);
        assert_eq!(all.number("x"), None);
    }

    #[test]
    fn what_is_open_or_too_deep_is_broken() {
        for text in [
            "a {",
            "a = [1",
            "a = \"x",
            "}",
            "a = ",
            "= 1",
            "a { b = 1 } }",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse("a{".repeat(10_000).as_bytes()).is_err());
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let list = |count: usize| format!("a = [{}]", "1,".repeat(count));
        assert!(parse(list(MAX_VALUES - 1).as_bytes()).is_ok());
        for text in [list(MAX_VALUES), "a=1\n".repeat(MAX_VALUES + 1)] {
            let why = parse(text.as_bytes()).unwrap_err();
            assert!(why.to_string().contains("very long"), "{why}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a{}=\\[\\]\", 1#\\\\\n]{0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
