//! Real programs on `lo`: when a session starts, and what it keeps to while it runs.
//!
//! Times are only asserted as lower bounds, which no busy machine breaks.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use mimeo_benches::netlab::{is_installed, skip};
use mimeo_benches::session::{Process, Session};
use mimeo_tests::host::{
    PATIENCE, Place, assert_code, assert_same, assert_says, assert_success, finish, terminal, until,
};

/// Bytes of a symbol's datagram with IPv4 and UDP headers.
const DATAGRAM: f64 = 1448.0 + 28.0;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

#[test]
fn max_wait_starts_with_whoever_is_there_and_too_few_are_a_failure() {
    let place = place();
    let image = place.random("image", 1 << 20);
    let target = place.path("target");
    let sender = place.sender(&image, &["--min-receivers", "3", "--max-wait", "1s"]);
    let outcome = place.run(sender, [place.receiver(&target, &[])]);
    assert_code(&outcome.receivers[0], 0);
    assert_same(&image, &target);
    assert_code(&outcome.sender, 5);
    assert_says(&outcome.sender, "at least 3");
}

#[test]
fn who_gives_up_soon_says_what_to_check_all_the_same() {
    let place = place();
    let image = place.random("image", 1000);
    let options = ["--start-timeout", "1s"];
    let sender = place.run(place.sender(&image, &options), []).sender;
    assert_code(&sender, 4);
    assert_says(&sender, "no receiver has come in 1.");
    assert_says(&sender, "IGMP");
    let target = place.path("target");
    let command = place.receiver(&target, &options);
    let mut receiver = Process::start(command, place.directory(), "receiver").unwrap();
    assert!(receiver.running.wait(PATIENCE).unwrap().is_some());
    let receiver = receiver.finish_receiver().unwrap();
    assert_code(&receiver, 4);
    assert_says(&receiver, "no sender has been found in 1.");
    assert_says(&receiver, "IGMP");
}

#[test]
fn min_wait_waits_for_more() {
    let place = place();
    let image = place.random("image", 1 << 20);
    let target = place.path("target");
    let sender = place.sender(&image, &["--min-wait", "2s"]);
    let outcome = place.run(sender, [place.receiver(&target, &[])]);
    assert_success(&outcome, &image);
    let report = outcome.sender.report.unwrap();
    assert!(
        report.elapsed_seconds - report.transfer_seconds >= 2.0,
        "{report:?}"
    );
}

#[test]
fn start_at_starts_with_whoever_is_there() {
    let place = place();
    let image = place.random("image", 1 << 20);
    let target = place.path("target");
    let start = SystemTime::now() + Duration::from_secs(4);
    let date = Command::new("date")
        .arg(format!(
            "--date=@{}",
            start
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_secs()
        ))
        .args(["--utc", "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    let date = String::from_utf8(date.stdout).unwrap();
    let sender = place.sender(&image, &["--start-at", date.trim()]);
    let outcome = place.run(sender, [place.receiver(&target, &[])]);
    assert_success(&outcome, &image);
    // The fraction of the second was cut off.
    assert!(SystemTime::now() >= start - Duration::from_secs(1));
    let report = outcome.sender.report.unwrap();
    assert!(
        report.elapsed_seconds - report.transfer_seconds >= 2.0,
        "{report:?}"
    );
}

#[test]
fn enter_starts_the_session() {
    if !is_installed("setsid") {
        return skip("enter", &"setsid is not installed (package util-linux)");
    }
    let place = place();
    let image = place.random("image", 1 << 20);
    let target = place.path("target");
    let (mut person, program) = terminal();
    // Without further receivers only the key starts it.
    let plain = place.sender(&image, &["--min-receivers", "2"]);
    let mut sender = Command::new("setsid");
    sender
        .arg("--ctty")
        .arg(plain.get_program())
        .args(plain.get_args());
    sender.stdin(Stdio::from(program)).stdout(Stdio::null());
    let session = place.start(sender, [place.receiver(&target, &[])]);
    until("the receiver joins", || {
        session.sender.log().unwrap().contains("joined")
    });
    assert!(!session.sender.log().unwrap().contains("started"));
    person.write_all(b"\n").unwrap();
    let outcome = finish(session);
    assert_code(&outcome.receivers[0], 0);
    assert_same(&image, &target);
    assert_code(&outcome.sender, 5);
    drop(person);
}

#[test]
fn the_rate_is_kept() {
    let place = place();
    let image = place.random("image", 4 << 20);
    let target = place.path("target");
    let outcome = place.run(
        place.sender(&image, &["--rate", "20M"]),
        [place.receiver(&target, &[])],
    );
    assert_success(&outcome, &image);
    let report = outcome.sender.report.unwrap();
    let sent = report.counters.pass_symbols + report.counters.repair_symbols;
    #[allow(clippy::cast_precision_loss, reason = "exact to 2^53 datagrams")]
    let rate = sent as f64 * DATAGRAM * 8.0 / report.transfer_seconds;
    assert!(rate <= 20e6 * 1.05, "{rate} bit/s: {report:?}");
}

#[test]
fn linger_serves_who_comes_after_the_end() {
    let place = place();
    let image = place.random("image", 2 << 20);
    let (first, second) = (place.path("first"), place.path("second"));
    // Longer than anything takes here; the sender is stopped in the end.
    let sender = place.sender(&image, &["--linger", "100s"]);
    let mut session = place.start(sender, [place.receiver(&first, &[])]);
    until("the first is done", || {
        session.receivers[0].log().unwrap().contains("b3sum")
    });
    let command = place.receiver(&second, &[]);
    session
        .receivers
        .push(Process::start(command, place.directory(), "second").unwrap());
    until("the second is done", || {
        session.receivers[1].log().unwrap().contains("b3sum")
    });
    assert_same(&image, &first);
    assert_same(&image, &second);
    session
        .sender
        .running
        .signal(rustix::process::Signal::INT)
        .unwrap();
    let outcome = finish(session);
    assert_code(&outcome.receivers[0], 0);
    assert_code(&outcome.receivers[1], 0);
    assert_code(&outcome.sender, 130);
}

/// A session that has written something and goes on for seconds.
fn under_way(place: &Place) -> Session {
    let image = place.random("image", 600 << 20);
    let target = place.path("target");
    let session = place.start(place.sender(&image, &[]), [place.receiver(&target, &[])]);
    until("something is written", || {
        target.metadata().is_ok_and(|about| about.blocks() > 0)
    });
    session
}

#[test]
fn memory_stays_bounded() {
    let place = place();
    let outcome = finish(under_way(&place));
    assert_success(&outcome, &place.path("image"));
    // The goal for a process, in bytes.
    let limit = 256 << 20;
    let (sender, receiver) = (outcome.sender.usage, outcome.receivers[0].usage);
    assert!(
        sender.max_rss <= limit && receiver.max_rss <= limit,
        "{sender:?} {receiver:?}"
    );
}
