//! A receiver and its disk.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mimeo_protocol::ids::{Cycle, Seq};
use mimeo_protocol::receiver::{Event, Placement, Resume, Session, SessionConfig, Unused};
use mimeo_protocol::sender::SymbolRef;
use mimeo_protocol::units::BlockNumber;
use mimeo_protocol::wire::{
    GroupControl, SymbolHeader, SymbolKind, ToReceiver, ToSender, WelcomeBody,
};

use super::loss::Loss;
use super::operator::{PageSymbols, SESSION};
use crate::sim::Dice;

/// Block buffers of a receiver by default: 64 MiB.
const BUFFERS: u32 = (64 << 20) / 263_296;

/// Symbol datagrams that its socket holds as root: twice 16 MiB, 2304 bytes for each, and a quarter
/// kept free, as in `receiver/src/engine/room.rs`.
const WINDOW: u32 = 2 * (16 << 20) / 2304 * 3 / 4;

/// How long a disk takes to flush.
const FLUSH: Duration = Duration::from_millis(20);

/// Symbols that are sent together.
#[derive(Debug)]
pub(super) struct Burst {
    pub(super) first: Seq,
    pub(super) symbols: Vec<SymbolRef>,
    /// The cycle under way when it was sent.
    pub(super) cycle: Cycle,
}

/// What a disk is to do, and when it is done; one thing after the other.
#[derive(Debug)]
enum Task {
    Write { block: BlockNumber, bytes: u64 },
    Flush,
}

#[derive(Debug)]
struct Disk {
    bytes_per_second: u64,
    free_at: Instant,
    tasks: VecDeque<(Instant, Duration, Task)>,
}

impl Disk {
    fn push(&mut self, now: Instant, task: Task) {
        let takes = match task {
            Task::Write { bytes, .. } => {
                Duration::from_nanos(bytes * 1_000_000_000 / self.bytes_per_second)
            }
            Task::Flush => FLUSH,
        };
        self.free_at = self.free_at.max(now) + takes;
        self.tasks.push_back((self.free_at, takes, task));
    }

    fn pop(&mut self, now: Instant) -> Option<(Duration, Task)> {
        self.tasks.front().filter(|&&(at, ..)| at <= now)?;
        let (_, busy, task) = self.tasks.pop_front()?;
        Some((busy, task))
    }
}

/// A machine of the room.
#[derive(Debug)]
pub(super) struct Machine {
    /// From the join on.
    session: Option<Session>,
    pub(super) alarm: Option<Instant>,
    /// When it was told that the sender knows of its confirmation.
    pub(super) finished_at: Option<Instant>,
    /// It was told that it is served after the others.
    pub(super) was_slow: bool,
    down: Loss,
    up: Loss,
    disk: Disk,
    seed: u64,
    image: u64,
}

impl Machine {
    pub(super) fn new(
        now: Instant,
        loss: f64,
        bytes_per_second: u64,
        mut dice: Dice,
        image: u64,
    ) -> Self {
        Self {
            session: None,
            alarm: None,
            finished_at: None,
            was_slow: false,
            down: Loss::new(loss, dice.fork()),
            up: Loss::new(loss, dice.fork()),
            disk: Disk {
                bytes_per_second,
                free_at: now,
                tasks: VecDeque::new(),
            },
            seed: dice.next(),
            image,
        }
    }

    pub(super) fn join(&mut self, now: Instant, welcome: &WelcomeBody) {
        let config = SessionConfig {
            buffers: BUFFERS,
            window: WINDOW,
            in_order: false,
            target_len: None,
            verify: false,
            unused: Unused::Keep,
            resume: Resume::Off,
            idle_timeout: Duration::from_secs(60),
            seed: self.seed,
            image_len: welcome.image_len,
        };
        self.session = Some(Session::new(now, config, SESSION, welcome));
    }

    /// The session, while it lasts.
    fn live(&mut self) -> Option<&mut Session> {
        self.session
            .as_mut()
            .filter(|session| !session.is_finished())
    }

    /// A burst comes by. Returns which of its symbols were of use, as bits.
    pub(super) fn handle_burst(&mut self, now: Instant, burst: &Burst, pages: &PageSymbols) -> u64 {
        let Some(session) = self
            .session
            .as_mut()
            .filter(|session| !session.is_finished())
        else {
            return 0;
        };
        let (mut at, mut used) = (0, 0);
        while at < burst.symbols.len() {
            let end = at + self.down.pass(burst.symbols.len() - at);
            for (i, symbol) in burst.symbols.iter().enumerate().take(end).skip(at) {
                let seq = Seq(burst.first.0 + i as u64);
                used |= u64::from(take(session, now, seq, symbol, pages)) << i;
            }
            at = end + 1;
        }
        used
    }

    pub(super) fn handle_control(&mut self, now: Instant, seq: Seq, control: &GroupControl) {
        if self.down.loses() {
            return;
        }
        if let Some(session) = self.live() {
            session.handle_control(now, seq, control);
        }
    }

    pub(super) fn handle_message(&mut self, now: Instant, message: ToReceiver) {
        if self.down.loses() {
            return;
        }
        if let Some(session) = self.live() {
            session.handle_message(now, message);
        }
    }

    /// Lets time pass.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let Some(session) = self.session.as_mut() else {
            return;
        };
        while let Some((busy, task)) = self.disk.pop(now) {
            match task {
                Task::Write { block, bytes } => session.handle_written(now, block, bytes, busy),
                Task::Flush => session.handle_flushed(now),
            }
        }
        session.handle_timeout(now);
    }

    /// Does what is to be done; what it sends and does not get lost goes to `out`. Returns the
    /// number of datagrams that it sent.
    pub(super) fn drive(&mut self, now: Instant, out: &mut Vec<ToSender>) -> u64 {
        let Some(session) = self.session.as_mut() else {
            return 0;
        };
        while let Some(event) = session.poll_event() {
            match event {
                Event::Block { block, entry, .. } => {
                    let bytes = entry.place.raw_len(self.image) as u64;
                    self.disk.push(now, Task::Write { block, bytes });
                }
                Event::Flush { .. } => self.disk.push(now, Task::Flush),
                Event::Finished { acknowledged: true } => self.finished_at = Some(now),
                Event::Standing(standing) => self.was_slow |= standing.is_some(),
                Event::Started => {}
                other => unreachable!("in a room where nothing goes wrong: {other:?}"),
            }
        }
        let mut sent = 0;
        while let Some(message) = session.poll_transmit(now) {
            sent += 1;
            if !self.up.loses() {
                out.push(message);
            }
        }
        sent
    }

    /// When to let time pass.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let session = self.session.as_ref()?.poll_timeout(now);
        let disk = self.disk.tasks.front().map(|&(at, ..)| at);
        [session, disk].into_iter().flatten().min()
    }

    /// Blocks that are written.
    pub(super) fn blocks_done(&self) -> u32 {
        let session = self.session.as_ref();
        session.map_or(0, |session| session.progress().blocks_done)
    }
}

/// One datagram arrives, as `receiver::Endpoint` takes it. Returns whether it was of use.
fn take(
    session: &mut Session,
    now: Instant,
    seq: Seq,
    symbol: &SymbolRef,
    pages: &PageSymbols,
) -> bool {
    let header = SymbolHeader {
        kind: symbol.kind,
        session_tag: 0,
        seq,
        slot: symbol.slot,
        horizon: symbol.horizon,
        number: symbol.number,
        esi: symbol.esi,
        k: symbol.k,
    };
    if symbol.kind == SymbolKind::Page {
        session.handle_page_symbol(now, &header, pages.symbol(symbol));
        return true;
    }
    let placement = match session.place(&header) {
        Placement::First => session.begin(&header),
        other => other,
    };
    let slot = match placement {
        Placement::Slot(_, slot) => Some(slot),
        Placement::First | Placement::Redundant => None,
    };
    session.handle_symbol(now, &header, slot);
    slot.is_some()
}
