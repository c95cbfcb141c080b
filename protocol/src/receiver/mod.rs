//! The receiver's side of a session.
//!
//! [`Rendezvous`] finds a sender and joins it. Then [`Endpoint`] takes the session's datagrams:
//! it opens symbols straight into their places and drives [`Session`], the state machine, which
//! sees headers and completions and decides what is asked for.

mod endpoint;
mod rendezvous;
mod session;

pub use endpoint::{Assembled, BUFFER_SIZE, Endpoint, SymbolBuffer};
pub use rendezvous::{
    Admitted, JoinTarget, Rendezvous, RendezvousConfig, RendezvousEvent, Searching,
};
pub use session::{BufferId, Event, Failure, Placement, Progress, Session, SessionConfig};
