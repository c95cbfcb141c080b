//! The run as JSON: the report file and the lines of `--progress json`. The names of the fields
//! are an interface for scripts; `docs/report.md` describes them.

use mimeo_console::report::{self, seconds};
use mimeo_protocol::receiver::Unused;
use mimeo_protocol::wire::{ReadBack, SlowReason};
use serde::Serialize;

use crate::status::{Phase, Status};

/// [`Status`] with names and units for scripts.
#[derive(Debug, Serialize)]
pub(crate) struct StatusDoc<'a> {
    session: Option<&'a str>,
    target: &'a str,
    phase: &'static str,
    sender: Option<String>,
    sessions: u32,
    elapsed_seconds: f64,
    transfer_seconds: f64,
    waiting_seconds: f64,
    receiving_seconds: f64,
    flushing_seconds: f64,
    verifying_seconds: f64,
    busy_seconds: f64,
    image_bytes: Option<u64>,
    bytes_written: u64,
    bytes_kept: u64,
    bytes_unused: u64,
    unused: &'static str,
    bytes_verified: u64,
    read_back: Option<&'static str>,
    cycle: u32,
    image_bits_per_second: Option<u64>,
    write_bits_per_second: u64,
    loss: f64,
    received: u64,
    expected: u64,
    socket_drops: u32,
    bad_blocks: u32,
    forged_symbols: u32,
    forged: u64,
    unreadable_blocks: u32,
    strays: u64,
    slow: Option<&'static str>,
    digest: Option<&'a str>,
    identity: Option<&'a str>,
}

impl<'a> StatusDoc<'a> {
    pub(crate) fn new(status: &'a Status) -> Self {
        Self {
            session: Some(status.session_name.as_str()).filter(|name| !name.is_empty()),
            target: &status.target,
            phase: phase(status.phase),
            sender: status.sender.map(|address| address.to_string()),
            sessions: status.sessions,
            elapsed_seconds: seconds(status.elapsed),
            transfer_seconds: seconds(status.transfer_time),
            waiting_seconds: seconds(status.times.waiting),
            receiving_seconds: seconds(status.times.receiving),
            flushing_seconds: seconds(status.times.flushing),
            verifying_seconds: seconds(status.times.verifying),
            busy_seconds: seconds(status.busy),
            image_bytes: status.image_len,
            bytes_written: status.bytes_written,
            bytes_kept: status.bytes_kept,
            bytes_unused: status.bytes_unused,
            unused: unused(status.unused),
            bytes_verified: status.bytes_verified,
            read_back: read_back(status.read_back),
            cycle: status.cycle,
            image_bits_per_second: image_rate(status),
            write_bits_per_second: status.write_rate,
            loss: status.loss,
            received: status.received,
            expected: status.expected,
            socket_drops: status.socket_drops,
            bad_blocks: status.bad_blocks,
            forged_symbols: status.forged_symbols,
            forged: status.forged,
            unreadable_blocks: status.unreadable_blocks,
            strays: status.strays,
            slow: status.slow.map(slow),
            digest: status.digest.as_deref(),
            identity: status.identity.as_deref(),
        }
    }
}

/// Bits of the image that were written or kept per second of the transfer, once there was one.
fn image_rate(status: &Status) -> Option<u64> {
    report::image_rate(status.bytes_held(), status.transfer_time)
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Searching => "searching",
        Phase::Joining => "joining",
        Phase::Waiting => "waiting",
        Phase::Receiving => "receiving",
        Phase::Flushing => "flushing",
        Phase::Verifying => "verifying",
        Phase::Confirming => "confirming",
        Phase::Done => "done",
        Phase::Failed => "failed",
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

fn unused(unused: Unused) -> &'static str {
    match unused {
        Unused::Keep => "keep",
        Unused::Discard => "discard",
        Unused::Zero => "zero",
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
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::progress::Receiver;
    use crate::progress::example::receiving;
    use crate::status::Outcome;
    use mimeo_console::Report;
    use serde_json::json;

    fn report(outcome: &Outcome) -> serde_json::Value {
        let started = "2026-11-20T12:00:00Z".parse().unwrap();
        let ended = "2026-11-20T12:02:10.2509Z".parse().unwrap();
        serde_json::from_str(&Report::new::<Receiver>(outcome, started, ended).to_json()).unwrap()
    }

    #[test]
    fn the_report_has_the_fields_that_scripts_rely_on() {
        let report = report(&Outcome {
            exit: Exit::DigestMismatch,
            status: receiving(),
            error: Some("not the image".to_owned()),
        });
        assert_eq!(
            report,
            json!({
                "program": "mimeo-receiver",
                "version": env!("CARGO_PKG_VERSION"),
                "result": "digest_mismatch",
                "exit_code": 6,
                "error": "not the image",
                "started": "2026-11-20T12:00:00.000Z",
                "ended": "2026-11-20T12:02:10.250Z",
                "session": "lab",
                "target": "/dev/sda, Disk\u{1b}[2J 1.0 GB",
                "phase": "receiving",
                "sender": "10.77.0.1:64636",
                "sessions": 1,
                "elapsed_seconds": 60.5,
                "transfer_seconds": 50.0,
                "waiting_seconds": 10.5,
                "receiving_seconds": 50.0,
                "flushing_seconds": 0.0,
                "verifying_seconds": 0.0,
                "busy_seconds": 12.0,
                "image_bytes": 1_000_000_000,
                "bytes_written": 500_000_000,
                "bytes_kept": 0,
                "bytes_unused": 0,
                "unused": "keep",
                "bytes_verified": 0,
                "read_back": null,
                "cycle": 1,
                "image_bits_per_second": 80_000_000,
                "write_bits_per_second": 80_000_000,
                "loss": 0.0123,
                "received": 990,
                "expected": 1000,
                "socket_drops": 2,
                "bad_blocks": 1,
                "forged_symbols": 3,
                "forged": 5,
                "unreadable_blocks": 0,
                "strays": 4,
                "slow": null,
                "digest": "ab".repeat(32),
                "identity": "cd".repeat(32),
            })
        );
    }

    #[test]
    fn what_was_never_known_is_null() {
        let report = report(&Outcome {
            exit: Exit::NobodyInTime,
            status: Status::default(),
            error: None,
        });
        assert_eq!(report["exit_code"], 4);
        let unknown = [
            "session",
            "sender",
            "image_bytes",
            "image_bits_per_second",
            "digest",
            "identity",
            "read_back",
            "error",
        ];
        for field in unknown {
            assert_eq!(report[field], json!(null), "{field}");
        }
    }
}
