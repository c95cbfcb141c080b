//! Receives a disk image that a sender multicasts: the library behind `mimeo-receiver`.
//!
//! [`cli`] reads the command line, of which [`config`] makes a [`config::Config`]; [`run::run`] takes
//! part in a session with it and tells what happens as [`status::Update`]s; the operator's side shows
//! these and passes on what the operator wants. The engine and the operator meet only in [`status`].

#[cfg(fuzzing)]
compile_error!("with --cfg fuzzing hashes stand for signatures and for the exchange of a join");

pub mod cli;
pub mod config;
mod engine;
pub mod exit;
mod operator;
mod parse;
mod progress;
mod report;
pub mod run;
pub mod status;
mod summary;
mod then;

pub use mimeo_console::{Admission, AdmissionError, Mode, ReportFile, ReportFileError};
pub use operator::main;
pub use then::Then;
