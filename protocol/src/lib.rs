//! The mimeo protocol, sans-IO.
//!
//! Everything that decides: the wire format, the state machines of sender and receiver, forward
//! error correction, pacing and keys. No sockets, files, threads, clock or random source: time
//! and random bytes are arguments, datagrams are slices. `mimeo-sender` and `mimeo-receiver` put
//! it on a network and on disks; the simulated rooms of `mimeo-tests` drive the same code.

mod aligned;
pub mod block;
pub mod fec;
mod hash;
pub mod ids;
pub mod keys;
pub mod manifest;
pub mod pacing;
mod prefetch;
pub mod receiver;
pub mod sender;
mod strays;
pub mod units;
pub mod wire;

pub use aligned::AlignedBytes;
pub use strays::Strays;
