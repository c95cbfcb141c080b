//! Rooms of machines, simulated.
//!
//! [`sim`] drives the state machines of `mimeo-protocol` at the level of datagrams over a
//! network in virtual time: seeded, deterministic and without a socket, a thread or a clock. The
//! tests of this crate are rooms in which something goes wrong.

pub mod sim;
