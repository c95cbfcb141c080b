//! What somebody who hears everything knows of a session.

use std::net::SocketAddrV4;

use mimeo_protocol::ids::{Nonce, SessionId};
use mimeo_protocol::wire::{Announce, Envelope, Join, Kind, Welcome};

use super::Seen;

/// A receiver, by what it and its sender said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownReceiver {
    /// Its address.
    pub address: SocketAddrV4,
    /// The nonce of its newest join.
    pub nonce: Nonce,
    /// Its number, and the highest number of its datagrams, once it is welcomed.
    pub number: u16,
    /// The highest number of a datagram of its own.
    pub sent: u64,
}

/// The newest session that was announced.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its id.
    pub session: Option<SessionId>,
    /// The sender's address.
    pub sender: Option<SocketAddrV4>,
    /// Where the data flows.
    pub data: Option<SocketAddrV4>,
    /// The highest number of a datagram of the group.
    pub seq: u64,
    /// The receivers, in the order of their joins.
    pub receivers: Vec<KnownReceiver>,
}

impl Known {
    /// Adds what passed.
    pub fn learn(&mut self, seen: &[Seen]) {
        for datagram in seen {
            self.hear(datagram);
        }
    }

    /// The first two bytes of the session id.
    #[must_use]
    pub fn tag(&self) -> u16 {
        self.session.map_or(0, |session| session.tag())
    }

    fn hear(&mut self, seen: &Seen) {
        let payload = &*seen.payload;
        match Kind::of(payload) {
            Some((_, Kind::Announce)) => self.hear_announce(seen),
            Some((_, Kind::Join)) => {
                if let Ok(join) = Join::decode(payload) {
                    self.receiver(seen.from).nonce = join.nonce;
                }
            }
            Some((_, Kind::Welcome)) => {
                if let Ok(welcome) = Welcome::decode(payload) {
                    self.receiver(seen.to).number = welcome.number.0;
                }
            }
            Some((_, Kind::ToSender)) => {
                if let Ok(envelope) = Envelope::unicast(payload, Kind::ToSender) {
                    let receiver = self.receiver(seen.from);
                    receiver.sent = receiver.sent.max(envelope.seq);
                }
            }
            Some((_, Kind::Symbol | Kind::PageSymbol | Kind::Digests | Kind::GroupControl))
                if Some(seen.from) == self.sender =>
            {
                self.data = Some(seen.to);
                if let Some(bytes) = payload.get(4..10) {
                    let seq = bytes
                        .iter()
                        .fold(0, |seq, byte| seq << 8 | u64::from(*byte));
                    self.seq = self.seq.max(seq);
                }
            }
            _ => {}
        }
    }

    fn hear_announce(&mut self, seen: &Seen) {
        let Ok(announce) = Announce::decode(&seen.payload) else {
            return;
        };
        if self.session != Some(announce.session_id) {
            *self = Self {
                session: Some(announce.session_id),
                sender: Some(seen.from),
                ..Self::default()
            };
        }
    }

    fn receiver(&mut self, address: SocketAddrV4) -> &mut KnownReceiver {
        let known = self.receivers.iter().position(|one| one.address == address);
        let at = known.unwrap_or_else(|| {
            self.receivers.push(KnownReceiver {
                address,
                nonce: Nonce([0; 16]),
                number: 0,
                sent: 0,
            });
            self.receivers.len() - 1
        });
        &mut self.receivers[at]
    }
}
