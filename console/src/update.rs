//! What a run tells while it goes on, and how it ended.

use crate::Exit;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Needs a look.
    Warn,
    /// Somebody does not get the image.
    Error,
}

/// What a run tells; `S` is a picture of it at a moment.
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every update is a picture"
)]
pub enum Update<S> {
    /// A picture, several times a second.
    Status(S),
    /// Something happened.
    Line(Severity, String),
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Outcome<S> {
    /// The exit code.
    pub exit: Exit,
    /// The last picture.
    pub status: S,
    /// What went wrong, where `exit` does not say it all.
    pub error: Option<String>,
}
