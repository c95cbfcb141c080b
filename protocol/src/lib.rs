//! mimeo

pub mod fec;
pub mod units;
