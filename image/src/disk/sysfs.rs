//! Attributes of devices in sysfs.

use std::fs;
use std::path::Path;

/// An attribute without surrounding blanks; `None` if it is missing or empty.
pub(super) fn text(dir: &Path, name: &str) -> Option<String> {
    trimmed(&fs::read(dir.join(name)).ok()?)
}

/// What a device says of itself, without surrounding blanks; `None` if that is nothing.
pub(super) fn trimmed(bytes: &[u8]) -> Option<String> {
    let value = String::from_utf8_lossy(bytes);
    let value = value.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!value.is_empty()).then(|| value.to_owned())
}

/// Whether an attribute is there and not 0.
pub(super) fn flag(dir: &Path, name: &str) -> bool {
    text(dir, name).is_some_and(|value| value != "0")
}
