//! Rooms of machines, simulated and real.
//!
//! [`sim`] drives the state machines of `mimeo-protocol` at the level of datagrams over a
//! network in virtual time: seeded, deterministic and without a socket, a thread or a clock. The
//! tests of this crate are rooms in which something goes wrong.
//!
//! [`scale`] drives the state machines alone, without payload, in rooms of up to 1000 receivers.
//!
//! [`host`] runs the real programs, as processes on `lo` (`tests/process_*.rs`) and on hosts of a
//! virtual network (`tests/netns_*.rs`).
//!
//! [`attack`] holds those who attack sessions of the latter (`tests/netns_attacks/`).

pub mod attack;
pub mod host;
pub mod scale;
pub mod sim;
