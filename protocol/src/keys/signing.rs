//! Signatures: Ed25519 (RFC 8032) over what the sender says to everybody.
//!
//! All receivers hold the group key, so that a datagram under it may come from any of them. What
//! decides on what is written is signed besides. A signature covers the text of its [`Context`],
//! a zero byte, the session id and the bytes: it is good for nothing else, nor in another session
//! of the same key.

use std::fmt;

#[cfg(not(fuzzing))]
use ed25519_dalek as scheme;
use scheme::Signer as _;

use super::KEY_LEN;
#[cfg(fuzzing)]
use super::stand_in as scheme;
use crate::block::write_hex;
use crate::ids::SessionId;

/// Bytes of a signature (RFC 8032 section 5.1.6).
pub const SIGNATURE_LEN: usize = 64;

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// A page of the manifest.
    Page,
    /// The end record.
    EndRecord,
    /// Digests of a block's symbols.
    Digests,
}

impl Context {
    fn text(self) -> &'static [u8] {
        match self {
            Self::Page => b"mimeo 1 page",
            Self::EndRecord => b"mimeo 1 end record",
            Self::Digests => b"mimeo 1 symbol digests",
        }
    }
}

/// The bytes are not signed with this key, in this context and session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not signed with the sender's key")]
pub struct NotSigned;

/// Not the bytes of a key that could sign anything: no point of the curve, or one of those few for
/// which signatures can be made without a secret (RFC 8032 section 8.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no Ed25519 key has these 32 bytes")]
pub struct NoKey;

/// The sender's secret; its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct SigningKey(scheme::SigningKey);

impl SigningKey {
    /// The key of a seed: 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; KEY_LEN]) -> Self {
        Self(scheme::SigningKey::from_bytes(seed))
    }

    /// What its signatures are verified with.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// Signs bytes; always the same for the same bytes.
    #[must_use]
    pub fn sign(&self, context: Context, session: SessionId, bytes: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(&message(context, session, bytes)).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// What the sender's signatures are verified with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(scheme::VerifyingKey);

impl VerifyingKey {
    /// A key from its bytes.
    ///
    /// # Errors
    ///
    /// [`NoKey`] for bytes under which no signature counts.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Result<Self, NoKey> {
        match scheme::VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            _ => Err(NoKey),
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; KEY_LEN] {
        self.0.to_bytes()
    }

    /// Checks a signature.
    ///
    /// # Errors
    ///
    /// [`NotSigned`] if it is none of this key, context and session.
    pub fn verify(
        &self,
        context: Context,
        session: SessionId,
        bytes: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), NotSigned> {
        let signature = scheme::Signature::from_bytes(signature);
        self.0
            .verify_strict(&message(context, session, bytes), &signature)
            .map_err(|_| NotSigned)
    }
}

impl fmt::Display for VerifyingKey {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.to_bytes(), f)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

/// The sender's key in its session.
#[derive(Debug, Clone)]
pub struct Signer {
    /// The key.
    pub key: SigningKey,
    /// The session.
    pub session: SessionId,
}

impl Signer {
    /// Signs bytes for this session.
    #[must_use]
    pub fn sign(&self, context: Context, bytes: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.key.sign(context, self.session, bytes)
    }

    /// What a receiver of this session verifies with.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier {
            key: self.key.verifying_key(),
            session: self.session,
        }
    }
}

/// What a receiver verifies with in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verifier {
    /// The sender's key.
    pub key: VerifyingKey,
    /// The session.
    pub session: SessionId,
}

impl Verifier {
    /// Whether a signature is the sender's, in this session.
    #[must_use]
    pub fn accepts(&self, context: Context, bytes: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        self.key
            .verify(context, self.session, bytes, signature)
            .is_ok()
    }
}

/// What is signed; no text is the beginning of another one with its zero.
fn message(context: Context, session: SessionId, bytes: &[u8]) -> Vec<u8> {
    [context.text(), &[0], &session.0, bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionId = SessionId([7; 16]);

    #[test]
    fn a_signature_counts_for_its_key_context_session_and_bytes_only() {
        let key = SigningKey::from_seed(&[1; 32]);
        let signature = key.sign(Context::Page, SESSION, b"page");
        let verify = |key: &SigningKey, context, session, bytes: &[u8], signature: &_| {
            key.verifying_key()
                .verify(context, session, bytes, signature)
        };
        let page = Context::Page;
        assert_eq!(verify(&key, page, SESSION, b"page", &signature), Ok(()));
        let other = SigningKey::from_seed(&[2; 32]);
        let end = Context::EndRecord;
        let wrong = Err(NotSigned);
        assert_eq!(verify(&other, page, SESSION, b"page", &signature), wrong);
        assert_eq!(verify(&key, end, SESSION, b"page", &signature), wrong);
        let elsewhere = SessionId([8; 16]);
        assert_eq!(verify(&key, page, elsewhere, b"page", &signature), wrong);
        assert_eq!(verify(&key, page, SESSION, b"pagf", &signature), wrong);
        for byte in 0..SIGNATURE_LEN {
            let mut signature = signature;
            signature[byte] ^= 1;
            assert_eq!(verify(&key, page, SESSION, b"page", &signature), wrong);
        }
    }

    #[test]
    fn the_key_of_a_seed_is_that_of_rfc_8032() {
        // Section 7.1, test 1.
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec,
            0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03,
            0x1c, 0xae, 0x7f, 0x60,
        ];
        let key = SigningKey::from_seed(&seed).verifying_key();
        let text = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(key.to_string(), text);
        assert_eq!(VerifyingKey::from_bytes(&key.to_bytes()), Ok(key));
    }

    #[test]
    fn what_a_signature_covers_has_golden_bytes() {
        assert_eq!(
            message(Context::Page, SESSION, b"\x01\x02"),
            b"mimeo 1 page\0\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x01\x02"
        );
        let end = message(Context::EndRecord, SESSION, b"");
        assert!(end.starts_with(b"mimeo 1 end record\0\x07"));
    }

    #[test]
    fn bytes_under_which_anybody_could_sign_are_no_key() {
        // The neutral element: every signature of R = s B verifies, unless it is refused.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let no_point = [
            2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0,
        ];
        for bytes in [neutral, [0; 32], no_point] {
            assert_eq!(VerifyingKey::from_bytes(&bytes), Err(NoKey));
        }
    }
}
