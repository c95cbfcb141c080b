//! The receiver's side of a session.
//!
//! [`Rendezvous`] finds a sender and joins it. Then [`Endpoint`] takes the session's datagrams:
//! it opens symbols straight into their places and drives [`Session`], the state machine, which
//! sees headers and completions and decides what is asked for.

mod assembled;
mod endpoint;
mod rendezvous;
mod session;

pub use assembled::Assembled;
pub use endpoint::{BUFFER_SIZE, Endpoint, SymbolBuffer};
pub use rendezvous::{
    Admitted, JoinTarget, Rendezvous, RendezvousConfig, RendezvousEvent, Searching,
};
pub use session::{BufferId, Event, Failure, Placement, Progress, Session, SessionConfig};
