//! The exchange of a join: SPAKE2 (RFC 9382) over what both sides hold, a join code or a key file.
//!
//! Who holds something else learns nothing from it that lets him try codes by himself: each guess
//! takes an exchange with the other side. The secret that comes of it is new for each join, so that
//! who learns the code later cannot read what he recorded.
//!
//! Nothing is kept between the two messages: a side is made anew from its seed.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
#[cfg(not(fuzzing))]
use spake2 as scheme;

#[cfg(fuzzing)]
use super::stand_in as scheme;
use super::{KEY_LEN, Secret, derive};
use crate::ids::{Nonce, SessionId};
use scheme::{Ed25519Group, Identity, Password, Spake2};

/// Bytes of a message: the side and a point of the curve.
pub const EXCHANGE_LEN: usize = 33;

/// What an exchange is about; it does not come to the same secret where the two sides differ.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What both sides hold.
    pub secret: Secret,
    /// The session that is joined.
    pub session: SessionId,
    /// The nonce of the join.
    pub receiver_nonce: Nonce,
}

/// A message that is none of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message of the exchange")]
pub struct NoExchange;

impl Exchange {
    /// The receiver's message. `seed` is random, secret, and used for this exchange only.
    #[must_use]
    pub fn ask(&self, seed: &[u8; KEY_LEN]) -> Vec<u8> {
        self.receiver(seed).1
    }

    /// The receiver's secret, from the sender's message; `seed` is that of [`Self::ask`].
    ///
    /// # Errors
    ///
    /// The message is no point of the curve, or of another side.
    pub fn finish(&self, seed: &[u8; KEY_LEN], answer: &[u8]) -> Result<Secret, NoExchange> {
        secret(self.receiver(seed).0, answer)
    }

    /// The sender's message and secret, from the receiver's message. `seed` as in [`Self::ask`].
    ///
    /// # Errors
    ///
    /// The message is no point of the curve, or of another side.
    pub fn answer(
        &self,
        seed: &[u8; KEY_LEN],
        asked: &[u8],
    ) -> Result<(Vec<u8>, Secret), NoExchange> {
        let rng = ChaCha20Rng::from_seed(*seed);
        let (receiver, sender) = self.identities();
        let (side, message) = Side::start_b_with_rng(&self.password(), &receiver, &sender, rng);
        Ok((message, secret(side, asked)?))
    }

    /// The seed of the answer to the receiver that the sender welcomes as its `ordinal`th, drawn from
    /// the sender's own.
    #[must_use]
    pub fn sender_seed(&self, seed: &Secret, ordinal: u64) -> Secret {
        let ordinal = ordinal.to_be_bytes();
        let info: [&[u8]; 3] = [b"mimeo 1 sender exchange", &ordinal, &self.receiver_nonce.0];
        derive(seed.bytes(), &self.session.0, &info)
    }

    fn receiver(&self, seed: &[u8; KEY_LEN]) -> (Side, Vec<u8>) {
        let rng = ChaCha20Rng::from_seed(*seed);
        let (receiver, sender) = self.identities();
        Side::start_a_with_rng(&self.password(), &receiver, &sender, rng)
    }

    fn password(&self) -> Password {
        Password::new(self.secret.bytes())
    }

    fn identities(&self) -> (Identity, Identity) {
        let receiver = [b"mimeo 1 receiver".as_slice(), &self.receiver_nonce.0].concat();
        let sender = [b"mimeo 1 sender".as_slice(), &self.session.0].concat();
        (Identity::new(&receiver), Identity::new(&sender))
    }
}

type Side = Spake2<Ed25519Group>;

fn secret(side: Side, message: &[u8]) -> Result<Secret, NoExchange> {
    let key = side.finish(message).map_err(|_| NoExchange)?;
    let key = zeroize::Zeroizing::new(key);
    let bytes = <[u8; KEY_LEN]>::try_from(key.as_slice()).map_err(|_| NoExchange)?;
    Ok(Secret::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(secret: u8) -> Exchange {
        Exchange {
            secret: Secret::new([secret; KEY_LEN]),
            session: SessionId([1; 16]),
            receiver_nonce: Nonce([2; 16]),
        }
    }

    #[test]
    fn both_sides_come_to_the_same_secret_and_no_others_do() {
        let (receiver, sender) = (exchange(7), exchange(7));
        let asked = receiver.ask(&[1; 32]);
        assert_eq!(asked.len(), EXCHANGE_LEN);
        let (answer, secret) = sender.answer(&[2; 32], &asked).unwrap();
        assert!(receiver.finish(&[1; 32], &answer).unwrap() == secret);
        assert!(receiver.finish(&[3; 32], &answer).unwrap() != secret);
        assert!(exchange(8).finish(&[1; 32], &answer).unwrap() != secret);
        for other in [
            Exchange {
                session: SessionId([9; 16]),
                ..exchange(7)
            },
            Exchange {
                receiver_nonce: Nonce([9; 16]),
                ..exchange(7)
            },
        ] {
            let (answer, secret) = other.answer(&[2; 32], &asked).unwrap();
            assert!(receiver.finish(&[1; 32], &answer).unwrap() != secret);
        }
    }

    #[test]
    fn each_exchange_has_a_secret_of_its_own() {
        let asked = exchange(7).ask(&[1; 32]);
        let (_, first) = exchange(7).answer(&[2; 32], &asked).unwrap();
        let (_, second) = exchange(7).answer(&[3; 32], &asked).unwrap();
        assert!(first != second);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let (receiver, sender) = (exchange(7), exchange(7));
        let asked = receiver.ask(&[1; 32]);
        // One's own message, sent back.
        assert!(receiver.finish(&[1; 32], &asked).is_err());
        for garbage in [vec![], vec![0x41; 5], [vec![0x41, 2], vec![0; 31]].concat()] {
            assert!(sender.answer(&[2; 32], &garbage).is_err(), "{garbage:?}");
        }
    }
}
