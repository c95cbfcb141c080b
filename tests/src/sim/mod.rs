//! A room in virtual time.
//!
//! ```text
//! Source --entries, bodies--> sender::Endpoint --bursts--> Link (one per receiver) --+
//!                                   ^                                                v
//!                                  Link <--reports-- receiver::Endpoint --blocks--> Target
//! ```
//!
//! [`Room`] owns both ends and what lies between them. Everything that happens is an event on
//! one [`Timeline`]; every accident is drawn from one seed. The same seed gives the same room,
//! datagram by datagram, so a failure is repeated by its seed.

mod accidents;
mod clock;
mod config;
mod dice;
mod incarnation;
mod link;
mod machine;
mod operator;
mod outcome;
mod own_clock;
mod room;
mod source;
mod tap;
mod target;

pub use clock::Timeline;
pub use config::RoomConfig;
pub use dice::Dice;
pub use incarnation::{Ending, Incarnation};
pub use link::{Bursts, Delivery, Link, LinkProfile};
pub use machine::{Machine, MachineProfile};
pub use operator::Operator;
pub use outcome::Verdict;
pub use own_clock::Drift;
pub use room::{Crossing, Direction, Room};
pub use source::{Filling, Image, Source};
pub use tap::{Sight, Tap};
pub use target::{Completion, DiskProfile, FORGOTTEN, LEFTOVERS, Target, Trouble};
