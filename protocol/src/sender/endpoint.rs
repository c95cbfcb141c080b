//! The sender on the wire: datagrams in, datagrams out.

mod admission;
mod cookies;
mod digests;
mod guesses;
mod joins;
mod seal;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use admission::Admission;
use cookies::Cookies;
use digests::SignedDigests;
use guesses::Guesses;
use joins::Allowance;

use super::interleave::Share;
use super::page_store::{PageStore, PagesInMemory};
use super::session::{Event, Job, Purpose, Session, SessionConfig, SymbolRef, Transmit};
use super::store::{Body, Rows, Store};
use crate::ids::SessionId;
use crate::keys::{SealKey, Secret, Signer, SigningKey, derive};
use crate::manifest::{Entry, StoredBlock};
use crate::strays::Strays;
use crate::wire::{
    Auth, Envelope, Kind, RejectReason, SYMBOL_DATAGRAM, TargetNeeds, ToSender, VERSION,
};

/// Where a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The control group, where rendezvous happens.
    ControlGroup,
    /// The group of this session's data.
    DataGroup,
    /// One host.
    Unicast(SocketAddr),
}

/// One transmit: one datagram, or a burst of datagrams of `segment` bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    /// Where it goes.
    pub to: Destination,
    /// Bytes of each datagram.
    pub segment: usize,
}

/// What names and protects a session.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// 128 random bits, new for each run.
    pub session_id: SessionId,
    /// The session's name.
    pub session_name: String,
    /// What admits receivers.
    pub auth: Auth,
    /// What receivers hold too; in an open session what keys are drawn from.
    pub secret: Secret,
    /// Random bytes, new for each run: the group key, nonces and cookies come from them.
    pub seed: Secret,
    /// Signs what is written by: the manifest's pages and the end record.
    pub signing_key: SigningKey,
    /// Where the data flows.
    pub group: SocketAddr,
    /// What the image needs of a target, where more than its length is known.
    pub needs: Option<TargetNeeds>,
}

/// Work for the caller: have the symbols of a share at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Which symbols.
    pub share: Share,
    /// What the block is: a body that is made again must be of the same bytes.
    pub block: StoredBlock,
    /// Its body, where it is still at hand; else read and encode it again.
    pub body: Option<Body>,
    /// What they are for.
    pub purpose: Purpose,
}

impl Fetch {
    /// Prepares the symbols that were asked for, of the block with the given body.
    ///
    /// # Panics
    ///
    /// Unless the body is that of the block.
    #[must_use]
    pub fn rows(&self, body: &Body) -> Rows {
        let rows = Rows::of(&self.share, body);
        match self.purpose {
            Purpose::Digests => rows.into_digests(&self.share, body),
            _ => rows,
        }
    }
}

/// The sender's state machine with its keys and bodies.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    session: Session,
    group_secret: Secret,
    group_key: SealKey,
    admission: Admission,
    cookies: Cookies,
    guesses: Guesses,
    announces: Allowance,
    answers: Allowance,
    events: VecDeque<Event>,
    store: Store,
    digests: SignedDigests,
    burst: Vec<SymbolRef>,
    clear: VecDeque<(SocketAddr, Vec<u8>)>,
    strays: Strays,
    seekers: Vec<IpAddr>,
}

impl Endpoint {
    /// An endpoint whose session waits for receivers. Pages of the manifest are kept in memory.
    #[must_use]
    pub fn new(now: Instant, config: EndpointConfig, session: SessionConfig) -> Self {
        Self::with_page_store(now, config, session, Box::<PagesInMemory>::default())
    }

    /// The same, with pages kept in `pages`, which is empty.
    #[must_use]
    pub fn with_page_store(
        now: Instant,
        config: EndpointConfig,
        session: SessionConfig,
        pages: Box<dyn PageStore>,
    ) -> Self {
        let group = &[b"mimeo 1 group".as_slice()];
        let group_secret = derive(config.seed.bytes(), &config.session_id.0, group);
        let signer = Signer {
            key: config.signing_key.clone(),
            session: config.session_id,
        };
        Self {
            group_key: SealKey::new(&group_secret),
            group_secret,
            admission: Admission::new(),
            cookies: Cookies::new(now, &config.seed),
            guesses: Guesses::new(config.auth),
            announces: Allowance::new(now),
            answers: Allowance::new(now),
            events: VecDeque::new(),
            store: Store::new(!session.seekable),
            digests: SignedDigests::default(),
            session: Session::with_page_store(now, session, signer, pages),
            burst: Vec::new(),
            clear: VecDeque::new(),
            strays: Strays::default(),
            seekers: Vec::new(),
            config,
        }
    }

    /// The state machine, to be looked at.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The state machine, for the operator's commands and the source's end.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Addresses that looked for a session like this one, the first of them, whether or not they have
    /// joined.
    #[must_use]
    pub fn seekers(&self) -> &[IpAddr] {
        &self.seekers
    }

    /// What was dropped unread.
    #[must_use]
    pub fn strays(&self) -> Strays {
        self.strays
    }

    /// Takes in a datagram. Garbage is counted and dropped.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        // Nothing can be sent to port 0, and nothing comes from there but what was made up.
        if from.port() == 0 {
            self.strays.malformed += 1;
            return;
        }
        match Kind::of(datagram) {
            Some((_, Kind::Probe)) => self.handle_probe(now, from, datagram),
            Some((version, Kind::Join)) if version != VERSION => {
                self.reject(now, from, datagram, RejectReason::Version);
            }
            Some((_, Kind::Join)) => self.handle_join(now, from, datagram),
            Some((_, Kind::ToSender)) => self.handle_sealed(now, from, datagram),
            // What this sender or another one sends to its own side.
            Some((_, Kind::Announce)) => {}
            _ => self.strays.malformed += 1,
        }
    }

    fn handle_sealed(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Ok(envelope) = Envelope::unicast(datagram, Kind::ToSender) else {
            self.strays.malformed += 1;
            return;
        };
        let peer = self.admission.peer_mut(envelope.number);
        let Some((message, newest)) = peer.and_then(|peer| peer.open(from, &envelope)) else {
            self.strays.unsealed += 1;
            return;
        };
        self.guesses.on_proven(envelope.number);
        // A report that was overtaken says less than the one that is known.
        if newest || !matches!(message, ToSender::Report(_)) {
            self.session.handle_message(now, envelope.number, message);
        }
    }

    /// Takes the next entry of the image; a block comes with its body.
    pub fn handle_entry(&mut self, now: Instant, entry: Entry, body: Option<Body>) {
        if let Some(body) = body {
            self.store.pin(
                self.session.manifest().known_blocks(),
                body,
                Rows::default(),
            );
        }
        self.session.handle_entry(now, entry);
    }

    /// Takes the symbols that [`Self::poll_fetch`] asked for.
    pub fn handle_fetched(&mut self, fetch: &Fetch, body: Body, rows: Rows) {
        let block = fetch.share.block;
        if fetch.purpose == Purpose::Digests {
            // A repair of the block will be asked for next.
            self.store.pin(block, body, Rows::default());
            self.store.unpin(block);
            let signer = self.session.manifest().signer();
            self.digests.sign(&fetch.share, &rows.digests, signer);
        } else {
            self.store.pin(block, body, rows);
        }
        self.session.handle_fetched(fetch.share, fetch.purpose);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        self.forget_members();
    }

    /// When to call `handle_timeout` and `poll_transmit` at the latest.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.clear.is_empty() {
            self.session.poll_timeout(now)
        } else {
            Some(now)
        }
    }

    /// The next symbols that the caller is to fetch.
    pub fn poll_fetch(&mut self) -> Option<Fetch> {
        while let Some(job) = self.session.poll_job() {
            match job {
                Job::Unpin(block) => self.store.unpin(block),
                Job::Discard(block) => self.store.discard_below(block),
                Job::DigestsSent(block, part) => self.digests.forget(block, part),
                Job::Fetch {
                    share,
                    block,
                    purpose,
                } => {
                    let body = self.store.body(share.block);
                    let fetch = Fetch {
                        share,
                        block,
                        body,
                        purpose,
                    };
                    match &fetch.body {
                        Some(body)
                            if purpose != Purpose::Digests && Rows::wanted(&share).is_empty() =>
                        {
                            let body = body.clone();
                            self.handle_fetched(&fetch, body, Rows::default());
                        }
                        _ => return Some(fetch),
                    }
                }
            }
        }
        None
    }

    /// The next thing to tell the operator.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.session
            .poll_event()
            .or_else(|| self.events.pop_front())
    }

    /// The next transmit, into `out`, whose content is replaced.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Outgoing> {
        if let Some((to, datagram)) = self.clear.pop_front() {
            out.clear();
            out.extend_from_slice(&datagram);
            return Some(Outgoing {
                to: Destination::Unicast(to),
                segment: out.len(),
            });
        }
        self.burst.clear();
        let mut burst = std::mem::take(&mut self.burst);
        let transmit = self.session.poll_transmit(now, &mut burst);
        self.burst = burst;
        let to = match transmit? {
            Transmit::Symbols { first } => {
                self.seal_burst(first, out);
                return Some(Outgoing {
                    to: Destination::DataGroup,
                    segment: SYMBOL_DATAGRAM,
                });
            }
            Transmit::Control { seq, control } => {
                out.clear();
                self.seal_control(seq, &control, out);
                Destination::DataGroup
            }
            Transmit::OwnSymbol { to, share, esi } => {
                out.clear();
                self.seal_own_symbol(to, &share, esi, out)?
            }
            Transmit::Announce => {
                out.clear();
                self.announce().encode(out);
                Destination::ControlGroup
            }
            Transmit::Unicast { to, message } => {
                out.clear();
                self.seal_unicast(to, &message, out)?
            }
        };
        Some(Outgoing {
            to,
            segment: out.len(),
        })
    }
}
