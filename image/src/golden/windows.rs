//! What a Windows says about itself.
//!
//! Source: Microsoft, "Windows Setup States".

use super::{Problem, legible};
use crate::files::Files;
use crate::used::Distrust;

const SYSTEM: &str = "Windows/System32";
const STATE: &str = "Windows/Setup/State/State.ini";

/// It is a few lines.
const MAX_STATE: usize = 64 << 10;

/// What sysprep /generalize leaves behind begins with this.
const GENERALIZED: &str = "IMAGE_STATE_GENERALIZE_";

/// Whether sysprep has taken away what makes it one certain machine.
pub(super) fn state(files: &Files) -> Result<Option<Problem>, Distrust> {
    if files.find(SYSTEM)?.is_none() {
        return Ok(None);
    }
    let Some(node) = files.find(STATE)? else {
        return Err(Distrust::Arrangement(
            "a Windows, but no Windows\\Setup\\State\\State.ini that says whether it is generalized",
        ));
    };
    let text = decode(&files.read(&node, MAX_STATE)?);
    Ok(match image_state(&text) {
        Some(state) if state.to_ascii_uppercase().starts_with(GENERALIZED) => None,
        Some(state) => Some(Problem::NotGeneralized {
            state: legible(state, 80),
        }),
        None => {
            return Err(Distrust::Arrangement(
                "a Windows whose State.ini does not say whether it is generalized",
            ));
        }
    })
}

/// UTF-16 if it begins with its mark, else as good as ASCII.
fn decode(bytes: &[u8]) -> String {
    match bytes {
        [0xff, 0xfe, rest @ ..] => {
            let pairs = rest.chunks_exact(2);
            let units: Vec<_> = pairs.map(|it| u16::from_le_bytes([it[0], it[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => String::from_utf8_lossy(rest).into_owned(),
    }
}

fn image_state(text: &str) -> Option<&str> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case("ImageState"))
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_found_in_either_encoding() {
        let text = "[State]\r\nimagestate = IMAGE_STATE_COMPLETE\r\n";
        let mut wide = vec![0xff, 0xfe];
        wide.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        for bytes in [text.as_bytes(), &wide] {
            assert_eq!(image_state(&decode(bytes)), Some("IMAGE_STATE_COMPLETE"));
        }
        assert_eq!(image_state("[State]\nother=1"), None);
    }
}
