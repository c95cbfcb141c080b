//! `Join` and `Reject`.

use super::{Auth, COOKIE_LEN, Kind, WireError, Write, clear_body, clear_header};
use crate::ids::{Mac, Nonce, SessionId};
use crate::wire::reader::Reader;

/// Flags of a join.
const RESUMES: u8 = 1;
const PIPED: u8 = 2;

/// A receiver asks to be admitted and says what it is; repeated until answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The session, from its announce.
    pub session_id: SessionId,
    /// Drawn anew for each attempt: a repeated join is the same join.
    pub nonce: Nonce,
    /// What the receiver holds.
    pub auth: Auth,
    /// Hardware address of the interface: tells a restarted machine from a new one.
    pub mac: Mac,
    /// Tells the targets of one machine apart: a digest of the target's name.
    pub target_id: u64,
    /// Mbit/s, 0 where unknown.
    pub link_speed: u32,
    /// Bytes, `u64::MAX` where unbounded.
    pub capacity: u64,
    /// Whether it keeps what its target holds of the image already.
    pub resumes: bool,
    /// Whether its target is a pipe, so that somebody else reads what it writes.
    pub piped: bool,
    /// From the sender's last [`super::Cookie`]; zeros before.
    pub cookie: [u8; COOKIE_LEN],
    /// The machine's name.
    pub host_name: String,
    /// The receiver's message of the exchange; empty with `--open`.
    pub exchange: Vec<u8>,
}

impl Join {
    /// Appends the datagram.
    pub fn encode(&self, out: &mut Vec<u8>) {
        clear_header(Kind::Join, out);
        out.extend_from_slice(&self.session_id.0);
        out.extend_from_slice(&self.nonce.0);
        out.push(self.auth.encode());
        out.extend_from_slice(&self.mac.0);
        out.put_u64(self.target_id);
        out.put_u32(self.link_speed);
        out.put_u64(self.capacity);
        let resumes = if self.resumes { RESUMES } else { 0 };
        let piped = if self.piped { PIPED } else { 0 };
        out.push(resumes | piped);
        out.extend_from_slice(&self.cookie);
        out.put_text(&self.host_name);
        out.put_blob(&self.exchange);
    }

    /// Reads a whole datagram.
    pub fn decode(datagram: &[u8]) -> Result<Self, WireError> {
        let mut reader = clear_body(datagram, Kind::Join)?;
        let session_id = SessionId(reader.array("session id")?);
        let nonce = Nonce(reader.array("nonce")?);
        let auth = Auth::decode(&mut reader)?;
        let mac = Mac(reader.array("mac")?);
        let target_id = reader.u64("target id")?;
        let link_speed = reader.u32("link speed")?;
        let capacity = reader.u64("capacity")?;
        let flags = reader.u8("flags")?;
        if flags & !(RESUMES | PIPED) != 0 {
            return Err(WireError::Value { field: "flags" });
        }
        let join = Self {
            session_id,
            nonce,
            auth,
            mac,
            target_id,
            link_speed,
            capacity,
            resumes: flags & RESUMES != 0,
            piped: flags & PIPED != 0,
            cookie: reader.array("cookie")?,
            host_name: reader.text("host name")?,
            exchange: reader.blob("exchange")?.to_vec(),
        };
        reader.finish()?;
        Ok(join)
    }
}

/// Why a receiver is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// The two programs speak different versions.
    Version,
    /// The receiver holds another kind of secret than the session asks for.
    Auth,
    /// The stream cannot be joined any more (standard input has no second cycle).
    Closed,
    /// No number is free.
    Full,
    /// There were too many joins with a wrong code; the operator has to make another one.
    Guesses,
    /// A reason that a later version may give.
    Other(u8),
}

impl RejectReason {
    fn encode(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::Auth => 2,
            Self::Closed => 3,
            Self::Full => 4,
            Self::Guesses => 5,
            Self::Other(code) => code,
        }
    }

    fn decode(code: u8) -> Self {
        match code {
            1 => Self::Version,
            2 => Self::Auth,
            3 => Self::Closed,
            4 => Self::Full,
            5 => Self::Guesses,
            other => Self::Other(other),
        }
    }
}

/// The sender does not admit a receiver. This layout is the same in every version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The version that the sender speaks.
    pub version: u8,
    /// The join's nonce.
    pub nonce: Nonce,
    /// Why.
    pub reason: RejectReason,
}

impl Reject {
    /// Appends the datagram.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        clear_header(Kind::Reject, out);
        out[start] = self.version;
        out.extend_from_slice(&self.nonce.0);
        out.push(self.reason.encode());
    }

    /// Reads a whole datagram of any version.
    pub fn decode(datagram: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(datagram);
        let version = reader.u8("version")?;
        let fixed = reader.array::<7>("kind and magic")?;
        if fixed[0] != Kind::Reject as u8 || fixed[1..] != super::MAGIC {
            return Err(WireError::Value {
                field: "kind and magic",
            });
        }
        let reject = Self {
            version,
            nonce: Nonce(reader.array("nonce")?),
            reason: RejectReason::decode(reader.u8("reason")?),
        };
        reader.finish()?;
        Ok(reject)
    }
}
