//! Pictures of the session for the operator, taken from the state machine.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mimeo_protocol::ids::ReceiverNumber;
use mimeo_protocol::pacing::SYMBOL_BITS;
use mimeo_protocol::sender::{self as protocol, Endpoint, Member, MemberState, Session};
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber};
use mimeo_protocol::wire::{ReadBack, Stage};

use crate::status::Severity;
use crate::status::{Counters, Limit, Phase, ReceiverState, ReceiverStatus, Status};

/// Loss above this share is worth a word: parity mends it, but it costs the room.
const NOTABLE_LOSS: f64 = 0.02;

/// A receiver that is silent and was heard within this time reports, but hears nothing.
const STILL_HEARD: Duration = Duration::from_millis(500);

/// What the last picture showed, to tell rates.
#[derive(Debug)]
pub(super) struct Pictures {
    session_name: String,
    source: String,
    sender_key: Option<String>,
    opened: Instant,
    started: Option<Instant>,
    last: Instant,
    last_datagrams: u64,
    last_done: HashMap<ReceiverNumber, u64>,
    last_drops: HashMap<ReceiverNumber, u32>,
    sent_rate: u64,
}

impl Pictures {
    pub(super) fn new(session_name: String, source: String, sender_key: Option<String>) -> Self {
        let now = Instant::now();
        Self {
            session_name,
            source,
            sender_key,
            opened: now,
            started: None,
            last: now,
            last_datagrams: 0,
            last_done: HashMap::new(),
            last_drops: HashMap::new(),
            sent_rate: 0,
        }
    }

    /// When the last picture was taken.
    pub(super) fn last(&self) -> Instant {
        self.last
    }

    /// The first data flows.
    pub(super) fn on_started(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// Takes a picture.
    pub(super) fn take(&mut self, endpoint: &mut Endpoint, now: Instant) -> Status {
        let bytes_passed = bytes_passed(endpoint.session_mut());
        let session = endpoint.session();
        let interval = now.duration_since(self.last).as_secs_f64();
        self.last = now;
        let counters = session.counters();
        let datagrams = counters.symbols_sent();
        let fresh = (datagrams - self.last_datagrams) as f64;
        self.last_datagrams = datagrams;
        if interval > 0.01 {
            self.sent_rate = (fresh * SYMBOL_BITS as f64 / interval) as u64;
        }
        let end = session.end();
        Status {
            session_name: self.session_name.clone(),
            source: self.source.clone(),
            sender_key: self.sender_key.clone(),
            phase: phase(session.phase()),
            elapsed: now.duration_since(self.opened),
            transfer_time: self.transfer_time(session, now),
            waiting_time: self.started.unwrap_or(now).duration_since(self.opened),
            image_len: session.image_len(),
            bytes_passed,
            bytes_unused: session.manifest().unused_bytes(),
            cycle: session.position().cycle.0,
            allowed_rate: session.rate().0,
            sent_rate: self.sent_rate,
            counters: Counters {
                symbols_needed: counters.symbols_needed,
                pass_symbols: counters.pass_symbols,
                repair_symbols: counters.repair_symbols,
                page_symbols: counters.page_symbols,
                digest_symbols: counters.digest_symbols,
                own_symbols: counters.own_symbols,
                control_datagrams: counters.control_datagrams,
                reports: counters.reports,
                strays: endpoint.strays().malformed + endpoint.strays().unsealed,
            },
            digest: end.and_then(|end| end.image_digest.map(|digest| digest.to_string())),
            identity: end.map(|end| end.identity.to_string()),
            receivers: self.receivers(session, interval),
        }
    }

    /// To now, or to the last word of the last receiver once everybody is done.
    fn transfer_time(&self, session: &Session, now: Instant) -> Duration {
        let Some(started) = self.started else {
            return Duration::ZERO;
        };
        let members = || session.roster().members().map(|(_, member)| member);
        let open = members().any(|member| !member.state.is_settled());
        let last = members().filter_map(|member| member.settled_at).max();
        let end = if open { now } else { last.unwrap_or(now) };
        end.saturating_duration_since(started)
    }

    fn receivers(&mut self, session: &Session, interval: f64) -> Vec<ReceiverStatus> {
        let members = session.roster().members();
        members
            .map(|(number, member)| self.receiver(session, number, member, interval))
            .collect()
    }

    fn receiver(
        &mut self,
        session: &Session,
        number: ReceiverNumber,
        member: &Member,
        interval: f64,
    ) -> ReceiverStatus {
        let report = member.report.as_ref();
        let bytes_written = report.map_or(0, |report| report.bytes_written);
        let bytes_kept = report.map_or(0, |report| report.bytes_kept);
        let done = bytes_written + bytes_kept;
        let before = self.last_done.insert(number, done).unwrap_or(0);
        let fresh = done.saturating_sub(before) as f64;
        let drops = report.map_or(0, |report| report.socket_drops);
        let dropped = drops > self.last_drops.insert(number, drops).unwrap_or(0);
        ReceiverStatus {
            number: number.0,
            host_name: member.about.host_name.clone(),
            mac: member.about.mac.to_string(),
            address: member.about.address,
            link_speed: member.about.link_speed,
            state: state(member),
            bytes_written,
            bytes_kept,
            bytes_unused: report.map_or(0, |_| session.manifest().unused_bytes()),
            write_rate: if interval > 0.01 {
                (8.0 * fresh / interval) as u64
            } else {
                0
            },
            bytes_verified: match (member.read_back, session.image_len()) {
                // The confirmation came in place of the last report.
                (ReadBack::Direct | ReadBack::CacheDropped | ReadBack::Memory, Some(len)) => len,
                _ => report.map_or(0, |report| report.bytes_verified),
            },
            read_back: member.read_back,
            loss: member.loss(),
            socket_drops: drops,
            bad_blocks: report.map_or(0, |report| report.bad_blocks),
            forged_symbols: report.map_or(0, |report| report.forged_symbols),
            round_trip: member.round_trip,
            limit: limit(session, member, dropped),
            slow: member.slow.map(|slow| slow.reason),
            finished_after: member
                .settled_at
                .zip(self.started)
                .map(|(at, started)| at.saturating_duration_since(started)),
        }
    }
}

/// What holds a receiver back, as its newest report shows.
fn limit(session: &Session, member: &Member, dropped: bool) -> Option<Limit> {
    let report = member.report.as_ref()?;
    if member.state != MemberState::Active || report.stage != Stage::Receiving {
        return None;
    }
    let in_flight = session.last_seq().0.saturating_sub(member.seq_seen().0);
    if report.credit <= session.position().slot {
        Some(Limit::Disk)
    } else if dropped || in_flight + 64 > u64::from(report.window) {
        Some(Limit::Processor)
    } else {
        (member.loss() > NOTABLE_LOSS).then_some(Limit::Network)
    }
}

fn state(member: &Member) -> ReceiverState {
    match &member.state {
        MemberState::Confirmed => ReceiverState::Confirmed,
        MemberState::Failed { text, .. } => ReceiverState::Failed(text.clone()),
        MemberState::Lost => ReceiverState::Lost,
        MemberState::Silent => ReceiverState::Silent,
        MemberState::Demoted { .. } => ReceiverState::Demoted,
        MemberState::Admitted | MemberState::Active => {
            match member.report.as_ref().map(|report| report.stage) {
                None | Some(Stage::Waiting) => ReceiverState::Waiting,
                Some(Stage::Receiving) => ReceiverState::Receiving,
                Some(Stage::Flushing | Stage::Complete) => ReceiverState::Flushing,
                Some(Stage::Verifying) => ReceiverState::Verifying,
            }
        }
    }
}

fn phase(phase: &protocol::Phase) -> Phase {
    match phase {
        protocol::Phase::Waiting => Phase::Waiting,
        protocol::Phase::Running => Phase::Running,
        protocol::Phase::Lingering(_) => Phase::Lingering,
        protocol::Phase::Closing(_) => Phase::Closing,
        protocol::Phase::Aborting(_) => Phase::Aborting,
        protocol::Phase::Over => Phase::Over,
    }
}

/// Up to the last block whose pass is over; zeros behind it count with the next block.
fn bytes_passed(session: &mut Session) -> u64 {
    let horizon = session.position().horizon;
    match session.end() {
        Some(end) if !session.is_in_first_pass() || horizon == end.blocks => end.image_len,
        _ => {
            let last = horizon.0.checked_sub(1).map(BlockNumber);
            let block = last.and_then(|block| session.block(block));
            block.map_or(0, |block| block.place.offset() + BLOCK_SIZE as u64)
        }
    }
}

/// `pc-04 (10.77.0.4)`.
pub(super) fn name_of(member: &Member) -> String {
    let about = &member.about;
    format!("{} ({})", about.host_name, about.address.ip())
}

/// What the operator is told when a receiver's state has changed.
pub(super) fn member_line(member: &Member) -> Option<(Severity, String)> {
    let about = &member.about;
    let name = name_of(member);
    Some(match &member.state {
        // Told when it was found.
        MemberState::Admitted | MemberState::Demoted { .. } => return None,
        MemberState::Active if member.was_away => (Severity::Info, format!("{name} is back")),
        MemberState::Active => {
            let link = match about.link_speed {
                0 => String::new(),
                speed => format!(", link {speed} Mbit/s"),
            };
            (Severity::Info, format!("{name} joined{link}"))
        }
        MemberState::Silent if member.heard_at.elapsed() < STILL_HEARD => (
            Severity::Warn,
            format!(
                "{name} answers, but the stream does not reach it: a firewall, or a switch that \
                 snoops IGMP without a querier; the others go on without it"
            ),
        ),
        MemberState::Silent => (
            Severity::Warn,
            format!("{name} is silent; the others go on without it"),
        ),
        MemberState::Lost => (
            Severity::Error,
            format!("{name} is lost: not heard for 10 s"),
        ),
        MemberState::Confirmed => (Severity::Info, format!("{name} is complete and verified")),
        MemberState::Failed { text, .. } => (Severity::Error, format!("{name} failed: {text}")),
    })
}
