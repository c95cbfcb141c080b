//! What an endpoint counts of datagrams that are not for it.

/// Datagrams that were dropped unread, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strays {
    /// Not a message of this protocol, version or session.
    pub malformed: u64,
    /// Not sealed under the key that it names, or a replay.
    pub unsealed: u64,
}
