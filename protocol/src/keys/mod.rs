//! Keys, sealing and signatures: AES-256-GCM under keys from HKDF-SHA-256 (RFC 5116, RFC 5869),
//! and Ed25519 (RFC 8032).
//!
//! Every key seals the datagrams of one party in one direction and its nonce is the datagram's
//! sequence number, so a nonce never repeats under a key. A key depends on the session's 128
//! random bits and on both sides' join nonces, so it does not come back after a restart.
//!
//! In fuzz targets, and nowhere else, hashes stand for curves: `stand_in`.

mod exchange;
mod replay;
mod signing;
#[cfg(fuzzing)]
mod stand_in;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce as AeadNonce, UnboundKey};
use aws_lc_rs::hkdf;

pub use exchange::{EXCHANGE_LEN, Exchange, NoExchange};
pub use replay::ReplayWindow;
pub use signing::{
    Context, NoKey, NotSigned, SIGNATURE_LEN, Signer, SigningKey, Verifier, VerifyingKey,
};

use crate::ids::{Nonce, ReceiverNumber, SessionId};
use crate::wire::TAG;

/// Bytes of a secret and of a key.
pub const KEY_LEN: usize = 32;

/// What both sides hold, what keys are drawn from, and keys before they are used: the key file, what
/// stands for the join code, the outcome of an [`Exchange`], with `--open` a random number that the
/// welcome carries, seeds, the group's key.
///
/// It is wiped when it is dropped, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; KEY_LEN]);

impl Secret {
    /// A secret from its bytes.
    #[must_use]
    pub fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The secret that a join code stands for, from what it is shown as.
    #[must_use]
    pub fn of_code(code: &impl std::fmt::Display) -> Self {
        let text = zeroize::Zeroizing::new(code.to_string());
        derive(text.as_bytes(), b"", &[b"mimeo 1 join code"])
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The bytes do not carry a valid tag under this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not sealed under this key")]
pub struct NotSealed;

struct KeyLen;

impl hkdf::KeyType for KeyLen {
    fn len(&self) -> usize {
        KEY_LEN
    }
}

/// HKDF: `KEY_LEN` bytes for a purpose, from a secret and the salt that makes it fresh.
#[must_use]
pub fn derive(secret: &[u8], salt: &[u8], info: &[&[u8]]) -> Secret {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let mut key = Secret([0; KEY_LEN]);
    prk.expand(info, KeyLen)
        .and_then(|okm| okm.fill(&mut key.0))
        .expect("32 bytes are within HKDF's limit of 255 hashes");
    key
}

/// One AEAD key. Whoever holds it seals and opens; see the module's page for its nonces.
pub struct SealKey(LessSafeKey);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}

impl SealKey {
    /// The key of these bytes.
    #[must_use]
    pub fn new(bytes: &Secret) -> Self {
        let key =
            UnboundKey::new(&AES_256_GCM, bytes.bytes()).expect("the key has AES-256's length");
        Self(LessSafeKey::new(key))
    }

    /// Seals `plain` into `sealed`, which is longer by [`TAG`]; the tag covers `header` too.
    pub fn seal(&self, seq: u64, header: &[u8], plain: &[u8], sealed: &mut [u8]) {
        let (body, tag) = sealed.split_at_mut(plain.len());
        self.0
            .seal_out_of_place_scatter(nonce(seq), Aad::from(header), plain, body, &[], tag)
            .expect("the lengths fit and a datagram is far below the cipher's limit");
    }

    /// Seals bytes where they stand and appends the tag; the tag covers `header` too.
    pub fn seal_in_place(&self, seq: u64, header: &[u8], body: &mut [u8], tag: &mut [u8]) {
        let made = self
            .0
            .seal_in_place_separate_tag(nonce(seq), Aad::from(header), body)
            .expect("a datagram is far below the cipher's limit");
        tag.copy_from_slice(made.as_ref());
    }

    /// Opens `sealed` (body and tag) into `plain`, which is shorter by [`TAG`].
    ///
    /// On an error the content of `plain` means nothing.
    pub fn open(
        &self,
        seq: u64,
        header: &[u8],
        sealed: &[u8],
        plain: &mut [u8],
    ) -> Result<(), NotSealed> {
        let at = sealed.len().checked_sub(TAG).ok_or(NotSealed)?;
        let (body, tag) = sealed.split_at(at);
        self.0
            .open_separate_gather(nonce(seq), Aad::from(header), body, tag, plain)
            .map_err(|_| NotSealed)
    }

    /// Opens `sealed` into a new vector: for the rare control messages.
    pub fn open_vec(&self, seq: u64, header: &[u8], sealed: &[u8]) -> Result<Vec<u8>, NotSealed> {
        let mut plain = vec![0; sealed.len().checked_sub(TAG).ok_or(NotSealed)?];
        self.open(seq, header, sealed, &mut plain)?;
        Ok(plain)
    }

    /// Appends `plain`, sealed, behind the header that `out` holds from `start` on.
    pub fn seal_behind(&self, seq: u64, start: usize, plain: &[u8], out: &mut Vec<u8>) {
        let body = out.len();
        out.resize(body + plain.len() + TAG, 0);
        let (header, sealed) = out[start..].split_at_mut(body - start);
        self.seal(seq, header, plain, sealed);
    }
}

fn nonce(seq: u64) -> AeadNonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&seq.to_be_bytes());
    AeadNonce::assume_unique_for_key(bytes)
}

/// The keys between the sender and one receiver.
#[derive(Debug)]
pub struct JoinKeys {
    /// Seals the body of the welcome, once.
    pub welcome: SealKey,
    /// Receiver to sender.
    pub to_sender: SealKey,
    /// Sender to receiver.
    pub to_receiver: SealKey,
}

impl JoinKeys {
    /// Derives the keys of one join.
    #[must_use]
    pub fn derive(
        secret: &Secret,
        session: SessionId,
        receiver_nonce: Nonce,
        sender_nonce: Nonce,
        number: ReceiverNumber,
    ) -> Self {
        let number = number.0.to_be_bytes();
        let key = |purpose: &[u8]| {
            let info: [&[u8]; 4] = [purpose, &receiver_nonce.0, &sender_nonce.0, &number];
            SealKey::new(&derive(&secret.0, &session.0, &info))
        };
        Self {
            welcome: key(b"mimeo 1 welcome"),
            to_sender: key(b"mimeo 1 to sender"),
            to_receiver: key(b"mimeo 1 to receiver"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: u8, session: u8, number: u16) -> JoinKeys {
        JoinKeys::derive(
            &Secret::new([secret; 32]),
            SessionId([session; 16]),
            Nonce([3; 16]),
            Nonce([4; 16]),
            ReceiverNumber(number),
        )
    }

    #[test]
    fn sealed_bytes_open_only_under_the_same_key_nonce_and_header() {
        let key = keys(1, 2, 5).to_sender;
        let mut sealed = vec![0; 5 + TAG];
        key.seal(7, b"head", b"hello", &mut sealed);
        assert_eq!(key.open_vec(7, b"head", &sealed).unwrap(), b"hello");
        assert_eq!(key.open_vec(8, b"head", &sealed), Err(NotSealed));
        assert_eq!(key.open_vec(7, b"heat", &sealed), Err(NotSealed));
        assert_eq!(key.open_vec(7, b"head", &sealed[..4]), Err(NotSealed));
        for other in [keys(9, 2, 5), keys(1, 9, 5), keys(1, 2, 9)] {
            assert_eq!(
                other.to_sender.open_vec(7, b"head", &sealed),
                Err(NotSealed)
            );
        }
        assert_eq!(
            keys(1, 2, 5).to_receiver.open_vec(7, b"head", &sealed),
            Err(NotSealed)
        );
    }

    #[test]
    fn derivation_is_hkdf_sha256_of_rfc_5869() {
        // Test case 1 of RFC 5869, its first 32 bytes of output.
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let okm = derive(&[0x0b; 22], &salt, &[&info]);
        assert_eq!(
            okm.bytes()[..8],
            [0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a]
        );
        assert_eq!(okm.bytes()[28..], [0xec, 0xc4, 0xc5, 0xbf]);
    }
}
