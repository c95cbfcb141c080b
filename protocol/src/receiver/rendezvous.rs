//! How a receiver finds a sender and is admitted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::ids::{Mac, Nonce, ReceiverNumber, SessionId};
use crate::keys::{JoinKeys, KEY_LEN, Secret, VerifyingKey};
use crate::wire::{
    Announce, Auth, Join, Kind, Probe, Reject, RejectReason, VERSION, Welcome, WelcomeBody,
};

/// The first probes follow each other this closely, then every second.
const PROBE_FIRST: Duration = Duration::from_millis(200);
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// After the first announce others are listened for, so that two senders are noticed: every
/// sender answers a probe at once.
const LISTEN: Duration = Duration::from_millis(250);
/// A join is repeated this often ...
const JOIN_EVERY: Duration = Duration::from_millis(200);
/// ... and this many times before the search starts again.
const JOIN_TRIES: u32 = 15;
/// Welcomes that do not open before the receiver concludes that its key is wrong.
const WRONG_KEYS: u32 = 3;

/// What a receiver looks for and what it says about itself.
#[derive(Debug, Clone)]
pub struct RendezvousConfig {
    /// Join this session only.
    pub session_name: Option<String>,
    /// What the receiver holds.
    pub auth: Auth,
    /// The key file's content; without it an open session's welcome carries the secret.
    pub secret: Option<Secret>,
    /// The only sender that anything is taken from; without it any that knows the secret.
    pub sender_key: Option<VerifyingKey>,
    /// Random, new for each run.
    pub nonce: Nonce,
    /// Hardware address of the interface.
    pub mac: Mac,
    /// A digest of the target's name: a receiver that is started again for the same target takes
    /// the place of its former self.
    pub target_id: u64,
    /// Mbit/s, 0 where unknown.
    pub link_speed: u32,
    /// Bytes that the target holds, `None` where unbounded.
    pub capacity: Option<u64>,
    /// Whether it keeps what the target holds of the image already.
    pub resumes: bool,
    /// The machine's name.
    pub host_name: String,
    /// Ask this host instead of the control group.
    pub sender: Option<SocketAddr>,
    /// Any session but this one, which the receiver is a member of: that of a sender which was
    /// started again. There must not be several of its name then.
    pub instead_of: Option<SessionId>,
}

/// Where a datagram of the rendezvous goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinTarget {
    /// The control group.
    ControlGroup,
    /// One host.
    Unicast(SocketAddr),
}

/// A session that the receiver is a member of.
#[derive(Debug)]
pub struct Admitted {
    /// The session.
    pub session_id: SessionId,
    /// Its name.
    pub session_name: String,
    /// The sender's address.
    pub sender: SocketAddr,
    /// The receiver's number.
    pub number: ReceiverNumber,
    /// Keys between the two.
    pub keys: JoinKeys,
    /// The session's parameters.
    pub body: WelcomeBody,
}

/// What the person in front of the receiver is told.
#[derive(Debug)]
pub enum RendezvousEvent {
    /// A sender was heard.
    Found(Searching),
    /// A sender of another protocol version was heard.
    OtherVersion {
        /// Where.
        from: SocketAddr,
        /// Its version.
        version: u8,
    },
    /// Several sessions are on the air and none was named.
    Ambiguous {
        /// Their names.
        names: Vec<String>,
    },
    /// The sender wants another kind of secret than the receiver holds.
    OtherAuth {
        /// What the sender wants.
        wanted: Auth,
        /// Where it is.
        from: SocketAddr,
    },
    /// The session admits nobody any more.
    NotJoinable {
        /// Where it is.
        from: SocketAddr,
    },
    /// The sender said no.
    Rejected {
        /// Why.
        reason: RejectReason,
        /// The version that the sender speaks.
        version: u8,
    },
    /// The key is not the sender's.
    WrongKey,
    /// The sender signs with another key than the one that is pinned.
    OtherSender,
    /// The receiver is in.
    Joined(Box<Admitted>),
}

/// A session that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Searching {
    /// Where its sender is.
    pub from: SocketAddr,
    /// What it announced.
    pub announce: Announce,
}

#[derive(Debug)]
enum State {
    /// Probing; holds the sessions heard and when listening for others ends.
    Searching {
        heard: Vec<Searching>,
        until: Option<Instant>,
    },
    /// Asking one sender.
    Joining { to: Searching, tries: u32 },
    /// Joined, or given up.
    Over,
}

/// The state machine of the rendezvous; `poll_*` as in the session.
#[derive(Debug)]
pub struct Rendezvous {
    config: RendezvousConfig,
    state: State,
    next_send: Instant,
    probes: u32,
    wrong_keys: u32,
    told: Vec<SocketAddr>,
    events: Vec<RendezvousEvent>,
}

impl Rendezvous {
    /// Starts to search.
    #[must_use]
    pub fn new(now: Instant, config: RendezvousConfig) -> Self {
        Self {
            config,
            state: State::Searching {
                heard: Vec::new(),
                until: None,
            },
            next_send: now,
            probes: 0,
            wrong_keys: 0,
            told: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Takes in a datagram; garbage is dropped.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        match Kind::of(datagram) {
            Some((version, Kind::Announce)) if version != VERSION => {
                self.tell_once(from, RendezvousEvent::OtherVersion { from, version });
            }
            Some((_, Kind::Announce)) => self.handle_announce(now, from, datagram),
            Some((_, Kind::Welcome)) => self.handle_welcome(from, datagram),
            Some((_, Kind::Reject)) => self.handle_reject(datagram),
            _ => {}
        }
    }

    fn tell_once(&mut self, from: SocketAddr, event: RendezvousEvent) {
        if !self.told.contains(&from) && self.told.len() < 64 {
            self.told.push(from);
            self.events.push(event);
        }
    }

    fn handle_announce(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Ok(announce) = Announce::decode(datagram) else {
            return;
        };
        if self
            .config
            .session_name
            .as_ref()
            .is_some_and(|name| *name != announce.session_name)
        {
            return;
        }
        if self.config.instead_of == Some(announce.session_id) {
            return;
        }
        if !announce.joinable {
            return self.tell_once(from, RendezvousEvent::NotJoinable { from });
        }
        if announce.auth != self.config.auth {
            let wanted = announce.auth;
            return self.tell_once(from, RendezvousEvent::OtherAuth { wanted, from });
        }
        let State::Searching { heard, until } = &mut self.state else {
            return;
        };
        if heard.len() < 64
            && !heard
                .iter()
                .any(|h| h.announce.session_id == announce.session_id)
        {
            heard.push(Searching { from, announce });
        }
        let chosen = self.config.session_name.is_some() || self.config.sender.is_some();
        let at_once = chosen && self.config.instead_of.is_none();
        until.get_or_insert(if at_once { now } else { now + LISTEN });
        self.handle_timeout(now);
    }

    fn handle_reject(&mut self, datagram: &[u8]) {
        let Ok(reject) = Reject::decode(datagram) else {
            return;
        };
        if reject.nonce == self.config.nonce && matches!(self.state, State::Joining { .. }) {
            let (reason, version) = (reject.reason, reject.version);
            self.events
                .push(RendezvousEvent::Rejected { reason, version });
            self.state = State::Over;
        }
    }

    fn handle_welcome(&mut self, from: SocketAddr, datagram: &[u8]) {
        let State::Joining { to, .. } = &self.state else {
            return;
        };
        let Ok(welcome) = Welcome::decode(datagram) else {
            return;
        };
        let asked = (to.announce.session_id, self.config.nonce);
        if (welcome.session_id, welcome.receiver_nonce) != asked {
            return;
        }
        match self.open(&welcome) {
            Ok((keys, body)) => {
                let admitted = Admitted {
                    session_id: welcome.session_id,
                    session_name: to.announce.session_name.clone(),
                    sender: from,
                    number: welcome.number,
                    keys,
                    body,
                };
                self.state = State::Over;
                self.events
                    .push(RendezvousEvent::Joined(Box::new(admitted)));
            }
            Err(why) => {
                self.wrong_keys += 1;
                if self.wrong_keys == WRONG_KEYS {
                    self.state = State::Over;
                    self.events.push(why);
                }
            }
        }
    }

    /// The error is what is told when welcomes go on being like this one.
    fn open(&self, welcome: &Welcome) -> Result<(JoinKeys, WelcomeBody), RendezvousEvent> {
        let (keys, body) = self.unseal(welcome).ok_or(RendezvousEvent::WrongKey)?;
        match self.config.sender_key {
            Some(pinned) if pinned != body.sender_key => Err(RendezvousEvent::OtherSender),
            _ => Ok((keys, body)),
        }
    }

    fn unseal(&self, welcome: &Welcome) -> Option<(JoinKeys, WelcomeBody)> {
        let secret = match (&self.config.secret, self.config.auth) {
            (Some(secret), _) => secret.clone(),
            (None, Auth::Open) => Secret::new(<[u8; KEY_LEN]>::try_from(&*welcome.secret).ok()?),
            (None, _) => return None,
        };
        let keys = JoinKeys::derive(
            &secret,
            welcome.session_id,
            welcome.receiver_nonce,
            welcome.sender_nonce,
            welcome.number,
        );
        let mut header = Vec::new();
        welcome.encode_header(&mut header);
        let plain = keys.welcome.open_vec(0, &header, &welcome.sealed).ok()?;
        Some((keys, WelcomeBody::decode(&plain).ok()?))
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        let State::Searching {
            heard,
            until: Some(until),
        } = &mut self.state
        else {
            return;
        };
        if now < *until {
            return;
        }
        let unclear = self.config.session_name.is_none() || self.config.instead_of.is_some();
        if heard.len() > 1 && unclear {
            let names = heard
                .iter()
                .map(|h| h.announce.session_name.clone())
                .collect();
            self.events.push(RendezvousEvent::Ambiguous { names });
            self.state = State::Over;
            return;
        }
        // The newest: a sender that was started again has the same name and a new session.
        let Some(to) = heard.pop() else { return };
        self.events.push(RendezvousEvent::Found(to.clone()));
        self.state = State::Joining { to, tries: 0 };
        self.next_send = now;
    }

    /// When to call `handle_timeout` and `poll_transmit` at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Searching { until, .. } => {
                Some(until.map_or(self.next_send, |until| until.min(self.next_send)))
            }
            State::Joining { .. } => Some(self.next_send),
            State::Over => None,
        }
    }

    /// The next datagram, into `out`, which is cleared first.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<JoinTarget> {
        out.clear();
        if now < self.next_send {
            return None;
        }
        match &mut self.state {
            State::Searching { .. } => {
                let name = self.config.session_name.clone().unwrap_or_default();
                Probe { session_name: name }.encode(out);
                self.probes += 1;
                self.next_send = now
                    + if self.probes < 4 {
                        PROBE_FIRST
                    } else {
                        PROBE_EVERY
                    };
                Some(
                    self.config
                        .sender
                        .map_or(JoinTarget::ControlGroup, JoinTarget::Unicast),
                )
            }
            State::Joining { tries, .. } if *tries == JOIN_TRIES => {
                self.state = State::Searching {
                    heard: Vec::new(),
                    until: None,
                };
                self.poll_transmit(now, out)
            }
            State::Joining { to, tries } => {
                *tries += 1;
                self.next_send = now + JOIN_EVERY;
                let to = to.clone();
                self.join(&to.announce).encode(out);
                Some(JoinTarget::Unicast(to.from))
            }
            State::Over => None,
        }
    }

    fn join(&self, announce: &Announce) -> Join {
        Join {
            session_id: announce.session_id,
            nonce: self.config.nonce,
            auth: self.config.auth,
            mac: self.config.mac,
            target_id: self.config.target_id,
            link_speed: self.config.link_speed,
            capacity: self.config.capacity.unwrap_or(u64::MAX),
            resumes: self.config.resumes,
            host_name: self.config.host_name.clone(),
            exchange: Vec::new(),
        }
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<RendezvousEvent> {
        (!self.events.is_empty()).then(|| self.events.remove(0))
    }
}
