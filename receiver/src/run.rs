//! Takes part in a session. Nothing here talks to the operator: what there is to tell goes out as
//! [`Update`]s, what the operator wants comes in as [`Command`]s.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::config::Config;
use crate::exit::Exit;
use crate::status::Status;

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Leave the session; tell the sender.
    Interrupt,
}

/// What the operator is told.
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every update is a status, and there are five a second"
)]
pub enum Update {
    /// A picture of the receiver, several times a second.
    Status(Status),
    /// Something that is worth a line.
    Line(Severity, String),
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The normal course of things.
    Info,
    /// It may need a look.
    Warn,
    /// Something failed.
    Error,
}

/// How it ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// For the exit code.
    pub exit: Exit,
    /// The last picture.
    pub status: Status,
    /// What failed, where, and what to do; only with an exit that is not `Verified`.
    pub error: Option<String>,
}

/// Takes part in a session to its end.
#[allow(
    clippy::unused_async,
    reason = "the engine behind this signature awaits"
)]
pub async fn run(
    config: Config,
    updates: UnboundedSender<Update>,
    commands: UnboundedReceiver<Command>,
) -> Outcome {
    drop((config, updates, commands));
    Outcome {
        exit: Exit::Failure,
        status: Status::default(),
        error: Some("this build has no engine".to_owned()),
    }
}
