//! What a sender and one receiver tell each other, sealed under that receiver's keys.

use super::{OwnSymbol, Position, Reader, Report, Standing, WireError, Write};
use crate::ids::Seq;
use crate::manifest::Identity;

/// Why a receiver or a session failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailCode {
    /// The operator ended it.
    Interrupted,
    /// The target was refused before anything was written.
    TargetRefused,
    /// Writing to the target failed.
    TargetFailed,
    /// The manifest that was received is not the sender's.
    IdentityMismatch,
    /// A block that decodes does not have the digest in the manifest, again and again.
    DigestMismatch,
    /// Reading the source failed, or the source changed.
    SourceFailed,
    /// The other side was silent for too long.
    Silence,
    /// A fault inside the program.
    Internal,
    /// Too few receivers came in time.
    NotStarted,
    /// The target reads back something else than was written to it.
    ReadBackDiffers,
    /// The receiver is too slow for the room, and slow ones are dropped.
    TooSlow,
    /// The receiver has asked for more that nobody else needed than any may.
    TooMuch,
}

impl FailCode {
    fn encode(self) -> u8 {
        match self {
            Self::Interrupted => 1,
            Self::TargetRefused => 2,
            Self::TargetFailed => 3,
            Self::IdentityMismatch => 4,
            Self::DigestMismatch => 5,
            Self::SourceFailed => 6,
            Self::Silence => 7,
            Self::Internal => 8,
            Self::NotStarted => 9,
            Self::ReadBackDiffers => 10,
            Self::TooSlow => 11,
            Self::TooMuch => 12,
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match reader.u8("code")? {
            1 => Self::Interrupted,
            2 => Self::TargetRefused,
            3 => Self::TargetFailed,
            4 => Self::IdentityMismatch,
            5 => Self::DigestMismatch,
            6 => Self::SourceFailed,
            7 => Self::Silence,
            8 => Self::Internal,
            9 => Self::NotStarted,
            10 => Self::ReadBackDiffers,
            11 => Self::TooSlow,
            12 => Self::TooMuch,
            _ => return Err(WireError::Value { field: "code" }),
        })
    }
}

/// How a target was read back, after it was flushed, before it was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadBack {
    /// It was not: nobody asked for it.
    #[default]
    No,
    /// From the disk, past the page cache.
    Direct,
    /// Through the page cache, which was told to forget it first.
    CacheDropped,
    /// From a file system in memory.
    Memory,
}

impl ReadBack {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match reader.u8("read back")? {
            0 => Self::No,
            1 => Self::Direct,
            2 => Self::CacheDropped,
            3 => Self::Memory,
            _ => return Err(WireError::Value { field: "read back" }),
        })
    }
}

/// From a receiver to its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToSender {
    /// Full state.
    Report(Report),
    /// All is written, flushed and the manifest's identity is this one.
    Confirm {
        /// What was written.
        identity: Identity,
        /// Bytes of the image.
        image_len: u64,
        /// Whether the target was read back and found right.
        read_back: ReadBack,
    },
    /// The receiver gives up.
    Fail {
        /// The kind of failure.
        code: FailCode,
        /// For the operator.
        text: String,
    },
    /// The sender's abort arrived.
    AbortSeen,
}

impl ToSender {
    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Report(report) => {
                out.push(1);
                report.encode(out);
            }
            Self::Confirm {
                identity,
                image_len,
                read_back,
            } => {
                out.push(2);
                out.extend_from_slice(&identity.0);
                out.put_u64(*image_len);
                out.push(*read_back as u8);
            }
            Self::Fail { code, text } => {
                out.extend_from_slice(&[3, code.encode()]);
                out.put_text(text);
            }
            Self::AbortSeen => out.push(4),
        }
    }

    /// Reads a whole message.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8("type")? {
            1 => return Ok(Self::Report(Report::decode(reader.rest())?)),
            2 => Self::Confirm {
                identity: Identity(reader.array("identity")?),
                image_len: reader.u64("image length")?,
                read_back: ReadBack::decode(&mut reader)?,
            },
            3 => Self::Fail {
                code: FailCode::decode(&mut reader)?,
                text: reader.text("text")?,
            },
            4 => Self::AbortSeen,
            _ => return Err(WireError::Value { field: "type" }),
        };
        reader.finish()?;
        Ok(message)
    }
}

/// From the sender to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToReceiver {
    /// The confirmation counts.
    ConfirmSeen,
    /// The failure is noted.
    FailSeen,
    /// The session is over without success.
    Abort {
        /// The kind of failure.
        code: FailCode,
        /// For the person in front of the receiver.
        text: String,
    },
    /// A report is missing: the receiver is to report at once.
    Ask,
    /// How the receiver stands to the group from now on.
    Standing {
        /// Counts the changes; an older one than is known means nothing.
        turn: u16,
        /// How it stands.
        standing: Standing,
    },
    /// Where the stream really is: the receiver has reported something that cannot be, as it was
    /// told it under the group key, which all receivers hold.
    Position {
        /// The last group datagram that was sent.
        seq: Seq,
        /// Where the stream is.
        position: Position,
    },
    /// A symbol of a block that was spoiled again and again.
    Symbol(OwnSymbol),
}

impl ToReceiver {
    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::ConfirmSeen => out.push(1),
            Self::FailSeen => out.push(2),
            Self::Abort { code, text } => {
                out.extend_from_slice(&[3, code.encode()]);
                out.put_text(text);
            }
            Self::Ask => out.push(5),
            Self::Standing { turn, standing } => {
                out.push(4);
                out.put_u16(*turn);
                standing.encode(out);
            }
            Self::Position { seq, position } => {
                out.push(6);
                out.put_u48(seq.0);
                position.encode(out);
            }
            Self::Symbol(own) => {
                out.push(7);
                own.encode(out);
            }
        }
    }

    /// Reads a whole message.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8("type")? {
            1 => Self::ConfirmSeen,
            2 => Self::FailSeen,
            3 => Self::Abort {
                code: FailCode::decode(&mut reader)?,
                text: reader.text("text")?,
            },
            5 => Self::Ask,
            4 => Self::Standing {
                turn: reader.u16("turn")?,
                standing: Standing::decode(&mut reader)?,
            },
            6 => Self::Position {
                seq: Seq(reader.u48("sequence number")?),
                position: Position::decode(&mut reader)?,
            },
            7 => Self::Symbol(OwnSymbol::decode(&mut reader)?),
            _ => return Err(WireError::Value { field: "type" }),
        };
        reader.finish()?;
        Ok(message)
    }
}
