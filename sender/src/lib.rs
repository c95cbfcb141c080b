//! Sends a disk image to a room of machines: the library behind `mimeo-sender`.
//!
//! [`cli`] reads the command line, of which [`config`] makes a [`config::Config`]; [`run::run`] runs
//! a session with it and tells what happens as [`status::Update`]s; the operator's side shows these
//! and passes on what the operator wants. The engine and the operator meet only in [`status`].

#[cfg(fuzzing)]
compile_error!("with --cfg fuzzing hashes stand for signatures and for the exchange of a join");

pub mod cli;
pub mod config;
mod engine;
pub mod exit;
mod fit;
mod golden;
mod open;
mod operator;
mod parse;
mod progress;
mod report;
pub mod run;
mod sign_key;
mod slow;
mod spill;
mod start_at;
pub mod status;
mod summary;
mod unused;

pub use operator::main;
pub use sign_key::SignKeyError;
pub use spill::SpilledPages;

pub use mimeo_console::{
    Admission, AdmissionError, KeyFileError, Mode, ReportFile, ReportFileError,
};
