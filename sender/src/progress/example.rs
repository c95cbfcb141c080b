//! Made-up rooms for the tests of what is shown.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Zoned;
use mimeo_protocol::wire::ReadBack;

use super::Plan;
use crate::config::StartRules;
use crate::status::{Counters, Limit, Phase, ReceiverState, ReceiverStatus, Status};

/// Noon in UTC.
pub(crate) fn noon() -> Zoned {
    "2026-11-20T12:00:00Z[UTC]"
        .parse()
        .expect("a moment of RFC 9557")
}

/// Starts with 30 receivers, or on Enter.
pub(crate) fn plan() -> Plan {
    Plan {
        start: StartRules {
            min_receivers: 30,
            min_wait: Duration::ZERO,
            max_wait: None,
            start_at: None,
            start_timeout: Duration::from_secs(600),
        },
        keys: true,
    }
}

/// One that has written half of a gigabyte.
pub(crate) fn receiver(number: u16, host_name: &str, state: ReceiverState) -> ReceiverStatus {
    let [high, low] = number.to_be_bytes();
    ReceiverStatus {
        number,
        host_name: host_name.to_owned(),
        mac: format!("52:54:00:00:{high:02x}:{low:02x}"),
        address: SocketAddr::from(([10, 77, high, low], 40000)),
        link_speed: 1000,
        state,
        bytes_written: 500_000_000,
        bytes_kept: 0,
        bytes_unused: 0,
        write_rate: 80_000_000,
        bytes_verified: 0,
        read_back: ReadBack::No,
        loss: 0.0,
        socket_drops: 0,
        bad_blocks: 0,
        forged_symbols: 0,
        round_trip: Some(Duration::from_micros(250)),
        limit: None,
        slow: None,
        finished_after: None,
    }
}

/// Four machines, each in another state, some with names that must not reach a terminal.
pub(crate) fn room() -> Status {
    let mut receivers = vec![
        receiver(1, "pc-01", ReceiverState::Confirmed),
        receiver(2, "pc-02", ReceiverState::Receiving),
        receiver(
            3,
            "教室-3",
            ReceiverState::Failed("disk full\u{1b}[2J".to_owned()),
        ),
        receiver(4, "pc-04\u{1b}[31mxx", ReceiverState::Lost),
    ];
    receivers[0].bytes_written = 1_000_000_000;
    receivers[0].finished_after = Some(Duration::from_millis(61_500));
    receivers[1].loss = 0.0123;
    receivers[1].bad_blocks = 2;
    receivers[1].forged_symbols = 9;
    receivers[1].limit = Some(Limit::Network);
    receivers[2].finished_after = Some(Duration::from_secs(7));
    receivers[3].link_speed = 0;
    receivers[3].round_trip = None;
    Status {
        session_name: "lab".to_owned(),
        source: "file win11.img, 1.0 GB".to_owned(),
        sender_key: Some("ef".repeat(32)),
        phase: Phase::Running,
        elapsed: Duration::from_millis(130_250),
        transfer_time: Duration::from_secs(100),
        waiting_time: Duration::from_secs(30),
        image_len: Some(1_000_000_000),
        bytes_passed: 1_000_000_000,
        bytes_unused: 0,
        cycle: 2,
        allowed_rate: 960_000_000,
        sent_rate: 84_500_000,
        counters: Counters {
            symbols_needed: 1000,
            pass_symbols: 1000,
            repair_symbols: 14,
            page_symbols: 8,
            digest_symbols: 6,
            own_symbols: 2,
            control_datagrams: 5,
            reports: 70,
            strays: 3,
        },
        digest: Some("ab".repeat(32)),
        identity: Some("cd".repeat(32)),
        receivers,
    }
}

/// A session that waits for its room.
pub(crate) fn waiting(present: u16) -> Status {
    let here = |number| receiver(number, &format!("pc-{number:02}"), ReceiverState::Waiting);
    Status {
        session_name: "lab".to_owned(),
        source: "file win11.img, 1.0 GB".to_owned(),
        image_len: Some(1_000_000_000),
        receivers: (1..=present)
            .map(here)
            .map(|one| ReceiverStatus {
                bytes_written: 0,
                bytes_kept: 0,
                bytes_unused: 0,
                write_rate: 0,
                ..one
            })
            .collect(),
        ..Status::default()
    }
}
