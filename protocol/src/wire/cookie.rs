//! `Cookie`: proof that a receiver gets what is sent to its address.

use super::{Kind, WireError, clear_body, clear_header};
use crate::ids::Nonce;

/// Bytes of a cookie.
pub const COOKIE_LEN: usize = 32;

/// The sender answers a join without a valid cookie with one: whoever forges the address of a join
/// does not get it, and the sender keeps nothing for it. It is shorter than any join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// The join's nonce.
    pub nonce: Nonce,
    /// To be put into the join.
    pub cookie: [u8; COOKIE_LEN],
}

impl Cookie {
    /// Appends the datagram.
    pub fn encode(&self, out: &mut Vec<u8>) {
        clear_header(Kind::Cookie, out);
        out.extend_from_slice(&self.nonce.0);
        out.extend_from_slice(&self.cookie);
    }

    /// Reads a whole datagram.
    pub fn decode(datagram: &[u8]) -> Result<Self, WireError> {
        let mut reader = clear_body(datagram, Kind::Cookie)?;
        let cookie = Self {
            nonce: Nonce(reader.array("nonce")?),
            cookie: reader.array("cookie")?,
        };
        reader.finish()?;
        Ok(cookie)
    }
}
