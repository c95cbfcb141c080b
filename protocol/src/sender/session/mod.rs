//! The sender's state machine.
//!
//! Drain rule: after every call of a `handle_*` verb call `poll_job`, `poll_event` and
//! `poll_transmit` until each returns `None`; then sleep until `poll_timeout` or the next input.

mod close;
mod feedback;
mod plan;
mod timers;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::interleave::Share;
use super::manifest_log::ManifestLog;
use super::pass::Pass;
use super::repair::Repairs;
use super::roster::{About, Member, MemberState, Roster, STREAM_PATIENCE, patience};
use super::start::StartPolicy;
use crate::ids::{Cycle, ReceiverNumber, Seq, Slot};
use crate::manifest::Entry;
use crate::pacing::{Controller, Pacer, Rate};
use crate::units::{BlockNumber, Esi, PageNumber, Place};
use crate::wire::{
    EndRecord, FailCode, GroupControl, Position, RejectReason, SymbolKind, ToReceiver,
};
use timers::Timers;

/// Blocks that are read ahead of those that are sent: two pages, 32 MiB of raw blocks.
const READ_AHEAD: u32 = 128;

/// Blocks that a stream without a second cycle keeps until every gating receiver has them.
const STREAM_WINDOW: u32 = 256;

/// Repair symbols that go out with a block before anybody asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// None, but for the last group of a cycle where loss was seen: there they save a round.
    Auto,
    /// This many for every block.
    Fixed(u8),
}

/// What the operator chose and what the source is.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Bytes of the image, `None` for a stream of unknown length.
    pub image_len: Option<u64>,
    /// Whether blocks can be read again: without it there is no second cycle.
    pub seekable: bool,
    /// When to start.
    pub start: StartPolicy,
    /// Never send faster.
    pub rate_cap: Option<Rate>,
    /// Proactive repair symbols.
    pub parity: Parity,
    /// Stay this long for late receivers after all others are done.
    pub linger: Duration,
}

/// Where the session is.
///
/// ```text
/// Waiting -> Running -> Closing -> Over
///    |          |  ^         |
///    |          v  |         | somebody comes back: Running
///    |       Lingering -> Closing
///    +--> Aborting (from any but Over) -> Over
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Receivers join; the start rule has not let the session start.
    Waiting,
    /// Cycles.
    Running,
    /// Everybody is done; late receivers may still come until the given moment.
    Lingering(Instant),
    /// Everybody is done; acknowledgements are repeated where asked for until the given moment.
    Closing(Instant),
    /// Receivers are told that the session failed, until they have seen it or the given moment.
    Aborting(Instant),
    /// Nothing further happens.
    Over,
}

/// One symbol of a burst; the endpoint seals it into the burst's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolRef {
    /// Block or page.
    pub kind: SymbolKind,
    /// Its number.
    pub number: u32,
    /// Which symbol.
    pub esi: Esi,
    /// Source symbols of the block or page.
    pub k: u8,
    /// Stream position of the header.
    pub slot: Slot,
    /// Stream position of the header.
    pub horizon: BlockNumber,
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// The burst in the caller's vector; its datagrams are numbered from here.
    Symbols {
        /// Number of the first datagram.
        first: Seq,
    },
    /// A group control datagram.
    Control {
        /// Its number.
        seq: Seq,
        /// Its body.
        control: GroupControl,
    },
    /// A message to one receiver.
    Unicast {
        /// To whom.
        to: ReceiverNumber,
        /// The message.
        message: ToReceiver,
    },
    /// The announce, to the control group.
    Announce,
}

/// Work for the caller's threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Have the symbols of a share at hand, reading the block again where it is not, then call
    /// [`Session::handle_fetched`].
    Fetch {
        /// Which symbols.
        share: Share,
        /// The block's place in the image.
        place: Place,
        /// Whether it is a repair or a part of a pass.
        repair: bool,
    },
    /// The pass is done with a block's body.
    Unpin(BlockNumber),
    /// Blocks below this one are not needed any more (streams only).
    Discard(BlockNumber),
}

/// What the operator is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first data may flow.
    Started,
    /// A cycle begins.
    Cycle(Cycle),
    /// The state of a receiver changed.
    Member(ReceiverNumber),
    /// Somebody was welcomed and never proved that it holds the secret.
    Unproven(About),
    /// The session is over.
    Over,
}

/// Counters of the session, for reports; datagrams unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Source symbols of all blocks and pages: what a lossless room needs once.
    pub symbols_needed: u64,
    /// Block symbols sent in passes.
    pub pass_symbols: u64,
    /// Block symbols sent as repairs.
    pub repair_symbols: u64,
    /// Page symbols sent.
    pub page_symbols: u64,
    /// Group control datagrams sent.
    pub control_datagrams: u64,
    /// Reports that came in.
    pub reports: u64,
}

/// Pages that wait to be sent: number and the next of its symbols.
#[derive(Debug, Clone, Copy)]
struct PageSend {
    page: PageNumber,
    k: u8,
    next: u8,
    end: u8,
}

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
    page_queue: VecDeque<PageSend>,
    end: Option<EndRecord>,
    last_seq: Seq,
    controller: Controller,
    pacer: Pacer,
    timers: Timers,
    outbox: VecDeque<Transmit>,
    jobs: VecDeque<Job>,
    events: VecDeque<Event>,
    counters: Counters,
    kept_from: BlockNumber,
    cycle_started: Seq,
    pass_end_seq: Option<Seq>,
    last_control: Instant,
    abort: Option<(FailCode, String)>,
    abort_repeat: Instant,
    sent_times: VecDeque<(Seq, Instant)>,
}

impl Session {
    /// A session that waits for receivers.
    #[must_use]
    pub fn new(now: Instant, config: SessionConfig) -> Self {
        let controller = Controller::new(now, config.rate_cap);
        Self {
            config,
            phase: Phase::Waiting,
            opened: now,
            roster: Roster::default(),
            manifest: ManifestLog::default(),
            pass: Pass::default(),
            repairs: Repairs::default(),
            page_queue: VecDeque::new(),
            end: None,
            last_seq: Seq(0),
            controller,
            pacer: Pacer::new(now),
            timers: Timers::new(now),
            outbox: VecDeque::new(),
            jobs: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            kept_from: BlockNumber(0),
            cycle_started: Seq(0),
            pass_end_seq: None,
            last_control: now,
            abort: None,
            abort_repeat: now,
            sent_times: VecDeque::new(),
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

    /// The rate that the controller allows.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.controller.rate()
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

    /// The manifest, for the endpoint's page symbols.
    #[must_use]
    pub fn manifest(&self) -> &ManifestLog {
        &self.manifest
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
            pages: self.manifest.pages(),
            receivers: u16::try_from(self.roster.present()).unwrap_or(u16::MAX),
            started: self.phase != Phase::Waiting,
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
            report: None,
            settled_at: None,
            was_away: false,
            round_trip: None,
        };
        self.roster.admit(number, member);
    }

    /// Whether the source should be read on.
    #[must_use]
    pub fn wants_entries(&self) -> bool {
        let known = self.manifest.known_blocks().0;
        self.end.is_none()
            && self.abort.is_none()
            && known - self.pass.begun().0 < READ_AHEAD
            && self.page_queue.len() < 8
            && (self.config.seekable || known - self.kept_from.0 < STREAM_WINDOW + READ_AHEAD)
    }

    /// Takes the next entry of the image in the order of places. The body of a block is at
    /// hand and stays until [`Job::Unpin`].
    pub fn handle_entry(&mut self, now: Instant, entry: Entry) {
        if let Some(page) = self.manifest.push(now, entry) {
            self.queue_page(page, self.last_seq);
        }
    }

    /// The source was read to its end.
    pub fn handle_source_end(&mut self, image_len: u64, image_digest: [u8; 32]) {
        self.close_page();
        let blocks = self.manifest.known_blocks();
        self.end = Some(EndRecord {
            image_len,
            blocks,
            pages: self.manifest.pages(),
            identity: self.manifest.identity(image_len),
            image_digest,
            signature: [0; 64],
        });
        self.timers.control_now();
    }

    /// The symbols of a share are at hand.
    pub fn handle_fetched(&mut self, share: Share, repair: bool) {
        if repair {
            self.repairs.on_prepared(share);
        } else {
            self.pass.on_fetched(share.block);
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
        self.controller = Controller::new(now, self.config.rate_cap);
        self.roster.on_start(now);
        self.timers.control_now();
        self.events.push_back(Event::Started);
    }

    fn close_page(&mut self) {
        if let Some(page) = self.manifest.close_open() {
            self.queue_page(page, self.last_seq);
        }
    }

    /// How long a receiver may be silent.
    fn patience(&self) -> Duration {
        let by_reports = patience(self.roster.present());
        if self.config.seekable {
            by_reports
        } else {
            by_reports.max(STREAM_PATIENCE)
        }
    }

    /// The next piece of work for the caller's threads.
    pub fn poll_job(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    /// The next thing to tell the operator.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
