//! The wire format: one file per message, fixed layouts in network byte order.
//!
//! Every datagram starts with the protocol version and its [`Kind`]. The clear kinds carry
//! the rendezvous; all others are sealed. `docs/wire-format.md` holds the byte-offset tables
//! and says of each message when it is sent, what answers it and what happens when it is lost.

mod announce;
mod control;
mod cookie;
mod digests;
mod envelope;
mod join;
mod needs;
mod reader;
mod report;
mod slow;
mod symbol;
mod unicast;
mod welcome;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::ids::SessionId;

pub use announce::{Announce, Auth, Probe};
pub use control::{EndRecord, GroupControl, Position};
pub use cookie::{COOKIE_LEN, Cookie};
pub use digests::{
    DIGEST_PARTS, DIGESTS_PER_PART, DigestPart, OwnSymbol, Parts, Remedy, SYMBOL_DIGEST, Spoiled,
    SymbolDigest,
};
pub use envelope::{Envelope, group_header, unicast_header};
pub use join::{Join, Reject, RejectReason};
pub use needs::{LastPartition, TargetNeeds};
pub use reader::{Reader, Write};
pub use report::{ALL_SYMBOLS, Deficit, MAX_REPORT, MAX_SPOILED, PageRun, Report, Stage};
pub use slow::{Effort, SlowReason, Standing};
pub use symbol::{SYMBOL_HEADER, SymbolHeader, SymbolKind};
pub use unicast::{FailCode, ReadBack, ToReceiver, ToSender};
pub use welcome::{Welcome, WelcomeBody};

/// The version of this protocol, the first byte of every datagram.
pub const VERSION: u8 = 1;

/// Follows version and kind in the clear messages, so that strays are told apart from them.
pub const MAGIC: [u8; 6] = *b"mimeo\0";

/// The UDP port of senders, announces and probes, unless the operator chose another.
pub const DEFAULT_PORT: u16 = 64636;

/// Announces and probes go to this group: within the local scope of RFC 2365.
pub const CONTROL_GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 77);

/// The same over IPv6: transient, link-local scope (RFC 4291 section 2.7).
pub const CONTROL_GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x4d69, 0x4d4d);

/// The group and port of a session's data, drawn from its random id.
#[must_use]
pub fn data_group(session: SessionId, v6: bool) -> SocketAddr {
    let [a, b, c, d, ..] = session.0;
    // Ports 49152 to 64511 of the dynamic range: below the default port.
    let port = 49152 + u16::from_be_bytes([c, d]) % 15360;
    let mut draw = u16::from_be_bytes([a, b]);
    if draw == 0x4d4d {
        draw += 1;
    }
    let [high, low] = draw.to_be_bytes();
    let ip = if v6 {
        IpAddr::V6(Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x4d69, draw))
    } else {
        IpAddr::V4(Ipv4Addr::new(239, 255, high, low))
    };
    SocketAddr::new(ip, port)
}

/// Bytes of an AEAD tag.
pub const TAG: usize = 16;

/// The largest payload of a datagram: 1500 bytes of MTU less IPv6 and UDP headers.
pub const MAX_DATAGRAM: usize = 1452;

/// A symbol datagram: header, symbol and tag.
pub const SYMBOL_DATAGRAM: usize = SYMBOL_HEADER + crate::units::SYMBOL_SIZE + TAG;

/// What a datagram is: its second byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Clear: a receiver asks who is sending.
    Probe = 1,
    /// Clear: a sender says that it is there.
    Announce = 2,
    /// Clear: a receiver asks to be admitted.
    Join = 3,
    /// Clear header, sealed body: the session's parameters and keys.
    Welcome = 4,
    /// Clear: the sender does not admit the receiver. Its layout is the same in all versions.
    Reject = 5,
    /// Clear: a receiver is to show that it gets what is sent to its address.
    Cookie = 6,
    /// Group: an encoding symbol of a block.
    Symbol = 16,
    /// Group: an encoding symbol of a manifest page.
    PageSymbol = 17,
    /// Group: position or end record.
    GroupControl = 18,
    /// Group: digests of the symbols of a block.
    Digests = 19,
    /// Unicast, sealed: receiver to sender.
    ToSender = 32,
    /// Unicast, sealed: sender to receiver.
    ToReceiver = 33,
}

impl Kind {
    /// The kind and version of a datagram, if it has a known kind.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Option<(u8, Self)> {
        let kind = match *datagram.get(1)? {
            1 => Self::Probe,
            2 => Self::Announce,
            3 => Self::Join,
            4 => Self::Welcome,
            5 => Self::Reject,
            6 => Self::Cookie,
            16 => Self::Symbol,
            17 => Self::PageSymbol,
            18 => Self::GroupControl,
            19 => Self::Digests,
            32 => Self::ToSender,
            33 => Self::ToReceiver,
            _ => return None,
        };
        Some((datagram[0], kind))
    }
}

/// Why bytes are not the message that they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The datagram ends inside a field.
    #[error("{field}: {needed} bytes needed, {left} left")]
    Short {
        /// The field that was short.
        field: &'static str,
        /// Bytes it takes.
        needed: usize,
        /// Bytes there were.
        left: usize,
    },
    /// A field holds a value that it cannot have.
    #[error("{field}: not a valid value")]
    Value {
        /// The field.
        field: &'static str,
    },
    /// Bytes are left over behind the last field.
    #[error("{left} bytes behind the last field")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// Another protocol version.
    #[error("protocol version {found}, this program speaks {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
}

/// Starts a clear message: version, kind, magic.
pub(crate) fn clear_header(kind: Kind, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, kind as u8]);
    out.extend_from_slice(&MAGIC);
}

/// Checks the start of a clear message and returns a reader behind it.
pub(crate) fn clear_body(datagram: &[u8], kind: Kind) -> Result<Reader<'_>, WireError> {
    let mut reader = Reader::new(datagram);
    let version = reader.u8("version")?;
    if reader.u8("kind")? != kind as u8 {
        return Err(WireError::Value { field: "kind" });
    }
    if reader.array::<6>("magic")? != MAGIC {
        return Err(WireError::Value { field: "magic" });
    }
    if version != VERSION {
        return Err(WireError::Version { found: version });
    }
    Ok(reader)
}

#[cfg(test)]
mod tests;
