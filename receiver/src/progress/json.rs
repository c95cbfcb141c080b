//! A JSON object per line, for scripts; `docs/report.md` describes them.

use std::time::Duration;

use serde::Serialize;

use crate::report::{Report, StatusDoc};
use crate::run::Severity;
use crate::status::Status;

/// How often the receiver's status is told.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Status(&'a StatusDoc<'a>),
    Event {
        severity: &'static str,
        message: &'a str,
    },
    Log {
        message: &'a str,
    },
    Result(&'a Report<'a>),
}

impl Line<'_> {
    fn show(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers only")
    }
}

/// The receiver at a moment.
pub(crate) fn status_line(status: &Status) -> String {
    Line::Status(&StatusDoc::new(status)).show()
}

/// Something that happened.
pub(crate) fn event_line(severity: Severity, message: &str) -> String {
    let severity = match severity {
        Severity::Info => "info",
        Severity::Warn => "warning",
        Severity::Error => "error",
    };
    Line::Event { severity, message }.show()
}

/// A line of the log.
pub(crate) fn log_line(message: &str) -> String {
    Line::Log { message }.show()
}

/// The end; the same object as in the report file.
pub(crate) fn result_line(report: &Report<'_>) -> String {
    Line::Result(report).show()
}
