//! A tap on the wire: reads every datagram of a session, sealed or not, as its parties do.
//!
//! Tests use it to lose, say, the first confirmation of the second receiver. It knows what the
//! senders' secrets are drawn from, and learns the rest from the joins and welcomes that pass by.

use std::collections::HashMap;

use mimeo_protocol::ids::{Nonce, ReceiverNumber, SessionId};
use mimeo_protocol::keys::{Exchange, JoinKeys, SealKey, Secret};
use mimeo_protocol::wire::{
    Announce, Envelope, GroupControl, Join, Kind, Probe, Report, SymbolHeader, SymbolKind,
    ToReceiver, ToSender, Welcome,
};

/// What a datagram turned out to be.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "they are the messages of the wire format")]
pub enum Sight {
    Probe,
    Announce,
    Join,
    Welcome,
    Reject,
    Cookie,
    Symbol(SymbolHeader),
    PageSymbol(SymbolHeader),
    Digests(SymbolHeader),
    Control(GroupControl),
    Report(Report),
    Confirm,
    Fail,
    AbortSeen,
    ConfirmSeen,
    FailSeen,
    Abort,
    Ask,
    Standing,
    Position,
    OwnSymbol,
    /// Nothing that the session's parties would understand.
    Noise,
}

/// See the module's page.
pub struct Tap {
    secret: Secret,
    /// What the sender of each session draws from.
    seeds: HashMap<SessionId, Secret>,
    /// The receiver's message in the exchange of each join.
    asked: HashMap<Nonce, Vec<u8>>,
    group: Option<SealKey>,
    joins: HashMap<ReceiverNumber, JoinKeys>,
}

impl Tap {
    /// A tap on the session with this secret.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self {
            secret,
            seeds: HashMap::new(),
            asked: HashMap::new(),
            group: None,
            joins: HashMap::new(),
        }
    }

    /// A sender draws from this seed.
    pub fn on_sender(&mut self, session: SessionId, seed: Secret) {
        self.seeds.insert(session, seed);
    }

    /// Reads a datagram.
    pub fn read(&mut self, datagram: &[u8]) -> Sight {
        self.try_read(datagram).unwrap_or(Sight::Noise)
    }

    fn try_read(&mut self, datagram: &[u8]) -> Option<Sight> {
        let (_, kind) = Kind::of(datagram)?;
        Some(match kind {
            Kind::Probe => Probe::decode(datagram).ok().map(|_| Sight::Probe)?,
            Kind::Announce => Announce::decode(datagram).ok().map(|_| Sight::Announce)?,
            Kind::Join => {
                let join = Join::decode(datagram).ok()?;
                self.asked.insert(join.nonce, join.exchange);
                Sight::Join
            }
            Kind::Welcome => self.learn(&Welcome::decode(datagram).ok()?)?,
            Kind::Reject => Sight::Reject,
            Kind::Cookie => Sight::Cookie,
            Kind::Symbol | Kind::PageSymbol | Kind::Digests => {
                let header = SymbolHeader::decode(datagram).ok()?;
                match header.kind {
                    SymbolKind::Block => Sight::Symbol(header),
                    SymbolKind::Page => Sight::PageSymbol(header),
                    SymbolKind::Digests => Sight::Digests(header),
                }
            }
            Kind::GroupControl => {
                let envelope = Envelope::group(datagram).ok()?;
                let plain = open(self.group.as_ref()?, &envelope)?;
                Sight::Control(GroupControl::decode(&plain).ok()?)
            }
            Kind::ToSender => {
                let envelope = Envelope::unicast(datagram, kind).ok()?;
                let plain = open(&self.joins.get(&envelope.number)?.to_sender, &envelope)?;
                match ToSender::decode(&plain).ok()? {
                    ToSender::Report(report) => Sight::Report(report),
                    ToSender::Confirm { .. } => Sight::Confirm,
                    ToSender::Fail { .. } => Sight::Fail,
                    ToSender::AbortSeen => Sight::AbortSeen,
                }
            }
            Kind::ToReceiver => {
                let envelope = Envelope::unicast(datagram, kind).ok()?;
                let plain = open(&self.joins.get(&envelope.number)?.to_receiver, &envelope)?;
                match ToReceiver::decode(&plain).ok()? {
                    ToReceiver::ConfirmSeen => Sight::ConfirmSeen,
                    ToReceiver::FailSeen => Sight::FailSeen,
                    ToReceiver::Abort { .. } => Sight::Abort,
                    ToReceiver::Ask => Sight::Ask,
                    ToReceiver::Standing { .. } => Sight::Standing,
                    ToReceiver::Position { .. } => Sight::Position,
                    ToReceiver::Symbol(_) => Sight::OwnSymbol,
                }
            }
        })
    }

    fn learn(&mut self, welcome: &Welcome) -> Option<Sight> {
        let keys = welcome.keys(&self.secret_of(welcome)?);
        let body = welcome.open(&keys)?;
        self.group = Some(SealKey::new(&body.group_key));
        self.joins.insert(welcome.number, keys);
        Some(Sight::Welcome)
    }

    /// What the keys of a join are drawn from.
    fn secret_of(&self, welcome: &Welcome) -> Option<Secret> {
        if let Ok(open) = <[u8; 32]>::try_from(&*welcome.secret) {
            return Some(Secret::new(open));
        }
        let exchange = Exchange {
            secret: self.secret.clone(),
            session: welcome.session_id,
            receiver_nonce: welcome.receiver_nonce,
        };
        let seed = self.seeds.get(&welcome.session_id)?;
        let seed = exchange.sender_seed(seed, welcome.number.0.into());
        let asked = self.asked.get(&welcome.receiver_nonce)?;
        Some(exchange.answer(seed.bytes(), asked).ok()?.1)
    }
}

fn open(key: &SealKey, envelope: &Envelope<'_>) -> Option<Vec<u8>> {
    key.open_vec(envelope.seq, envelope.header, envelope.sealed)
        .ok()
}
