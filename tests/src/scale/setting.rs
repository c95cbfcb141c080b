//! What a room is like.

use std::time::Duration;

use mimeo_protocol::sender::SlowPolicy;
use mimeo_protocol::units::{BLOCK_SIZE, MAX_SOURCE_SYMBOLS};
use mimeo_protocol::wire::SYMBOL_DATAGRAM;

use super::cable::OVERHEAD;

/// When receivers join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starts {
    /// All within two seconds; the session starts with the last.
    Together,
    /// The session starts with the first; the others join at even odds while the image is sent once.
    Spread,
}

/// A room. Blocks do not compress.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Receivers.
    pub receivers: u16,
    /// Share of the datagrams that each path loses, in both directions, each by its own luck.
    pub loss: f64,
    /// Bytes of the image.
    pub image: u64,
    /// Bits per second of every cable.
    pub cable: u64,
    /// Bytes per second of the slowest disk, which the first receiver has, and of the fastest; those
    /// of the others are drawn from between.
    pub disks: (u64, u64),
    /// Receivers with a disk of [`SLOW_DISK`] instead; the last ones.
    pub slow: u16,
    /// What is done about them.
    pub policy: SlowPolicy,
    /// When receivers join.
    pub starts: Starts,
}

/// Bytes per second of a disk that is far slower than the network.
pub const SLOW_DISK: u64 = 30_000_000;

/// Disks that keep up with a Gigabit: from a good disk with platters to a cheap one without.
const FAST_DISKS: (u64, u64) = (130_000_000, 500_000_000);

impl Setting {
    /// A Gigabit room in which everybody starts together, with disks faster than the network.
    #[must_use]
    pub fn gigabit(receivers: u16, loss: f64, image: u64) -> Self {
        Self {
            receivers,
            loss,
            image,
            cable: 1_000_000_000,
            disks: FAST_DISKS,
            slow: 0,
            policy: SlowPolicy::default(),
            starts: Starts::Together,
        }
    }

    /// Blocks of the image.
    ///
    /// # Panics
    ///
    /// If its number does not fit 32 bits.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        u32::try_from(self.image.div_ceil(BLOCK_SIZE as u64))
            .expect("an image has 32 bits of blocks")
    }

    /// How long the source symbols of the image occupy a cable, without pages.
    #[must_use]
    pub fn wire_time(&self) -> Duration {
        let datagrams = u64::from(self.blocks()) * MAX_SOURCE_SYMBOLS as u64;
        let bits = 8 * (SYMBOL_DATAGRAM + OVERHEAD) as u64;
        Duration::from_secs_f64((datagrams * bits) as f64 / self.cable as f64)
    }
}
