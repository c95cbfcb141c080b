//! How fast the sender sends: the rate, and the moments at which it may send a burst.
//!
//! The [`Controller`] decides on a rate from what the receivers report; the [`Pacer`] turns a
//! rate into absolute deadlines. Nothing else in the sender knows how the rate comes about.

mod breaker;
mod controller;
mod pacer;

pub use breaker::{Breaker, Circuit};
pub use controller::{Carries, Controller, PathReport};
pub use pacer::Pacer;

/// Bits per second, counted with IP and UDP headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u64);

/// IPv4 and UDP headers, 20 + 8 bytes (IPv6 adds 20: below 2 % of a datagram).
pub const HEADERS: usize = 28;

/// Bits that one symbol datagram takes of the rate.
pub const SYMBOL_BITS: u64 = 8 * (crate::wire::SYMBOL_DATAGRAM + HEADERS) as u64;

impl Rate {
    /// Where every session starts: no switched network of today is slower.
    pub const START: Self = Self(100_000_000);
    /// Never slower, so that a session ends: a block of 256 KiB in 2 s.
    pub const FLOOR: Self = Self(1_000_000);

    /// Symbol datagrams per second.
    #[must_use]
    pub fn datagrams(self) -> f64 {
        self.as_f64() / SYMBOL_BITS as f64
    }

    /// The rate of a number of symbol datagrams per second.
    #[must_use]
    pub fn of_datagrams(per_second: f64) -> Self {
        Self((per_second * SYMBOL_BITS as f64) as u64)
    }

    fn as_f64(self) -> f64 {
        self.0 as f64
    }
}
