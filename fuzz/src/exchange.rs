//! A receiver with a join code and its sender: cookies and SPAKE2, among datagrams that are damaged,
//! repeated, lost and forged.
//!
//! The sender welcomes nobody from whose address no cookie came back, a receiver joins only a sender
//! of its code, and the two then hold the same keys. What is no message of an exchange is refused.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use mimeo_protocol::ids::{Mac, Nonce, SessionId};
use mimeo_protocol::keys::{EXCHANGE_LEN, Exchange, Secret};
use mimeo_protocol::receiver::{
    Admitted, JoinTarget, Rendezvous, RendezvousConfig, RendezvousEvent,
};
use mimeo_protocol::sender::{Destination, Endpoint};
use mimeo_protocol::wire::{
    Auth, COOKIE_LEN, Cookie, Join, Kind, ToSender, Welcome, unicast_header,
};

use crate::setup::{self, NAME};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// Whether the receiver holds the sender's code.
    knows: bool,
    #[arbitrary(with = crate::value::at_most::<16, _>)]
    actions: Vec<Action<'a>>,
}

#[derive(Debug, Arbitrary)]
enum Action<'a> {
    /// What the receiver said last comes to the sender, from some address, damaged or not.
    Ask(u8, Option<Damage>),
    /// One of the sender's last answers comes to the receiver, the last one first.
    Answer(u8, Option<Damage>),
    /// A receiver of another kind asks to be admitted.
    Join(Joined<'a>),
    /// Somebody says that he is the sender.
    Cookie(u8),
    Welcome(&'a [u8], bool),
    ToSender(&'a [u8]),
    ToReceiver(&'a [u8]),
    /// Messages of an exchange, by themselves.
    Message(&'a [u8]),
    Damaged(Damage),
    Pass(u16),
    NewCode(bool),
}

/// A byte of a datagram is changed.
#[derive(Debug, Clone, Copy, Arbitrary)]
struct Damage(u16, u8);

impl Damage {
    fn apply(self, bytes: &mut [u8]) {
        if !bytes.is_empty() {
            bytes[usize::from(self.0) % bytes.len()] ^= self.1;
        }
    }
}

#[derive(Debug, Arbitrary)]
struct Joined<'a> {
    nonce: u8,
    from: u8,
    /// Whether it shows the sender's cookie.
    shows: bool,
    /// Its message, or one of the code as another receiver would make it.
    message: Option<&'a [u8]>,
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input<'_>>(data) else {
        return;
    };
    let mut scene = Scene::new(input.knows);
    scene.drain();
    for action in &input.actions {
        scene.act(action);
        scene.drain();
    }
}

struct Scene {
    sender: Endpoint,
    receiver: Rendezvous,
    now: Instant,
    /// Whether the sender has had the code that the receiver holds.
    knows: bool,
    /// What the receiver said last.
    asked: Vec<u8>,
    nonce: Option<Nonce>,
    /// What the sender answered, and to whom.
    answers: Vec<(SocketAddr, Vec<u8>)>,
    /// The sender's cookies that were seen, with the address to which they were sent.
    cookies: Vec<(SocketAddr, Cookie)>,
    /// What joins with a cookie came from where.
    shown: Vec<(SocketAddr, Nonce, [u8; COOKIE_LEN])>,
    over: bool,
}

fn wrong_code() -> Secret {
    Secret::new([8; 32])
}

fn receiver_config(knows: bool) -> RendezvousConfig {
    let secret = if knows { setup::secret() } else { wrong_code() };
    RendezvousConfig {
        auth: Auth::Code,
        secret: Some(secret),
        session_name: Some(NAME.to_owned()),
        ..setup::rendezvous_config(0)
    }
}

impl Scene {
    fn new(knows: bool) -> Self {
        let now = setup::epoch();
        let session = setup::sender_config(0, 1 << 20);
        let mut scene = Self {
            sender: Endpoint::new(now, setup::endpoint_config(Auth::Code), session),
            receiver: Rendezvous::new(now, receiver_config(knows)),
            now,
            knows,
            asked: Vec::new(),
            nonce: None,
            answers: Vec::new(),
            cookies: Vec::new(),
            shown: Vec::new(),
            over: false,
        };
        scene.drain();
        scene
    }

    fn act(&mut self, action: &Action<'_>) {
        match action {
            Action::Ask(from, damage) => self.ask(*from, *damage),
            Action::Answer(which, damage) => self.answer(*which, *damage),
            Action::Join(joined) => self.join(joined),
            Action::Cookie(cookie) => {
                if let Some(nonce) = self.nonce {
                    let cookie = [*cookie; COOKIE_LEN];
                    let mut bytes = setup::buffer();
                    Cookie { nonce, cookie }.encode(&mut bytes);
                    self.receiver_hears(&bytes);
                }
            }
            Action::Welcome(exchange, open) => self.forge_welcome(exchange, *open),
            Action::ToSender(bytes) => self.sender_hears(setup::address(0), bytes),
            Action::ToReceiver(bytes) => self.receiver_hears(bytes),
            Action::Message(message) => check_message(message),
            Action::Damaged(damage) => check_damaged(*damage),
            Action::Pass(ms) => self.now += Duration::from_millis((*ms).into()),
            Action::NewCode(right) => {
                let secret = if *right {
                    setup::secret()
                } else {
                    wrong_code()
                };
                self.knows = true;
                self.sender.renew_secret(secret);
            }
        }
    }

    fn ask(&mut self, from: u8, damage: Option<Damage>) {
        let mut bytes = self.asked.clone();
        if let Some(damage) = damage {
            damage.apply(&mut bytes);
        }
        self.sender_hears(setup::address(from), &bytes);
    }

    fn answer(&mut self, which: u8, damage: Option<Damage>) {
        let Some(at) = usize::from(which).checked_rem(self.answers.len()) else {
            return;
        };
        let mut bytes = self.answers[self.answers.len() - 1 - at].1.clone();
        if let Some(damage) = damage {
            damage.apply(&mut bytes);
        }
        self.receiver_hears(&bytes);
    }

    fn join(&mut self, joined: &Joined<'_>) {
        let (nonce, from) = (Nonce([joined.nonce; 16]), setup::address(joined.from));
        let shown = self.cookies.iter().rev();
        let mut shown = shown.filter(|(_, cookie)| joined.shows && cookie.nonce == nonce);
        let message = joined.message.unwrap_or_else(|| asks());
        let mut bytes = setup::buffer();
        Join {
            session_id: setup::session_id(0),
            nonce,
            auth: Auth::Code,
            mac: Mac([joined.nonce; 6]),
            target_id: 1,
            link_speed: 1000,
            capacity: 1 << 40,
            resumes: false,
            piped: false,
            cookie: shown.next().map_or([0; COOKIE_LEN], |shown| shown.1.cookie),
            host_name: "pc".to_owned(),
            exchange: message[..message.len().min(255)].to_vec(),
        }
        .encode(&mut bytes);
        self.sender_hears(from, &bytes);
    }

    /// A welcome of somebody who does not hold the code.
    fn forge_welcome(&mut self, exchange: &[u8], open: bool) {
        let Some(nonce) = self.nonce else { return };
        let session = setup::session_id(0);
        let body = setup::welcome_body(session, None);
        let exchange = exchange[..exchange.len().min(255)].to_vec();
        let exchange = (!open).then_some(exchange);
        let welcome = setup::welcome(&wrong_secret(), session, nonce, 1, exchange, &body);
        self.receiver_hears(&welcome);
    }

    fn sender_hears(&mut self, from: SocketAddr, bytes: &[u8]) {
        if let Ok(join) = Join::decode(bytes) {
            self.shown.push((from, join.nonce, join.cookie));
        }
        self.sender.handle_datagram(self.now, from, bytes);
    }

    fn receiver_hears(&mut self, bytes: &[u8]) {
        let from = setup::address(7);
        self.receiver.handle_datagram(self.now, from, bytes);
    }

    fn drain(&mut self) {
        self.drain_receiver();
        self.drain_sender();
    }

    fn drain_receiver(&mut self) {
        self.receiver.handle_timeout(self.now);
        let mut out = setup::buffer();
        let mut sent = 0;
        while let Some(to) = self.receiver.poll_transmit(self.now, &mut out) {
            sent += 1;
            assert!(sent <= 2, "one datagram at a time");
            if let Ok(join) = Join::decode(&out) {
                assert_eq!(join.exchange.len(), EXCHANGE_LEN);
                assert!(matches!(to, JoinTarget::Unicast(_)));
                self.nonce = Some(join.nonce);
            }
            self.asked.clone_from(&out);
        }
        while let Some(event) = self.receiver.poll_event() {
            match event {
                RendezvousEvent::Joined(admitted) => self.on_joined(&admitted),
                RendezvousEvent::Rejected { last, .. }
                | RendezvousEvent::WrongKey { last, .. }
                | RendezvousEvent::OtherSender { last, .. } => self.over |= last,
                _ => {}
            }
        }
    }

    /// Both hold the same keys: the sender takes a message that is sealed with them.
    fn on_joined(&mut self, admitted: &Admitted) {
        assert!(self.knows && !self.over);
        self.over = true;
        let roster = self.sender.session().roster();
        assert!(roster.member(admitted.number).is_some());
        let mut plain = Vec::new();
        ToSender::AbortSeen.encode(&mut plain);
        let tag = admitted.session_id.tag();
        let mut out = setup::buffer();
        unicast_header(Kind::ToSender, tag, 1, admitted.number, &mut out);
        admitted.keys.to_sender.seal_behind(1, 0, &plain, &mut out);
        let before = self.sender.strays();
        self.sender_hears(setup::address(0), &out);
        assert_eq!(self.sender.strays(), before);
    }

    fn drain_sender(&mut self) {
        self.sender.handle_timeout(self.now);
        let mut out = setup::buffer();
        let mut sent = 0;
        while let Some(outgoing) = self.sender.poll_transmit(self.now, &mut out) {
            sent += 1;
            assert!(sent < 16, "it does not stop to send");
            if let Destination::Unicast(to) = outgoing.to {
                self.on_answer(to, &out);
            }
        }
        while self.sender.poll_event().is_some() {}
    }

    fn on_answer(&mut self, to: SocketAddr, bytes: &[u8]) {
        if let Ok(cookie) = Cookie::decode(bytes) {
            self.cookies.push((to, cookie));
        } else if let Ok(welcome) = Welcome::decode(bytes) {
            assert_eq!(welcome.exchange.len(), EXCHANGE_LEN);
            assert!(welcome.secret.is_empty(), "the code is told to nobody");
            let nonce = welcome.receiver_nonce;
            // Nobody is welcomed whose address was not seen to get a cookie.
            let is_shown = |(at, cookie): &(SocketAddr, Cookie)| {
                *at == to && cookie.nonce == nonce && {
                    let shown = (to, nonce, cookie.cookie);
                    self.shown.contains(&shown)
                }
            };
            assert!(self.cookies.iter().any(is_shown));
        }
        self.answers.push((to, bytes.to_vec()));
    }
}

fn wrong_secret() -> Secret {
    Secret::new([9; 32])
}

fn exchange() -> Exchange {
    Exchange {
        secret: setup::secret(),
        session: SessionId([1; 16]),
        receiver_nonce: Nonce([2; 16]),
    }
}

/// A receiver's message, made once.
fn asks() -> &'static [u8] {
    static ASKS: OnceLock<Vec<u8>> = OnceLock::new();
    ASKS.get_or_init(|| exchange().ask(&[1; 32]))
}

/// Any bytes as a message: of both sides at most the other's is taken.
fn check_message(message: &[u8]) {
    let exchange = exchange();
    let answered = exchange.answer(&[2; 32], message);
    if let Ok((answer, _)) = &answered {
        assert_eq!((message.len(), answer.len()), (EXCHANGE_LEN, EXCHANGE_LEN));
    }
    let finished = exchange.finish(&[1; 32], message);
    assert!(answered.is_err() || finished.is_err());
}

/// A message that is damaged on its way does not come to the same secret.
fn check_damaged(damage: Damage) {
    let exchange = exchange();
    let mut asked = asks().to_vec();
    damage.apply(&mut asked);
    let Ok((answer, secret)) = exchange.answer(&[2; 32], &asked) else {
        return;
    };
    let agreed = exchange.finish(&[1; 32], &answer) == Ok(secret);
    assert_eq!(agreed, asked == asks());
}
