//! What stands for signatures and for the exchange while mimeo is fuzzed, and nowhere else: this
//! file is compiled only with `--cfg fuzzing`, under which the programs do not compile.
//!
//! Curves take most of the time of a story, and what a fuzzer tries changes nothing about them. Here
//! hashes of the same bytes stand for them, with the names and shapes of what they stand for. For
//! the machines they are the same: what is damaged, of another key or of another context counts as
//! little, and half of all bytes are no point. Against somebody who computes they are worth nothing.

use core::marker::PhantomData;

use rand_chacha::rand_core::RngCore;

use super::KEY_LEN;

/// Stands for `ed25519_dalek::Signature`.
#[derive(PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        Self(*bytes)
    }

    pub fn to_bytes(&self) -> [u8; 64] {
        self.0
    }
}

/// Stands for `ed25519_dalek::Signer`.
pub trait Signer {
    fn sign(&self, message: &[u8]) -> Signature;
}

/// Stands for `ed25519_dalek::SigningKey`.
#[derive(Clone)]
pub struct SigningKey(VerifyingKey);

impl SigningKey {
    pub fn from_bytes(seed: &[u8; KEY_LEN]) -> Self {
        Self(VerifyingKey(*blake3::hash(seed).as_bytes()))
    }

    pub fn verifying_key(&self) -> VerifyingKey {
        self.0
    }
}

impl Signer for SigningKey {
    fn sign(&self, message: &[u8]) -> Signature {
        self.0.signature(message)
    }
}

/// Stands for `ed25519_dalek::VerifyingKey`; what verifies could sign as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey([u8; KEY_LEN]);

impl VerifyingKey {
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Result<Self, NoPoint> {
        Ok(Self(*bytes))
    }

    /// Some are, as of the true ones.
    pub fn is_weak(&self) -> bool {
        self.0[1..].iter().all(|&byte| byte == 0)
    }

    pub fn to_bytes(self) -> [u8; KEY_LEN] {
        self.0
    }

    pub fn verify_strict(&self, message: &[u8], signature: &Signature) -> Result<(), NoPoint> {
        let signed = self.signature(message) == *signature;
        signed.then_some(()).ok_or(NoPoint)
    }

    fn signature(&self, message: &[u8]) -> Signature {
        let hash = blake3::keyed_hash(&self.0, message);
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(hash.as_bytes());
        bytes[32..].copy_from_slice(hash.as_bytes());
        Signature(bytes)
    }
}

/// Stands for errors.
#[derive(Debug)]
pub struct NoPoint;

/// Stands for `spake2::Password`.
pub struct Password([u8; KEY_LEN]);

impl Password {
    pub fn new(bytes: &[u8; KEY_LEN]) -> Self {
        Self(*bytes)
    }
}

/// Stands for `spake2::Identity`.
pub struct Identity(Vec<u8>);

impl Identity {
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// Stands for `spake2::Ed25519Group`.
pub struct Ed25519Group;

/// Stands for `spake2::Spake2`: a message is a random number, and the secret a hash of the
/// password, both identities and both messages.
pub struct Spake2<Group> {
    both: blake3::Hasher,
    side: u8,
    message: [u8; KEY_LEN],
    group: PhantomData<Group>,
}

impl<Group> Spake2<Group> {
    pub fn start_a_with_rng(
        password: &Password,
        a: &Identity,
        b: &Identity,
        rng: impl RngCore,
    ) -> (Self, Vec<u8>) {
        Self::start(b'A', password, (a, b), rng)
    }

    pub fn start_b_with_rng(
        password: &Password,
        a: &Identity,
        b: &Identity,
        rng: impl RngCore,
    ) -> (Self, Vec<u8>) {
        Self::start(b'B', password, (a, b), rng)
    }

    fn start(
        side: u8,
        password: &Password,
        (a, b): (&Identity, &Identity),
        mut rng: impl RngCore,
    ) -> (Self, Vec<u8>) {
        let mut both = blake3::Hasher::new_keyed(&password.0);
        for identity in [a, b] {
            both.update(&(identity.0.len() as u64).to_be_bytes());
            both.update(&identity.0);
        }
        let mut message = [0; KEY_LEN];
        rng.fill_bytes(&mut message);
        message[0] |= 1;
        let sent = [&[side][..], &message].concat();
        let started = Self {
            both,
            side,
            message,
            group: PhantomData,
        };
        (started, sent)
    }

    pub fn finish(mut self, received: &[u8]) -> Result<Vec<u8>, NoPoint> {
        let (&[other, first], _) = received.split_first_chunk().ok_or(NoPoint)?;
        let is_other = (self.side, other) == (b'A', b'B') || (self.side, other) == (b'B', b'A');
        let is_point = received.len() == 1 + KEY_LEN && first & 1 == 1;
        if !is_other || !is_point {
            return Err(NoPoint);
        }
        let (mine, received) = (&self.message[..], &received[1..]);
        for message in match self.side {
            b'A' => [mine, received],
            _ => [received, mine],
        } {
            self.both.update(message);
        }
        Ok(self.both.finalize().as_bytes().to_vec())
    }
}
