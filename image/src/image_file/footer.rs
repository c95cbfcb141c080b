//! The last two frames before the seek table: the signature's place, and the footer, which is
//! found from the end of the file and from which everything else is found.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::part::{self, Fields, PART_HEADER, Part};
use super::{Damage, MAX_DISK_LEN};
use crate::zeros::is_zero;

/// Bytes of the signature's frame: a public key and a signature (RFC 8032), or zeros.
pub(super) const SIGNATURE_LEN: usize = PART_HEADER + 32 + 64;

/// Bytes of the footer.
pub(super) const FOOTER_LEN: usize = PART_HEADER + 8 + 2 * POINTER_LEN + 32;

const POINTER_LEN: usize = 8 + 8 + 32;

/// Sets the root apart from every other use of BLAKE3.
const ROOT_CONTEXT: &str = "mimeo image file 1 root";

/// Sets what is signed apart from everything else that the same key may sign.
const SIGNATURE_CONTEXT: &[u8] = b"mimeo image file 1 signature\0";

/// Where a frame is, and what it hashes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    /// File offset.
    pub(super) at: u64,
    /// Bytes of the frame.
    pub(super) len: u64,
    /// BLAKE3 of the frame.
    pub(super) hash: [u8; 32],
}

impl Pointer {
    /// To a frame that is written at `at`.
    pub(super) fn to(at: u64, frame: &[u8]) -> Self {
        Self {
            at,
            len: frame.len() as u64,
            hash: blake3::hash(frame).into(),
        }
    }

    pub(super) fn end(&self) -> Option<u64> {
        self.at.checked_add(self.len)
    }
}

/// A digest over all that the file says of its disk: everything but the seek table hangs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root(pub [u8; 32]);

/// What the footer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    /// Bytes of the disk.
    pub(super) disk_len: u64,
    pub(super) description: Pointer,
    pub(super) directory: Pointer,
}

impl Footer {
    /// The footer as it is in the file, and the root that it ends with.
    pub(super) fn encode(&self) -> (Vec<u8>, Root) {
        let mut frame = part::begin(Part::Footer, FOOTER_LEN - PART_HEADER);
        frame.extend(self.disk_len.to_le_bytes());
        for pointer in [&self.description, &self.directory] {
            frame.extend(pointer.at.to_le_bytes());
            frame.extend(pointer.len.to_le_bytes());
            frame.extend(pointer.hash);
        }
        let root = blake3::derive_key(ROOT_CONTEXT, &frame);
        frame.extend(root);
        (frame, Root(root))
    }

    /// Reads a footer whose frame is at `at`, hence whose signature is right before it.
    pub(super) fn decode(frame: &[u8], at: u64) -> Result<(Self, Root), Damage> {
        let damaged = Damage::Part(Part::Footer);
        let mut fields = Fields(part::content(Part::Footer, frame)?);
        let footer = Self::read(&mut fields).ok_or(damaged.clone())?;
        let (again, root) = footer.encode();
        let in_order = footer.description.end() == Some(footer.directory.at)
            && footer.directory.end() == at.checked_sub(SIGNATURE_LEN as u64);
        let right = again == frame && in_order && (1..=MAX_DISK_LEN).contains(&footer.disk_len);
        if right {
            Ok((footer, root))
        } else {
            Err(damaged)
        }
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let disk_len = fields.u64()?;
        let mut pointer = || {
            Some(Pointer {
                at: fields.u64()?,
                len: fields.u64()?,
                hash: fields.bytes()?,
            })
        };
        Some(Self {
            disk_len,
            description: pointer()?,
            directory: pointer()?,
        })
    }
}

/// The signature's frame of a file with this root; without a key it is kept free.
pub(super) fn encode_signature(root: &Root, key: Option<&SigningKey>) -> Vec<u8> {
    let mut frame = part::begin(Part::Signature, SIGNATURE_LEN - PART_HEADER);
    match key {
        Some(key) => {
            frame.extend(key.verifying_key().as_bytes());
            frame.extend(key.sign(&message(root)).to_bytes());
        }
        None => frame.resize(SIGNATURE_LEN, 0),
    }
    frame
}

/// Whose signature a file with this root has; `None` if it has none.
pub(super) fn decode_signature(frame: &[u8], root: &Root) -> Result<Option<VerifyingKey>, Damage> {
    let content = part::content(Part::Signature, frame)?;
    if is_zero(content) {
        return Ok(None);
    }
    let mut fields = Fields(content);
    let signer = || {
        let key = VerifyingKey::from_bytes(&fields.bytes()?).ok()?;
        let signature = Signature::from_bytes(&fields.bytes()?);
        key.verify_strict(&message(root), &signature).ok()?;
        Some(key)
    };
    let mut signer = signer;
    signer().map(Some).ok_or(Damage::Signature)
}

fn message(root: &Root) -> Vec<u8> {
    [SIGNATURE_CONTEXT, &root.0].concat()
}

impl std::fmt::Display for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        super::digest::write_hex(&self.0, f)
    }
}
