//! The headers of sealed datagrams other than symbols; they are authenticated, not secret.

use super::{Kind, Reader, VERSION, WireError, Write};
use crate::ids::{ReceiverNumber, Seq};

/// Bytes of the header of a sealed unicast datagram.
pub const UNICAST_HEADER: usize = 12;
/// Bytes of the header of a group control datagram.
pub const GROUP_HEADER: usize = 10;

/// Appends the header of a group control datagram.
pub fn group_header(session_tag: u16, seq: Seq, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, Kind::GroupControl as u8]);
    out.put_u16(session_tag);
    out.put_u48(seq.0);
}

/// Appends the header of a sealed unicast datagram.
pub fn unicast_header(kind: Kind, tag: u16, seq: u64, number: ReceiverNumber, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, kind as u8]);
    out.put_u16(tag);
    out.put_u48(seq);
    out.put_u16(number.0);
}

/// A sealed datagram, split into its header and the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// First bytes of the session id.
    pub session_tag: u16,
    /// Number of the datagram under its key.
    pub seq: u64,
    /// Whose key; 0 for the group's.
    pub number: ReceiverNumber,
    /// The header as it stands: what the tag covers besides the body.
    pub header: &'a [u8],
    /// Sealed body and tag.
    pub sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Splits a group control datagram.
    pub fn group(datagram: &'a [u8]) -> Result<Self, WireError> {
        let (session_tag, seq, _) = start(datagram, Kind::GroupControl)?;
        let (header, sealed) = datagram.split_at(GROUP_HEADER);
        Ok(Self {
            session_tag,
            seq,
            number: ReceiverNumber(0),
            header,
            sealed,
        })
    }

    /// Splits a sealed unicast datagram of the given kind.
    pub fn unicast(datagram: &'a [u8], kind: Kind) -> Result<Self, WireError> {
        let (session_tag, seq, mut reader) = start(datagram, kind)?;
        let number = ReceiverNumber(reader.u16("receiver number")?);
        let (header, sealed) = datagram.split_at(UNICAST_HEADER);
        Ok(Self {
            session_tag,
            seq,
            number,
            header,
            sealed,
        })
    }
}

fn start(datagram: &[u8], kind: Kind) -> Result<(u16, u64, Reader<'_>), WireError> {
    let mut reader = Reader::new(datagram);
    let version = reader.u8("version")?;
    if version != VERSION {
        return Err(WireError::Version { found: version });
    }
    if reader.u8("kind")? != kind as u8 {
        return Err(WireError::Value { field: "kind" });
    }
    Ok((
        reader.u16("session tag")?,
        reader.u48("sequence number")?,
        reader,
    ))
}
