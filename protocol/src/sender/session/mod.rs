//! The sender's state machine.
//!
//! Drain rule: after every call of a `handle_*` verb call `poll_job`, `poll_event` and
//! `poll_transmit` until each returns `None`; then sleep until `poll_timeout` or the next input.

mod ask;
mod budget;
mod close;
mod cycles;
mod feedback;
mod mending;
mod on_demand;
mod page_queue;
mod plan;
mod size;
mod slow;
mod stuck;
mod timers;
mod truth;
mod types;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::budget::Account;
use super::interleave::Share;
use super::manifest_log::ManifestLog;
use super::mending::{Alone, Digests};
use super::page_store::{PageStore, PagesInMemory};
use super::pass::Pass;
use super::repair::Repairs;
use super::roster::{About, Member, MemberState, Roster, STREAM_PATIENCE, patience};
use super::stragglers::Stragglers;
use crate::block::ImageDigest;
use crate::ids::{Cycle, ReceiverNumber, Seq};
use crate::keys::{SIGNATURE_LEN, Signer};
use crate::manifest::{Entry, StoredBlock};
use crate::pacing::{Breaker, Controller, Pacer, Rate};
use crate::units::{BlockNumber, PageNumber, Symbol};
use crate::wire::{EndRecord, FailCode, Position, ReadBack, RejectReason};
use page_queue::PageQueue;
use stuck::Movement;
use timers::Timers;
pub use types::{Counters, Event, Job, Parity, Phase, Purpose, SessionConfig, SymbolRef, Transmit};

/// Blocks that are read ahead of those that are sent: four pages, 32 MiB of raw blocks.
const READ_AHEAD: u32 = 128;

/// Blocks that a stream without a second cycle keeps until every gating receiver has them.
const STREAM_WINDOW: u32 = 256;

/// Of these the newest, which a stream keeps even when every gating receiver has them: for those
/// that come back from a silence or whose first report was lost. They fit the window anyway.
const STREAM_HISTORY: u32 = 128;

/// The state machine; see the module's page.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    phase: Phase,
    opened: Instant,
    roster: Roster,
    manifest: ManifestLog,
    pass: Pass,
    repairs: Repairs,
    digests: Digests,
    alone: Alone,
    /// Whether a symbol for one receiver alone may go before those of the group.
    own_turn: bool,
    page_queue: PageQueue,
    /// Whether the next symbol is one of a page that somebody asks for again.
    page_turn: bool,
    end: Option<EndRecord>,
    last_seq: Seq,
    controller: Controller,
    breaker: Breaker,
    pacer: Pacer,
    timers: Timers,
    outbox: VecDeque<Transmit>,
    jobs: VecDeque<Job>,
    events: VecDeque<Event>,
    counters: Counters,
    kept_from: BlockNumber,
    /// The cycle of the first pass: 1, or 2 where everybody resumes.
    first_cycle: Cycle,
    cycle_started: Seq,
    /// Symbols of passes of the cycles before.
    passed_before: u64,
    pass_end_seq: Option<Seq>,
    last_control: Instant,
    abort: Option<(FailCode, String)>,
    abort_repeat: Instant,
    /// When a session that closes is over at the latest.
    closing_ends: Instant,
    sent_times: VecDeque<(Seq, Instant)>,
    looked: ask::Looked,
    stragglers: Stragglers,
    movement: Movement,
    /// Since when the receivers keep the sender from sending.
    blocked_since: Option<Instant>,
}

impl Session {
    /// A session that waits for receivers; `signer` signs its pages and end record. Pages are kept in
    /// memory.
    #[must_use]
    pub fn new(now: Instant, config: SessionConfig, signer: Signer) -> Self {
        Self::with_page_store(now, config, signer, Box::<PagesInMemory>::default())
    }

    /// The same, with pages kept in `pages`, which is empty.
    #[must_use]
    pub fn with_page_store(
        now: Instant,
        config: SessionConfig,
        signer: Signer,
        pages: Box<dyn PageStore>,
    ) -> Self {
        let controller = Controller::new(now, Rate::START, config.rate_cap);
        Self {
            stragglers: Stragglers::new(config.slow),
            movement: Movement::new(now),
            blocked_since: None,
            config,
            phase: Phase::Waiting,
            opened: now,
            roster: Roster::default(),
            manifest: ManifestLog::new(signer, pages),
            pass: Pass::default(),
            repairs: Repairs::default(),
            digests: Digests::default(),
            alone: Alone::default(),
            own_turn: false,
            page_queue: PageQueue::default(),
            page_turn: false,
            end: None,
            last_seq: Seq(0),
            controller,
            breaker: Breaker::new(now),
            pacer: Pacer::new(now),
            timers: Timers::new(now),
            outbox: VecDeque::new(),
            jobs: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            kept_from: BlockNumber(0),
            first_cycle: Cycle(1),
            cycle_started: Seq(0),
            passed_before: 0,
            pass_end_seq: None,
            last_control: now,
            abort: None,
            abort_repeat: now,
            closing_ends: now,
            sent_times: VecDeque::new(),
            looked: ask::Looked::default(),
        }
    }

    /// Where the session is.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The receivers.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Counters for reports.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The rate that the controller and the breaker allow.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.breaker.limit(self.controller.rate())
    }

    /// The end record once the source was read.
    #[must_use]
    pub fn end(&self) -> Option<&EndRecord> {
        self.end.as_ref()
    }

    /// The last group datagram that was sent.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// The manifest, to be looked at.
    #[must_use]
    pub fn manifest(&self) -> &ManifestLog {
        &self.manifest
    }

    /// A block by its number, if it is known.
    pub fn block(&mut self, block: BlockNumber) -> Option<StoredBlock> {
        self.manifest.block(block)
    }

    /// The symbol of a page that [`Self::poll_transmit`] sends. `None` if the pages are lost: the
    /// session ends.
    pub fn page_object(&mut self, page: PageNumber) -> Option<&Symbol> {
        self.manifest.page_object(page)
    }

    /// Bytes of the image, as far as they are known.
    #[must_use]
    pub fn image_len(&self) -> Option<u64> {
        self.config.image_len.or(self.end.map(|end| end.image_len))
    }

    /// Where the stream is.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            cycle: self.pass.cycle(),
            slot: self.pass.slot(),
            horizon: self.pass.horizon(),
            pages: self.manifest.pages_sent(),
            receivers: u16::try_from(self.roster.heard()).unwrap_or(u16::MAX),
        }
    }

    /// Blocks begun in the cycle under way: what a newcomer gets only in a later one.
    #[must_use]
    pub fn begun(&self) -> BlockNumber {
        self.pass.begun()
    }

    /// Why the session is being given up, if it is.
    #[must_use]
    pub fn abort_reason(&self) -> Option<&(FailCode, String)> {
        self.abort.as_ref()
    }

    /// Whether receivers are admitted.
    pub fn admits(&self) -> Result<(), RejectReason> {
        match self.phase {
            Phase::Waiting => Ok(()),
            Phase::Running | Phase::Lingering(_) if self.config.seekable => Ok(()),
            _ => Err(RejectReason::Closed),
        }
    }

    /// Enters a receiver that was welcomed; it counts from its first report on.
    pub fn handle_admitted(&mut self, now: Instant, number: ReceiverNumber, about: About) {
        let member = Member {
            about,
            state: MemberState::Admitted,
            joined_at: now,
            joined_seq: self.last_seq,
            joined_in: (self.pass.cycle(), self.pass.begun()),
            heard_at: now,
            caught_at: now,
            moved_at: now,
            told_of_cost: false,
            disputed: false,
            turn: 0,
            told_at: None,
            put_right_at: None,
            ahead: false,
            slow: None,
            report: None,
            account: Account::default(),
            settled_at: None,
            was_away: false,
            round_trip: None,
            read_back: ReadBack::No,
        };
        self.roster.admit(number, member);
    }

    /// Whether the source should be read on.
    #[must_use]
    pub fn wants_entries(&self) -> bool {
        let known = self.manifest.known_blocks().0;
        self.end.is_none()
            && self.abort.is_none()
            && !self.has_read_enough()
            && self.page_queue.fresh() < 8
            && (self.config.seekable || known - self.kept_from.0 < STREAM_WINDOW + READ_AHEAD)
    }

    /// Takes the next entry of the image in the order of places. The body of a block is at
    /// hand and stays until [`Job::Unpin`].
    pub fn handle_entry(&mut self, now: Instant, entry: Entry) {
        let before = self.manifest.known_blocks();
        if let Some(page) = self.manifest.push(now, entry) {
            self.queue_page(page, None);
        }
        if self.is_on_demand() {
            self.unpin_from(before);
        }
    }

    /// The source was read to its end. The digest of all of it is for people: blocks have their own.
    pub fn handle_source_end(&mut self, image_len: u64, image_digest: Option<ImageDigest>) {
        self.close_page();
        let blocks = self.manifest.known_blocks();
        let mut end = EndRecord {
            image_len,
            blocks,
            pages: self.manifest.pages(),
            identity: self.manifest.identity(image_len),
            image_digest,
            signature: [0; SIGNATURE_LEN],
        };
        end.sign(self.manifest.signer());
        self.end = Some(end);
        self.timers.control_now();
    }

    /// The symbols of a share are at hand.
    pub fn handle_fetched(&mut self, share: Share, purpose: Purpose) {
        self.movement.fetching = self.movement.fetching.saturating_sub(1);
        match purpose {
            Purpose::Pass => self.pass.on_fetched(share.block),
            Purpose::Repair => self.repairs.on_prepared(share),
            Purpose::Digests => self.on_mending_fetched(share, None),
            Purpose::Alone(to) => self.on_mending_fetched(share, Some(to)),
        }
    }

    /// The operator pressed a key: start with whoever is here.
    pub fn handle_start_now(&mut self, now: Instant) {
        if self.phase == Phase::Waiting && self.roster.present() > 0 {
            self.start(now);
        }
    }

    fn start(&mut self, now: Instant) {
        self.phase = Phase::Running;
        self.controller = Controller::new(now, self.first_rate(), self.config.rate_cap);
        self.breaker = Breaker::new(now);
        self.roster.on_start(now);
        self.timers.control_now();
        self.events.push_back(Event::Started);
        self.consider_on_demand();
    }

    /// A tenth of the slowest link, where the receivers know theirs; that link may be shared, and
    /// others on the way may be slower.
    fn first_rate(&self) -> Rate {
        let links = self
            .roster
            .gating()
            .map(|(_, member)| member.about.link_speed);
        let slowest = u64::from(links.min().unwrap_or(0)) * 1_000_000;
        Rate(slowest / 10).max(Rate::START)
    }

    fn close_page(&mut self) {
        if let Some(page) = self.manifest.close_open() {
            self.queue_page(page, None);
        }
    }

    /// How long a receiver may be silent.
    fn patience(&self) -> Duration {
        let by_reports = patience(self.roster.heard());
        if self.config.seekable {
            by_reports
        } else {
            by_reports.max(STREAM_PATIENCE)
        }
    }

    /// The next piece of work for the caller's threads.
    pub fn poll_job(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front();
        if matches!(job, Some(Job::Fetch { .. })) {
            self.movement.fetching += 1;
        }
        job
    }

    /// The next thing to tell the operator.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
