//! Rooms of up to a thousand receivers in virtual time.
//!
//! ```text
//! Operator --bursts of headers--> Uplink --> every Machine --blocks--> Disk
//!    ^                                            |
//!    +------------- reports, confirmations -------+
//! ```
//!
//! The state machines are those of the programs, `mimeo_protocol::sender::Session` and
//! `receiver::Session`; around them nothing is sealed, coded or copied. A burst is a list of headers
//! and one event, whatever the size of the room, and each receiver jumps from one datagram that it
//! loses to the next. So a Gigabit room of 1000 receivers takes seconds to simulate. [`crate::sim`]
//! drives the same machines with real datagrams, and rooms where more goes wrong than loss.
//!
//! What is left out: the rendezvous (a receiver is admitted at its moment), processors that are
//! busy, switches whose queues overflow. Manifest pages are real: their symbols have content.

mod cable;
mod figures;
mod loss;
mod machine;
mod operator;
mod room;
mod setting;
mod table;

pub use figures::Figures;
pub use room::{NoEnd, run};
pub use setting::{SLOW_DISK, Setting, Starts};
pub use table::{Row, committed, replaced, rows, tables};
