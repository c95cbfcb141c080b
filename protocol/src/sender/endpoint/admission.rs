//! Joins, and the keys of those who were welcomed.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::EndpointConfig;
use crate::ids::{Nonce, ReceiverNumber};
use crate::keys::{Exchange, JoinKeys, NoExchange, ReplayWindow, Secret, derive};
use crate::sender::roster::About;
use crate::wire::{Auth, Envelope, Join, ToSender, Welcome, WelcomeBody};

/// Why a receiver gets no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAdmitted {
    /// None is left.
    #[error("no number is left")]
    Full,
    /// Its message of the exchange is none.
    #[error(transparent)]
    Exchange(#[from] NoExchange),
}

/// One receiver's keys and address.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) keys: JoinKeys,
    pub(super) address: SocketAddr,
    nonce: Nonce,
    welcome: Vec<u8>,
    sent: u64,
    window: ReplayWindow,
    newest: u64,
}

impl Peer {
    /// Numbers the next datagram to this receiver.
    pub(super) fn next_seq(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// Opens a datagram of this receiver; the flag says that none newer was opened before.
    pub(super) fn open(
        &mut self,
        from: SocketAddr,
        envelope: &Envelope<'_>,
    ) -> Option<(ToSender, bool)> {
        let plain = self
            .keys
            .to_sender
            .open_vec(envelope.seq, envelope.header, envelope.sealed)
            .ok()?;
        if !self.window.accept(envelope.seq) {
            return None;
        }
        let newest = envelope.seq > self.newest;
        if newest {
            self.newest = envelope.seq;
            self.address = from;
        }
        Some((ToSender::decode(&plain).ok()?, newest))
    }
}

/// All receivers that were welcomed and are not forgotten.
#[derive(Debug)]
pub(super) struct Admission {
    next: u16,
    /// Numbers of those who were forgotten, given again when there are no others: whoever joins and
    /// never shows a key must not use up the numbers of all.
    free: VecDeque<ReceiverNumber>,
    /// Receivers that were welcomed. Keys, nonces and exchanges are drawn with it: no two receivers have
    /// the same, even under the same number.
    welcomed: u64,
    peers: HashMap<ReceiverNumber, Peer>,
    by_nonce: HashMap<Nonce, ReceiverNumber>,
}

impl Admission {
    pub(super) fn new() -> Self {
        Self {
            next: 1,
            free: VecDeque::new(),
            welcomed: 0,
            peers: HashMap::new(),
            by_nonce: HashMap::new(),
        }
    }

    pub(super) fn peer_mut(&mut self, number: ReceiverNumber) -> Option<&mut Peer> {
        self.peers.get_mut(&number)
    }

    /// A join that was answered before is answered with the same bytes: a welcome is sealed
    /// once, so its nonce is used once.
    pub(super) fn welcome_again(&self, nonce: &Nonce) -> Option<Vec<u8>> {
        let peer = self.peers.get(self.by_nonce.get(nonce)?)?;
        Some(peer.welcome.clone())
    }

    /// Gives a receiver its number and keys.
    pub(super) fn admit(
        &mut self,
        config: &EndpointConfig,
        from: SocketAddr,
        join: &Join,
        body: &WelcomeBody,
    ) -> Result<(ReceiverNumber, About, Vec<u8>), NotAdmitted> {
        let ordinal = self.welcomed + 1;
        let (exchange, secret) = exchange(config, ordinal, join)?;
        let number = self.take_number().ok_or(NotAdmitted::Full)?;
        let sender_nonce = draw_nonce(config, ordinal);
        self.welcomed = ordinal;
        let in_clear = match config.auth {
            Auth::Open => secret.bytes().to_vec(),
            Auth::KeyFile | Auth::Code => Vec::new(),
        };
        let mut welcome = Welcome {
            session_id: config.session_id,
            receiver_nonce: join.nonce,
            sender_nonce,
            number,
            secret: in_clear,
            exchange,
            sealed: Vec::new(),
        };
        let keys = welcome.keys(&secret);
        welcome.seal(&keys, body);
        let mut datagram = Vec::new();
        welcome.encode(&mut datagram);
        self.by_nonce.insert(join.nonce, number);
        let peer = Peer {
            keys,
            address: from,
            nonce: join.nonce,
            welcome: datagram.clone(),
            sent: 0,
            window: ReplayWindow::default(),
            newest: 0,
        };
        self.peers.insert(number, peer);
        Ok((number, about(from, join), datagram))
    }

    fn take_number(&mut self) -> Option<ReceiverNumber> {
        match self.next.checked_add(1) {
            Some(next) => Some(ReceiverNumber(std::mem::replace(&mut self.next, next))),
            None => self.free.pop_front(),
        }
    }

    /// Receivers whose keys are held.
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// Drops the keys of receivers that the roster has forgotten.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(ReceiverNumber) -> bool) {
        let (by_nonce, free) = (&mut self.by_nonce, &mut self.free);
        self.peers.retain(|&number, peer| {
            let stays = stays(number);
            if !stays {
                by_nonce.remove(&peer.nonce);
                free.push_back(number);
            }
            stays
        });
    }
}

/// The sender's side of the exchange: its message and what keys are drawn from.
fn exchange(
    config: &EndpointConfig,
    ordinal: u64,
    join: &Join,
) -> Result<(Vec<u8>, Secret), NotAdmitted> {
    if config.auth == Auth::Open {
        return Ok((Vec::new(), config.secret.clone()));
    }
    let exchange = Exchange {
        secret: config.secret.clone(),
        session: config.session_id,
        receiver_nonce: join.nonce,
    };
    let seed = exchange.sender_seed(&config.seed, ordinal);
    Ok(exchange.answer(seed.bytes(), &join.exchange)?)
}

fn draw_nonce(config: &EndpointConfig, ordinal: u64) -> Nonce {
    let ordinal = ordinal.to_be_bytes();
    let info: [&[u8]; 2] = [b"mimeo 1 sender nonce", &ordinal];
    let drawn = derive(config.seed.bytes(), &config.session_id.0, &info);
    let (nonce, _) = drawn.bytes().split_first_chunk().expect("32 bytes hold 16");
    Nonce(*nonce)
}

fn about(from: SocketAddr, join: &Join) -> About {
    About {
        host_name: join.host_name.clone(),
        mac: join.mac,
        target_id: join.target_id,
        link_speed: join.link_speed,
        capacity: join.capacity,
        resumes: join.resumes,
        piped: join.piped,
        address: from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_again_once_all_were_given() {
        let mut admission = Admission::new();
        let mut given = 0;
        while admission.take_number().is_some() {
            given += 1;
        }
        assert_eq!(given, 65_534);
        admission.free.push_back(ReceiverNumber(7));
        assert_eq!(admission.take_number(), Some(ReceiverNumber(7)));
        assert_eq!(admission.take_number(), None);
    }
}
