//! Group control: where the stream is, and how it ends.

use super::{Reader, WireError, Write};
use crate::ids::{Cycle, Slot};
use crate::manifest::Identity;
use crate::units::{BlockNumber, PageNumber};

/// Where the stream is. Sent when it was idle for 20 ms and every 100 ms, so that the loss of
/// the last symbols before a pause and the loss of a credit mend themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The cycle under way.
    pub cycle: Cycle,
    /// Blocks begun over all cycles.
    pub slot: Slot,
    /// Every block below this number has had its pass in this cycle.
    pub horizon: BlockNumber,
    /// Pages all of whose symbols were sent.
    pub pages: PageNumber,
    /// Receivers in the room.
    pub receivers: u16,
}

/// What the whole image is; known when its last block was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndRecord {
    /// Bytes of the image.
    pub image_len: u64,
    /// Blocks that are sent.
    pub blocks: BlockNumber,
    /// Manifest pages.
    pub pages: PageNumber,
    /// BLAKE3 over the manifest.
    pub identity: Identity,
    /// BLAKE3 of the image, as `b3sum` prints it.
    pub image_digest: [u8; 32],
    /// Reserved for the Ed25519 signature over the record; zeros in this version.
    pub signature: [u8; 64],
}

/// The sealed body of a group control datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupControl {
    /// Where the stream is.
    pub position: Position,
    /// From the end of the first cycle on.
    pub end: Option<EndRecord>,
}

impl GroupControl {
    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let position = &self.position;
        out.put_u32(position.cycle.0);
        out.put_u32(position.slot.0);
        out.put_u32(position.horizon.0);
        out.put_u32(position.pages.0);
        out.put_u16(position.receivers);
        out.push(u8::from(self.end.is_some()));
        if let Some(end) = &self.end {
            out.put_u64(end.image_len);
            out.put_u32(end.blocks.0);
            out.put_u32(end.pages.0);
            out.extend_from_slice(&end.identity.0);
            out.extend_from_slice(&end.image_digest);
            out.extend_from_slice(&end.signature);
        }
    }

    /// Reads a whole body.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let (cycle, slot) = (Cycle(reader.u32("cycle")?), Slot(reader.u32("slot")?));
        let horizon = BlockNumber(reader.u32("horizon")?);
        let pages = PageNumber(reader.u32("pages")?);
        let receivers = reader.u16("receivers")?;
        let flags = reader.u8("flags")?;
        if flags > 1 {
            return Err(WireError::Value { field: "flags" });
        }
        let position = Position {
            cycle,
            slot,
            horizon,
            pages,
            receivers,
        };
        let end = if flags == 0 {
            None
        } else {
            Some(end_record(&mut reader)?)
        };
        reader.finish()?;
        Ok(Self { position, end })
    }
}

fn end_record(reader: &mut Reader<'_>) -> Result<EndRecord, WireError> {
    Ok(EndRecord {
        image_len: reader.u64("image length")?,
        blocks: BlockNumber(reader.u32("blocks")?),
        pages: PageNumber(reader.u32("pages")?),
        identity: Identity(reader.array("identity")?),
        image_digest: reader.array("image digest")?,
        signature: reader.array("signature")?,
    })
}
