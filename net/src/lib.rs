//! The only crate of mimeo that has sockets.
//!
//! * [`Interface`] finds the network interface to use and says clearly when it
//!   will not guess.
//! * [`Socket`] sends and receives datagrams in batches: a unicast socket bound
//!   to the interface's own address, or one member of a multicast group.
//! * [`Waiter`] sleeps until a socket is ready, a deadline has come or a
//!   [`Waker`] was used.
//!
//! Nothing here knows what a datagram means: no protocol, no image. All sockets
//! are non-blocking, all buffers belong to the caller, and nothing is allocated
//! per datagram.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "mimeo-net supports Linux only: it relies on sysfs, recvmmsg, UDP segmentation offload and eventfd"
);

mod ancillary;
mod buffers;
mod interface;
mod membership;
mod poll;
mod socket;

pub use buffers::BufferGrant;
pub use interface::{Interface, InterfaceError, InterfaceKind, Obstacle, Refusal};
pub use poll::{Interest, MAX_SOCKETS, Readiness, Waiter, Waker, precise_timers};
pub use socket::{Family, MAX_DATAGRAM, ReceiveBatch, SendError, Sent, Socket, SocketError};
