//! x
pub mod config;
mod engine;
pub mod exit;
pub mod run;
pub mod status;
