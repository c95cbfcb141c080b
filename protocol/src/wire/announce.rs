//! `Probe` and `Announce`: how receivers and senders find each other.

use super::{Kind, Reader, WireError, Write, clear_body, clear_header};
use crate::ids::SessionId;

/// How a receiver proves that it may join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Anybody may: the secret is in the welcome.
    Open,
    /// Both sides hold the same key file.
    KeyFile,
    /// A short join code that the sender shows.
    Code,
}

impl Auth {
    pub(crate) fn encode(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::KeyFile => 1,
            Self::Code => 2,
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match reader.u8("auth")? {
            0 => Ok(Self::Open),
            1 => Ok(Self::KeyFile),
            2 => Ok(Self::Code),
            _ => Err(WireError::Value { field: "auth" }),
        }
    }
}

/// A receiver asks who is sending: multicast to the control group, or unicast to a named host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The session it looks for; empty for any.
    pub session_name: String,
}

impl Probe {
    /// Appends the datagram.
    pub fn encode(&self, out: &mut Vec<u8>) {
        clear_header(Kind::Probe, out);
        out.put_text(&self.session_name);
    }

    /// Reads a whole datagram.
    pub fn decode(datagram: &[u8]) -> Result<Self, WireError> {
        let mut reader = clear_body(datagram, Kind::Probe)?;
        let session_name = reader.text("session name")?;
        reader.finish()?;
        Ok(Self { session_name })
    }
}

/// A sender says that it is there: once a second on the control group, at once to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    /// The session, new for each run of a sender.
    pub session_id: SessionId,
    /// What admits a receiver.
    pub auth: Auth,
    /// Whether receivers are still admitted.
    pub joinable: bool,
    /// The session's name as the operator chose it.
    pub session_name: String,
}

impl Announce {
    /// Appends the datagram.
    pub fn encode(&self, out: &mut Vec<u8>) {
        clear_header(Kind::Announce, out);
        out.extend_from_slice(&self.session_id.0);
        out.push(self.auth.encode());
        out.push(u8::from(self.joinable));
        out.put_text(&self.session_name);
    }

    /// Reads a whole datagram.
    pub fn decode(datagram: &[u8]) -> Result<Self, WireError> {
        let mut reader = clear_body(datagram, Kind::Announce)?;
        let announce = Self {
            session_id: SessionId(reader.array("session id")?),
            auth: Auth::decode(&mut reader)?,
            joinable: reader.u8("joinable")? == 1,
            session_name: reader.text("session name")?,
        };
        reader.finish()?;
        Ok(announce)
    }
}
