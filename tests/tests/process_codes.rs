//! Real programs on `lo` that join by a code, and senders that are not the one that is meant.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mimeo_benches::session::{Process, Session};
use mimeo_tests::host::{
    Place, assert_code, assert_same, assert_says, assert_success, finish, until,
};
use rustix::process::Signal;

const CODE: &str = "7-amateur-trumpet";

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_mimeo-host"))
}

#[test]
fn a_code_that_the_sender_made_admits_who_is_told() {
    let place = place();
    let image = place.random("image", 3 << 20);
    let target = place.path("target");
    let sender = Process::start(
        place.sender_with_a_code(&image, &[]),
        place.directory(),
        "sender",
    )
    .unwrap();
    let mut code = String::new();
    until("the sender shows its code", || {
        let log = sender.log().unwrap();
        let told = log.split_once("--code ").map(|(_, rest)| rest.to_owned());
        let told = told.and_then(|rest| Some(rest.split_once(' ')?.0.to_owned()));
        code = told.unwrap_or_default();
        !code.is_empty()
    });
    // As somebody types who is in a hurry.
    let typed = code.to_uppercase().replace('-', " ");
    let receiver = place.receiver(&target, &["--code", &typed]);
    let receiver = Process::start(receiver, place.directory(), "receiver").unwrap();
    let session = Session {
        sender,
        receivers: vec![receiver],
    };
    let outcome = finish(session);
    assert_success(&outcome, &image);
    assert_same(&image, &target);
    let report = fs::read_to_string(place.path("sender.json")).unwrap_or_default();
    assert!(!report.contains(&code), "the report is no place for it");
}

/// Nobody can type anything at a sender that a script has started.
#[test]
fn a_signal_makes_another_code() {
    let place = place();
    let (image, target) = (place.random("image", 1 << 20), place.path("target"));
    let command = place.sender_with_a_code(&image, &["--code", CODE]);
    let sender = Process::start(command, place.directory(), "sender").unwrap();
    let shown = format!("--code {CODE}");
    until("the sender shows its code", || {
        sender.log().unwrap().contains(&shown)
    });
    sender.running.signal(Signal::USR1).unwrap();
    let mut code = String::new();
    until("there is another code", || {
        let log = sender.log().unwrap();
        let told = log.rsplit_once("--code ").map(|(_, rest)| rest.to_owned());
        let told = told.and_then(|rest| Some(rest.split_once(' ')?.0.to_owned()));
        code = told.unwrap_or_default();
        !code.is_empty() && code != CODE
    });
    // The code is in a file, and not on a command line.
    let file = place.file("code", format!("{code}\n"));
    let mut receiver = place.receiver(&target, &["--code", "-"]);
    receiver.stdin(fs::File::open(file).unwrap());
    let receiver = Process::start(receiver, place.directory(), "receiver").unwrap();
    let outcome = finish(Session {
        sender,
        receivers: vec![receiver],
    });
    assert_success(&outcome, &image);
    assert_same(&image, &target);
}

/// Who was given another kind of secret never asks to join, and is there all the same.
#[test]
fn who_looks_for_a_session_with_another_kind_of_secret_is_named_to_the_sender() {
    let place = place();
    let (image, target) = (place.random("image", 1 << 20), place.path("target"));
    let key = place.file("key", [7; 32]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let key = ["--key-file", key.to_str().unwrap()];
    let sender = place.sender(&image, &["--code", CODE, "--start-timeout", "4s"]);
    let wrong = place.receiver(&target, &[&key[..], &["--start-timeout", "3s"]].concat());
    let outcome = finish(place.start(sender, [wrong]));
    assert_code(&outcome.receivers[0], 7);
    assert_code(&outcome.sender, 4);
    assert_says(
        &outcome.sender,
        "looking for a session, but not joining this one: ",
    );
    assert_says(&outcome.sender, "asks for its join code (--code)");
}

#[test]
fn another_code_is_not_admitted_and_keeps_nobody_waiting() {
    let place = place();
    let image = place.random("image", 1 << 20);
    let (right, wrong) = (place.path("right"), place.path("wrong"));
    let sender = place.sender(&image, &["--code", CODE]);
    let mut session = place.start(sender, [place.receiver(&wrong, &["--code", "8-zoo-zoo"])]);
    // It is the only one there, and gives up by itself.
    until("the wrong one ends", || {
        let receiver = &mut session.receivers[0];
        receiver
            .running
            .wait(std::time::Duration::ZERO)
            .unwrap()
            .is_some()
    });
    let command = place.receiver(&right, &["--code", CODE]);
    let receiver = Process::start(command, place.directory(), "right").unwrap();
    session.receivers.push(receiver);
    let outcome = finish(session);
    assert_code(&outcome.receivers[0], 7);
    assert_says(&outcome.receivers[0], "another join code");
    assert!(
        !wrong.exists(),
        "nothing was admitted, so nothing is touched"
    );
    assert_code(&outcome.receivers[1], 0);
    assert_code(&outcome.sender, 0);
    assert_same(&image, &right);
}

fn half_of(target: &Path, length: u64) {
    until("half is written", || {
        let about = target.metadata();
        about.is_ok_and(|about| about.blocks() >= length / 512 / 2)
    });
}

/// A session that is admitted to by `first`, whose sender dies half-way and is started again with
/// `again`.
fn restarted(place: &Place, first: &[&str], again: &[&str]) -> (PathBuf, PathBuf, Session) {
    let length = 16 << 20;
    let (image, target) = (place.random("image", length), place.path("target"));
    let sender = place.sender(&image, &[&["--rate", "36M"], first].concat());
    let receiver = place.receiver(&target, &[first, &["--idle-timeout", "8s"]].concat());
    let mut session = place.start(sender, [receiver]);
    half_of(&target, length);
    session.sender.running.kill().unwrap();
    let options = [again, &["--start-timeout", "20s"]].concat();
    let command = place.sender_with_a_code(&image, &options);
    session.sender = Process::start(command, place.directory(), "again").unwrap();
    (image, target, session)
}

#[test]
fn a_sender_that_is_started_again_with_its_code_is_joined_again() {
    let place = place();
    let code = ["--code", CODE];
    let (image, target, session) = restarted(&place, &code, &code);
    let outcome = finish(session);
    assert_success(&outcome, &image);
    assert_same(&image, &target);
}

#[test]
fn a_sender_that_is_started_again_with_its_key_file_is_joined_again() {
    let place = place();
    let key = place.file("key", [7; 32]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let key = ["--key-file", key.to_str().unwrap()];
    let (image, target, session) = restarted(&place, &key, &key);
    let outcome = finish(session);
    assert_success(&outcome, &image);
    assert_same(&image, &target);
}

#[test]
fn a_sender_that_is_started_again_with_a_new_code_is_not() {
    let place = place();
    let (_, _, session) = restarted(&place, &["--code", CODE], &[]);
    let outcome = finish(session);
    assert_code(&outcome.receivers[0], 1);
    assert_says(&outcome.receivers[0], "another join code");
    assert_code(&outcome.sender, 4);
}
