//! The receiver's state machine.
//!
//! Drain rule: after every `handle_*` call `poll_event` and `poll_transmit` until each returns
//! `None`; then sleep until `poll_timeout` or the next input.

mod checks;
mod feedback;
mod finish;
mod hearing;
mod hints;
mod ledger;
mod pages;
mod path;
mod spoiled;
mod standing;
mod takeover;
mod timers;
mod types;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use checks::Checks;
use feedback::{HOLDOFF, Schedule};
pub use finish::Failure;
use finish::LastWord;
use hearing::Hearing;
use hints::Look;
use ledger::Ledger;
pub use ledger::{BufferId, Placement};
use pages::Pages;
use path::Path;
use spoiled::Suspects;
use standing::Stand;
pub use types::{Event, Progress, Resume, SessionConfig, Unused, Zeroed};

use crate::ids::{Cycle, Seq, SessionId, Slot};
use crate::keys::Verifier;
use crate::manifest::Entry;
use crate::receiver::tags::DigestTags;
use crate::units::{BlockNumber, PageNumber};
use crate::wire::{
    EndRecord, GroupControl, Stage, SymbolHeader, SymbolKind, ToSender, WelcomeBody,
};

#[derive(Debug, Default)]
struct Written {
    bytes: u64,
    busy: Duration,
    /// Read back and found right.
    verified: u64,
}

/// The state machine; see the module's page.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    stage: Stage,
    ledger: Ledger,
    /// `None`: what the target holds does not matter.
    checks: Option<Checks>,
    pages: Pages,
    /// Of what is on the target.
    tags: DigestTags,
    /// Blocks below this one were compared with the tags.
    compared: BlockNumber,
    path: Path,
    schedule: Schedule,
    cycle: Cycle,
    slot: Slot,
    horizon: BlockNumber,
    /// Deficits below this block are reported; horizons that wait for the holdoff.
    reportable: BlockNumber,
    passed: VecDeque<(Instant, BlockNumber)>,
    /// Blocks below this one were begun before the join, in the cycle of the join.
    joined_at: BlockNumber,
    in_joined_cycle: bool,
    /// The cycle of the join, or that in which this receiver last began to count again.
    joined_cycle: Cycle,
    end: Option<EndRecord>,
    open_runs: u32,
    /// Bytes of zeros that were zeros before.
    zeros_kept: u64,
    written: Written,
    suspects: Suspects,
    /// End records that the sender did not sign.
    forged_ends: u64,
    /// What was forged in former sessions.
    forged_before: u64,
    look: Look,
    socket_drops: u32,
    heard_at: Instant,
    hearing: Hearing,
    /// When time passed last.
    awake: Instant,
    stand: Stand,
    last_word: Option<LastWord>,
    is_over: bool,
    outbox: VecDeque<ToSender>,
    events: VecDeque<Event>,
}

impl Session {
    /// A member of the session with this id, which the welcome describes.
    #[must_use]
    pub fn new(
        now: Instant,
        config: SessionConfig,
        session: SessionId,
        welcome: &WelcomeBody,
    ) -> Self {
        let verifier = Verifier {
            key: welcome.sender_key,
            session,
        };
        Self {
            stage: Stage::Waiting,
            ledger: Ledger::new(config.buffers),
            checks: Checks::new(config.resume, welcome.begun),
            pages: Pages::new(verifier, config.image_len, config.target_len),
            tags: DigestTags::default(),
            compared: BlockNumber(0),
            path: Path::default(),
            schedule: Schedule::new(config.seed, welcome.receivers, welcome.slot),
            cycle: welcome.cycle,
            slot: welcome.slot,
            horizon: BlockNumber(0),
            reportable: BlockNumber(0),
            passed: VecDeque::new(),
            joined_at: welcome.begun,
            in_joined_cycle: true,
            joined_cycle: welcome.cycle,
            end: None,
            open_runs: 0,
            zeros_kept: 0,
            written: Written::default(),
            suspects: Suspects::default(),
            forged_ends: 0,
            forged_before: 0,
            look: Look::new(now),
            socket_drops: 0,
            heard_at: now,
            hearing: Hearing::new(now),
            awake: now,
            stand: Stand::default(),
            last_word: None,
            is_over: false,
            outbox: VecDeque::new(),
            events: VecDeque::new(),
            config,
        }
    }

    /// For progress displays and reports.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let kept = self.kept();
        Progress {
            stage: self.stage,
            blocks_done: self.ledger.done_count(),
            blocks_kept: kept.0,
            bytes_written: self.written.bytes,
            bytes_kept: kept.1 + self.zeros_kept,
            bytes_unused: self.pages.unused_bytes(),
            bytes_verified: self.written.verified,
            image_len: self.end.map(|end| end.image_len).or(self.config.image_len),
            received: self.path.received(),
            expected: self.path.expected(),
            socket_drops: self.socket_drops,
            bad_blocks: self.suspects.bad_blocks(),
            forged_symbols: self.suspects.forged(),
            forged: self.forged(),
            busy: self.written.busy,
            cycle: self.cycle,
            demoted: self.stand.demoted,
        }
    }

    /// Whether the session is over for this receiver and its last word was heard or given up.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_over && self.last_word.is_none() && self.outbox.is_empty() && self.events.is_empty()
    }

    /// The end record, once it arrived.
    #[must_use]
    pub fn end(&self) -> Option<&EndRecord> {
        self.end.as_ref()
    }

    /// Where a block's symbol is to be opened to; nothing is changed, as the header may be
    /// forged.
    #[must_use]
    pub fn place(&self, header: &SymbolHeader) -> Placement {
        let block = BlockNumber(header.number);
        if header.kind != SymbolKind::Block
            || block >= self.takes_below()
            || self.ledger.is_alone(block)
        {
            return Placement::Redundant;
        }
        match self
            .ledger
            .place(block, header.k, header.esi, self.yielding())
        {
            Placement::First if !self.begins(header) || !self.may_exist(header) => {
                Placement::Redundant
            }
            placement => placement,
        }
    }

    /// Blocks from this one on are of no use now: a target that is written in order would have to
    /// keep them until those before them came, and those may come in a later cycle only.
    fn takes_below(&self) -> BlockNumber {
        let ahead = if self.config.in_order {
            self.ledger.buffers()
        } else {
            u32::MAX
        };
        BlockNumber(self.ledger.complete_up_to().0.saturating_add(ahead))
    }

    /// Takes a buffer for a block whose first symbol checked out.
    pub fn begin(&mut self, header: &SymbolHeader) -> Placement {
        let block = BlockNumber(header.number);
        let yielding = self.yielding();
        self.ledger.begin(block, header.k, header.esi, yielding)
    }

    /// A symbol that checked out; `slot` is where it stands, `None` if it was not kept.
    pub fn handle_symbol(&mut self, now: Instant, header: &SymbolHeader, slot: Option<u8>) {
        self.on_group_datagram(now, header.seq, header.slot, header.horizon);
        let block = BlockNumber(header.number);
        if let Some(slot) = slot {
            self.start_receiving();
            if self.ledger.on_symbol(block, header.esi, slot) {
                self.hand_out(block);
            }
        }
        self.after_datagrams();
    }

    /// A page's symbol that checked out.
    pub fn handle_page_symbol(&mut self, now: Instant, header: &SymbolHeader, symbol: &[u8]) {
        self.on_group_datagram(now, header.seq, header.slot, header.horizon);
        let page = PageNumber(header.number);
        let known = self.pages.sent_blocks();
        if self.pages.on_symbol(page, header.k, symbol, &self.tags) {
            if self.pages.is_broken() {
                self.fail_identity(now, "the manifest contradicts itself");
            }
            self.drop_contradicting(known);
            self.keep_known(now);
            self.write_what_waits();
            self.plan_checks();
            self.consider_later_cycle();
            self.consider_flush(now);
        }
        self.after_datagrams();
    }

    /// A group control datagram that checked out.
    pub fn handle_control(&mut self, now: Instant, seq: Seq, control: &GroupControl) {
        let position = control.position;
        if seq > self.path.highest() {
            self.schedule.on_receivers(position.receivers);
            self.enter_cycle(position.cycle);
        }
        self.on_group_datagram(now, seq, position.slot, position.horizon);
        self.pages.on_known(position.pages);
        if let Some(end) = control.end {
            self.on_end(end);
        }
        self.consider_later_cycle();
        self.after_datagrams();
        self.plan_checks();
        self.consider_flush(now);
    }

    fn on_group_datagram(&mut self, now: Instant, seq: Seq, slot: Slot, horizon: BlockNumber) {
        if !self.path.on_datagram(now, seq) {
            return;
        }
        // Only what is new shows that the sender is there: anybody can repeat what he recorded.
        self.heard_at = now;
        self.hearing.on_group();
        self.slot = self.slot.max(slot);
        if horizon < self.horizon {
            // Only a new cycle sets the horizon back.
            self.in_joined_cycle = false;
        }
        self.horizon = horizon;
        if horizon
            > self
                .passed
                .back()
                .map_or(self.reportable, |&(_, passed)| passed)
        {
            self.passed.push_back((now + HOLDOFF, horizon));
        }
    }

    fn start_receiving(&mut self) {
        if self.stage == Stage::Waiting {
            self.stage = Stage::Receiving;
            self.events.push_back(Event::Started);
        }
    }

    /// After the first cycle every block had a pass, or none is sent before it is asked for: the
    /// sender plans a later cycle from what is asked for ahead of its position.
    fn consider_later_cycle(&mut self) {
        let known = self.pages.sent_blocks();
        let blocks = self.end.map_or(known, |end| end.blocks);
        if self.cycle > Cycle(1) && self.reportable < blocks {
            self.reportable = blocks;
            self.schedule.urge();
        }
    }

    fn enter_cycle(&mut self, cycle: Cycle) {
        if cycle > self.cycle {
            self.cycle = cycle;
            self.in_joined_cycle = false;
            self.ledger.on_cycle();
        }
    }

    fn hand_out(&mut self, block: BlockNumber) {
        let Some(entry) = self.pages.block(block).filter(|_| self.may_write()) else {
            return;
        };
        if self.ledger.k(block).map(usize::from) != Some(entry.source_symbols()) {
            // The symbols contradict the page: they are not of this block.
            self.ledger.drop_block(block);
            return;
        }
        let entry = entry.clone();
        if let Some((buffer, esis)) = self.ledger.hand_out(block) {
            self.events.push_back(Event::Block {
                block,
                buffer,
                esis,
                entry,
            });
        }
    }

    /// A block is written; `busy` is the time that writing took.
    pub fn handle_written(&mut self, now: Instant, block: BlockNumber, bytes: u64, busy: Duration) {
        self.ledger.on_written(block);
        self.suspects.on_written(block);
        if let Some(entry) = self.pages.on_written(block) {
            self.tags.note(&Entry::Block(entry));
        }
        self.written.bytes += bytes;
        self.written.busy += busy;
        self.after_writes();
        self.consider_flush(now);
    }

    /// A run of zeros is on the target, or a part of it.
    pub fn handle_zeroed(&mut self, now: Instant, zeroed: Zeroed) {
        self.open_runs -= u32::from(zeroed.done);
        self.tags.note(&Entry::Zero(zeroed.run));
        if !self.pages.is_unused(zeroed.run.place) {
            self.written.bytes += zeroed.written;
            self.written.busy += zeroed.busy;
            self.zeros_kept += zeroed.kept;
        }
        self.consider_flush(now);
    }

    /// The socket's own count of datagrams that it dropped.
    pub fn handle_socket_drops(&mut self, now: Instant, drops: u32) {
        if drops > self.socket_drops {
            self.socket_drops = drops;
            self.schedule.on_socket_drops(now);
        }
    }

    /// The sender's announce was heard, which proves nothing but that multicast passes.
    pub fn handle_announce(&mut self, now: Instant) {
        if self.hearing.on_announce(now) {
            self.events.push_back(Event::NoGroupData);
        }
    }

    /// The next message to the sender.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<ToSender> {
        if let Some(message) = self.outbox.pop_front() {
            return Some(message);
        }
        if self.last_word.is_some() {
            return self.poll_last_word(now);
        }
        if self.is_over {
            return None;
        }
        self.poll_report(now).map(ToSender::Report)
    }

    /// The next thing for the caller.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
