//! The receiver, what its caller was asked for, and everything that is to hold of what it does.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use mimeo_protocol::ids::{Nonce, Seq, SessionId, Slot};
use mimeo_protocol::keys::{JoinKeys, SealKey, Secret};
use mimeo_protocol::manifest::{Entry, Page, Run, StoredBlock};
use mimeo_protocol::receiver::{
    BufferId, Difference, Endpoint, Event, Finding, SearchAgain, SearchAgainEvent, SymbolBuffer,
    Zeroed,
};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber, Esi, SYMBOL_SIZE};
use mimeo_protocol::wire::{
    Envelope, FailCode, GroupControl, Join, Kind, Position, ReadBack, Report, SYMBOL_DATAGRAM,
    SYMBOL_HEADER, Spoiled, SymbolHeader, SymbolKind, ToReceiver, ToSender, WelcomeBody,
    group_header, unicast_header,
};

use super::Outcome;
use super::image::{Image, Object, content, object};
use crate::value::Near;
use crate::{report, setup};

/// What the caller was asked for and has not done.
enum Job {
    Block(Box<Whole>),
    Zero(Run),
    Check(BlockNumber),
    Flush,
    Verify,
}

/// A block that was handed out.
struct Whole {
    block: BlockNumber,
    entry: StoredBlock,
    buffer: BufferId,
    esis: Vec<Esi>,
    symbols: SymbolBuffer,
    /// Whether all of it is the sender's; otherwise it has another digest.
    is_true: bool,
}

/// What a receiver knows of the session that it is a member of.
struct Membership {
    session: SessionId,
    group: SealKey,
    keys: JoinKeys,
    number: u16,
    /// Numbers of its own datagrams and of the sender's.
    said: u64,
    told: u64,
    credit: Slot,
}

pub(super) struct Room {
    pub(super) endpoint: Endpoint,
    pub(super) image: &'static Image,
    pub(super) now: Instant,
    /// The number of the last group datagram.
    pub(super) seq: u64,
    /// Whether anything that the sender did not send came under the group's key.
    pub(super) forged: bool,
    /// Whether pages or an end that are signed were among that: then the image is another one.
    pub(super) other_image: bool,
    again: SearchAgain,
    member: Membership,
    config: u16,
    verifies: bool,
    jobs: VecDeque<Job>,
    /// What the last report has asked for.
    pub(super) spoiled: Vec<Spoiled>,
    /// Blocks of which nothing is taken any more but what the sender sent.
    sifted: BTreeSet<BlockNumber>,
    /// Blocks that were said to have another digest.
    bad_blocks: u32,
    asked: Option<(SessionId, Nonce)>,
    joins: u16,
    flushed: bool,
    verified: bool,
    pub(super) finished: bool,
    /// Whether it cannot end well any more.
    pub(super) failing: bool,
    last: Vec<u8>,
}

impl Room {
    pub(super) fn new(bits: u16, image: &'static Image, body: WelcomeBody) -> Self {
        let session = setup::session_id(0);
        let config = setup::receiver_config(bits, body.image_len);
        let member = Membership {
            session,
            group: SealKey::new(&body.group_key),
            keys: setup::join_keys(&setup::secret(), session, Nonce([5; 16]), 1),
            number: 1,
            said: 0,
            told: 0,
            credit: Slot(0),
        };
        let now = setup::epoch();
        let admitted = setup::admitted(session, body);
        let search = setup::rendezvous_config(0);
        Self {
            again: SearchAgain::new(search, Secret::new([6; 32]), &admitted),
            verifies: config.verify,
            endpoint: Endpoint::new(now, config, admitted),
            image,
            now,
            seq: 0,
            forged: false,
            other_image: false,
            member,
            config: bits,
            jobs: VecDeque::new(),
            spoiled: Vec::new(),
            sifted: BTreeSet::new(),
            bad_blocks: 0,
            asked: None,
            joins: 1,
            flushed: false,
            verified: false,
            finished: false,
            failing: false,
            last: Vec::new(),
        }
    }

    pub(super) fn session(&self) -> SessionId {
        self.member.session
    }

    pub(super) fn hear(&mut self, from: u8, datagram: &[u8]) {
        let from = setup::address(from);
        self.endpoint.prefetch(datagram);
        self.endpoint.handle_datagram(self.now, datagram);
        let session = self.endpoint.session();
        self.again
            .handle_datagram(self.now, from, datagram, session);
    }

    fn hear_and_keep(&mut self, datagram: Vec<u8>) {
        self.hear(0, &datagram);
        self.last = datagram;
    }

    pub(super) fn hear_again(&mut self, flip: Option<u16>) {
        let mut datagram = self.last.clone();
        if let Some(bit) = flip
            && !datagram.is_empty()
        {
            let at = usize::from(bit) % (8 * datagram.len());
            datagram[at / 8] ^= 1 << (at % 8);
        }
        self.hear(0, &datagram);
    }

    /// Symbols of a block, as the pass or a repair sends them.
    pub(super) fn hear_block(&mut self, block: u8, first: u8, count: u8) {
        let (number, entry) = self.image.block(block);
        let k = entry.source_symbols() as u8;
        let count = if count < 128 { count % 8 } else { k };
        for n in 0..count {
            let esi = ((u32::from(first) + u32::from(n)) % 255) as u8;
            self.seq += 1;
            let header = self.header(SymbolKind::Block, number, (esi, k));
            self.hear_symbol(header, &[content(number, esi); SYMBOL_SIZE]);
        }
    }

    pub(super) fn header(&self, kind: SymbolKind, number: u32, (esi, k): (u8, u8)) -> SymbolHeader {
        let done = self.endpoint.session().progress().blocks_done;
        SymbolHeader {
            kind,
            session_tag: 0,
            seq: Seq(self.seq),
            slot: Slot(done),
            horizon: BlockNumber(0),
            number,
            esi: Esi(esi),
            k,
        }
    }

    pub(super) fn hear_page(&mut self, page: u8) {
        let object = self.image.page(self.member.session, page);
        self.hear_symbols_of(object);
    }

    fn hear_symbols_of(&mut self, object: &Object) {
        let k = (object.symbols.len() / SYMBOL_SIZE) as u8;
        for (esi, symbol) in (0..).zip(object.symbols.chunks_exact(SYMBOL_SIZE)) {
            self.seq += 1;
            let header = self.header(SymbolKind::Page, object.number.0, (esi, k));
            self.hear_symbol(header, symbol);
        }
    }

    pub(super) fn hear_forged_page(&mut self, mut page: Page, signed: bool) {
        self.forged = true;
        if signed {
            self.other_image = true;
            page.sign(&setup::signer(self.member.session));
        }
        self.hear_symbols_of(&object(&page));
    }

    pub(super) fn hear_forged_symbol(&mut self, header: &SymbolHeader) {
        self.forged = true;
        self.hear_symbol(*header, &[0xee; SYMBOL_SIZE]);
    }

    pub(super) fn hear_symbol(&mut self, header: SymbolHeader, symbol: &[u8]) {
        let header = SymbolHeader {
            session_tag: self.member.session.tag(),
            ..header
        };
        let mut datagram = std::mem::take(&mut self.last);
        datagram.resize(SYMBOL_DATAGRAM, 0);
        let (head, sealed) = datagram
            .split_first_chunk_mut::<SYMBOL_HEADER>()
            .expect("it fits");
        header.encode(head);
        self.member.group.seal(header.seq.0, head, symbol, sealed);
        self.hear_and_keep(datagram);
    }

    pub(super) fn hear_control(&mut self, control: &GroupControl) {
        self.seq += 1;
        let mut plain = setup::buffer();
        control.encode(&mut plain);
        self.hear_sealed_to_group(self.seq, &plain);
    }

    /// A forged number does not change the sender's own.
    pub(super) fn hear_forged_control(&mut self, seq: Near, control: &GroupControl) {
        self.forged = true;
        let mut plain = setup::buffer();
        control.encode(&mut plain);
        self.hear_sealed_to_group(seq.to_u48(self.seq + 1), &plain);
    }

    /// Where the sender is that has sent everything.
    fn position(&self) -> Position {
        let end = self.image.end(self.member.session);
        Position {
            cycle: self.endpoint.session().progress().cycle,
            slot: Slot(end.blocks.0),
            horizon: end.blocks,
            pages: end.pages,
            receivers: 1,
        }
    }

    pub(super) fn hear_end(&mut self) {
        let end = Some(self.image.end(self.member.session));
        let position = self.position();
        self.hear_control(&GroupControl { position, end });
    }

    /// What the sender tells a receiver whose reports show that it was deceived.
    pub(super) fn hear_truth(&mut self) {
        let message = ToReceiver::Position {
            seq: Seq(self.seq),
            position: self.position(),
        };
        self.hear_message(&message);
    }

    pub(super) fn hear_sealed_to_group(&mut self, seq: u64, plain: &[u8]) {
        let mut datagram = setup::buffer();
        group_header(self.member.session.tag(), Seq(seq), &mut datagram);
        self.member.group.seal_behind(seq, 0, plain, &mut datagram);
        self.hear_and_keep(datagram);
    }

    pub(super) fn hear_message(&mut self, message: &ToReceiver) {
        if matches!(message, ToReceiver::Position { .. }) {
            // Credit that was granted from a forged position is taken back.
            self.member.credit = Slot(0);
        }
        let mut plain = setup::buffer();
        message.encode(&mut plain);
        self.hear_sealed(&plain);
    }

    pub(super) fn hear_sealed_bytes(&mut self, plain: &[u8]) {
        match ToReceiver::decode(plain) {
            Ok(message) => self.hear_message(&message),
            Err(_) => self.hear_sealed(plain),
        }
    }

    fn hear_sealed(&mut self, plain: &[u8]) {
        let member = &mut self.member;
        member.told += 1;
        let number = mimeo_protocol::ids::ReceiverNumber(member.number);
        let mut datagram = setup::buffer();
        let tag = member.session.tag();
        unicast_header(Kind::ToReceiver, tag, member.told, number, &mut datagram);
        let key = &member.keys.to_receiver;
        key.seal_behind(member.told, 0, plain, &mut datagram);
        self.hear_and_keep(datagram);
    }

    /// The session that the receiver asks to admit it does so.
    pub(super) fn hear_welcome(&mut self, knows_length: bool) {
        let Some((session, nonce)) = self.asked else {
            return;
        };
        let image_len = knows_length.then_some(self.image.len());
        let body = setup::welcome_body(session, image_len);
        self.joins += 1;
        let secret = setup::secret();
        let welcome = setup::welcome(&secret, session, nonce, self.joins, None, &body);
        self.hear(0, &welcome);
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.endpoint.handle_timeout(self.now);
    }

    pub(super) fn step(&mut self, steps: u8) {
        for _ in 0..steps {
            let Some(at) = self.next() else { return };
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
    }

    /// The caller has done what it was asked for first.
    pub(super) fn done(&mut self, count: u8, outcome: Outcome) {
        for _ in 0..count {
            let Some(job) = self.jobs.pop_front() else {
                return;
            };
            self.on_done(job, outcome);
            self.drain();
        }
    }

    fn on_done(&mut self, job: Job, outcome: Outcome) {
        let (now, well) = (self.now, matches!(outcome, Outcome::Well));
        match job {
            Job::Block(whole) => self.on_block(*whole, well),
            Job::Zero(run) => self.on_zeroed(run, outcome),
            Job::Check(block) => {
                let finding = match outcome {
                    Outcome::Well => Finding::Same,
                    Outcome::Badly => Finding::Different,
                    Outcome::Partly => Finding::Blank,
                };
                let session = self.endpoint.session_mut();
                session.handle_checked(now, block, finding, BLOCK_SIZE as u64);
            }
            Job::Flush => {
                self.flushed = true;
                self.endpoint.session_mut().handle_flushed(now);
            }
            Job::Verify => {
                let session = self.endpoint.session_mut();
                session.handle_verifying(1);
                if well {
                    self.verified = true;
                    session.handle_verified(now, ReadBack::Direct);
                } else {
                    session.handle_difference(now, &Difference::Bytes(0..1));
                }
            }
        }
    }

    fn on_block(&mut self, whole: Whole, well: bool) {
        let block = whole.block;
        self.endpoint.give_back(whole.buffer, whole.symbols);
        if well && whole.is_true {
            self.sifted.remove(&block);
            let session = self.endpoint.session_mut();
            session.handle_written(self.now, block, BLOCK_SIZE as u64, Duration::ZERO);
            return;
        }
        self.bad_blocks += 1;
        self.endpoint.handle_bad_block(block, &whole.esis);
        if self.endpoint.session().spoiled_buffer(block).is_some() {
            self.sifted.insert(block);
        }
    }

    fn on_zeroed(&mut self, run: Run, outcome: Outcome) {
        let part = matches!(outcome, Outcome::Partly) && run.count > 1;
        let count = if part { 1 } else { run.count };
        let bytes = u64::from(count) * BLOCK_SIZE as u64;
        let zeroed = Zeroed {
            run: Run {
                place: run.place,
                count,
            },
            written: bytes,
            kept: 0,
            busy: Duration::ZERO,
            done: !part,
        };
        self.endpoint.session_mut().handle_zeroed(self.now, zeroed);
        if part {
            let (place, count) = (mimeo_protocol::units::Place(run.place.0 + 1), run.count - 1);
            self.jobs.push_front(Job::Zero(Run { place, count }));
        }
    }

    /// The caller cannot go on.
    pub(super) fn fail(&mut self, code: FailCode) {
        self.failing = true;
        let session = self.endpoint.session_mut();
        session.handle_failure(self.now, code, "it broke");
    }

    fn next(&self) -> Option<Instant> {
        let session = self.endpoint.session();
        let own = self.endpoint.poll_timeout(self.now);
        own.into_iter()
            .chain(self.again.poll_timeout(session))
            .min()
    }

    /// Polls everything, as the rule says, and checks what comes.
    pub(super) fn drain(&mut self) {
        self.poll();
        for round in 0.. {
            if self.next().is_none_or(|next| next > self.now) {
                break;
            }
            assert!(round < 4, "it would spin");
            self.endpoint.handle_timeout(self.now);
            self.poll();
        }
        let progress = self.endpoint.session().progress();
        assert!(progress.received <= progress.expected);
        assert!(progress.blocks_kept <= progress.blocks_done);
        assert!(self.other_image || progress.blocks_done <= self.image.blocks());
    }

    fn poll(&mut self) {
        self.search_again();
        let mut out = setup::buffer();
        for sent in 0.. {
            while let Some(event) = self.endpoint.poll_event() {
                self.on_event(event);
            }
            if !self.endpoint.poll_transmit(self.now, &mut out) {
                return;
            }
            assert!(sent < 16, "it does not stop to send");
            self.on_sent(&out);
        }
    }

    fn search_again(&mut self) {
        self.again.handle_timeout(self.now, self.endpoint.session());
        let mut out = setup::buffer();
        for sent in 0.. {
            if self.again.poll_transmit(self.now, &mut out).is_none() {
                break;
            }
            assert!(sent < 4, "it does not stop to search");
            if let Ok(join) = Join::decode(&out) {
                self.asked = Some((join.session_id, join.nonce));
            }
        }
        while let Some(event) = self.again.poll_event() {
            if let SearchAgainEvent::Joined(admitted) = event {
                self.take_up(*admitted);
            }
        }
    }

    /// Goes over to another session; what is under way is told as done to that one.
    fn take_up(&mut self, admitted: mimeo_protocol::receiver::Admitted) {
        let (session, nonce) = self.asked.expect("it joins whom it has asked");
        assert_eq!(session, admitted.session_id);
        self.again.on_taken_up(session);
        let number = admitted.number.0;
        self.member = Membership {
            session,
            group: SealKey::new(&admitted.body.group_key),
            keys: setup::join_keys(&setup::secret(), session, nonce, number),
            number,
            said: 0,
            told: 0,
            credit: Slot(0),
        };
        self.seq = 0;
        self.sifted.clear();
        self.spoiled.clear();
        let config = setup::receiver_config(self.config, admitted.body.image_len);
        self.endpoint.take_up(self.now, config, admitted);
        for job in std::mem::take(&mut self.jobs) {
            let session = self.endpoint.session_mut();
            match job {
                Job::Block(whole) => session.note_former(&Entry::Block(whole.entry)),
                Job::Zero(run) => session.note_former(&Entry::Zero(run)),
                Job::Check(_) => {}
                Job::Flush | Job::Verify => panic!("it has everything and leaves"),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Block {
                block,
                buffer,
                esis,
                entry,
            } => {
                let symbols = self
                    .endpoint
                    .take(buffer)
                    .expect("a whole block has a buffer");
                let is_true = self.check_block(block, &entry, &esis, &symbols);
                self.jobs.push_back(Job::Block(Box::new(Whole {
                    block,
                    entry,
                    buffer,
                    esis,
                    symbols,
                    is_true,
                })));
            }
            Event::Check { block, entry } => {
                assert!(self.other_image || self.image.entry(block) == Some(&entry));
                self.jobs.push_back(Job::Check(block));
            }
            Event::Zero(run) => self.jobs.push_back(Job::Zero(run)),
            // Nothing waits for it.
            Event::Discard(_) => {}
            Event::Flush { image_len } => {
                let end = self.endpoint.session().end().expect("it knows the end");
                assert_eq!(image_len, end.image_len);
                assert!(self.other_image || *end == self.image.end(self.member.session));
                let idle = |job: &Job| matches!(job, Job::Check(_));
                assert!(
                    self.other_image || self.jobs.iter().all(idle),
                    "something is not written"
                );
                self.jobs.push_back(Job::Flush);
            }
            Event::Verify(_) => {
                assert!(self.flushed && self.verifies);
                self.jobs.push_back(Job::Verify);
            }
            Event::Finished { .. } => {
                assert!(self.flushed && (self.verified || !self.verifies) && !self.finished);
                self.finished = true;
            }
            Event::ForgedSymbols => assert!(self.forged),
            Event::NotThisImage { .. } => self.fail(FailCode::TargetRefused),
            Event::Failed(_) | Event::Left => self.failing = true,
            Event::Started | Event::NoGroupData | Event::Standing(_) | Event::BadBlocks { .. } => {}
        }
    }

    /// Returns whether all of it is the sender's.
    fn check_block(
        &self,
        block: BlockNumber,
        entry: &StoredBlock,
        esis: &[Esi],
        symbols: &[u8],
    ) -> bool {
        assert_eq!(esis.len(), entry.source_symbols());
        let mut seen = [false; 255];
        for esi in esis {
            assert!(!std::mem::replace(&mut seen[usize::from(esi.0)], true));
        }
        assert!(self.other_image || self.image.entry(block) == Some(entry));
        let mut symbols = esis.iter().zip(symbols.chunks_exact(SYMBOL_SIZE));
        let is_true = symbols.all(|(esi, symbol)| {
            let byte = content(block.0, esi.0);
            symbol == [byte; SYMBOL_SIZE]
        });
        assert!(is_true || self.forged);
        assert!(is_true || !self.sifted.contains(&block), "spoiled twice");
        is_true
    }

    fn on_sent(&mut self, datagram: &[u8]) {
        let envelope = Envelope::unicast(datagram, Kind::ToSender).expect("it has a header");
        let member = &mut self.member;
        assert_eq!(envelope.seq, member.said + 1, "numbers ascend");
        member.said = envelope.seq;
        let key = &member.keys.to_sender;
        let plain = key.open_vec(envelope.seq, envelope.header, envelope.sealed);
        let plain = plain.expect("it is sealed under the receiver's key");
        match ToSender::decode(&plain).expect("the receiver's messages are valid") {
            ToSender::Report(report) => self.on_report(&report),
            ToSender::Confirm { identity, .. } => {
                assert!(self.flushed && (self.verified || !self.verifies));
                let end = self.image.end(self.member.session);
                assert!(self.other_image || identity == end.identity);
            }
            ToSender::Fail { .. } | ToSender::AbortSeen => {}
        }
    }

    fn on_report(&mut self, report: &Report) {
        report::check(report);
        assert!(report.spoiled.len() <= report.buffers as usize);
        assert!(report.bad_blocks <= self.bad_blocks);
        assert!(report.forged_symbols == 0 || self.forged);
        self.spoiled.clone_from(&report.spoiled);
        assert!(report.credit >= self.member.credit, "credit is taken back");
        self.member.credit = report.credit;
        assert!(report.complete_up_to.0 <= report.covered_up_to.0);
        assert!(report.blocks_done >= report.complete_up_to.0);
    }
}
