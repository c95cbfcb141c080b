//! The session as JSON: the report file and the lines of `--progress json`. The names of the
//! fields are an interface for scripts; `docs/report.md` describes them.

use mimeo_console::report::{self, seconds};
use mimeo_protocol::wire::{ReadBack, SlowReason};
use serde::Serialize;

use crate::status::{Counters, Limit, Phase, ReceiverState, ReceiverStatus, Status};

/// [`Status`] with names and units for scripts.
#[derive(Debug, Serialize)]
pub(crate) struct StatusDoc<'a> {
    session: &'a str,
    source: &'a str,
    sender_key: Option<&'a str>,
    phase: &'static str,
    elapsed_seconds: f64,
    waiting_seconds: f64,
    transfer_seconds: f64,
    image_bytes: Option<u64>,
    bytes_passed: u64,
    bytes_unused: u64,
    cycle: u32,
    image_bits_per_second: Option<u64>,
    allowed_bits_per_second: u64,
    sent_bits_per_second: u64,
    overhead: Option<f64>,
    digest: Option<&'a str>,
    identity: Option<&'a str>,
    counters: CountersDoc,
    receivers: Vec<ReceiverDoc<'a>>,
}

#[derive(Debug, Serialize)]
struct CountersDoc {
    symbols_needed: u64,
    pass_symbols: u64,
    repair_symbols: u64,
    page_symbols: u64,
    digest_symbols: u64,
    unicast_symbols: u64,
    control_datagrams: u64,
    reports: u64,
    strays: u64,
}

#[derive(Debug, Serialize)]
struct ReceiverDoc<'a> {
    number: u16,
    host_name: &'a str,
    mac: &'a str,
    address: String,
    link_mbit_per_second: Option<u32>,
    state: &'static str,
    reason: Option<&'a str>,
    bytes_written: u64,
    bytes_kept: u64,
    bytes_verified: u64,
    read_back: Option<&'static str>,
    write_bits_per_second: u64,
    loss: f64,
    socket_drops: u32,
    bad_blocks: u32,
    forged_symbols: u32,
    round_trip_seconds: Option<f64>,
    limit: Option<&'static str>,
    slow: Option<&'static str>,
    finished_seconds: Option<f64>,
}

impl<'a> StatusDoc<'a> {
    pub(crate) fn new(status: &'a Status) -> Self {
        let over = status.phase == Phase::Over;
        let receiver = |receiver| ReceiverDoc::new(receiver, over);
        Self {
            session: &status.session_name,
            source: &status.source,
            sender_key: status.sender_key.as_deref(),
            phase: phase(status.phase),
            elapsed_seconds: seconds(status.elapsed),
            waiting_seconds: seconds(status.waiting_time),
            transfer_seconds: seconds(status.transfer_time),
            image_bytes: status.image_len,
            bytes_passed: status.bytes_passed,
            bytes_unused: status.bytes_unused,
            cycle: status.cycle,
            image_bits_per_second: image_rate(status),
            allowed_bits_per_second: status.allowed_rate,
            sent_bits_per_second: status.sent_rate,
            overhead: overhead(&status.counters),
            digest: status.digest.as_deref(),
            identity: status.identity.as_deref(),
            counters: CountersDoc::new(&status.counters),
            receivers: status.receivers.iter().map(receiver).collect(),
        }
    }
}

impl CountersDoc {
    fn new(counters: &Counters) -> Self {
        Self {
            symbols_needed: counters.symbols_needed,
            pass_symbols: counters.pass_symbols,
            repair_symbols: counters.repair_symbols,
            page_symbols: counters.page_symbols,
            digest_symbols: counters.digest_symbols,
            unicast_symbols: counters.own_symbols,
            control_datagrams: counters.control_datagrams,
            reports: counters.reports,
            strays: counters.strays,
        }
    }
}

impl<'a> ReceiverDoc<'a> {
    fn new(receiver: &'a ReceiverStatus, over: bool) -> Self {
        let state_now = &receiver.state;
        let has_failed = matches!(state_now, ReceiverState::Failed(_) | ReceiverState::Lost);
        let reason = state_now.failure().filter(|_| over || has_failed);
        Self {
            number: receiver.number,
            host_name: &receiver.host_name,
            mac: &receiver.mac,
            address: receiver.address.to_string(),
            link_mbit_per_second: Some(receiver.link_speed).filter(|&speed| speed > 0),
            state: state(&receiver.state),
            reason,
            bytes_written: receiver.bytes_written,
            bytes_kept: receiver.bytes_kept,
            bytes_verified: receiver.bytes_verified,
            read_back: read_back(receiver.read_back),
            write_bits_per_second: receiver.write_rate,
            loss: receiver.loss,
            socket_drops: receiver.socket_drops,
            bad_blocks: receiver.bad_blocks,
            forged_symbols: receiver.forged_symbols,
            round_trip_seconds: receiver.round_trip.map(|time| time.as_secs_f64()),
            limit: receiver.limit.map(limit),
            slow: receiver.slow.map(slow),
            finished_seconds: receiver.finished_after.map(seconds),
        }
    }
}

/// Bits of the image that were passed per second of the transfer, once there was one. What is unused
/// takes no time, and does not count.
fn image_rate(status: &Status) -> Option<u64> {
    report::image_rate(status.bytes_told(), status.transfer_time)
}

/// Symbols sent beyond those that a room without loss needs once, as a share of these. Where no
/// block was sent there is none: a page alone, with its spare symbols, has no share that says
/// anything.
pub(crate) fn overhead(counters: &Counters) -> Option<f64> {
    let of_blocks = counters.pass_symbols + counters.repair_symbols + counters.own_symbols;
    let sent = of_blocks + counters.page_symbols + counters.digest_symbols;
    let needed = counters.symbols_needed;
    (of_blocks > 0 && needed > 0).then(|| sent as f64 / needed as f64 - 1.0)
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "waiting",
        Phase::Running => "running",
        Phase::Lingering => "lingering",
        Phase::Closing => "closing",
        Phase::Aborting => "aborting",
        Phase::Over => "over",
    }
}

fn state(state: &ReceiverState) -> &'static str {
    match state {
        ReceiverState::Waiting => "waiting",
        ReceiverState::Receiving => "receiving",
        ReceiverState::Demoted => "demoted",
        ReceiverState::Flushing => "flushing",
        ReceiverState::Verifying => "verifying",
        ReceiverState::Silent => "silent",
        ReceiverState::Lost => "lost",
        ReceiverState::Confirmed => "confirmed",
        ReceiverState::Failed(_) => "failed",
    }
}

fn read_back(read_back: ReadBack) -> Option<&'static str> {
    match read_back {
        ReadBack::No => None,
        ReadBack::Direct => Some("direct"),
        ReadBack::CacheDropped => Some("cache_dropped"),
        ReadBack::Memory => Some("memory"),
    }
}

fn limit(limit: Limit) -> &'static str {
    match limit {
        Limit::Disk => "disk",
        Limit::Processor => "processor",
        Limit::Network => "network",
    }
}

fn slow(reason: SlowReason) -> &'static str {
    match reason {
        SlowReason::Disk => "disk",
        SlowReason::Processor => "processor",
        SlowReason::Memory => "memory",
        SlowReason::Network => "network",
        SlowReason::Output => "output",
    }
}

#[cfg(test)]
mod tests;
