//! mimeo

pub mod block;
pub mod fec;
pub mod units;
