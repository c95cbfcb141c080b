//! The sender's machine: its endpoint and its reader.

use std::time::{Duration, Instant};

use mimeo_protocol::ids::SessionId;
use mimeo_protocol::sender::{Destination, Endpoint, Event, Fetch, Phase};

use super::Source;
use super::own_clock::OwnClock;

/// The sender and its source.
pub struct Operator {
    /// Its session.
    pub session: SessionId,
    /// The sender.
    pub endpoint: Endpoint,
    /// What it reads.
    pub source: Source,
    /// What it told.
    pub told: Vec<Event>,
    /// How long reading and encoding a block takes.
    pub read_time: Duration,
    pub(super) alarm: Option<Instant>,
    /// It was killed and says nothing more.
    pub(super) is_dead: bool,
    /// The session is by this clock; only the room's events are by the room's.
    pub(super) clock: OwnClock,
    reading: bool,
    read: bool,
}

/// A transmit: where to, the bytes, and the length of each datagram in them.
pub(super) struct Sent {
    pub(super) to: Destination,
    pub(super) bytes: Vec<u8>,
    pub(super) segment: usize,
}

/// What the sender did when it was driven.
#[derive(Default)]
pub(super) struct Doings {
    pub(super) sent: Vec<Sent>,
    pub(super) fetches: Vec<Fetch>,
    /// The next block is to be read.
    pub(super) reads: bool,
}

impl Operator {
    pub(super) fn new(
        session: SessionId,
        endpoint: Endpoint,
        source: Source,
        read_time: Duration,
    ) -> Self {
        Self {
            session,
            endpoint,
            source,
            told: Vec::new(),
            read_time,
            alarm: None,
            is_dead: false,
            clock: OwnClock::default(),
            reading: false,
            read: false,
        }
    }

    /// Whether the session is over, or the sender dead.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_dead || *self.endpoint.session().phase() == Phase::Over
    }

    /// The reader has the next block, or finds that there is none.
    pub(super) fn handle_read(&mut self, now: Instant) {
        self.reading = false;
        if let Some((entry, body)) = self.source.read() {
            self.endpoint.handle_entry(now, entry, body);
        } else {
            self.read = true;
            let (len, digest) = self.source.finish();
            self.endpoint.session_mut().handle_source_end(len, digest);
        }
    }

    /// The reader has the symbols that were asked for.
    pub(super) fn handle_fetched(&mut self, fetch: &Fetch) {
        let (body, rows) = self.source.fetch(fetch);
        self.endpoint.handle_fetched(fetch, body, rows);
    }

    /// Does what is to be done now.
    pub(super) fn drive(&mut self, now: Instant, doings: &mut Doings) {
        loop {
            let before = doings.sent.len() + doings.fetches.len() + self.told.len();
            while let Some(event) = self.endpoint.poll_event() {
                self.told.push(event);
            }
            while let Some(fetch) = self.endpoint.poll_fetch() {
                doings.fetches.push(fetch);
            }
            let mut bytes = Vec::new();
            if let Some(out) = self.endpoint.poll_transmit(now, &mut bytes) {
                let (to, segment) = (out.to, out.segment);
                doings.sent.push(Sent { to, bytes, segment });
            }
            if before == doings.sent.len() + doings.fetches.len() + self.told.len() {
                break;
            }
        }
        if !self.reading && !self.read && self.endpoint.session().wants_entries() {
            self.reading = true;
            doings.reads = true;
        }
    }
}
