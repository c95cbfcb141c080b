//! Attackers of real sessions on a virtual network.
//!
//! Each stands on a host of its own, on the switch that the session's machines are on, and sends
//! whatever it likes: with the address of another ([`Spoofer`]), what it recorded ([`Mirror`]), what
//! it made up ([`forged`]), codes that it guesses ([`guess`]), and, as a [`Member`] of the room, what
//! takes the room's keys. A rogue sender is the sender's own program; floods are
//! [`mimeo_benches::flood`].

pub mod forged;
mod guess;
mod known;
mod member;
mod mirror;
mod replay;
mod spoofer;

pub use guess::guess;
pub use known::Known;
pub use member::Member;
pub use mirror::{Mirror, Seen};
pub use replay::replay;
pub use spoofer::Spoofer;
