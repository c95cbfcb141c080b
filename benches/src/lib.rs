//! The measuring side of mimeo: a virtual network, disk images to send over it,
//! accounting of processes, and the established tools to compare with.
//!
//! Everything here runs whole programs; the crates under test are only started,
//! never called. What needs root or a tool that is not installed says so through
//! [`netlab::available`], so that a test can tell "skipped" from "passed".

pub mod fixture;
pub mod measure;
pub mod netlab;
pub mod peers;
