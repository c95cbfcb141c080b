//! Lines for logs and for terminals that cannot move their cursor.

use std::time::Duration;

use crate::human;
use crate::update::Severity;

/// How often the status is told.
pub const EVERY: Duration = Duration::from_secs(5);

/// An event in a line.
#[must_use]
pub fn event(severity: Severity, text: &str) -> String {
    let text = human::clean(text);
    match severity {
        Severity::Info => text,
        Severity::Warn => format!("warning: {text}"),
        Severity::Error => format!("error: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_marked_and_made_safe() {
        assert_eq!(event(Severity::Info, "pc-01 joined"), "pc-01 joined");
        assert_eq!(event(Severity::Warn, "slow"), "warning: slow");
        assert_eq!(event(Severity::Error, "a\u{1b}c\n"), "error: a?c?");
    }
}
