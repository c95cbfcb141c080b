//! The receiver's search for a sender, among forged, damaged and true datagrams.
//!
//! Nobody but a sender that knows the secret makes a receiver a member; the machine asks to be
//! called only when it will do something, and what it holds does not grow with what it hears. Mostly the
//! session is an open one: an exchange takes longer than everything else here (see `exchange`).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use mimeo_protocol::ids::{Nonce, SessionId};
use mimeo_protocol::keys::{Exchange, Secret};
use mimeo_protocol::receiver::{JoinTarget, Rendezvous, RendezvousEvent};
use mimeo_protocol::wire::{Announce, Auth, COOKIE_LEN, Cookie, Join, Kind, Probe, Reject};

use crate::setup::{self, NAME};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    config: u8,
    #[arbitrary(with = crate::value::at_most::<32, _>)]
    actions: Vec<Action<'a>>,
}

/// What happens to the receiver.
#[derive(Debug, Arbitrary)]
enum Action<'a> {
    Datagram(u8, &'a [u8]),
    Announce(u8, Announced),
    Reject {
        mine: bool,
        version: u8,
        reason: u8,
    },
    Welcome(Welcomed),
    Cookie {
        mine: bool,
        cookie: u8,
    },
    /// What the receiver said last, back to it.
    Echo(u8),
    Pass(u16),
    Timeout,
}

#[derive(Debug, Arbitrary)]
struct Announced {
    session: u8,
    version: Option<u8>,
    auth: u8,
    joinable: bool,
    name: u8,
}

#[derive(Debug, Arbitrary)]
struct Welcomed {
    from: u8,
    session: u8,
    number: u16,
    mine: bool,
    /// Whether who sends it holds the same secret, and the key that the receiver may be told of.
    knows: bool,
    pinned: bool,
    open: bool,
    image_len: Option<u64>,
    damage: Option<(u16, u8)>,
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input<'_>>(data) else {
        return;
    };
    let mut search = Search::new(input.config);
    search.drain();
    for action in &input.actions {
        search.act(action);
        search.drain();
    }
}

struct Search {
    machine: Rendezvous,
    open: bool,
    pins: bool,
    now: Instant,
    last: Vec<u8>,
    /// What it asked last, and whom.
    asked: Option<(Join, SocketAddr)>,
    /// Whether a true welcome was an answer to that.
    welcomed: bool,
    failures: u32,
    over: bool,
}

impl Search {
    fn new(bits: u8) -> Self {
        let config = setup::rendezvous_config(bits);
        Self {
            open: config.auth == Auth::Open,
            pins: config.sender_key.is_some(),
            machine: Rendezvous::new(setup::epoch(), config),
            now: setup::epoch(),
            last: Vec::new(),
            asked: None,
            welcomed: false,
            failures: 0,
            over: false,
        }
    }

    fn act(&mut self, action: &Action<'_>) {
        match action {
            Action::Datagram(from, bytes) => self.hear(*from, bytes),
            Action::Announce(from, announced) => self.hear(*from, &announced.encode()),
            Action::Reject {
                mine,
                version,
                reason,
            } => {
                let nonce = self.nonce(*mine).0;
                let mut bytes = vec![*version, Kind::Reject as u8];
                bytes.extend_from_slice(&mimeo_protocol::wire::MAGIC);
                bytes.extend_from_slice(&nonce);
                bytes.push(*reason);
                assert!(Reject::decode(&bytes).is_ok());
                self.hear(0, &bytes);
            }
            Action::Welcome(welcomed) => self.welcome(welcomed),
            Action::Cookie { mine, cookie } => {
                let (nonce, cookie) = (self.nonce(*mine), [*cookie; COOKIE_LEN]);
                let mut bytes = setup::buffer();
                Cookie { nonce, cookie }.encode(&mut bytes);
                self.hear(0, &bytes);
            }
            Action::Echo(from) => {
                let last = self.last.clone();
                self.hear(*from, &last);
            }
            Action::Pass(ms) => self.now += Duration::from_millis((*ms).into()),
            Action::Timeout => {}
        }
    }

    fn hear(&mut self, from: u8, bytes: &[u8]) {
        let from = setup::address(from);
        self.machine.handle_datagram(self.now, from, bytes);
    }

    fn welcome(&mut self, welcomed: &Welcomed) {
        let session = setup::session_id(welcomed.session);
        let nonce = self.nonce(welcomed.mine);
        let secret = if welcomed.knows {
            setup::secret()
        } else {
            Secret::new([8; 32])
        };
        let mut body = setup::welcome_body(session, welcomed.image_len);
        if !welcomed.pinned {
            body.sender_key = setup::other_sender_key();
        }
        let number = welcomed.number;
        let open = welcomed.open;
        let (answer, secret) = match self.answer(secret.clone(), session, nonce) {
            Some((answer, secret)) if !open => (Some(answer), secret),
            _ => ((!open).then(Vec::new), secret),
        };
        let mut bytes = setup::welcome(&secret, session, nonce, number, answer, &body);
        let mut whole = true;
        if let Some((at, flip)) = welcomed.damage {
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= flip;
            whole = flip == 0;
        }
        // Without a key file whoever answers is believed: that is what --open says.
        let knows = if self.open { open } else { welcomed.knows };
        // With a key file who does not take part in the exchange is not believed.
        let agreed = self.open || !open;
        let asked = self.asked.as_ref();
        let asked = asked.is_some_and(|(asked, _)| asked.session_id == session);
        let pinned = welcomed.pinned || !self.pins;
        self.welcomed |= whole && knows && agreed && pinned && welcomed.mine && asked;
        self.hear(welcomed.from, &bytes);
    }

    fn nonce(&self, mine: bool) -> Nonce {
        let asked = self.asked.as_ref().filter(|_| mine);
        asked.map_or(Nonce([9; 16]), |(asked, _)| asked.nonce)
    }

    /// The sender's side of the exchange, if the receiver has begun one.
    fn answer(
        &self,
        secret: Secret,
        session: SessionId,
        receiver_nonce: Nonce,
    ) -> Option<(Vec<u8>, Secret)> {
        let (asked, _) = self.asked.as_ref()?;
        let exchange = Exchange {
            secret,
            session,
            receiver_nonce,
        };
        (!asked.exchange.is_empty())
            .then(|| exchange.answer(&[8; 32], &asked.exchange).ok())
            .flatten()
    }

    fn drain(&mut self) {
        self.machine.handle_timeout(self.now);
        let mut out = setup::buffer();
        let mut sent = 0;
        while let Some(to) = self.machine.poll_transmit(self.now, &mut out) {
            sent += 1;
            assert!(sent <= 2, "one datagram at a time");
            self.on_sent(to, &out);
        }
        let mut told = 0;
        while let Some(event) = self.machine.poll_event() {
            told += 1;
            assert!(told <= 4, "{event:?}");
            self.on_event(&event);
        }
        let next = self.machine.poll_timeout();
        assert_eq!(next.is_none(), self.over);
        assert!(next.is_none_or(|next| next > self.now), "it would spin");
    }

    fn on_sent(&mut self, to: JoinTarget, out: &[u8]) {
        assert!(!self.over);
        match Kind::of(out) {
            Some((_, Kind::Probe)) => assert!(Probe::decode(out).is_ok()),
            Some((_, Kind::Join)) => {
                let join = Join::decode(out).expect("its own joins are valid");
                let JoinTarget::Unicast(to) = to else {
                    panic!("a join goes to one host")
                };
                assert_eq!(join.exchange.is_empty(), self.open);
                self.asked = Some((join, to));
            }
            other => panic!("{other:?}"),
        }
        self.last = out.to_vec();
    }

    /// It ends once.
    fn on_event(&mut self, event: &RendezvousEvent) {
        match event {
            RendezvousEvent::Joined(admitted) => {
                assert!(self.welcomed, "nobody has admitted it");
                let asked = self.asked.as_ref().map(|(asked, _)| asked.session_id);
                assert_eq!(asked, Some(admitted.session_id));
                assert!(!self.pins || admitted.body.sender_key == setup::sender_key());
            }
            RendezvousEvent::Ambiguous { names } => assert!((1..=64).contains(&names.len())),
            RendezvousEvent::Rejected { last, .. }
            | RendezvousEvent::WrongKey { last, .. }
            | RendezvousEvent::OtherSender { last, .. } => {
                self.failures += 1;
                assert_eq!(*last, self.failures == 3, "it gives up after three");
                if !last {
                    return;
                }
            }
            RendezvousEvent::Found(_) => return assert!(!self.over),
            // Told on the way, and behind its end too.
            _ => return,
        }
        assert!(!self.over, "{event:?} after the end");
        self.over = true;
    }
}

impl Announced {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = setup::buffer();
        Announce {
            session_id: setup::session_id(self.session),
            auth: setup::auth(self.auth),
            joinable: self.joinable,
            session_name: match self.name % 4 {
                0 | 1 => NAME.to_owned(),
                2 => String::new(),
                _ => "other".to_owned(),
            },
        }
        .encode(&mut bytes);
        if let Some(version) = self.version {
            bytes[0] = version;
        }
        bytes
    }
}
