//! How a receiver finds a sender and is admitted.
//!
//! ```text
//! Searching -- an announce --> Joining -- a welcome that opens --> Over
//!     ^                           |
//!     +-- silence, a refusal, a welcome that does not open (three of these: Over)
//! ```
//!
//! All that stands in clear may be forged. So nothing but a welcome that opens ends a search well, and
//! whoever says no, or holds another secret, is asked again after the other senders that are heard.

mod attempt;
mod senders;
mod types;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use self::types::{Admitted, JoinTarget, RendezvousConfig, RendezvousEvent, Searching};

use self::attempt::Attempt;
use self::senders::Senders;
use crate::ids::Nonce;
use crate::keys::{Exchange, derive};
use crate::wire::{
    Announce, Auth, COOKIE_LEN, Cookie, Kind, Probe, Reject, RejectReason, VERSION, Welcome,
    WelcomeBody,
};

/// The first probes follow each other this closely, then every second.
const PROBE_FIRST: Duration = Duration::from_millis(200);
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// After the first announce others are listened for, so that two senders are noticed: every
/// sender answers a probe at once.
const LISTEN: Duration = Duration::from_millis(250);
/// A join is repeated this often.
const JOIN_EVERY: Duration = Duration::from_millis(200);
/// Welcomes that do not open, or refusals, before the receiver gives up: each welcome lets who sent it
/// try one code.
const MOST_FAILURES: u32 = 3;
/// After a failure the search pauses: what was forged a moment ago may be over.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Debug)]
enum State {
    /// Probing since then, or from then on; and when listening for others ends.
    Searching {
        since: Instant,
        until: Option<Instant>,
    },
    /// Asking one sender.
    Joining(Box<Attempt>),
    /// Joined, or given up.
    Over,
}

/// The state machine of the rendezvous; `poll_*` as in the session.
#[derive(Debug)]
pub struct Rendezvous {
    config: RendezvousConfig,
    state: State,
    senders: Senders,
    next_send: Instant,
    probes: u32,
    attempts: u64,
    failures: u32,
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
                since: now,
                until: None,
            },
            senders: Senders::default(),
            next_send: now,
            probes: 0,
            attempts: 0,
            failures: 0,
            told: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Takes in a datagram; garbage is dropped.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        // Nothing can be sent to port 0, and nothing comes from there but what was made up.
        if from.port() == 0 {
            return;
        }
        match Kind::of(datagram) {
            Some((version, Kind::Announce)) if version != VERSION => {
                self.tell_once(from, RendezvousEvent::OtherVersion { from, version });
            }
            Some((_, Kind::Announce)) => self.handle_announce(now, from, datagram),
            Some((_, Kind::Cookie)) => self.handle_cookie(now, datagram),
            Some((_, Kind::Welcome)) => self.handle_welcome(now, from, datagram),
            Some((_, Kind::Reject)) => self.handle_reject(now, from, datagram),
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
        let name = self.config.session_name.as_ref();
        if name.is_some_and(|name| *name != announce.session_name)
            || self.config.instead_of == Some(announce.session_id)
        {
            return;
        }
        if !announce.joinable {
            return self.tell_once(from, RendezvousEvent::NotJoinable { from });
        }
        if announce.auth != self.config.auth {
            let wanted = announce.auth;
            return self.tell_once(from, RendezvousEvent::OtherAuth { wanted, from });
        }
        self.senders.on_heard(Searching { from, announce });
        let State::Searching { since, until } = &mut self.state else {
            return;
        };
        let is_new = !self.senders.has_setbacks();
        let chosen = self.config.session_name.is_some() || self.config.sender.is_some();
        let at_once = chosen && self.config.instead_of.is_none() && is_new;
        let begun = now.max(*since);
        let listened = if at_once { begun } else { begun + LISTEN };
        *until = Some(until.map_or(listened, |until| until.min(listened)));
        self.handle_timeout(now);
    }

    fn handle_cookie(&mut self, now: Instant, datagram: &[u8]) {
        let (State::Joining(attempt), Ok(cookie)) = (&mut self.state, Cookie::decode(datagram))
        else {
            return;
        };
        // A forged cookie is replaced by the sender's next one.
        if cookie.nonce == attempt.nonce && cookie.cookie != attempt.cookie {
            attempt.cookie = cookie.cookie;
            if attempt.tries <= 2 {
                self.next_send = now;
            }
        }
    }

    fn handle_reject(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let (State::Joining(attempt), Ok(reject)) = (&self.state, Reject::decode(datagram)) else {
            return;
        };
        // No sender says that it speaks another version and names this one, nor that somebody tried
        // too many codes where there is none: such a word is forged, or was for somebody else's join.
        let untrue = match reject.reason {
            RejectReason::Version => reject.version == VERSION,
            RejectReason::Guesses => self.config.auth != Auth::Code,
            _ => false,
        };
        if reject.nonce != attempt.nonce || untrue {
            return;
        }
        let (reason, version) = (reject.reason, reject.version);
        let last = self.fail(now);
        self.events.push(RendezvousEvent::Rejected {
            reason,
            version,
            from,
            last,
        });
    }

    fn handle_welcome(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let (State::Joining(attempt), Ok(welcome)) = (&self.state, Welcome::decode(datagram))
        else {
            return;
        };
        let asked = (attempt.to.announce.session_id, attempt.nonce);
        if (welcome.session_id, welcome.receiver_nonce) != asked {
            return;
        }
        let opened = attempt.open(&welcome);
        let is_pinned = |body: &WelcomeBody| {
            let pinned = self.config.sender_key;
            pinned.is_none_or(|pinned| pinned == body.sender_key)
        };
        match opened {
            Some((keys, body)) if is_pinned(&body) => {
                let admitted = Admitted {
                    session_id: welcome.session_id,
                    session_name: attempt.to.announce.session_name.clone(),
                    sender: from,
                    number: welcome.number,
                    keys,
                    body,
                };
                self.state = State::Over;
                self.events
                    .push(RendezvousEvent::Joined(Box::new(admitted)));
            }
            Some(_) => {
                let last = self.fail(now);
                self.events
                    .push(RendezvousEvent::OtherSender { from, last });
            }
            None => {
                let last = self.fail(now);
                self.events.push(RendezvousEvent::WrongKey { from, last });
            }
        }
    }

    /// The sender that was asked does not admit the receiver. Returns whether that was the last
    /// attempt.
    fn fail(&mut self, now: Instant) -> bool {
        self.failures += 1;
        let last = self.failures == MOST_FAILURES;
        if last {
            self.state = State::Over;
        } else {
            self.search_again(now + PAUSE);
        }
        last
    }

    /// Asking a sender came to nothing.
    fn search_again(&mut self, at: Instant) {
        let searching = State::Searching {
            since: at,
            until: None,
        };
        if let State::Joining(attempt) = std::mem::replace(&mut self.state, searching) {
            self.senders.on_setback(&attempt.to);
        }
        self.senders.forget_heard();
        self.next_send = at;
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        let State::Searching {
            until: Some(until), ..
        } = &self.state
        else {
            return;
        };
        if now < *until {
            return;
        }
        if self.is_ambiguous() {
            let names = self.senders.names();
            self.events.push(RendezvousEvent::Ambiguous { names });
            self.state = State::Over;
            return;
        }
        let Some(to) = self.senders.choose() else {
            return;
        };
        self.events.push(RendezvousEvent::Found(to.clone()));
        self.state = State::Joining(Box::new(self.attempt(to)));
        self.next_send = now;
    }

    /// Whether a person has to say which session is meant. A join code is made for one session, so
    /// the exchange finds that one; a key file may be that of several. Of one that goes on, only who
    /// holds the secret and has the same image is followed.
    fn is_ambiguous(&self) -> bool {
        let auth = self.config.auth;
        let unclear = match self.config.instead_of {
            Some(_) => auth == Auth::Open,
            None => self.config.session_name.is_none() && auth != Auth::Code,
        };
        unclear && self.senders.sessions() > 1
    }

    fn attempt(&mut self, to: Searching) -> Attempt {
        self.attempts += 1;
        let number = self.attempts.to_be_bytes();
        let own = self.config.seed.bytes();
        let nonce = derive(own, b"", &[b"mimeo 1 nonce", &number]);
        let (nonce, _) = nonce.bytes().split_first_chunk().expect("32 bytes hold 16");
        let nonce = Nonce(*nonce);
        let seed = derive(own, b"", &[b"mimeo 1 exchange", &number]);
        let exchange = self.config.secret.clone().map(|secret| {
            let exchange = Exchange {
                secret,
                session: to.announce.session_id,
                receiver_nonce: nonce,
            };
            let message = exchange.ask(seed.bytes());
            (exchange, seed, message)
        });
        Attempt {
            to,
            tries: 0,
            nonce,
            cookie: [0; COOKIE_LEN],
            exchange,
        }
    }

    /// When to call `handle_timeout` and `poll_transmit` at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Searching { until, .. } => {
                Some(until.map_or(self.next_send, |until| until.min(self.next_send)))
            }
            State::Joining(_) => Some(self.next_send),
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
                let first = self.probes < 4;
                self.next_send = now + if first { PROBE_FIRST } else { PROBE_EVERY };
                let sender = self.config.sender;
                Some(sender.map_or(JoinTarget::ControlGroup, JoinTarget::Unicast))
            }
            State::Joining(attempt) if attempt.is_in_vain(&self.senders) => {
                self.search_again(now);
                self.poll_transmit(now, out)
            }
            State::Joining(attempt) => {
                attempt.tries += 1;
                self.next_send = now + JOIN_EVERY;
                attempt.join(&self.config).encode(out);
                Some(JoinTarget::Unicast(attempt.to.from))
            }
            State::Over => None,
        }
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<RendezvousEvent> {
        (!self.events.is_empty()).then(|| self.events.remove(0))
    }
}

#[cfg(test)]
mod tests;
