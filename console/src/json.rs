//! A JSON object per line, for scripts; `docs/report.md` describes them.

use std::time::Duration;

use serde::Serialize;

use crate::update::Severity;

/// How often the status is told.
pub const EVERY: Duration = Duration::from_secs(1);

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a, T> {
    Status(&'a T),
    Event {
        severity: &'static str,
        message: &'a str,
    },
    Log {
        message: &'a str,
    },
    Result(&'a T),
}

impl<T: Serialize> Line<'_, T> {
    fn show(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers only")
    }
}

/// The run at a moment; an object of texts and numbers.
pub fn status_line(status: &impl Serialize) -> String {
    Line::Status(status).show()
}

/// Something that happened.
#[must_use]
pub fn event_line(severity: Severity, message: &str) -> String {
    let severity = match severity {
        Severity::Info => "info",
        Severity::Warn => "warning",
        Severity::Error => "error",
    };
    let line: Line<'_, ()> = Line::Event { severity, message };
    line.show()
}

/// A line of the log.
#[must_use]
pub fn log_line(message: &str) -> String {
    let line: Line<'_, ()> = Line::Log { message };
    line.show()
}

/// The end; the same object as in the report file.
pub fn result_line(report: &impl Serialize) -> String {
    Line::Result(report).show()
}
