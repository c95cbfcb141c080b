//! The receiver's side of a session.
//!
//! [`Rendezvous`] finds a sender and joins it. Then [`Endpoint`] takes the session's datagrams:
//! it opens symbols straight into their places and drives [`Session`], the state machine, which
//! sees headers and completions and decides what is asked for. [`ReadBack`] proves in the end that
//! the target holds the image.

mod assembled;
mod endpoint;
mod finding;
mod read_back;
mod rendezvous;
mod search_again;
mod session;
mod tags;

pub use assembled::Assembled;
pub use endpoint::{BUFFER_SIZE, Endpoint, SymbolBuffer};
pub use finding::Finding;
pub use read_back::{Difference, ReadBack, ReadBackPlan};
pub use rendezvous::{
    Admitted, JoinTarget, Rendezvous, RendezvousConfig, RendezvousEvent, Searching,
};
pub use search_again::{SearchAgain, SearchAgainEvent};
pub use session::{
    BufferId, Event, Failure, Placement, Progress, Resume, Session, SessionConfig, Unused, Zeroed,
};
pub use tags::DigestTags;
