//! The sender's side of a session.
//!
//! [`Session`] is the state machine: it sees headers, reports and completions and decides what
//! is sent when. [`Endpoint`] wraps it for the wire: it holds the keys and the bodies of blocks
//! and turns decisions into sealed datagrams.

mod budget;
mod endpoint;
mod grants;
mod interleave;
mod manifest_log;
mod member;
mod mending;
mod page_store;
mod pass;
mod repair;
mod roster;
mod session;
mod start;
mod store;
mod stragglers;

pub use endpoint::{Destination, Endpoint, EndpointConfig, Fetch, Outgoing};
pub use interleave::Share;
pub use page_store::{PageStore, PagesInMemory, PagesLost};
pub use roster::{About, Member, MemberState, keepalive};
pub use session::{
    Counters, Event, Job, Parity, Phase, Purpose, Session, SessionConfig, SymbolRef, Transmit,
};
pub use start::{StartDecision, StartPolicy};
pub use store::{Body, Rows};
pub use stragglers::{Slow, SlowPolicy, SlowRules};
