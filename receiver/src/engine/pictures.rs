//! Pictures of the receiver, taken from the state machine.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mimeo_protocol::receiver::{Endpoint, Unused};
use mimeo_protocol::wire::{ReadBack, Stage};

use super::phases::Phases;
use crate::exit::Exit;
use crate::status::{Phase, PhaseTimes, Status};

/// What the last picture showed, to tell rates.
#[derive(Debug)]
pub(crate) struct Pictures {
    target: String,
    unused: Unused,
    session_name: String,
    sender: Option<SocketAddr>,
    opened: Instant,
    started: Option<Instant>,
    last: Instant,
    last_done: u64,
    write_rate: u64,
    last_verified: u64,
    verify_rate: u64,
    phases: Phases,
    read_back: ReadBack,
    sessions: u32,
    unreadable_blocks: u32,
    /// Bytes that were on the target when the last session was taken up.
    former_bytes: u64,
}

impl Pictures {
    pub(crate) fn new(target: String, unused: Unused) -> Self {
        let now = Instant::now();
        Self {
            target,
            unused,
            session_name: String::new(),
            sender: None,
            opened: now,
            started: None,
            last: now,
            last_done: 0,
            write_rate: 0,
            last_verified: 0,
            verify_rate: 0,
            phases: Phases::new(now),
            read_back: ReadBack::No,
            sessions: 0,
            unreadable_blocks: 0,
            former_bytes: 0,
        }
    }

    /// What the target is called.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// The receiver was admitted.
    pub(crate) fn on_joined(&mut self, session_name: &str, sender: SocketAddr) {
        session_name.clone_into(&mut self.session_name);
        self.sender = Some(sender);
        self.sessions = 1;
    }

    /// A further session is taken up. Returns how many bytes are on the target by the one before.
    pub(crate) fn on_taken_up(&mut self, former: &Endpoint, sender: SocketAddr) -> u64 {
        let progress = former.session().progress();
        self.sender = Some(sender);
        self.sessions += 1;
        self.last_done = 0;
        self.unreadable_blocks = 0;
        self.former_bytes = progress.bytes_written + progress.bytes_kept;
        self.former_bytes
    }

    /// Bytes that were on the target when the last session was taken up.
    pub(crate) fn former_bytes(&self) -> u64 {
        self.former_bytes
    }

    /// The target cannot discard anything.
    pub(crate) fn on_cannot_discard(&mut self) {
        self.unused = Unused::Keep;
    }

    /// The first data came.
    pub(crate) fn on_started(&mut self, now: Instant) {
        self.started.get_or_insert(now);
    }

    /// The target was read back and is right.
    pub(crate) fn on_verified(&mut self, read_back: ReadBack) {
        self.read_back = read_back;
    }

    /// A block was compared, if it could be read.
    pub(crate) fn on_checked(&mut self, unreadable: bool) {
        self.unreadable_blocks += u32::from(unreadable);
    }

    /// Notes what the session is doing; called often, so that the times are right.
    pub(crate) fn observe(&mut self, endpoint: &Endpoint, now: Instant) -> PhaseTimes {
        let stage = endpoint.session().progress().stage;
        self.phases.observe(stage, now)
    }

    /// When the last picture was taken.
    pub(crate) fn last(&self) -> Instant {
        self.last
    }

    /// A picture before the join.
    pub(crate) fn before(&self, phase: Phase) -> Status {
        Status {
            session_name: self.session_name.clone(),
            target: self.target.clone(),
            unused: self.unused,
            phase,
            sender: self.sender,
            sessions: self.sessions,
            elapsed: self.opened.elapsed(),
            times: PhaseTimes {
                waiting: self.opened.elapsed(),
                ..PhaseTimes::default()
            },
            ..Status::default()
        }
    }

    /// Takes a picture.
    pub(crate) fn take(&mut self, endpoint: &Endpoint, now: Instant) -> Status {
        let progress = endpoint.session().progress();
        let interval = now.duration_since(self.last).as_secs_f64();
        let done = progress.bytes_written + progress.bytes_kept;
        let fresh = done.saturating_sub(self.last_done) as f64;
        let proved = progress.bytes_verified.saturating_sub(self.last_verified) as f64;
        self.last = now;
        self.last_done = done;
        self.last_verified = progress.bytes_verified;
        if interval > 0.01 {
            self.write_rate = (8.0 * fresh / interval) as u64;
            self.verify_rate = (8.0 * proved / interval) as u64;
        }
        let lost = progress.expected.saturating_sub(progress.received);
        let phase = match progress.stage {
            Stage::Waiting => Phase::Waiting,
            Stage::Receiving => Phase::Receiving,
            Stage::Flushing => Phase::Flushing,
            Stage::Verifying => Phase::Verifying,
            Stage::Complete => Phase::Confirming,
        };
        let strays = endpoint.strays();
        let end = endpoint.session().end();
        let times = self.observe(endpoint, now);
        let since_start = self.started.map_or(Duration::ZERO, |started| {
            now.saturating_duration_since(started)
        });
        Status {
            transfer_time: since_start.saturating_sub(times.verifying),
            times,
            image_len: progress.image_len,
            bytes_written: progress.bytes_written,
            bytes_kept: progress.bytes_kept,
            bytes_unused: progress.bytes_unused,
            write_rate: self.write_rate,
            bytes_verified: progress.bytes_verified,
            verify_rate: self.verify_rate,
            read_back: self.read_back,
            loss: lost as f64 / progress.expected.max(1) as f64,
            received: progress.received,
            expected: progress.expected,
            socket_drops: progress.socket_drops,
            bad_blocks: progress.bad_blocks,
            forged_symbols: progress.forged_symbols,
            forged: progress.forged,
            unreadable_blocks: self.unreadable_blocks,
            strays: strays.malformed + strays.unsealed,
            busy: progress.busy,
            cycle: progress.cycle.0,
            slow: progress.demoted,
            digest: end.and_then(|end| end.image_digest.map(|digest| digest.to_string())),
            identity: end.map(|end| end.identity.to_string()),
            ..self.before(phase)
        }
    }

    /// The last picture.
    pub(crate) fn last_of(&mut self, endpoint: &Endpoint, exit: Exit, now: Instant) -> Status {
        let phase = if exit == Exit::Verified {
            Phase::Done
        } else {
            Phase::Failed
        };
        Status {
            phase,
            ..self.take(endpoint, now)
        }
    }
}
