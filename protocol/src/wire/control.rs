//! Group control: where the stream is, and how it ends.

use super::{Reader, WireError, Write};
use crate::block::ImageDigest;
use crate::ids::{Cycle, Slot};
use crate::keys::{Context, SIGNATURE_LEN, Signer, Verifier};
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

impl Position {
    /// Appends it.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.cycle.0);
        out.put_u32(self.slot.0);
        out.put_u32(self.horizon.0);
        out.put_u32(self.pages.0);
        out.put_u16(self.receivers);
    }

    /// Reads it.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            cycle: Cycle(reader.u32("cycle")?),
            slot: Slot(reader.u32("slot")?),
            horizon: BlockNumber(reader.u32("horizon")?),
            pages: PageNumber(reader.u32("pages")?),
            receivers: reader.u16("receivers")?,
        })
    }
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
    /// BLAKE3 of the image, as `b3sum` prints it, if it was computed. Only people need it; on the
    /// wire zeros stand for none.
    pub image_digest: Option<ImageDigest>,
    /// Ed25519 signature of all bytes of the record before it.
    pub signature: [u8; SIGNATURE_LEN],
}

impl EndRecord {
    /// Signs it.
    pub fn sign(&mut self, signer: &Signer) {
        self.signature = signer.sign(Context::EndRecord, &self.signed_bytes());
    }

    /// Whether the sender has signed it.
    #[must_use]
    pub fn is_signed(&self, verifier: &Verifier) -> bool {
        verifier.accepts(Context::EndRecord, &self.signed_bytes(), &self.signature)
    }

    /// What stands before the signature.
    fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u64(self.image_len);
        out.put_u32(self.blocks.0);
        out.put_u32(self.pages.0);
        out.extend_from_slice(&self.identity.0);
        let digest = self.image_digest.map_or([0; 32], |digest| digest.0);
        out.extend_from_slice(&digest);
        out
    }
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
        self.position.encode(out);
        out.push(u8::from(self.end.is_some()));
        if let Some(end) = &self.end {
            out.extend_from_slice(&end.signed_bytes());
            out.extend_from_slice(&end.signature);
        }
    }

    /// Reads a whole body.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let position = Position::decode(&mut reader)?;
        let flags = reader.u8("flags")?;
        if flags > 1 {
            return Err(WireError::Value { field: "flags" });
        }
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
        image_digest: Some(reader.array("image digest")?)
            .filter(|digest| *digest != [0; 32])
            .map(ImageDigest),
        signature: reader.array("signature")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SessionId;
    use crate::keys::SigningKey;

    #[test]
    fn an_end_record_is_believed_as_it_was_signed() {
        let signer = Signer {
            key: SigningKey::from_seed(&[1; 32]),
            session: SessionId([2; 16]),
        };
        let mut end = EndRecord {
            image_len: 6,
            blocks: BlockNumber(7),
            pages: PageNumber(8),
            identity: Identity([9; 32]),
            image_digest: Some(ImageDigest([10; 32])),
            signature: [0; 64],
        };
        assert!(!end.is_signed(&signer.verifier()));
        end.sign(&signer);
        assert!(end.is_signed(&signer.verifier()));
        let mut bytes = end.signed_bytes();
        assert_eq!(bytes.len(), 80);
        bytes.extend_from_slice(&end.signature);
        for at in 0..bytes.len() {
            let mut tampered = [&[0; 19][..], &bytes].concat();
            tampered[18] = 1;
            tampered[19 + at] ^= 1;
            let read = GroupControl::decode(&tampered).unwrap().end.unwrap();
            assert!(!read.is_signed(&signer.verifier()), "byte {at}");
        }
        let elsewhere = Verifier {
            session: SessionId([3; 16]),
            ..signer.verifier()
        };
        assert!(!end.is_signed(&elsewhere));
    }
}
