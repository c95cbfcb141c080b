//! The sender, its source and its cable.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mimeo_protocol::block::{BlockDigest, Coding, ImageDigest};
use mimeo_protocol::ids::SessionId;
use mimeo_protocol::keys::{Signer, SigningKey};
use mimeo_protocol::manifest::{Entry, StoredBlock};
use mimeo_protocol::sender::{
    Job, Parity, Purpose, Session, SessionConfig, Share, SlowRules, StartPolicy, SymbolRef,
    Transmit,
};
use mimeo_protocol::units::{PageNumber, Place, Symbol};
use mimeo_protocol::wire::{SYMBOL_DATAGRAM, ToReceiver};

use super::cable::Cable;
use super::machine::Burst;
use super::setting::{Setting, Starts};
use crate::sim::Dice;

/// How long it takes to have the symbols of a share at hand: a read and 16 rows of repair symbols.
const FETCH: Duration = Duration::from_millis(1);

/// Bytes of a sealed position with the end record, and of a message to one receiver.
const CONTROL: usize = 189;
const UNICAST: usize = 64;

/// What the room's session is called: there is one, so it is always the same.
pub(super) const SESSION: SessionId = SessionId([1; 16]);

/// What signs the sender's pages.
pub(super) fn signer() -> Signer {
    Signer {
        key: SigningKey::from_seed(&[1; 32]),
        session: SESSION,
    }
}

/// The symbols of all manifest pages so far.
#[derive(Debug, Default)]
pub(super) struct PageSymbols(Vec<Symbol>);

impl PageSymbols {
    /// The bytes of a page's symbol, whichever it is.
    pub(super) fn symbol(&self, symbol: &SymbolRef) -> &[u8] {
        &self.0[symbol.number as usize]
    }

    /// Copies a page, and those before it, unless they are there.
    fn make(&mut self, page: PageNumber, session: &mut Session) {
        while self.0.len() <= page.0 as usize {
            let page = PageNumber(u32::try_from(self.0.len()).expect("fewer than blocks"));
            let object = session.page_object(page);
            self.0.push(
                *object.expect("a page that is sent was closed, and so were those before it"),
            );
        }
    }
}

/// What leaves the sender, at the moment at which it arrives.
#[derive(Debug)]
pub(super) enum Sent {
    Burst(Box<Burst>),
    Control(
        mimeo_protocol::ids::Seq,
        Box<mimeo_protocol::wire::GroupControl>,
    ),
    /// To the machine with this index.
    Message(usize, ToReceiver),
}

/// See the module's page.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) session: Session,
    pub(super) alarm: Option<Instant>,
    pub(super) pages: PageSymbols,
    pub(super) first_data: Option<Instant>,
    cable: Cable,
    blocks: u32,
    image: u64,
    next: u32,
    dice: Dice,
    fetching: VecDeque<(Instant, Share, Purpose)>,
    burst: Vec<SymbolRef>,
}

impl Operator {
    pub(super) fn new(now: Instant, setting: &Setting, dice: Dice) -> Self {
        let min_receivers = match setting.starts {
            Starts::Together => setting.receivers.into(),
            Starts::Spread => 1,
        };
        let config = SessionConfig {
            image_len: Some(setting.image),
            seekable: true,
            start: StartPolicy {
                min_receivers,
                ..StartPolicy::default()
            },
            rate_cap: None,
            parity: Parity::Auto,
            slow: SlowRules {
                policy: setting.policy,
                ..SlowRules::default()
            },
            linger: Duration::ZERO,
            lost_timeout: Duration::ZERO,
        };
        Self {
            session: Session::new(now, config, signer()),
            alarm: None,
            pages: PageSymbols::default(),
            first_data: None,
            cable: Cable::new(now, setting.cable),
            blocks: setting.blocks(),
            image: setting.image,
            next: 0,
            dice,
            fetching: VecDeque::new(),
            burst: Vec::new(),
        }
    }

    /// Does what is to be done; `out` gets what arrives when.
    pub(super) fn drive(&mut self, now: Instant, out: &mut Vec<(Instant, Sent)>) {
        self.finish_fetches(now);
        loop {
            self.read(now);
            self.take_jobs(now);
            while self.session.poll_event().is_some() {}
            if self.cable.full_until(now).is_some() {
                return;
            }
            self.burst.clear();
            let Some(transmit) = self.session.poll_transmit(now, &mut self.burst) else {
                return;
            };
            self.send(now, transmit, out);
        }
    }

    /// When to let time pass.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let session = self.session.poll_timeout(now)?;
        // Who waits for the cable does nothing else meanwhile.
        let session = session.max(self.cable.full_until(now).unwrap_or(session));
        let fetched = self.fetching.front().map_or(session, |&(at, ..)| at);
        Some(session.min(fetched))
    }

    fn read(&mut self, now: Instant) {
        while self.next < self.blocks && self.session.wants_entries() {
            let place = Place(self.next);
            self.next += 1;
            let stored_len = u32::try_from(place.raw_len(self.image)).expect("at most a block");
            let block = StoredBlock {
                place,
                stored_len,
                coding: Coding::Raw,
                digest: BlockDigest(self.dice.bytes()),
            };
            self.session.handle_entry(now, Entry::Block(block));
            if self.next == self.blocks {
                let digest = ImageDigest(self.dice.bytes());
                self.session.handle_source_end(self.image, Some(digest));
            }
        }
    }

    fn take_jobs(&mut self, now: Instant) {
        while let Some(job) = self.session.poll_job() {
            if let Job::Fetch { share, purpose, .. } = job {
                self.fetching.push_back((now + FETCH, share, purpose));
            }
        }
    }

    fn finish_fetches(&mut self, now: Instant) {
        while let Some(&(at, share, purpose)) = self.fetching.front()
            && at <= now
        {
            self.fetching.pop_front();
            self.session.handle_fetched(share, purpose);
        }
    }

    fn send(&mut self, now: Instant, transmit: Transmit, out: &mut Vec<(Instant, Sent)>) {
        match transmit {
            Transmit::Symbols { first } => {
                self.first_data.get_or_insert(now);
                for symbol in &self.burst {
                    if symbol.kind == mimeo_protocol::wire::SymbolKind::Page {
                        self.pages
                            .make(PageNumber(symbol.number), &mut self.session);
                    }
                }
                let symbols = self.burst.clone();
                let at = self.cable.send(now, symbols.len(), SYMBOL_DATAGRAM);
                let cycle = self.session.position().cycle;
                out.push((
                    at,
                    Sent::Burst(Box::new(Burst {
                        first,
                        symbols,
                        cycle,
                    })),
                ));
            }
            Transmit::Control { seq, control } => {
                let at = self.cable.send(now, 1, CONTROL);
                out.push((at, Sent::Control(seq, Box::new(control))));
            }
            Transmit::Unicast { to, message } => {
                let at = self.cable.send(now, 1, UNICAST);
                out.push((at, Sent::Message(usize::from(to.0) - 1, message)));
            }
            // Nobody searches, and nothing is spoiled.
            Transmit::Announce | Transmit::OwnSymbol { .. } => {}
        }
    }
}
