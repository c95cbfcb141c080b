//! A made-up receiver for the tests of what is shown.

use std::net::SocketAddr;
use std::time::Duration;

use mimeo_protocol::receiver::Unused;
use mimeo_protocol::wire::ReadBack;

use crate::status::{Phase, PhaseTimes, Status};

/// One that has written half of a gigabyte to a disk whose name must not reach a terminal.
pub(crate) fn receiving() -> Status {
    Status {
        session_name: "lab".to_owned(),
        target: "/dev/sda, Disk\u{1b}[2J 1.0 GB".to_owned(),
        phase: Phase::Receiving,
        sender: Some(SocketAddr::from(([10, 77, 0, 1], 64636))),
        sessions: 1,
        elapsed: Duration::from_millis(60_500),
        transfer_time: Duration::from_secs(50),
        times: PhaseTimes {
            waiting: Duration::from_millis(10_500),
            receiving: Duration::from_secs(50),
            ..PhaseTimes::default()
        },
        image_len: Some(1_000_000_000),
        bytes_written: 500_000_000,
        bytes_kept: 0,
        bytes_unused: 0,
        unused: Unused::Keep,
        write_rate: 80_000_000,
        bytes_verified: 0,
        verify_rate: 0,
        read_back: ReadBack::No,
        loss: 0.0123,
        received: 990,
        expected: 1000,
        socket_drops: 2,
        bad_blocks: 1,
        forged_symbols: 3,
        forged: 5,
        unreadable_blocks: 0,
        strays: 4,
        busy: Duration::from_secs(12),
        cycle: 1,
        slow: None,
        digest: Some("ab".repeat(32)),
        identity: Some("cd".repeat(32)),
    }
}

/// The same, flushed, and read back for the most part in a second.
pub(crate) fn verifying() -> Status {
    let receiving = receiving();
    Status {
        phase: Phase::Verifying,
        transfer_time: Duration::from_secs(101),
        times: PhaseTimes {
            receiving: Duration::from_secs(100),
            flushing: Duration::from_secs(1),
            verifying: Duration::from_secs(1),
            ..receiving.times
        },
        bytes_written: 1_000_000_000,
        bytes_verified: 800_000_000,
        write_rate: 0,
        verify_rate: 1_600_000_000,
        ..receiving
    }
}

/// One that has not found a sender.
pub(crate) fn searching() -> Status {
    Status {
        target: "null: (everything is discarded)".to_owned(),
        ..Status::default()
    }
}
