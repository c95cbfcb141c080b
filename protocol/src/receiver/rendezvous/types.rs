//! What a rendezvous is given and what it tells.

use std::net::SocketAddr;

use crate::ids::{Mac, ReceiverNumber, SessionId};
use crate::keys::{JoinKeys, Secret, VerifyingKey};
use crate::wire::{Announce, Auth, RejectReason, WelcomeBody};

/// What a receiver looks for and what it says about itself.
#[derive(Debug, Clone)]
pub struct RendezvousConfig {
    /// Join this session only.
    pub session_name: Option<String>,
    /// What the receiver holds.
    pub auth: Auth,
    /// The key file's content, or what the join code stands for; an open session's welcome carries
    /// the secret.
    pub secret: Option<Secret>,
    /// The only sender that anything is taken from; without it any that knows the secret.
    pub sender_key: Option<VerifyingKey>,
    /// Random and secret, new for each search: nonces and exchanges come from it.
    pub seed: Secret,
    /// Hardware address of the interface.
    pub mac: Mac,
    /// A digest of the target's name: a receiver that is started again for the same target takes
    /// the place of its former self.
    pub target_id: u64,
    /// Mbit/s, 0 where unknown.
    pub link_speed: u32,
    /// Bytes that the target holds, `None` where unbounded.
    pub capacity: Option<u64>,
    /// Whether it keeps what the target holds of the image already.
    pub resumes: bool,
    /// Whether the target is a pipe, so that somebody else reads what is written.
    pub piped: bool,
    /// The machine's name.
    pub host_name: String,
    /// Ask this host instead of the control group.
    pub sender: Option<SocketAddr>,
    /// Any session but this one, which the receiver is a member of: that of a sender which was
    /// started again. There must not be several of its name then.
    pub instead_of: Option<SessionId>,
}

/// Where a datagram of the rendezvous goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinTarget {
    /// The control group.
    ControlGroup,
    /// One host.
    Unicast(SocketAddr),
}

/// A session that the receiver is a member of.
#[derive(Debug)]
pub struct Admitted {
    /// The session.
    pub session_id: SessionId,
    /// Its name.
    pub session_name: String,
    /// The sender's address.
    pub sender: SocketAddr,
    /// The receiver's number.
    pub number: ReceiverNumber,
    /// Keys between the two.
    pub keys: JoinKeys,
    /// The session's parameters.
    pub body: WelcomeBody,
}

/// What the person in front of the receiver is told.
#[derive(Debug)]
pub enum RendezvousEvent {
    /// A sender was heard.
    Found(Searching),
    /// A sender of another protocol version was heard.
    OtherVersion {
        /// Where.
        from: SocketAddr,
        /// Its version.
        version: u8,
    },
    /// Several sessions are on the air and none was named.
    Ambiguous {
        /// Their names.
        names: Vec<String>,
    },
    /// The sender wants another kind of secret than the receiver holds.
    OtherAuth {
        /// What the sender wants.
        wanted: Auth,
        /// Where it is.
        from: SocketAddr,
    },
    /// The session admits nobody any more.
    NotJoinable {
        /// Where it is.
        from: SocketAddr,
    },
    /// The sender said no.
    Rejected {
        /// Why.
        reason: RejectReason,
        /// The version that the sender speaks.
        version: u8,
        /// Where it is, or seems to be.
        from: SocketAddr,
        /// Whether the receiver gives up: it was the third time.
        last: bool,
    },
    /// A sender does not hold what the receiver holds.
    WrongKey {
        /// Where it is.
        from: SocketAddr,
        /// Whether the receiver gives up: it was the third time.
        last: bool,
    },
    /// The sender signs with another key than the one that is pinned.
    OtherSender {
        /// Where it is.
        from: SocketAddr,
        /// Whether the receiver gives up: it was the third time.
        last: bool,
    },
    /// The receiver is in.
    Joined(Box<Admitted>),
}

/// A session that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searching {
    /// Where its sender is.
    pub from: SocketAddr,
    /// What it announced.
    pub announce: Announce,
}
