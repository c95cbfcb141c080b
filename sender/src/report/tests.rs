use super::*;
use crate::exit::Exit;
use crate::progress::Sender;
use crate::progress::example::room;
use crate::status::Outcome;
use mimeo_console::Report;
use serde_json::json;

fn report(outcome: &Outcome) -> serde_json::Value {
    let started = "2026-11-20T12:00:00Z".parse().unwrap();
    let ended = "2026-11-20T12:02:10.2509Z".parse().unwrap();
    serde_json::from_str(&Report::new::<Sender>(outcome, started, ended).to_json()).unwrap()
}

#[test]
fn the_report_has_the_fields_that_scripts_rely_on() {
    let report = report(&Outcome {
        exit: Exit::ReceiversFailed,
        status: room(),
        error: Some("2 receivers failed".to_owned()),
    });
    let mut expected = json!({
        "program": "mimeo-sender",
        "version": env!("CARGO_PKG_VERSION"),
        "result": "receivers_failed",
        "exit_code": 5,
        "error": "2 receivers failed",
        "started": "2026-11-20T12:00:00.000Z",
        "ended": "2026-11-20T12:02:10.250Z",
        "session": "lab",
        "source": "file win11.img, 1.0 GB",
        "sender_key": "ef".repeat(32),
        "phase": "running",
        "elapsed_seconds": 130.25,
        "waiting_seconds": 30.0,
        "transfer_seconds": 100.0,
        "image_bytes": 1_000_000_000,
        "bytes_passed": 1_000_000_000,
        "bytes_unused": 0,
        "cycle": 2,
        "image_bits_per_second": 80_000_000,
        "allowed_bits_per_second": 960_000_000,
        "sent_bits_per_second": 84_500_000,
        "digest": "ab".repeat(32),
        "identity": "cd".repeat(32),
        "counters": {
            "symbols_needed": 1000,
            "pass_symbols": 1000,
            "repair_symbols": 14,
            "page_symbols": 8,
            "digest_symbols": 6,
            "unicast_symbols": 2,
            "control_datagrams": 5,
            "reports": 70,
            "strays": 3,
        },
    });
    expected["overhead"] = report["overhead"].clone();
    expected["receivers"] = report["receivers"].clone();
    assert_eq!(report, expected);
    assert!((report["overhead"].as_f64().unwrap() - 0.03).abs() < 1e-9);
}

#[test]
fn every_receiver_is_in_the_report_with_its_reason() {
    let report = report(&Outcome {
        exit: Exit::ReceiversFailed,
        status: room(),
        error: None,
    });
    let receivers = &report["receivers"];
    let states: Vec<_> = (0..4).map(|at| receivers[at]["state"].clone()).collect();
    assert_eq!(states, ["confirmed", "receiving", "failed", "lost"]);
    assert_eq!(receivers[2]["reason"], "disk full\u{1b}[2J");
    assert_eq!(receivers[3]["link_mbit_per_second"], json!(null));
    let lost = "lost, nothing was heard from it any more";
    assert_eq!(receivers[3]["reason"], lost);
    assert_eq!(
        receivers[1],
        json!({
            "number": 2,
            "host_name": "pc-02",
            "mac": "52:54:00:00:00:02",
            "address": "10.77.0.2:40000",
            "link_mbit_per_second": 1000,
            "state": "receiving",
            "reason": null,
            "bytes_written": 500_000_000,
            "bytes_kept": 0,
            "bytes_verified": 0,
            "read_back": null,
            "write_bits_per_second": 80_000_000,
            "loss": 0.0123,
            "socket_drops": 0,
            "bad_blocks": 2,
            "forged_symbols": 9,
            "round_trip_seconds": 0.00025,
            "limit": "network",
            "slow": null,
            "finished_seconds": null,
        })
    );
}

#[test]
fn when_the_session_is_over_whoever_has_not_confirmed_has_a_reason() {
    let report = report(&Outcome {
        exit: Exit::ReceiversFailed,
        status: Status {
            phase: Phase::Over,
            ..room()
        },
        error: None,
    });
    let reasons: Vec<_> = (0..4)
        .map(|at| report["receivers"][at]["reason"].as_str())
        .collect();
    assert_eq!(reasons[0], None);
    assert_eq!(reasons[1], Some("incomplete when the session ended"));
    assert!(reasons[2].is_some() && reasons[3].is_some());
}

#[test]
fn a_session_without_data_has_no_rate_and_no_overhead() {
    let report = report(&Outcome {
        exit: Exit::NobodyInTime,
        status: Status::default(),
        error: None,
    });
    assert_eq!(report["exit_code"], 4);
    for field in [
        "overhead",
        "image_bits_per_second",
        "image_bytes",
        "digest",
        "error",
    ] {
        assert_eq!(report[field], json!(null), "{field}");
    }
}
