//! What the command lines of the sender and the receiver have in common: how an operator's words
//! are read and how things are shown.
//!
//! * Words: [`args`], [`duration`], [`Admission`] by [`JoinCode`] or [`keyfile`].
//! * What is shown: [`Progress`] on a [`Screen`], in words and figures of [`human`] and [`trend`],
//!   as lines ([`plain`], [`json`]) or in a [`Report`]; [`log`].
//! * The frame: [`Operator`] runs a [`Program`]'s engine, whose [`session`] has a thread of its own,
//!   and turns its [`Outcome`] into an [`Exit`].
//!
//! It knows nothing of images, networks and protocols: what differs between the two programs is in
//! the trait [`Program`].

mod admission;
pub mod args;
mod code;
pub mod duration;
mod exit;
pub mod human;
pub mod json;
pub mod keyfile;
pub mod log;
mod operator;
pub mod plain;
mod program;
mod progress;
pub mod report;
mod report_file;
mod screen;
pub mod session;
pub mod terminal;
pub mod trend;
mod update;

pub use admission::{Admission, AdmissionError};
pub use code::{JoinCode, JoinCodeError};
pub use exit::Exit;
pub use keyfile::KeyFileError;
pub use operator::Operator;
pub use program::Program;
pub use progress::{Mode, Progress};
pub use report::Report;
pub use report_file::{ReportFile, ReportFileError};
pub use screen::{Captured, Screen, Size};
pub use update::{Outcome, Severity, Update};
