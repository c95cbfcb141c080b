//! The measuring side of mimeo: a virtual network, disk images to send over it,
//! accounting of processes, and the established tools to compare with.
//!
//! Everything here runs whole programs: also mimeo's own are processes
//! ([`programs`]), never calls. What needs root or a tool that is not installed says so through
//! [`netlab::available`], so that a test can tell "skipped" from "passed".

pub mod files;
pub mod fixture;
pub mod flood;
pub mod limit;
pub mod measure;
pub mod netlab;
pub mod peers;
pub mod programs;
pub mod report;
pub mod session;
pub mod units;
