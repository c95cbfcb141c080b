//! mimeo

pub mod block;
pub mod fec;
pub mod manifest;
pub mod units;
