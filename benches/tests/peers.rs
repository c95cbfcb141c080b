//! The peers deliver, and what they did not deliver is noticed.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint takes for other code"
)]

use std::path::Path;
use std::time::Duration;

use mimeo_benches::fixture::random_file;
use mimeo_benches::netlab::{
    Direction, Loss, Room, RoomConfig, Snooping, is_installed, skip, usable,
};
use mimeo_benches::peers::{Job, Mimeo, PeerRun, Targets, mimeo, udpcast, uftp};
use mimeo_benches::programs::Programs;

const LENGTH: u64 = (8 << 20) + 77;

fn can_run(program: &str) -> bool {
    if !usable(program) {
        return false;
    }
    if !is_installed(program) {
        skip(program, &"it is not installed");
    }
    is_installed(program)
}

fn run(
    targets: impl FnOnce(&Path) -> Targets,
    loss: u16,
    timeout: Duration,
    runner: impl FnOnce(&Job<'_>) -> anyhow::Result<PeerRun>,
) -> anyhow::Result<PeerRun> {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    random_file(&image, LENGTH, 4).unwrap();
    let room = Room::build(&RoomConfig {
        receivers: 2,
        snooping: Snooping::Off,
    })
    .unwrap();
    for host in room.receivers() {
        room.loss(host, Direction::ToHost, Loss::Random { permille: loss })
            .unwrap();
    }
    let targets = targets(directory.path());
    runner(&Job {
        room: &room,
        image: &image,
        targets: &targets,
        timeout,
    })
}

fn files(directory: &Path) -> Targets {
    Targets::Files(directory.to_owned())
}

const LONG: Duration = Duration::from_secs(120);

fn assert_delivered(run: &PeerRun) {
    assert!(run.ok, "{run:?}");
    assert_eq!((run.receivers, run.bytes), (2, LENGTH));
    assert!(run.seconds.is_some_and(|seconds| seconds > 0.0), "{run:?}");
    assert!(
        run.sender_cpu_seconds > 0.0 && run.receivers_cpu_seconds > 0.0,
        "{run:?}"
    );
}

#[test]
fn udpcast_delivers_to_files_and_to_nowhere() {
    if !can_run("udp-sender") {
        return;
    }
    assert_delivered(&run(files, 0, LONG, udpcast).unwrap());
    assert_delivered(&run(|_| Targets::Discard, 0, LONG, udpcast).unwrap());
}

#[test]
fn uftp_delivers_to_files_only() {
    if !can_run("uftp") {
        return;
    }
    assert_delivered(&run(files, 0, LONG, |job| uftp(job, 200_000)).unwrap());
    run(|_| Targets::Discard, 0, LONG, |job| uftp(job, 200_000)).unwrap_err();
}

#[test]
fn a_tool_that_does_not_end_is_stopped_and_reported() {
    if !can_run("udp-sender") {
        return;
    }
    // Deaf receivers never meet the sender, which waits for ever.
    let run = run(files, 1000, Duration::from_secs(3), udpcast).unwrap();
    assert!(!run.ok && run.seconds.is_none(), "{run:?}");
    assert!(run.note.contains("not over after 3 s"), "{run:?}");
    assert!(run.note.contains("receiver 2 has another image"), "{run:?}");
}

fn mimeo_run(
    targets: impl FnOnce(&Path) -> Targets,
    loss: u16,
    timeout: Duration,
    rate: Option<&str>,
) -> PeerRun {
    let programs = Programs::at(Path::new(env!("CARGO_BIN_EXE_netlab")));
    let reports = tempfile::tempdir().unwrap();
    let mimeo_job = Mimeo {
        programs: &programs,
        rate,
        reports: reports.path(),
    };
    run(targets, loss, timeout, |job| mimeo(job, &mimeo_job)).unwrap()
}

#[test]
fn mimeo_delivers_and_accounts() {
    if !usable("mimeo") {
        return;
    }
    for targets in [files, |_: &Path| Targets::Discard] {
        let run = mimeo_run(targets, 0, LONG, None);
        assert!(run.ok, "{run:?}");
        assert_eq!((run.bytes, run.receivers), (LENGTH, 2));
        assert!(
            run.seconds.unwrap() > 0.0 && run.sender_cpu_seconds > 0.0,
            "{run:?}"
        );
        assert!(
            run.sent_per_needed.unwrap() >= 1.0 && run.wire_bytes > LENGTH,
            "{run:?}"
        );
    }
}

#[test]
fn a_mimeo_that_is_not_done_in_time_is_told() {
    if !usable("mimeo") {
        return;
    }
    let run = mimeo_run(files, 0, Duration::from_secs(3), Some("1M"));
    assert!(!run.ok && run.seconds.is_none(), "{run:?}");
    assert!(run.note.contains("not over after 3 s"), "{run:?}");
}
