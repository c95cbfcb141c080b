//! The peers deliver, and what they did not deliver is noticed.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint takes for other code"
)]

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use mimeo_benches::fixture::random_file;
use mimeo_benches::netlab::{
    Direction, Loss, Room, RoomConfig, Snooping, is_installed, skip, usable,
};
use mimeo_benches::peers::{
    Job, Mimeo, PeerRun, Targets, limit, mimeo, udpcast, uftp, zstd_udpcast,
};
use mimeo_benches::programs::{Limit, Programs};

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
    run_length(LENGTH, targets, loss, timeout, runner)
}

fn run_length(
    length: u64,
    targets: impl FnOnce(&Path) -> Targets,
    loss: u16,
    timeout: Duration,
    runner: impl FnOnce(&Job<'_>) -> anyhow::Result<PeerRun>,
) -> anyhow::Result<PeerRun> {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    random_file(&image, length, 4).unwrap();
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
        run.sender_cpu.total() > 0.0 && run.receivers_cpu.total() > 0.0,
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
fn udpcast_between_two_zstd_delivers_to_files_and_to_nowhere() {
    if !can_run("udp-sender") || !can_run("zstd") {
        return;
    }
    assert_delivered(&run(files, 0, LONG, zstd_udpcast).unwrap());
    assert_delivered(&run(|_| Targets::Discard, 0, LONG, zstd_udpcast).unwrap());
}

#[test]
fn a_pipeline_that_does_not_end_is_stopped_as_a_whole() {
    if !can_run("udp-sender") || !can_run("zstd") {
        return;
    }
    // The run comes back only when nobody holds the pipes of its output any more.
    let run = run(files, 1000, Duration::from_secs(3), zstd_udpcast).unwrap();
    assert!(!run.ok && run.seconds.is_none(), "{run:?}");
    assert!(run.note.contains("not over after 3 s"), "{run:?}");
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
    sender_args: &[&str],
) -> PeerRun {
    let programs = Programs::at(Path::new(env!("CARGO_BIN_EXE_netlab")));
    let reports = tempfile::tempdir().unwrap();
    let sender_args: Vec<_> = sender_args.iter().map(OsString::from).collect();
    let mimeo_job = Mimeo {
        name: "mimeo",
        programs: &programs,
        sender_args: &sender_args,
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
        let run = mimeo_run(targets, 0, LONG, &[]);
        assert!(run.ok, "{run:?}");
        assert_eq!((run.bytes, run.receivers), (LENGTH, 2));
        assert!(
            run.seconds.unwrap() > 0.0 && run.sender_cpu.total() > 0.0,
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
    let run = mimeo_run(files, 0, Duration::from_secs(3), &["--rate", "1M"]);
    assert!(!run.ok && run.seconds.is_none(), "{run:?}");
    assert!(run.note.contains("not over after 3 s"), "{run:?}");
}

/// The bare limit of an image of `length` bytes.
fn limit_run(length: u64, targets: impl FnOnce(&Path) -> Targets, loss: u16) -> PeerRun {
    let program = Limit::at(Path::new(env!("CARGO_BIN_EXE_netlab")));
    let reports = tempfile::tempdir().unwrap();
    let runner = |job: &Job<'_>| limit(job, &program, reports.path());
    run_length(length, targets, loss, LONG, runner).unwrap()
}

#[test]
fn the_limit_delivers_images_of_any_length() {
    if !usable("limit") {
        return;
    }
    // A byte, a datagram and its neighbours, a burst and a byte, and odd megabytes.
    for length in [1, 1439, 1440, 1441, 45 * 1440 + 1, LENGTH] {
        let run = limit_run(length, files, 0);
        assert!(run.ok && run.seconds.is_some(), "{run:?}");
        assert_eq!((run.bytes, run.receivers), (length, 2));
    }
    let run = limit_run(LENGTH, |_| Targets::Discard, 0);
    assert!(
        run.ok && run.seconds.is_some_and(|seconds| seconds > 0.0),
        "{run:?}"
    );
}

#[test]
fn the_limit_fails_when_something_is_lost() {
    if !usable("limit with loss") {
        return;
    }
    let run = limit_run(LENGTH, files, 200);
    assert!(!run.ok && run.seconds.is_none(), "{run:?}");
    assert!(run.note.contains("were lost"), "{run:?}");
}
