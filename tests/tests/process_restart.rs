//! Real programs on `lo`: a sender that dies and is started again, and programs that stand still.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use mimeo_benches::session::{Process, Session};
use mimeo_tests::host::{
    Place, assert_code, assert_same, assert_says, assert_success, finish, until,
};
use rustix::process::Signal;

/// 64 blocks, about 4 s at the rate.
const LENGTH: u64 = 16 << 20;
const RATE: [&str; 2] = ["--rate", "36M"];

/// About half of a target, in the 512 bytes that a file's metadata count.
const HALF: u64 = LENGTH / 512 / 2;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

fn target(place: &Place, number: usize) -> PathBuf {
    place.path(&format!("target{number}"))
}

fn start(place: &Place, receivers: usize) -> Session {
    let image = place.random("image", LENGTH);
    let count = receivers.to_string();
    let sender = place.sender(&image, &[&RATE[..], &["--min-receivers", &count]].concat());
    let receivers = (0..receivers).map(|number| place.receiver(target(place, number), &[]));
    place.start(sender, receivers)
}

fn until_half(place: &Place) {
    until("half is written", || {
        let about = target(place, 0).metadata();
        about.is_ok_and(|about| about.blocks() >= HALF)
    });
}

/// Kills the sender and starts another one.
fn start_again(place: &Place, session: &mut Session, image: &Path, options: &[&str]) {
    session.sender.running.kill().unwrap();
    let command = place.sender(image, &[&RATE[..], options].concat());
    session.sender = Process::start(command, place.directory(), "again").unwrap();
}

/// For how many seconds a receiver says that its sender was silent before it was started again.
fn silence(log: &str) -> u64 {
    let (_, after) = log
        .split_once("taking up its new session image after ")
        .expect(log);
    let (seconds, _) = after.split_once(" s").expect(log);
    seconds.parse().expect(log)
}

#[test]
fn a_sender_that_is_killed_and_started_again_sends_the_rest() {
    let place = place();
    let mut session = start(&place, 3);
    until_half(&place);
    let image = place.path("image");
    start_again(&place, &mut session, &image, &["--min-receivers", "3"]);
    let outcome = finish(session);
    assert_success(&outcome, &image);
    for (number, receiver) in outcome.receivers.iter().enumerate() {
        assert_same(&image, &target(&place, number));
        assert_says(receiver, "the sender is silent; looking for it again");
        assert_says(receiver, "the sender was started again");
        assert!(silence(&receiver.log) >= 2, "it was looked for after 2 s");
        let report = receiver.report.as_ref().unwrap();
        assert_eq!(report.sessions, 2);
        assert!(report.bytes_kept >= LENGTH / 3, "{report:?}");
        assert_eq!(report.bytes_kept + report.bytes_written, LENGTH);
    }
    let counters = outcome.sender.report.unwrap().counters;
    let sent = counters.pass_symbols + counters.repair_symbols;
    let all = LENGTH / (256 << 10) * 187;
    assert!(sent <= all * 2 / 3, "{sent} of {all} symbols");
}

/// What went down a pipe stays there, and the rest follows it.
#[test]
fn a_pipe_goes_on_where_it_was() {
    let place = place();
    let image = place.random("image", LENGTH);
    let zeros = vec![0; 1 << 20];
    let file = File::options().write(true).open(&image).unwrap();
    for mib in [1, 6, 7, 8, 9, 12] {
        file.write_all_at(&zeros, mib << 20).unwrap();
    }
    let sender = place.sender(&image, &[&RATE[..], &["--min-receivers", "2"]].concat());
    let piped = target(&place, 1);
    let mut pipe = place.receiver("-", &[]);
    pipe.stdout(File::create(&piped).unwrap());
    let mut session = place.start(sender, [place.receiver(target(&place, 0), &[]), pipe]);
    until("a third is written", || {
        piped.metadata().is_ok_and(|about| about.len() > LENGTH / 3)
    });
    start_again(&place, &mut session, &image, &["--min-receivers", "2"]);
    let outcome = finish(session);
    assert_success(&outcome, &image);
    for (number, receiver) in outcome.receivers.iter().enumerate() {
        assert_same(&image, &target(&place, number));
        let report = receiver.report.as_ref().unwrap();
        assert_eq!(report.sessions, 2);
        assert_eq!(report.bytes_kept + report.bytes_written, LENGTH);
    }
}

#[test]
fn another_image_under_the_same_name_is_refused() {
    let place = place();
    let mut session = start(&place, 2);
    until_half(&place);
    let other = place.random("other", LENGTH - 1);
    let options = ["--session", "image", "--start-timeout", "10s"];
    start_again(&place, &mut session, &other, &options);
    let outcome = finish(session);
    for receiver in &outcome.receivers {
        assert_code(receiver, 3);
        assert_says(receiver, "another image under the same name");
        assert_says(receiver, "is incomplete: it holds");
    }
    assert_says(&outcome.sender, "another image under the same name");
}

#[test]
fn a_receiver_that_is_suspended_goes_on() {
    let place = place();
    let session = start(&place, 2);
    until_half(&place);
    session.receivers[1].running.signal(Signal::STOP).unwrap();
    thread::sleep(Duration::from_secs(10));
    session.receivers[1].running.signal(Signal::CONT).unwrap();
    let outcome = finish(session);
    for receiver in &outcome.receivers {
        assert_code(receiver, 0);
    }
    assert_same(&place.path("image"), &target(&place, 0));
    assert_same(&place.path("image"), &target(&place, 1));
}

#[test]
fn a_sender_that_is_suspended_goes_on() {
    let place = place();
    let session = start(&place, 2);
    until_half(&place);
    session.sender.running.signal(Signal::STOP).unwrap();
    thread::sleep(Duration::from_secs(12));
    session.sender.running.signal(Signal::CONT).unwrap();
    let outcome = finish(session);
    assert_success(&outcome, &place.path("image"));
    for (number, receiver) in outcome.receivers.iter().enumerate() {
        assert_same(&place.path("image"), &target(&place, number));
        assert_says(receiver, "the sender is back");
        assert_eq!(receiver.report.as_ref().unwrap().sessions, 1);
    }
}
