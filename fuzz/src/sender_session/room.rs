//! The sender, its source, and everything that is to hold of what it sends.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mimeo_protocol::block::{BlockDigest, Coding};
use mimeo_protocol::ids::ReceiverNumber;
use mimeo_protocol::manifest::{Entry, Identity, Run, StoredBlock};
use mimeo_protocol::sender::{Body, Destination, Endpoint, Fetch, MemberState, Outgoing, Phase};
use mimeo_protocol::units::{BLOCK_SIZE, Esi, MAX_BODY, Place, SYMBOL_SIZE};
use mimeo_protocol::wire::{
    Announce, Auth, COOKIE_LEN, Cookie, DIGESTS_PER_PART, DigestPart, Envelope, GroupControl, Kind,
    MAX_DATAGRAM, OwnSymbol, ReadBack, Reject, Remedy, SYMBOL_DATAGRAM, SYMBOL_HEADER, Spoiled,
    SymbolDigest, SymbolHeader, SymbolKind, ToReceiver, ToSender,
};

use super::Joined;
use super::members::Members;
use super::reported::Reported;
use crate::setup;

/// Transmits at one moment: more than any image of this target has symbols.
const MOST_TRANSMITS: usize = 20_000;

/// So many are enough for what takes time, such as finding out who is slow, and quick.
const MOST_STEPS: u8 = 96;

/// Bytes that the state machine may hold for a receiver: a report has at most 480 runs.
const BYTES_OF_A_RECEIVER: usize = 16 << 10;

/// The start's time-out from its moment on is the longest wait, then come the abort's repetitions.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) struct Room {
    pub(super) endpoint: Endpoint,
    pub(super) members: Members,
    pub(super) now: Instant,
    /// Steps that time may still go in.
    steps: u8,
    places: u32,
    next: u32,
    seekable: bool,
    slow: bool,
    ended: bool,
    bodies: Vec<Body>,
    fetches: VecDeque<Fetch>,
    /// The last cookie, and of which join it is.
    cookie: Option<Cookie>,
    /// The last number of a group datagram.
    last_seq: u64,
    confirmed: BTreeSet<ReceiverNumber>,
    /// Blocks whose digests were asked for, and blocks under own keys.
    digests: BTreeSet<u32>,
    alone: BTreeSet<(ReceiverNumber, u32)>,
    was: Phase,
    out: Vec<u8>,
}

impl Room {
    pub(super) fn new(config: u16, blocks: u8, slow: bool) -> Self {
        // Mostly a few: filling and sealing symbols is what takes time.
        let most = if blocks < 224 { 12 } else { 96 };
        let places = 1 + u32::from(blocks % most);
        let image_len = u64::from(places) * BLOCK_SIZE as u64;
        let config = setup::sender_config(config, image_len);
        let now = setup::epoch();
        Self {
            seekable: config.seekable,
            endpoint: Endpoint::new(now, setup::endpoint_config(Auth::Open), config),
            members: Members::default(),
            now,
            steps: MOST_STEPS,
            places,
            next: 0,
            slow,
            ended: false,
            bodies: Vec::new(),
            fetches: VecDeque::new(),
            cookie: None,
            last_seq: 0,
            confirmed: BTreeSet::new(),
            digests: BTreeSet::new(),
            alone: BTreeSet::new(),
            was: Phase::Waiting,
            out: Vec::new(),
        }
    }

    pub(super) fn hear(&mut self, from: u8, datagram: &[u8]) {
        let from = setup::address(from);
        self.endpoint.handle_datagram(self.now, from, datagram);
    }

    /// So many steps, as far as they are left.
    pub(super) fn allowed(&mut self, steps: u8) -> u8 {
        let steps = steps.min(self.steps);
        self.steps -= steps;
        steps
    }

    /// Somebody asks to be admitted, and again with the cookie that he is given.
    pub(super) fn join(&mut self, joined: &Joined) {
        self.cookie = None;
        self.hear(joined.from, &joined.encode([0; COOKIE_LEN]));
        self.drain();
        if let Some(cookie) = self.cookie.take() {
            assert_eq!(cookie.nonce, joined.nonce());
            self.hear(joined.from, &joined.encode(cookie.cookie));
        }
    }

    pub(super) fn say(&mut self, who: u8, message: &ToSender) {
        let mut plain = setup::buffer();
        message.encode(&mut plain);
        self.say_bytes(who, &plain);
    }

    /// All members but one say that they have everything.
    pub(super) fn all_are_content(&mut self, but: u8) {
        let other = self.members.number(but);
        for who in (0..self.members.len() as u8).take(8) {
            let number = self.members.number(who);
            if let Some(number) = number.filter(|_| number != other) {
                let report = Reported::content(self.endpoint.session(), number);
                self.say(who, &ToSender::Report(report));
            }
        }
    }

    pub(super) fn say_bytes(&mut self, who: u8, plain: &[u8]) {
        let message = ToSender::decode(plain);
        if let Ok(ToSender::Report(report)) = &message {
            self.note_asked(who, &report.spoiled);
        }
        if let Ok(ToSender::Confirm {
            identity,
            image_len,
            ..
        }) = message
        {
            let end = self.endpoint.session().end();
            let right =
                end.is_some_and(|end| (end.identity, end.image_len) == (identity, image_len));
            self.confirmed
                .extend(self.members.number(who).filter(|_| right));
        }
        if let Some((from, datagram)) = self.members.seal(who, plain) {
            self.endpoint.handle_datagram(self.now, from, &datagram);
        }
    }

    fn note_asked(&mut self, who: u8, spoiled: &[Spoiled]) {
        let Some(number) = self.members.number(who) else {
            return;
        };
        for &Spoiled { block, remedy } in spoiled {
            match remedy {
                // What lies between two parts is made and sent with them.
                Remedy::Digests(_) => self.digests.insert(block.0),
                Remedy::OwnSymbols(_) => self.alone.insert((number, block.0)),
            };
        }
    }

    pub(super) fn say_again(&mut self, who: u8, flip: Option<u16>) {
        let Some(member) = self.members.member(who) else {
            return;
        };
        let (from, mut datagram) = (member.address, member.last.clone());
        if let Some(bit) = flip
            && !datagram.is_empty()
        {
            let at = usize::from(bit) % (8 * datagram.len());
            datagram[at / 8] ^= 1 << (at % 8);
        }
        self.endpoint.handle_datagram(self.now, from, &datagram);
    }

    pub(super) fn confirm(
        &mut self,
        who: u8,
        identity: Identity,
        image_len: u64,
        read_back: ReadBack,
    ) {
        self.say(
            who,
            &ToSender::Confirm {
                identity,
                image_len,
                read_back,
            },
        );
    }

    /// The source has another entry, if the sender wants one: the last is a block.
    pub(super) fn read(&mut self, kind: u8, len: u16) {
        let left = self.places - self.next;
        if left == 0 || self.ended || !self.endpoint.session().wants_entries() {
            return;
        }
        let place = Place(self.next);
        let count = 1 + u32::from(len) % 8;
        if kind.is_multiple_of(4) && count < left {
            self.next += count;
            let run = Run { place, count };
            self.endpoint.handle_entry(self.now, Entry::Zero(run), None);
            return;
        }
        self.next += 1;
        let len = if kind == u8::MAX {
            MAX_BODY
        } else {
            1 + usize::from(len) % 3000
        };
        let body = Bytes::from(vec![self.next as u8; len]);
        let entry = StoredBlock {
            place,
            stored_len: len as u32,
            coding: Coding::Raw,
            digest: BlockDigest([self.next as u8; 32]),
        };
        self.bodies.push(body.clone());
        self.endpoint
            .handle_entry(self.now, Entry::Block(entry), Some(body));
    }

    /// The source is at its end, once the sender has wanted everything.
    pub(super) fn end(&mut self) {
        let mut before = None;
        while before != Some(self.next) {
            before = Some(self.next);
            self.read(1, 100);
            self.drain();
        }
        if self.next == self.places && !self.ended {
            self.ended = true;
            let image_len = u64::from(self.places) * BLOCK_SIZE as u64;
            let session = self.endpoint.session_mut();
            session.handle_source_end(image_len, None);
        }
    }

    pub(super) fn fetch(&mut self, count: u8) {
        for _ in 0..count {
            let Some(fetch) = self.fetches.pop_front() else {
                return;
            };
            self.answer(&fetch);
        }
    }

    fn answer(&mut self, fetch: &Fetch) {
        let body = &self.bodies[fetch.share.block.0 as usize];
        assert!(fetch.body.as_ref().is_none_or(|held| held == body));
        let rows = fetch.rows(body);
        self.endpoint.handle_fetched(fetch, body.clone(), rows);
    }

    pub(super) fn step(&mut self, steps: u8) {
        for _ in 0..steps {
            let Some(at) = self.endpoint.poll_timeout(self.now) else {
                return;
            };
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
    }

    /// Nobody is heard any more: those who joined are lost, or too few for a start.
    pub(super) fn end_in_silence(&mut self) {
        let start = self.now;
        while *self.endpoint.session().phase() != Phase::Over {
            // Less than what a sender takes for a standstill of its own.
            self.now += Duration::from_millis(400);
            self.endpoint.handle_timeout(self.now);
            self.drain();
            assert!(self.now < start + SILENCE, "it does not end");
        }
    }

    /// Polls everything, as the rule says, and checks what comes.
    pub(super) fn drain(&mut self) {
        self.poll();
        for round in 0.. {
            let next = self.endpoint.poll_timeout(self.now);
            if next.is_none_or(|next| next > self.now) {
                break;
            }
            assert!(round < 4, "it would spin");
            self.endpoint.handle_timeout(self.now);
            self.poll();
        }
        self.check();
    }

    fn poll(&mut self) {
        let mut transmits = 0;
        loop {
            while let Some(fetch) = self.endpoint.poll_fetch() {
                assert!(
                    self.seekable || fetch.body.is_some(),
                    "a stream is asked for a block again"
                );
                if self.slow {
                    self.fetches.push_back(fetch);
                } else {
                    self.answer(&fetch);
                }
            }
            while self.endpoint.poll_event().is_some() {}
            let mut out = std::mem::take(&mut self.out);
            let Some(sent) = self.endpoint.poll_transmit(self.now, &mut out) else {
                self.out = out;
                return;
            };
            transmits += 1;
            assert!(transmits < MOST_TRANSMITS, "it does not stop to send");
            self.on_sent(sent, &out);
            self.out = out;
        }
    }

    fn on_sent(&mut self, sent: Outgoing, bytes: &[u8]) {
        assert!(sent.segment <= MAX_DATAGRAM && bytes.len().is_multiple_of(sent.segment));
        let (_, kind) = Kind::of(bytes).expect("the sender's datagrams have a kind");
        match (kind, sent.to) {
            (Kind::Symbol | Kind::PageSymbol | Kind::Digests, Destination::DataGroup) => {
                assert_eq!(sent.segment, SYMBOL_DATAGRAM);
                for (n, datagram) in bytes.chunks_exact(SYMBOL_DATAGRAM).enumerate() {
                    self.on_symbol(datagram, n == 0);
                }
            }
            (Kind::GroupControl, Destination::DataGroup) => self.on_control(bytes),
            (Kind::Welcome, Destination::Unicast(to)) => self.members.on_welcome(to, bytes),
            (Kind::ToReceiver, Destination::Unicast(_)) => {
                if let (to, ToReceiver::Symbol(own)) = self.members.on_unicast(bytes) {
                    self.on_own_symbol(to, &own);
                }
            }
            (Kind::Announce, _) => assert!(Announce::decode(bytes).is_ok()),
            (Kind::Reject, Destination::Unicast(_)) => assert!(Reject::decode(bytes).is_ok()),
            (Kind::Cookie, Destination::Unicast(_)) => {
                self.cookie = Some(Cookie::decode(bytes).expect("the sender's cookies are valid"));
            }
            other => panic!("{other:?}"),
        }
    }

    /// Numbers ascend, so that none repeats under the group's key.
    fn on_seq(&mut self, seq: u64) {
        assert_eq!(seq, self.last_seq + 1);
        self.last_seq = seq;
    }

    fn on_symbol(&mut self, datagram: &[u8], looks: bool) {
        let header = SymbolHeader::decode(datagram).expect("the sender's symbols are valid");
        self.on_seq(header.seq.0);
        let session = self.endpoint.session();
        let manifest = session.manifest();
        assert!(header.horizon <= manifest.known_blocks());
        if header.kind == SymbolKind::Page {
            assert!(header.number < manifest.pages().0);
            return;
        }
        let body = &self.bodies[header.number as usize];
        assert_eq!(usize::from(header.k), body.len().div_ceil(SYMBOL_SIZE));
        if header.kind == SymbolKind::Digests {
            return self.check_digests(&header, datagram);
        }
        if let Some(key) = self.members.group.as_ref().filter(|_| looks)
            && header.esi.0 < header.k
        {
            let (head, sealed) = datagram.split_at(SYMBOL_HEADER);
            let plain = key
                .open_vec(header.seq.0, head, sealed)
                .expect("it is sealed");
            assert_eq!(plain, source(body, header.esi));
        }
    }

    /// They were asked for and are signed, and those of source symbols are right.
    fn check_digests(&self, header: &SymbolHeader, datagram: &[u8]) {
        let asked = (header.number, header.esi.0);
        assert!(self.digests.contains(&asked.0), "nobody asked for it");
        let key = self.members.group.as_ref().expect("a member asked for it");
        let (head, sealed) = datagram.split_at(SYMBOL_HEADER);
        let plain = key.open_vec(header.seq.0, head, sealed);
        let verifier = setup::verifier(setup::session_id(0));
        let part = DigestPart::open(&plain.expect("it is sealed"), &verifier);
        let part = part.expect("it is signed");
        assert_eq!((part.block.0, part.part), asked);
        let body = &self.bodies[header.number as usize];
        let first = part.part * DIGESTS_PER_PART as u8;
        let sources = header.k.saturating_sub(first).min(DIGESTS_PER_PART as u8);
        // One of them: making all of them anew takes as long as a report.
        if let Some(at) = (header.seq.0 as u8).checked_rem(sources) {
            let digest = SymbolDigest::of(&source(body, Esi(first + at)));
            assert_eq!(digest, part.digests[usize::from(at)]);
        }
    }

    /// Only who has asked for them gets symbols alone.
    fn on_own_symbol(&mut self, to: ReceiverNumber, own: &OwnSymbol) {
        assert!(self.alone.contains(&(to, own.block.0)), "it did not ask");
        let body = &self.bodies[own.block.0 as usize];
        assert_eq!(usize::from(own.k), body.len().div_ceil(SYMBOL_SIZE));
        if own.esi.0 < own.k {
            assert_eq!(own.symbol.as_slice(), source(body, own.esi));
        }
    }

    fn on_control(&mut self, datagram: &[u8]) {
        let envelope = Envelope::group(datagram).expect("it has a header");
        self.on_seq(envelope.seq);
        let Some(key) = &self.members.group else {
            return;
        };
        let plain = key.open_vec(envelope.seq, envelope.header, envelope.sealed);
        let control = GroupControl::decode(&plain.expect("it is sealed"));
        let control = control.expect("the sender's datagrams are valid");
        let manifest = self.endpoint.session().manifest();
        assert!(control.position.horizon <= manifest.known_blocks());
        assert!(control.position.pages <= manifest.pages());
        assert!(control.end.is_none() || self.ended);
    }

    fn check(&mut self) {
        let session = self.endpoint.session();
        for (number, member) in session.roster().members() {
            let confirmed = member.state == MemberState::Confirmed;
            assert!(!confirmed || self.confirmed.contains(&number));
        }
        let bytes = (1 + self.members.len()) * BYTES_OF_A_RECEIVER;
        assert!(session.state_bytes() <= bytes, "{}", session.state_bytes());
        assert!(session.roster().entries() <= self.members.len());
        let phase = session.phase();
        match &self.was {
            Phase::Over => assert_eq!(*phase, Phase::Over),
            Phase::Aborting(_) => assert!(matches!(phase, Phase::Aborting(_) | Phase::Over)),
            Phase::Waiting => {}
            _ => assert_ne!(*phase, Phase::Waiting),
        }
        self.was = phase.clone();
    }
}

/// A source symbol of a body, padded.
fn source(body: &Body, esi: Esi) -> Vec<u8> {
    let from = usize::from(esi.0) * SYMBOL_SIZE;
    let mut symbol = body[from..body.len().min(from + SYMBOL_SIZE)].to_vec();
    symbol.resize(SYMBOL_SIZE, 0);
    symbol
}
