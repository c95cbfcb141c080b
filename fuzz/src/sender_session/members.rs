//! Receivers that were welcomed: their keys, and what they send.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mimeo_protocol::ids::ReceiverNumber;
use mimeo_protocol::keys::{JoinKeys, SealKey, Secret};
use mimeo_protocol::wire::{Envelope, Kind, ToReceiver, Welcome, unicast_header};

use crate::setup;

/// A receiver.
pub(super) struct Member {
    pub(super) number: ReceiverNumber,
    pub(super) address: SocketAddr,
    keys: JoinKeys,
    sent: u64,
    heard: u64,
    pub(super) last: Vec<u8>,
}

/// All of them, in the order of their welcomes.
#[derive(Default)]
pub(super) struct Members {
    all: Vec<Member>,
    by_number: BTreeMap<ReceiverNumber, usize>,
    /// The key that all of them were told.
    pub(super) group: Option<SealKey>,
}

impl Members {
    pub(super) fn number(&self, who: u8) -> Option<ReceiverNumber> {
        Some(self.member(who)?.number)
    }

    pub(super) fn member(&self, who: u8) -> Option<&Member> {
        self.all.get(usize::from(who).checked_rem(self.all.len())?)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// A message of a member, sealed.
    pub(super) fn seal(&mut self, who: u8, plain: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
        let who = usize::from(who).checked_rem(self.all.len())?;
        let member = &mut self.all[who];
        member.sent += 1;
        let tag = setup::session_id(0).tag();
        let mut out = setup::buffer();
        unicast_header(Kind::ToSender, tag, member.sent, member.number, &mut out);
        let key = &member.keys.to_sender;
        key.seal_behind(member.sent, 0, plain, &mut out);
        member.last = out.clone();
        Some((member.address, out))
    }

    /// The sender has welcomed somebody, or does so again.
    pub(super) fn on_welcome(&mut self, to: SocketAddr, datagram: &[u8]) {
        let welcome = Welcome::decode(datagram).expect("the sender's welcomes are valid");
        let number = welcome.number;
        if self.by_number.contains_key(&number) {
            return;
        }
        let secret = welcome.secret.as_slice().try_into();
        let secret = Secret::new(secret.expect("an open session's welcome carries the secret"));
        let keys = welcome.keys(&secret);
        let body = welcome.open(&keys);
        let body = body.expect("it is sealed under the secret, and the sender's are valid");
        self.group = Some(SealKey::new(&body.group_key));
        self.by_number.insert(number, self.all.len());
        self.all.push(Member {
            number,
            address: to,
            keys,
            sent: 0,
            heard: 0,
            last: Vec::new(),
        });
    }

    /// The sender says something to somebody: it opens, and its number is a new one.
    pub(super) fn on_unicast(&mut self, datagram: &[u8]) -> (ReceiverNumber, ToReceiver) {
        let envelope = Envelope::unicast(datagram, Kind::ToReceiver).expect("it has a header");
        let who = self.by_number[&envelope.number];
        let member = &mut self.all[who];
        assert!(envelope.seq > member.heard, "a number repeats");
        member.heard = envelope.seq;
        let key = &member.keys.to_receiver;
        let plain = key.open_vec(envelope.seq, envelope.header, envelope.sealed);
        let plain = plain.expect("it is sealed under the receiver's key");
        let message = ToReceiver::decode(&plain).expect("the sender's messages are valid");
        (envelope.number, message)
    }
}
